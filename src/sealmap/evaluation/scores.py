"""Scores on held-out chips: counts summed over windows, intervals by bootstrap over blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sealmap.core.confusion import Confusion
from sealmap.core.errors import DatasetError
from sealmap.core.legend import IGNORE, Legend

BOOTSTRAP = 1000
"""Resamples of an interval."""

_BLOCK_PX = 1024
"""Side of a block: windows nearer than this are not independent of each other."""


class LabelledChip(Protocol):
    """A chip's place."""

    @property
    def name(self) -> str:
        """Name of the chip."""
        ...

    @property
    def sheet(self) -> str:
        """Sheet it was cut from."""
        ...

    @property
    def row(self) -> int:
        """First row within the sheet."""
        ...

    @property
    def col(self) -> int:
        """First column within the sheet."""
        ...


class Chips(Protocol):
    """Labelled chips to be scored on."""

    @property
    def legend(self) -> Legend:
        """Legend of the labels."""
        ...

    @property
    def chips(self) -> Sequence[LabelledChip]:
        """Their places."""
        ...

    def __len__(self) -> int: ...
    def read(self, index: int, /) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """(pixels_CHW as stored, label_HW with IGNORE where not judged)."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """One scored chip: pixels_CHW as stored, truth_HW and pred_HW with IGNORE where not judged."""

    name: str
    sheet: str
    block: str
    counts: Confusion
    pixels_CHW: NDArray[Any]
    truth_HW: NDArray[np.uint8]
    pred_HW: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A score with its 95 % interval over blocks; low and high are NaN where there are fewer than three blocks."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Scores by class key ('sealed' is the union) and score name, and the counts by sheet that they come from."""

    scores: dict[str, dict[str, Interval]]
    by_sheet: dict[str, Confusion]
    total: Confusion
    accuracy: float
    blocks: int
    pixel_area_m2: float


def score_chips(
    chips: Chips,
    classify: Callable[[NDArray[Any]], NDArray[np.uint8]],
    *,
    report: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Window]:
    """Score every chip; where chips of a sheet overlap, a pixel counts once, for the chip that comes first.

    classify: pixels_CHW as stored → class_HW. Truth of one legend and prediction of another meet as sealed or not.
    """
    seen: dict[str, list[tuple[int, int, int, int]]] = {}
    windows = []
    for i in range(len(chips)):
        chip = chips.chips[i]
        pixels, truth = chips.read(i)
        fresh = _not_counted(seen.setdefault(chip.sheet, []), chip.row, chip.col, truth.shape)
        pred = classify(pixels)
        judged = np.where(fresh, truth, IGNORE).astype(np.uint8)
        counts = Confusion.of(chips.legend, judged, pred)
        block = f"{chip.sheet}/{chip.row // _BLOCK_PX}/{chip.col // _BLOCK_PX}"
        windows.append(
            Window(
                name=chip.name, sheet=chip.sheet, block=block, counts=counts,
                pixels_CHW=pixels, truth_HW=truth, pred_HW=pred,
            )
        )  # fmt: skip
        report(i + 1, len(chips))
    if not any(w.counts.pixels for w in windows):
        raise DatasetError("no pixel of these chips has a label", remedy="choose another --split or check the rules")
    return windows


def _not_counted(
    seen: list[tuple[int, int, int, int]], row: int, col: int, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """True where no earlier chip of the sheet counted. seen: (row, col, height, width) of these; this one joins."""
    fresh = np.ones(shape, np.bool_)
    height, width = shape
    for r, c, h, w in seen:
        top, left = max(0, r - row), max(0, c - col)
        fresh[top : max(top, r + h - row), left : max(left, c + w - col)] = False
    seen.append((row, col, height, width))
    return fresh


def evaluate_windows(windows: Sequence[Window], *, pixel_area_m2: float, seed: int = 1) -> Evaluation:
    """Sum the counts and derive scores; intervals by resampling blocks of windows with replacement."""
    legend = windows[0].counts.legend
    zero = Confusion.zero(legend)
    by_sheet: dict[str, Confusion] = {}
    by_block: dict[str, Confusion] = {}
    for w in windows:
        by_sheet[w.sheet] = by_sheet.get(w.sheet, zero) + w.counts
        by_block[w.block] = by_block.get(w.block, zero) + w.counts
    total = sum(by_sheet.values(), zero)
    resampled = _resamples([c for c in by_block.values() if c.pixels], seed)
    scores = {
        key: {name: _interval(value, [r[key][name] for r in resampled]) for name, value in found.items()}
        for key, found in total.summary().items()
    }
    return Evaluation(
        scores=scores, by_sheet=by_sheet, total=total, accuracy=total.accuracy, blocks=len(by_block),
        pixel_area_m2=pixel_area_m2,
    )  # fmt: skip


def _resamples(blocks: list[Confusion], seed: int) -> list[dict[str, dict[str, float]]]:
    if len(blocks) < 3:
        return []
    rng = np.random.default_rng(seed)
    counts = np.stack([b.counts_KK for b in blocks])
    legend = blocks[0].legend
    draws = rng.integers(len(blocks), size=(BOOTSTRAP, len(blocks)))
    return [Confusion(legend=legend, counts_KK=counts[draw].sum(axis=0)).summary() for draw in draws]


def _interval(value: float, samples: list[float]) -> Interval:
    good = [s for s in samples if not np.isnan(s)]
    if len(good) < BOOTSTRAP // 2:
        return Interval(value=value, low=float("nan"), high=float("nan"))
    low, high = np.percentile(good, [2.5, 97.5])
    return Interval(value=value, low=float(low), high=float(high))


def to_json(found: Evaluation) -> dict[str, Any]:
    """Plain values; NaN becomes null, which JSON can hold."""

    def plain(value: float) -> float | None:
        return None if np.isnan(value) else round(value, 5)

    def spread(score: Interval) -> dict[str, float | None]:
        return {"value": plain(score.value), "low": plain(score.low), "high": plain(score.high)}

    legend, area = found.total.legend, found.pixel_area_m2
    tp, fp, fn, _ = found.total.binary(legend.sealed_ids)
    sheets = {name: counts.scores(legend.sealed_ids) for name, counts in found.by_sheet.items()}
    return {
        "legend": legend.name,
        "pixels": found.total.pixels,
        "blocks": found.blocks,
        "accuracy": plain(found.accuracy),
        "scores": {key: {name: spread(i) for name, i in row.items()} for key, row in found.scores.items()},
        "sealed_m2": {"truth": round((tp + fn) * area, 1), "predicted": round((tp + fp) * area, 1)},
        "by_sheet": {name: {key: plain(v) for key, v in row.items()} for name, row in sheets.items()},
        "confusion": {
            "classes": [c.key for c in legend.classes],
            "truth_by_prediction": found.total.counts_KK.tolist(),
        },
    }
