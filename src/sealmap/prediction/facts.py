"""Figures of a flight's pixels and of its map that add up over windows; what the guard judges by.

Taken from every ``STEP``-th pixel where that serves: they must cost next to nothing beside the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.model.card import ModelCard

LEVELS = 256
"""Equal levels of brightness 0..1 that pixels are counted in."""

TINTS, LIGHTS = 33, 16
"""Bins of a tint, ln(band ÷ green) from −TINT_RANGE to TINT_RANGE, and of ln(brightness)."""

TINT_RANGE = 1.5

ATOMS = 2000
"""Equal bins of the probability of 'sealed'."""

STEP = 8
"""Every so many pixels one is taken, each way."""

_CELL = 4
"""Pixels of a cell each way, of those taken: 32 of the sheet, or 6 m of a DOP20."""

DARK, BRIGHT = 8 / 255, 0.80
"""A cell is black where no band of any pixel is above the one, and blank where all bands of all are above the other."""

_STILL = 1e-7
"""A band of less variance does not vary: it is what is left of 32-bit sums."""

_PALE = 0.06
"""Bands of a blank cell differ by no more than this: clouds and snow have no colour."""


@dataclass(kw_only=True, slots=True)
class PixelFacts:
    """Of the pixels as the model's bands, on the 0..1 scale, valid ones only.

    levels_CL: counts by level. products_CC, sums_C: of brightness, for correlations. tints: counts by ln brightness,
    ln(first ÷ second band) and ln(third ÷ second band). steps_C, steps_count: |difference| of neighbours, and pairs.
    cells, black, blank: numbers of cells, of black and of blank ones. pixels, valid: of the windows, all and with data.
    """

    levels_CL: NDArray[np.int64]
    sums_C: NDArray[np.float64]
    products_CC: NDArray[np.float64]
    tints: NDArray[np.int64]
    steps_C: NDArray[np.float64]
    steps_count: int = 0
    cells: int = 0
    black: int = 0
    blank: int = 0
    pixels: int = 0
    valid: int = 0

    @staticmethod
    def zero(bands: int) -> PixelFacts:
        """Nothing seen yet."""
        return PixelFacts(
            levels_CL=np.zeros((bands, LEVELS), np.int64),
            sums_C=np.zeros(bands), products_CC=np.zeros((bands, bands)),
            tints=np.zeros((LIGHTS, TINTS, TINTS), np.int64), steps_C=np.zeros(bands),
        )  # fmt: skip

    def add(self, other: PixelFacts) -> None:
        """Add the facts of other pixels."""
        for name in ("levels_CL", "sums_C", "products_CC", "tints", "steps_C"):
            getattr(self, name).__iadd__(getattr(other, name))
        for name in ("steps_count", "cells", "black", "blank", "pixels", "valid"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def counted(self) -> int:
        """Valid pixels that were taken."""
        return int(self.levels_CL[0].sum())

    @property
    def mean_C(self) -> NDArray[np.float64]:
        """Mean brightness of each band, 0..1."""
        return self.sums_C / max(1, self.counted)

    @property
    def covariance_CC(self) -> NDArray[np.float64]:
        """Of the bands' brightness."""
        mean = self.mean_C
        found: NDArray[np.float64] = self.products_CC / max(1, self.counted) - np.outer(mean, mean)
        return found

    @property
    def correlation_CC(self) -> NDArray[np.float64]:
        """Of the bands, −1..1; 0 where a band does not vary."""
        covariance = self.covariance_CC
        std = np.sqrt(np.maximum(np.diag(covariance), 0))
        std[std**2 < _STILL] = np.inf
        found: NDArray[np.float64] = covariance / np.outer(std, std)
        return found

    @property
    def roughness_C(self) -> NDArray[np.float64]:
        """Mean |difference| of neighbours, in standard deviations: about 1.1 for noise, far less for ground."""
        std = np.sqrt(np.maximum(np.diag(self.covariance_CC), 1e-12))
        return np.asarray(self.steps_C / max(1, self.steps_count) / std)


def pixel_facts(pixels_CHW: NDArray[Any], valid_HW: NDArray[np.bool_], scale: float) -> PixelFacts:
    """Facts of a window. pixels as stored, bands in the model's order; scale: the value that means 1.0."""
    found = PixelFacts.zero(len(pixels_CHW))
    found.pixels, found.valid = valid_HW.size, int(valid_HW.sum())
    few = pixels_CHW[:, ::STEP, ::STEP]
    seen = valid_HW[::STEP, ::STEP]
    found.steps_C, found.steps_count = _steps(pixels_CHW, valid_HW, scale)
    if not seen.any():
        return found
    stored = few[:, seen].astype(np.float32)
    taken = stored / np.float32(scale)
    level = np.minimum((stored + 0.5) * (LEVELS / (scale + 1)), LEVELS - 1).astype(np.intp)
    found.levels_CL = np.stack([np.bincount(band, minlength=LEVELS) for band in level]).astype(np.int64)
    found.sums_C = taken.sum(axis=1, dtype=np.float64)
    found.products_CC = (taken @ taken.T).astype(np.float64)
    if len(level) >= 3:
        found.tints = _tints(level[:3])
    found.cells, found.black, found.blank = _cells(few, seen, scale)
    return found


