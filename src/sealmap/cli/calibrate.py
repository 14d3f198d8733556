"""sealmap calibrate: bundle and validation chips → bundle with temperature and threshold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from sealmap.cli.common import Json, Overwrite, bundle_of, progress, show

NAME = "calibrate"


def command(
    model: Annotated[Path, typer.Argument(help="Model bundle; 'shipped' for the one that comes with sealmap.")],
    chips: Annotated[list[Path], typer.Argument(help="Chip folders made by 'sealmap prepare'.")],
    out: Annotated[Path, typer.Option(help="Bundle to write, such as calibrated.sealmap.")],
    split: Annotated[str, typer.Option(help="Chips to measure on: val, or train; never test.")] = "val",
    aim: Annotated[str, typer.Option(help="What the threshold is chosen for: iou, f1 or zero_bias.")] = "iou",
    looks: Annotated[
        int, typer.Option(help="Also see each chip as so many other flights would show it, for maps of unseen flights.")
    ] = 0,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Fit temperature and threshold of a model on validation chips; leaves a new bundle and a figure."""
    from sealmap.pipeline.calibrate import CalibrateJob, calibrate

    bundle = bundle_of(model)
    job = CalibrateJob(model=bundle, chips=chips, out=out, split=split, aim=aim, looks=looks, overwrite=overwrite)
    with progress("chips", quiet=as_json) as report:
        found = calibrate(job, progress=report)
    files = {"bundle": str(job.out), "figure": str(job.figure)}
    facts = dict(found.card.calibration)
    show(files | (facts if as_json else calibration_facts(facts)), as_json=as_json)


def calibration_facts(found: Mapping[str, Any]) -> dict[str, str]:
    """What a calibration found, as lines to print. found: ``ModelCard.calibration``; {} where there was none."""
    told = {}
    if "after" in found:
        before, after = found["before"], found["after"]
        told["calibrated on"] = (
            f"{found['pixels']:,} pixels, {found['chips']} chips, {found['blocks']} blocks of {found['split']},"
            f" labels from {found['labels']}{_looks(found.get('looks', 0))}"
        )
        told["temperature"] = f"{before['temperature']:.3f} → {after['temperature']:.3f}"
        if before.get("isotonic_knots") or after.get("isotonic_knots"):
            told["isotonic"] = f"{_curve(before)} → {_curve(after)}"
        told["ECE"] = f"{before['ece']:.4f} → {after['ece']:.4f}"
        told["Brier score"] = f"{before['brier']:.4f} → {after['brier']:.4f}"
        told[f"threshold ({found['aim']})"] = f"{before['threshold']:.3f} → {after['threshold']:.3f}"
        told["IoU"] = f"{before['iou']:.4f} → {after['iou']:.4f}"
        told["F1"] = f"{before['f1']:.4f} → {after['f1']:.4f}"
        told["area bias"] = f"{before['area_bias']:+.2%} → {after['area_bias']:+.2%}"
        told |= _halves(found["other_half"])
    return told | {f"warning {i}": text for i, text in enumerate(found.get("warnings", []), start=1)}


def _curve(row: Mapping[str, Any]) -> str:
    knots = row.get("isotonic_knots", 0)
    return f"a curve of {knots} knots" if knots else "none"


def _looks(looks: int) -> str:
    return f"; chips as flown and as {looks} other flights would show them" if looks else ""


def _halves(found: Mapping[str, Any]) -> dict[str, str]:
    """Fitted on one half of the blocks and measured on the other: what to expect elsewhere on this ground."""
    if not found:
        return {}
    names = {"none": "as it was", "temperature": "temperature", "isotonic": "isotonic"}
    rows = [f"{name} {found['ece'][how]:.4f} / {found['brier'][how]:.4f}" for how, name in names.items()]
    verdict = "isotonic wins measurably" if found["isotonic_wins"] else "isotonic does not win measurably"
    biases = " and ".join(f"{bias:+.2%}" for bias in found["area_bias"])
    return {
        "other half: ECE / Brier": f"{', '.join(rows)}; {verdict}",
        "other half: area bias": biases,
    }
