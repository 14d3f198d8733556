"""Brightness of a flight against that of the training data: how far apart they are, and look-up tables between them.

Matching assumes that both show about the same mixture of ground. A flight of forest does not: there, a bounded
slope keeps the damage small, and ``wasserstein`` tells it from a flight that is merely darker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import SettingsError
from sealmap.core.grid import Grid, Window
from sealmap.core.patch import Patch
from sealmap.model.card import BandStatistics, ModelCard

BINS = 64
"""Equal bins of 0..1, as in a card: pixel v of 0..scale lies at (v + ½) / (scale + 1)."""

MAX_SLOPE = 2.0
"""A table stretches contrast by at most this factor, and flattens it by no more."""

_FLOOR = 1e-6
"""Share given to every bin, so that empty ones have a place on the curve."""

How = Literal["histogram", "moments"]


class Readable(Protocol):
    """What can be read with matched brightness."""

    grid: Grid
    bands: tuple[str, ...]

    def read(self, window: Window, bands: Sequence[str] | None = None) -> Patch:
        """Pixels and validity of a window, which may reach beyond the grid."""
        ...

    def pixel_scale(self) -> float:
        """The pixel value that means 1.0."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Matching:
    """Look-up tables from a flight's pixel values to those of the training data.

    tables_BV: row per band, new value for each old one 0..pixel scale, never falling; same type as the pixels.
    unmatched: bands whose table changes nothing because the card has no statistics of them.
    """

    bands: tuple[str, ...]
    tables_BV: NDArray[Any]
    unmatched: tuple[str, ...] = ()


def histogram_of(
    pixels_CHW: NDArray[Any], valid_HW: NDArray[np.bool_], pixel_scale: float, bins: int = BINS
) -> NDArray[np.int64]:
    """Valid pixels as stored → counts per band and bin (C, bins); values above the scale count in the last bin."""
    levels = ((pixels_CHW[:, valid_HW].astype(np.float64) + 0.5) * (bins / (pixel_scale + 1))).astype(np.int64)
    levels = np.minimum(levels, bins - 1)
    return np.stack([np.bincount(band, minlength=bins) for band in levels]).astype(np.int64)


def wasserstein(counts: NDArray[Any], histogram: Sequence[float]) -> float | None:
    """Mean distance, on the 0..1 scale, that brightness must be moved to make one histogram the other.

    Both in the same equal bins of 0..1, neither needs to add up to 1. None where one is empty or their bins differ.
    """
    if len(counts) != len(histogram) or not np.sum(counts) > 0 or not np.sum(histogram) > 0:
        return None
    ours, theirs = (np.cumsum(np.asarray(h, float) / np.sum(h)) for h in (counts, histogram))
    return float(np.abs(ours - theirs).sum() / len(ours))


def match_to(
    card: ModelCard,
    histogram_CB: NDArray[Any],
    pixel_scale: float,
    *,
    how: How = "histogram",
    max_slope: float = MAX_SLOPE,
) -> Matching:
    """Tables that bring a flight to the brightness of a card's training data.

    histogram_CB: counts of the flight's valid pixels per band of the card (``histogram_of``).
    how: 'histogram' gives the flight the whole curve of the training data, 'moments' only its mean and deviation.
    max_slope: contrast is stretched or flattened by no more than this factor, 1 (a mere shift) or above.
    """
    if max_slope < 1:
        raise SettingsError(f"a slope of at most {max_slope:g} cannot be kept", remedy="use 1 or more, such as 2")
    if how not in ("histogram", "moments"):
        raise SettingsError(f"no matching '{how}'", remedy="use histogram or moments")
    kind = np.uint8 if pixel_scale <= 255 else np.uint16
    tables, unmatched = [], []
    for band, counts in zip(card.bands, histogram_CB, strict=True):
        curve = _curve(np.asarray(counts, float), card.statistics.get(band), how, max_slope)
        if curve is None:
            unmatched.append(band)
        tables.append(_table(curve, pixel_scale, kind))
    return Matching(bands=card.bands, tables_BV=np.stack(tables), unmatched=tuple(unmatched))


