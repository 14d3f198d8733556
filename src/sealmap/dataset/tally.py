"""Brightness of the chips: exact counts per pixel value, from which mean, std and histogram follow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.dataset.chipset import HISTOGRAM_BINS


class Tally:
    """Counts of pixel values per band. Whole counts, so the order of the chips changes nothing."""

    def __init__(self, bands: int, dtype: np.dtype[Any]) -> None:
        self.counts_CV = np.zeros((bands, int(np.iinfo(dtype).max) + 1), np.int64)

    def add(self, pixels_CHW: NDArray[Any], valid_HW: NDArray[np.bool_]) -> None:
        """Count the valid pixels of a chip."""
        for i, band in enumerate(pixels_CHW):
            self.counts_CV[i] += np.bincount(band[valid_HW], minlength=self.counts_CV.shape[1])

    @property
    def top(self) -> int:
        """The greatest value seen, 0 where none was."""
        seen = np.flatnonzero(self.counts_CV.any(axis=0))
        return int(seen[-1]) if seen.size else 0

    def mean_std(self, scale: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation per band, where ``scale`` is the value that counts as 1.0."""
        values = np.arange(self.counts_CV.shape[1]) / scale
        total = np.maximum(self.counts_CV.sum(axis=1), 1)
        mean = (self.counts_CV * values).sum(axis=1) / total
        spread = (self.counts_CV * (values - mean[:, None]) ** 2).sum(axis=1) / total
        return tuple(float(m) for m in mean), tuple(float(s) for s in np.sqrt(spread))

    def histogram(self, scale: float) -> tuple[tuple[int, ...], ...]:
        """Counts per band in equal bins of 0..1; the last bin holds 1.0 and what lies above."""
        values = np.arange(self.counts_CV.shape[1]) / scale
        bins = np.minimum((values * HISTOGRAM_BINS).astype(np.int64), HISTOGRAM_BINS - 1)
        found = [np.bincount(bins, weights=counts, minlength=HISTOGRAM_BINS) for counts in self.counts_CV]
        return tuple(tuple(int(v) for v in band) for band in found)


def pixel_scale(top: int, dtype: np.dtype[Any]) -> float:
    """The value that counts as 1.0: 255 for uint8; for uint16 the depth really used (12 bits: 4095)."""
    if dtype == np.uint8:
        return 255.0
    return float(2 ** max(8, top.bit_length()) - 1)
