"""sealmap demo: a made-up town, mapped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sealmap.cli.common import Json, Overwrite, progress, show
from sealmap.cli.run import facts_of

NAME = "demo"


def command(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("demo"),
    size: Annotated[float, typer.Option(help="Side of the town in metres.")] = 600.0,
    language: Annotated[str, typer.Option(help="Of layers and report: en or de.")] = "en",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Build a town (sheets, cadastre, truth), map it with the shipped model, and say where to look."""
    from sealmap.pipeline.demo import demo

    if not as_json:
        print(f"building a town of {size:g} x {size:g} m in {out} …", flush=True)
    with progress("windows", quiet=as_json) as report:
        done = demo(out, size_m=size, language=language, overwrite=overwrite, progress=report)
    scores = done.truth.scores(done.truth.legend.sealed_ids)
    facts = facts_of(done.result) | {
        "iou_sealed_against_truth": round(scores["iou"], 4),
        "area_bias_against_truth": round(scores["area_bias"], 4),
    }
    show(facts, as_json=as_json)
    if not as_json:
        print(f"\nOpen {out / 'sealmap.qgz'} in QGIS, {out / 'report.html'} in a browser, or {out / 'preview.png'}.")
