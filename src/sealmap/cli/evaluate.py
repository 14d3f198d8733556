"""sealmap evaluate: bundle and chips, or whole sheets and their truth → scores and a page of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sealmap.cli.common import Device, Json, Overwrite, bundle_of, progress, show

NAME = "evaluate"


def command(
    model: Annotated[Path, typer.Argument(help="Model bundle; 'shipped' for the one that comes with sealmap.")],
    ground: Annotated[
        list[Path], typer.Argument(help="Chip folder made by 'sealmap prepare'; with --truth: orthophotos.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for scores.json and evaluation.html.")],
    split: Annotated[str, typer.Option(help="Of the chips: train, val or test.")] = "test",
    truth: Annotated[
        list[Path] | None,
        typer.Option(help="Label raster of whole sheets (repeatable): maps the sheets and scores the map."),
    ] = None,
    legend: Annotated[
        str, typer.Option(help="Of the truth: sealed or roof_paved; by default as the raster says.")
    ] = "",
    parcels: Annotated[str, typer.Option(help="With --truth: parcels, FILE or FILE:LAYER, to score each.")] = "",
    id_field: Annotated[
        str | None, typer.Option("--id", help="Field with the parcel id; usual names are found.")
    ] = None,
    device: Device = "auto",
    match: Annotated[bool, typer.Option("--match", help="As of predict (whole sheets only).")] = False,
    language: Annotated[Literal["de", "en"], typer.Option(help="Of the page.")] = "en",
    seed: Annotated[int, typer.Option(help="Of the intervals and of the random windows.")] = 1,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Score a model on held-out ground, with 95 % intervals and signed area bias, on chips or on whole sheets."""
    from sealmap.pipeline.evaluate import Output, evaluate
    from sealmap.pipeline.evaluate_sheets import SheetJob, evaluate_sheets
    from sealmap.pipeline.maps import Serving

    if not truth and len(ground) > 1:
        raise typer.BadParameter("give one chip folder, or orthophotos with --truth", param_hint="GROUND")
    if not truth and (parcels or legend):
        raise typer.BadParameter("parcels and legend belong to whole sheets: add --truth", param_hint="--truth")
    if not truth and match:
        raise typer.BadParameter("only whole sheets are matched: add --truth, or leave it out", param_hint="--match")
    bundle = bundle_of(model)
    output = Output(folder=out, overwrite=overwrite, language=language, seed=seed)
    with progress("windows" if truth else "chips", quiet=as_json) as report:
        if truth:
            job = SheetJob(
                orthos=ground,
                truths=truth,
                legend=legend,
                parcels=parcels,
                id_field=id_field,
                serving=Serving(device=device, match=match),
            )
            found = evaluate_sheets(bundle, job, output, progress=report)
        else:
            found = evaluate(bundle, ground[0], split, output, device=device, progress=report)
    if as_json:
        show(found.scores, as_json=True)
        return
    _table(found.scores)
    print(f"look at {out / 'evaluation.html'}")


def _table(scores: Mapping[str, Any]) -> None:
    print(
        f"{'class':<12}{'IoU':>7}{'95 %':>16}{'boundary':>10}{'F1':>7}{'prec.':>7}{'recall':>8}{'area bias':>11}"
        f"{'95 %':>19}"
    )
    for key, row in scores["scores"].items():
        spread = f"{_of(row['iou'], 'low')} – {_of(row['iou'], 'high')}"
        bias = row["area_bias"]
        around = f"{_of(bias, 'low', '+.1%')} – {_of(bias, 'high', '+.1%')}"
        print(
            f"{key:<12}{_of(row['iou']):>7}{spread:>16}{_of(row['boundary_iou']):>10}{_of(row['f1']):>7}"
            f"{_of(row['precision']):>7}{_of(row['recall']):>8}{_of(bias, 'value', '+.1%'):>11}{around:>19}"
        )
    said, parcels = scores["probabilities"], scores["parcels"]
    if said:
        print(f"probabilities: ECE {_of(said, 'ece', '.4f')}, Brier score {_of(said, 'brier', '.4f')}")
    if parcels:
        s = parcels["scores"]
        print(
            f"{parcels['parcels']} parcels: area bias {_of(s['area_bias'], 'value', '+.1%')}, mean error"
            f" {_of(s['mae_m2'], 'value', '.1f')} m², {_of(s['within_5_m2'], 'value', '.0%')} within 5 m²,"
            f" {_of(s['within_10_percent'], 'value', '.0%')} within 10 %; {parcels['left_out']} left out"
        )


def _of(values: Mapping[str, float | None], name: str = "value", form: str = ".3f") -> str:
    value = values[name]
    return "–" if value is None else format(value, form)
