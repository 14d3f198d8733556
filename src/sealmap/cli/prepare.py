"""sealmap prepare: orthophotos and cadastre → chips and masks."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from sealmap.cli.common import Json, Overwrite, pairs, progress, show

NAME = "prepare"


def command(
    orthos: Annotated[list[Path], typer.Argument(help="Orthophotos (JP2, GeoTIFF, VRT) or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder to write the chips to.")],
    cadastre: Annotated[str, typer.Option(help="Cadastre as FILE or FILE:LAYER.")] = "",
    rules: Annotated[
        str, typer.Option(help="Rule table: alkis_nrw, outlines_only, generic or a TOML file.")
    ] = "alkis_nrw",
    truth: Annotated[list[Path] | None, typer.Option(help="Label rasters instead of a cadastre (repeatable).")] = None,
    legend: Annotated[str, typer.Option(help="sealed (background, sealed) or roof_paved.")] = "sealed",
    patch: Annotated[int, typer.Option(help="Side of a chip in pixels.")] = 512,
    overlap: Annotated[int, typer.Option(help="Overlap of neighbouring chips in pixels.")] = 128,
    split: Annotated[str, typer.Option(help="auto, sheet or blocks.")] = "auto",
    assign: Annotated[list[str] | None, typer.Option(help="SHEET=train|val|test for a sheet (repeatable).")] = None,
    bands: Annotated[str, typer.Option(help="Bands to keep, such as red,green,blue; all by default.")] = "",
    flight: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Date of the flight.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Cut orthophotos into chips, and make masks (0 background, 1 sealed, 255 ignore) from the cadastre."""
    from sealmap.dataset.chips import ChipSpec
    from sealmap.dataset.split import SplitSpec
    from sealmap.pipeline.prepare import Labels, prepare

    labels = Labels(
        cadastre=cadastre, rules=rules, truth=tuple(truth or ()), legend=legend,
        flight=flight.date() if flight else None,
    )  # fmt: skip
    named = pairs(assign or [], "--assign")
    spec = ChipSpec(
        patch=patch, overlap=overlap, split=SplitSpec(mode=split, seed=seed, named=named),
        bands=tuple(b.strip() for b in bands.split(",") if b.strip()),
    )  # fmt: skip
    with progress("chips", quiet=as_json) as report:
        chips = prepare(orthos, labels, out, spec, overwrite=overwrite, progress=report)
    shares = {c.key: sum(chip.shares[c.key] for chip in chips.chips) / len(chips) for c in chips.legend.classes}
    facts = {
        "chips": chips.split_counts(),
        "bands": chips.bands,
        "gsd_m": chips.gsd_m,
        "mean share of labels": shares,
        "ignored": sum(chip.shares["ignore"] for chip in chips.chips) / len(chips),
        "folder": str(out),
        "look at": str(out / "contact_sheet.png"),
    }
    show(facts, as_json=as_json)