def _steps(pixels_CHW: NDArray[Any], valid_HW: NDArray[np.bool_], scale: float) -> tuple[NDArray[np.float64], int]:
    """Of neighbours along every 16th row: of pixels further apart nothing is left to be rough."""
    rows, both = pixels_CHW[:, :: 2 * STEP], valid_HW[:: 2 * STEP]
    pairs = both[:, 1:] & both[:, :-1]
    apart = np.abs(np.diff(rows.astype(np.float32), axis=2))
    return (apart * pairs).sum(axis=(1, 2), dtype=np.float64) / scale, int(pairs.sum())


def _tints(level_CN: NDArray[np.intp]) -> NDArray[np.int64]:
    logs = np.log((np.arange(LEVELS, dtype=np.float32) + 0.5) / LEVELS)[level_CN]
    light = np.clip((logs.mean(axis=0) / -np.log(2 * LEVELS) * -LIGHTS + LIGHTS).astype(np.intp), 0, LIGHTS - 1)
    places = [
        np.clip(np.rint((logs[i] - logs[1]) * ((TINTS - 1) / (2 * TINT_RANGE)) + (TINTS - 1) / 2), 0, TINTS - 1)
        for i in (0, 2)
    ]
    flat = (light * TINTS + places[0].astype(np.intp)) * TINTS + places[1].astype(np.intp)
    return np.bincount(flat, minlength=LIGHTS * TINTS * TINTS).reshape(LIGHTS, TINTS, TINTS).astype(np.int64)


def _cells(few_CHW: NDArray[Any], seen_HW: NDArray[np.bool_], scale: float) -> tuple[int, int, int]:
    """Cells whose pixels are all valid; black ones; blank ones."""
    bands, height, width = few_CHW.shape
    down, across = height // _CELL, width // _CELL
    if not down or not across:
        return 0, 0, 0
    cut = few_CHW[:3, : down * _CELL, : across * _CELL].reshape(min(3, bands), down, _CELL, across, _CELL)
    whole = seen_HW[: down * _CELL, : across * _CELL].reshape(down, _CELL, across, _CELL).all(axis=(1, 3))
    top, low = cut.max(axis=(2, 4)), cut.min(axis=(2, 4))
    mean = cut.mean(axis=(2, 4), dtype=np.float32)
    black = (top.max(axis=0) <= DARK * scale) & whole
    pale = (mean.max(axis=0) - mean.min(axis=0)) <= _PALE * scale
    blank = (low.min(axis=0) >= BRIGHT * scale) & pale & whole
    return int(whole.sum()), int(black.sum()), int(blank.sum())