def matched(patch: Patch, matching: Matching, bands: Sequence[str]) -> Patch:
    """The patch with new values where it is valid; ``bands``: names of its bands, in order."""
    top = matching.tables_BV.shape[1] - 1
    rows = [matching.bands.index(b) for b in bands]
    pixels = np.stack(
        [matching.tables_BV[r][np.minimum(p, top)] for r, p in zip(rows, patch.pixels_CHW, strict=True)]
    ).astype(patch.pixels_CHW.dtype)
    return replace(patch, pixels_CHW=np.where(patch.valid_HW, pixels, patch.pixels_CHW))


class MatchedOrthophoto:
    """A mosaic read with matched brightness; takes the mosaic's place wherever prediction reads one."""

    def __init__(self, mosaic: Readable, matching: Matching) -> None:
        self._mosaic = mosaic
        self._matching = matching
        self.grid = mosaic.grid
        self.bands = mosaic.bands

    def read(self, window: Window, bands: Sequence[str] | None = None) -> Patch:
        """As of the mosaic; ``bands`` must be among those that were matched."""
        wanted = tuple(bands) if bands is not None else self._matching.bands
        return matched(self._mosaic.read(window, wanted), self._matching, wanted)

    def pixel_scale(self) -> float:
        """As of the mosaic."""
        return self._mosaic.pixel_scale()


def distances(card: ModelCard, histogram_CB: NDArray[Any]) -> Mapping[str, float | None]:
    """``wasserstein`` of each band of the card; None where the card has no histogram of it."""
    return {
        band: wasserstein(counts, card.statistics[band].histogram) if band in card.statistics else None
        for band, counts in zip(card.bands, histogram_CB, strict=True)
    }


def _curve(
    counts: NDArray[np.float64], wanted: BandStatistics | None, how: How, max_slope: float
) -> NDArray[np.float64] | None:
    """New brightness at the edges of the bins (bins + 1 values, 0..1, never falling); None changes nothing."""
    if wanted is None or not counts.sum() > 0:
        return None
    bins = len(counts)
    edges = np.linspace(0, 1, bins + 1)
    if how == "moments":
        raw, anchor = _by_moments(counts, wanted, edges, max_slope)
    else:
        if len(wanted.histogram) != bins or not sum(wanted.histogram) > 0:
            return None
        ours, theirs = _cumulative(counts), _cumulative(np.asarray(wanted.histogram))
        raw = np.interp(ours, theirs, edges)
        # The anchor, where clipped slopes change nothing, is the median: most pixels lie near it.
        anchor = int(np.argmin(np.abs(ours - 0.5)))
    slopes = np.clip(np.diff(raw) * bins, 1 / max_slope, max_slope)
    walked = np.concatenate([[0.0], np.cumsum(slopes / bins)])
    curve: NDArray[np.float64] = np.clip(walked - walked[anchor] + raw[anchor], 0, 1)
    return curve


def _by_moments(
    counts: NDArray[np.float64], wanted: BandStatistics, edges: NDArray[np.float64], max_slope: float
) -> tuple[NDArray[np.float64], int]:
    """A straight line through both means, and the edge nearest to the flight's mean."""
    middle = (edges[:-1] + edges[1:]) / 2
    share = counts / counts.sum()
    mean = float(share @ middle)
    std = float(np.sqrt(share @ (middle - mean) ** 2))
    slope = float(np.clip(wanted.std / max(std, 1e-6), 1 / max_slope, max_slope))
    return wanted.mean + slope * (edges - mean), int(np.argmin(np.abs(edges - mean)))


def _cumulative(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 … 1 at the edges of the bins, strictly rising."""
    share = counts / counts.sum() + _FLOOR
    return np.concatenate([[0.0], np.cumsum(share) / share.sum()])


def _table(curve: NDArray[np.float64] | None, pixel_scale: float, kind: type[Any]) -> NDArray[Any]:
    values = np.arange(int(pixel_scale) + 1)
    if curve is None:
        return values.astype(kind)
    whole = pixel_scale + 1
    new = np.interp((values + 0.5) / whole, np.linspace(0, 1, len(curve)), curve) * whole - 0.5
    table: NDArray[Any] = np.clip(np.rint(new), 0, pixel_scale).astype(kind)
    return table
