"""Pictures of scored windows: orthophoto, truth, prediction, error. The worst are what one learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.legend import IGNORE, Legend
from sealmap.evaluation.scores import Window

MISSED, INVENTED, MIXED, RIGHT, UNKNOWN = (
    (214, 40, 40),
    (43, 98, 201),
    (240, 190, 40),
    (222, 226, 220),
    (255, 255, 255),
)
"""Colours of the error picture: sealed but missed, not sealed but claimed, wrong sealed class, right, not judged."""


def choose(windows: Sequence[Window], count: int) -> list[Window]:
    """The worst half by wrong pixels, and a spread of the rest."""
    judged = [w for w in windows if w.counts.pixels]
    by_error = sorted(judged, key=lambda w: w.counts.accuracy)
    worst = by_error[: count // 2]
    rest = by_error[count // 2 :]
    spread = rest[:: max(1, len(rest) // max(1, count - len(worst)))]
    return (worst + spread)[:count]


def panel(window: Window, pixel_scale: float) -> NDArray[np.uint8]:
    """Four pictures side by side, uint8 (rows, 4 × columns, 3)."""
    legend = window.counts.legend
    photo = np.clip(window.pixels_CHW[:3] * (255 / pixel_scale), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    shown = [photo, paint(window.truth_HW, legend), paint(window.pred_HW, legend)]
    return np.concatenate([*shown, errors(window.truth_HW, window.pred_HW, legend)], axis=1)


def paint(class_HW: NDArray[np.uint8], legend: Legend) -> NDArray[np.uint8]:
    """Classes in the colours of the legend, IGNORE white."""
    table = np.full((256, 3), 255, np.uint8)
    for c in legend.classes:
        table[c.id] = c.color
    painted: NDArray[np.uint8] = table[class_HW]
    return painted


def errors(truth_HW: NDArray[np.uint8], pred_HW: NDArray[np.uint8], legend: Legend) -> NDArray[np.uint8]:
    """Where the two differ, and how."""
    truth, pred = legend.sealed_HW(truth_HW), legend.sealed_HW(pred_HW)
    out: NDArray[Any] = np.empty((*truth_HW.shape, 3), np.uint8)
    out[:] = RIGHT
    out[truth & pred & (truth_HW != pred_HW)] = MIXED
    out[truth & ~pred] = MISSED
    out[~truth & pred] = INVENTED
    out[(truth_HW == IGNORE) | (pred_HW == IGNORE)] = UNKNOWN
    return out
