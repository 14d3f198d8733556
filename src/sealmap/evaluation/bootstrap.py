"""95 % intervals by bootstrap: draw the independent units (blocks, parcels) again and again, with replacement."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
"""Resamples of an interval."""

LEAST_UNITS = 3
"""Fewer blocks or parcels have no interval: their spread says nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A score with its 95 % interval; low and high are NaN where there are fewer than three units."""

    value: float
    low: float = math.nan
    high: float = math.nan


def draws(units: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Indices of the units of each resample; none where there are too few units."""
    if units < LEAST_UNITS:
        return
    rng = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        yield rng.integers(units, size=units)


def interval(value: float, samples: Sequence[float] | NDArray[np.float64]) -> Interval:
    """The middle 95 % of what the resamples gave; none where half of them are undefined."""
    found = np.asarray(samples, np.float64)
    good = found[np.isfinite(found)]
    if len(good) < RESAMPLES // 2:
        return Interval(value=value)
    low, high = np.percentile(good, [2.5, 97.5])
    return Interval(value=value, low=float(low), high=float(high))
