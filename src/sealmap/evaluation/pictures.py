"""Pictures of scored windows: orthophoto, truth, prediction, errors.

The worst are what one learns from; a random sample is what one may judge by.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.legend import IGNORE, Legend
from sealmap.evaluation.windows import Seen, Window

MISSED, INVENTED, MIXED, RIGHT, UNKNOWN = (
    (214, 40, 40),
    (43, 98, 201),
    (240, 190, 40),
    (222, 226, 220),
    (255, 255, 255),
)
"""Colours of the error picture: sealed but missed, not sealed but claimed, wrong sealed class, right, not judged."""

COUNT = 12
"""Windows of each kind that are shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A window with what it was scored on: photo, truth, prediction and errors, each uint8 (rows, columns, 3)."""

    window: Window
    photo_HWC: NDArray[np.uint8]
    truth_HWC: NDArray[np.uint8]
    pred_HWC: NDArray[np.uint8]
    errors_HWC: NDArray[np.uint8]


class Gallery:
    """An observer that keeps the pictures of the worst windows and of random ones; memory is that of these.

    Worst: most pixels that are sealed in one of truth and prediction only. Random: each judged window has the same
    chance, whatever its scores; the seed fixes them.
    """

    def __init__(self, *, count: int = COUNT, seed: int = 1) -> None:
        self._count = count
        self._rng = np.random.default_rng(seed)
        self._worst: list[tuple[float, int, Picture]] = []
        self._random: list[tuple[float, int, Picture]] = []
        self._shown = 0

    def __call__(self, window: Window, seen: Seen) -> None:
        """Look at the next window."""
        if not window.counts.pixels:
            return
        self._shown += 1
        made: list[Picture] = []
        for heap, rank in ((self._worst, float(window.wrong_sealed)), (self._random, float(self._rng.random()))):
            if len(heap) == self._count and rank <= heap[0][0]:
                continue
            if not made:
                made.append(draw(window, seen))
            # of equals, the first one stays: the later has the smaller second number
            heapq.heappush(heap, (rank, -self._shown, made[0]))
            if len(heap) > self._count:
                heapq.heappop(heap)

    def worst(self) -> list[Picture]:
        """The worst windows, the worst of all first; windows without an error are not among them."""
        return [p for rank, _, p in sorted(self._worst, key=lambda e: (-e[0], -e[1])) if rank > 0]

    def random(self) -> list[Picture]:
        """The random windows, in the order in which they were scored."""
        return [p for _, _, p in sorted(self._random, key=lambda e: -e[1])]


def draw(window: Window, seen: Seen) -> Picture:
    """The four pictures of a window."""
    legend = window.counts.legend
    return Picture(
        window=window,
        photo_HWC=seen.photo(),
        truth_HWC=paint(seen.truth_HW, legend),
        pred_HWC=paint(seen.pred_HW, legend),
        errors_HWC=errors(seen.truth_HW, seen.pred_HW, legend),
    )


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