@dataclass(kw_only=True, slots=True)
class OutputFacts:
    """Of the probabilities, where there is data.

    atoms: counts of the undone probability of 'sealed' by ATOMS equal bins, where 'undone' is without the card's
    temperature, so that atoms lie where an activation put them. spread: the greatest ln(largest ÷ smallest class
    probability), times the temperature: in logits. broken: pixels that are not finite or not within 0..1.
    certain: pixels surer than 1 in a million. logits, squares: sums of ln(p ÷ (1 − p)) of 'sealed' and its square.
    entropy: in bits, summed. sealed: pixels at or above the threshold. ground_m2: what all pixels stand for.
    steps, checks: sums of |differences| over two pixels and of the 2 x 2 checkerboard. across, inside: sums of
    |difference| of neighbours over a seam and beside it.
    overlap, differ: pixels judged by two windows, and of these, on different sides of the threshold.
    """

    atoms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(ATOMS, np.int64))
    spread: float = 0.0
    pixels: int = 0
    broken: int = 0
    certain: int = 0
    logits: float = 0.0
    squares: float = 0.0
    entropy: float = 0.0
    sealed: int = 0
    ground_m2: float = 0.0
    steps: float = 0.0
    checks: float = 0.0
    across: float = 0.0
    inside: float = 0.0
    seams: int = 0
    overlap: int = 0
    differ: int = 0

    def add(self, other: OutputFacts) -> None:
        """Add the facts of other pixels."""
        self.atoms += other.atoms
        self.spread = max(self.spread, other.spread)
        for name in ("pixels", "broken", "certain", "logits", "squares", "entropy", "sealed", "ground_m2", "steps",
                     "checks",
                     "across", "inside", "seams", "overlap", "differ"):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def sealed_share(self) -> float:
        """Of the pixels, 0..1."""
        return self.sealed / max(1, self.pixels)

    @property
    def mean_entropy(self) -> float:
        """Bits per pixel."""
        return self.entropy / max(1, self.pixels)

    @property
    def logit_deviation(self) -> float:
        """Standard deviation of the logit of 'sealed': a network that looks at its input has well above 0.5."""
        n = max(1, self.pixels)
        return float(np.sqrt(max(0.0, self.squares / n - (self.logits / n) ** 2)))

    @property
    def disagreement(self) -> float:
        """Share of pixels in overlaps on which two windows put different sides."""
        return self.differ / max(1, self.overlap)


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """What turns probabilities into facts.

    sealed: ids of the sealed classes. temperature, knots (of the isotonic calibration): to undo. gsd_m: of the map.
    """

    sealed: tuple[int, ...]
    threshold: float
    temperature: float
    gsd_m: float
    knots: tuple[tuple[float, float], ...] = ()

    @staticmethod
    def by(card: ModelCard, gsd_m: float) -> Served:
        """As a card says."""
        return Served(
            sealed=card.legend.sealed_ids, threshold=card.threshold, temperature=card.temperature, gsd_m=gsd_m,
            knots=card.isotonic,
        )  # fmt: skip


def output_facts(probs_KHW: NDArray[np.float32], valid_HW: NDArray[np.bool_], served: Served) -> OutputFacts:
    """Facts of what a window keeps. probs: of all classes, 0..1."""
    found = OutputFacts()
    seen = valid_HW[::STEP, ::STEP]
    few = probs_KHW[:, ::STEP, ::STEP][:, seen]
    found.pixels = few.shape[1]
    if not found.pixels:
        return found
    good = np.isfinite(few).all(axis=0) & (few.min(axis=0) >= -1e-4) & (few.max(axis=0) <= 1 + 1e-4)
    found.broken = int(found.pixels - good.sum())
    if found.broken:
        few = few[:, good]
        if not few.size:
            return found
    tiny = np.float32(1e-30)
    logs = np.log(np.maximum(few, tiny))
    found.entropy = -float((few * logs).sum(dtype=np.float64)) / np.log(2)
    sealed = few[list(served.sealed)].sum(axis=0)
    rest = few.sum(axis=0) - sealed
    found.certain = int((np.minimum(sealed, rest) < 1e-6).sum())
    if served.knots:
        stated, mapped = zip(*served.knots, strict=True)
        before = np.interp(sealed, mapped, stated)
        ratio = np.log(np.maximum(before, 1e-12)) - np.log(np.maximum(1 - before, 1e-12))
        found.spread = served.temperature * float(np.abs(ratio).max())
    else:
        ratio = np.log(np.maximum(sealed, tiny)) - np.log(np.maximum(rest, tiny))
        found.spread = served.temperature * float((logs.max(axis=0) - logs.min(axis=0)).max())
    logit = np.clip(ratio, -30, 30) * served.temperature
    found.logits, found.squares = float(logit.sum(dtype=np.float64)), float((logit**2).sum(dtype=np.float64))
    place = np.minimum((ATOMS / (1 + np.exp(-logit))).astype(np.intp), ATOMS - 1)
    found.atoms = np.bincount(place, minlength=ATOMS).astype(np.int64)
    found.sealed = int((sealed >= served.threshold).sum())
    found.ground_m2 = found.pixels * (STEP * served.gsd_m) ** 2
    found.steps, found.checks = _checkerboard(probs_KHW[list(served.sealed)].sum(axis=0), valid_HW)
    return found


def _checkerboard(sealed_HW: NDArray[np.float32], valid_HW: NDArray[np.bool_]) -> tuple[float, float]:
    """Sums over 2 x 2 squares, a few of them: |steps| along a row, |the checkerboard in it|."""
    if min(sealed_HW.shape) < 2 * STEP or not valid_HW.all() or not np.isfinite(sealed_HW).all():
        return 0.0, 0.0
    height, width = (n // STEP * STEP for n in sealed_HW.shape)
    a, b, c, d = (sealed_HW[r:height:STEP, s:width:STEP] for r in (0, 1) for s in (0, 1))
    steps = np.abs(a - b).sum(dtype=np.float64) + np.abs(c - d).sum(dtype=np.float64)
    return float(steps), float(np.abs(a - b - c + d).sum(dtype=np.float64))
