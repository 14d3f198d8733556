"""sealmap prepare: orthophotos and cadastre → chips and masks."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sealmap.cli.common import Json, Overwrite, pairs, progress, show

if TYPE_CHECKING:
    from sealmap.pipeline.prepare import Outcome

NAME = "prepare"


def command(
    orthos: Annotated[list[Path], typer.Argument(help="Orthophotos (JP2, GeoTIFF, VRT) or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder to write the chips to.")],
    cadastre: Annotated[
        str, typer.Option(help="Cadastre: FILE, FILE:LAYER, folder or zip (GeoPackage, Shapefile, GML, NAS).")
    ] = "",
    rules: Annotated[
        str, typer.Option(help="Rule table: alkis_nrw, dm01_ch, outlines_only, generic or a TOML file.")
    ] = "alkis_nrw",
    labels: Annotated[str, typer.Option(help="Labels drawn by hand (see: labels new), above the cadastre.")] = "",
    truth: Annotated[list[Path] | None, typer.Option(help="Label rasters instead of a cadastre (repeatable).")] = None,
    legend: Annotated[str, typer.Option(help="sealed (background, sealed) or roof_paved.")] = "sealed",
    patch: Annotated[int, typer.Option(help="Side of a chip in pixels.")] = 512,
    overlap: Annotated[int, typer.Option(help="Overlap of neighbouring chips in pixels.")] = 128,
    split: Annotated[str, typer.Option(help="auto, sheet, blocks or areas.")] = "auto",
    assign: Annotated[list[str] | None, typer.Option(help="SHEET=train|val|test for a sheet (repeatable).")] = None,
    areas: Annotated[
        str, typer.Option(help="Polygons with a field 'split' (train, val, test): FILE or FILE:LAYER.")
    ] = "",
    block: Annotated[float | None, typer.Option(help="Side of a block of the split in metres.")] = None,
    gap: Annotated[float | None, typer.Option(help="Gap between chips of different splits in metres.")] = None,
    bands: Annotated[str, typer.Option(help="Bands to keep, such as red,green,blue; all by default.")] = "",
    flight: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Date of the flight.")] = None,
    dop_metadata: Annotated[
        Path | None, typer.Option(help="Table of flight dates per sheet (dop_nw.csv, or sheet;date).")
    ] = None,
    language: Annotated[Literal["de", "en"], typer.Option(help="Of the label report.")] = "en",
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Cut orthophotos into chips, make masks (0 background, 1 sealed, 255 ignore), and report on these labels."""
    from sealmap.dataset.cuts import ChipSpec
    from sealmap.dataset.split import SplitSpec
    from sealmap.pipeline.prepare import Ground, Labels, PrepareJob, prepare

    if split == "areas" and not areas:
        raise typer.BadParameter("the split 'areas' needs --areas FILE", param_hint="--split")
    job = PrepareJob(
        orthos=orthos,
        out=out,
        labels=Labels(
            cadastre=cadastre, rules=rules, manual=labels, truth=tuple(truth or ()), legend=legend,
            flight=flight.date() if flight else None, dop_metadata=dop_metadata,
        ),
        spec=ChipSpec(
            patch=patch, overlap=overlap, bands=tuple(b.strip() for b in bands.split(",") if b.strip()),
            split=SplitSpec(
                mode="auto" if split == "areas" else split, seed=seed, named=pairs(assign or [], "--assign")
            ),
        ),
        ground=Ground(block_m=block, gap_m=gap, areas=areas),
        language=language,
    )  # fmt: skip
    with progress("chips", quiet=as_json) as report:
        made = prepare(job, overwrite=overwrite, progress=report)
    show(_facts(made), as_json=as_json)


def _facts(made: Outcome) -> dict[str, Any]:
    chips, sheets = made.chips, made.prepared.sheets
    area = sum(s.area_m2 for s in sheets)
    return {
        "chips": chips.split_counts(),
        "bands": chips.bands,
        "gsd_m": chips.gsd_m,
        "share of labels": {c.key: sum(s.label_m2[c.key] for s in sheets) / area for c in chips.legend.classes},
        "ignored": sum(i.area_m2 for s in sheets for i in s.ignored) / area,
        "classes without a rule": [f"{u.klass or '(no class)'} ×{u.shapes}" for u in made.prepared.unknown] or "none",
        "places where image and cadastre disagree": sum(len(s.candidates) for s in sheets),
        "folder": str(chips.root),
        "look at": str(made.page),
    }
