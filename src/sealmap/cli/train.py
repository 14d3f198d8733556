"""sealmap train: chips → model bundle."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sealmap.cli.calibrate import calibration_facts
from sealmap.cli.common import Json, Overwrite, pairs, progress, show

if TYPE_CHECKING:
    from sealmap.training.loop import Progress

NAME = "train"


def command(
    chips: Annotated[list[Path], typer.Argument(help="Chip folders made by 'sealmap prepare'.")],
    out: Annotated[Path, typer.Option(help="Bundle to write, such as model.sealmap.")],
    recipe: Annotated[str, typer.Option(help="unet_resnet34, unet_lite0, segformer_lite0 or tiny.")] = "unet_resnet34",
    encoder_weights: Annotated[str, typer.Option(help="imagenet, none, or a local file of weights.")] = "imagenet",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Override a recipe: KEY=VALUE (repeatable).")
    ] = None,
    aim: Annotated[str, typer.Option(help="What the threshold is chosen for: iou, f1 or zero_bias.")] = "iou",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, or begin where there is none.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Train a network on chips; leaves the bundle, calibrated on the val chips, metrics, pictures and checkpoints."""
    from sealmap.pipeline.learn import TrainJob, train
    from sealmap.training.recipes import recipe_named

    overrides = pairs(settings or [], "--set")
    if encoder_weights != "imagenet":
        overrides["encoder_weights"] = encoder_weights
    chosen = recipe_named(recipe, overrides)
    with progress("steps", quiet=as_json) as report:

        def tell(p: Progress) -> None:
            report(p.step, p.steps)

        job = TrainJob(chips=chips, recipe=chosen, out=out, aim=aim, resume=resume, overwrite=overwrite)
        done = train(job, progress=tell)
    last = done.history[-1] if done.history else {}
    facts = {
        "bundle": str(done.bundle),
        "IoU sealed (validation)": round(done.iou_sealed, 4),
        "steps": last.get("step", math.nan),
        "minutes": round(last.get("seconds", 0) / 60, 1),
        "encoder weights": done.card.training["encoder_weights"],
        **calibration_facts(done.card.calibration),
        "look at": str(done.folder / "curve.png"),
    }
    show(facts, as_json=as_json)
