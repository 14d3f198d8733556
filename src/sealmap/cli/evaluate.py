"""sealmap evaluate: bundle and chips → scores and a page of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sealmap.cli.common import Json, Overwrite, progress, show

NAME = "evaluate"


def command(
    model: Annotated[Path, typer.Argument(help="Model bundle; 'shipped' for the one that comes with sealmap.")],
    chips: Annotated[Path, typer.Argument(help="Chip folder made by 'sealmap prepare'.")],
    out: Annotated[Path, typer.Option(help="Folder for scores.json and evaluation.html.")],
    split: Annotated[str, typer.Option(help="train, val or test.")] = "test",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Score a model on held-out chips, with 95 % intervals and signed area bias."""
    from sealmap.evaluation.scores import to_json
    from sealmap.pipeline.learn import evaluate

    bundle = None if str(model) == "shipped" else model
    with progress("chips", quiet=as_json) as report:
        found = evaluate(bundle, chips, split, out, overwrite=overwrite, progress=report)
    if as_json:
        show(to_json(found), as_json=True)
        return
    print(f"{'class':<12}{'IoU':>8}{'95 %':>18}{'F1':>8}{'precision':>11}{'recall':>8}{'area bias':>11}")
    for key, row in found.scores.items():
        iou = row["iou"]
        interval = f"{iou.low:.3f} – {iou.high:.3f}"
        print(
            f"{key:<12}{iou.value:>8.3f}{interval:>18}{row['f1'].value:>8.3f}{row['precision'].value:>11.3f}"
            f"{row['recall'].value:>8.3f}{row['area_bias'].value:>+11.1%}"
        )
    print(f"look at {out / 'evaluation.html'}")
