"""sealmap import: a model of another maker → bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sealmap.cli.common import Json, Overwrite, show

NAME = "import"


def command(
    model: Annotated[Path, typer.Argument(help="State dict (.safetensors, .pt), TorchScript (.pt) or ONNX (.onnx).")],
    out: Annotated[Path, typer.Option(help="Bundle to write, such as ours.sealmap.")],
    gsd_m: Annotated[float, typer.Option(help="Metres per pixel that it was trained with.")],
    gsd_range: Annotated[
        str, typer.Option(help="LOW,HIGH in metres: sheets to accept. 0.4 to 2.5 times --gsd-m.")
    ] = "",
    bands: Annotated[str, typer.Option(help="In the order of its input; needed unless red,green,blue.")] = "",
    mean: Annotated[str, typer.Option(help="Per band, or one for all; pixels count 0..1.")] = "",
    std: Annotated[str, typer.Option(help="As --mean.")] = "",
    legend: Annotated[str, typer.Option(help="sealed or roof_paved.")] = "sealed",
    classes: Annotated[str, typer.Option(help="Classes of the legend in the order of the model's outputs.")] = "",
    activation: Annotated[
        str, typer.Option(help="What it applies to its logits: auto, logits, sigmoid, softmax, double_sigmoid, ...")
    ] = "auto",
    probe: Annotated[list[Path] | None, typer.Option(help="Sheets to try it on; may be given again.")] = None,
    architecture: Annotated[str | None, typer.Option(help="Such as unet; found where it is not given.")] = None,
    encoder: Annotated[str | None, typer.Option(help="Such as resnet34; found where it is not given.")] = None,
    patch: Annotated[int | None, typer.Option(help="Side of its training windows, in pixels.")] = None,
    halo: Annotated[int | None, typer.Option(help="Border of a window not to be kept, in pixels.")] = None,
    threshold: Annotated[float, typer.Option(help="On the probability of sealed, 0 to 1.")] = 0.5,
    trust: Annotated[bool, typer.Option("--trust", help="TorchScript is a program: it may run.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write it although --activation contradicts it.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Turn a model of another maker into a bundle; finds the activation that it ends in, and refuses two."""
    from sealmap.pipeline.imports import NEXT, ImportJob, import_model

    span = _numbers(gsd_range, "--gsd-range")
    if len(span) not in (0, 2):
        raise typer.BadParameter("two numbers, such as 0.1,0.3", param_hint="--gsd-range")
    job = ImportJob(
        model=model, out=out, gsd_m=gsd_m, gsd_range_m=(span[0], span[1]) if span else None, bands=_words(bands),
        mean=_numbers(mean, "--mean"), std=_numbers(std, "--std"), legend=legend, classes=_words(classes),
        patch=patch, halo=halo, threshold=threshold, architecture=architecture, encoder=encoder,
        activation=activation, probe=probe or [], force=force, trust=trust, overwrite=overwrite,
    )  # fmt: skip
    done = import_model(job)
    card = done.card
    facts = {
        "bundle": str(done.bundle),
        "kind": done.kind,
        "architecture": f"{card.architecture}, {card.encoder}",
        "bands": list(card.bands),
        "mean": list(card.mean),
        "std": list(card.std),
        "classes": [c.key for c in card.legend.classes],
        "activation": done.activation,
        "decided": done.how,
        "weights_sha256": card.weights_sha256,
    }
    if as_json:
        show(facts | {"warnings": list(done.notes), "next": NEXT}, as_json=True)
        return
    show(facts, as_json=False)
    for line in done.notes:
        print(f"warning: {line}")
    print(f"next: {NEXT}")


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(word) for word in _words(text)]
    except ValueError as error:
        raise typer.BadParameter(f"'{text}' is no list of numbers", param_hint=option) from error
