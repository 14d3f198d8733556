"""The training curve as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from sealmap.files.atomic import staged


def draw_curve(path: Path, history: Sequence[dict[str, float]]) -> None:
    """Loss of training and validation and IoU of 'sealed' against steps, as PNG."""
    steps = [row["step"] for row in history]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    left = figure.add_subplot()
    left.plot(steps, [row["loss"] for row in history], color="#888888", label="loss, training")
    left.plot(steps, [row["val_loss"] for row in history], color="#3366aa", label="loss, validation")
    left.set_xlabel("step")
    left.set_ylabel("loss")
    right = left.twinx()
    right.plot(
        steps,
        [row["iou_sealed"] for row in history],
        color="#cc3333",
        marker=".",
        label="IoU sealed, validation",
    )
    right.set_ylabel("IoU")
    right.set_ylim(0, 1)
    handles = [*left.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    left.legend(handles=handles, loc="center right", frameon=False)
    with staged(path, overwrite=True) as scratch:
        figure.savefig(scratch, format="png")
