"""95 % intervals by bootstrap: draw the independent units (blocks of ground) again and again, with replacement.

With few units plain percentiles are too narrow: resamples spread as the variance that divides by n, not by n − 1, and
as if it were known. For means of three normal blocks they hold the truth in 75 % of cases, of ten in 90 %. So all
deviations from the score are widened by √(n / (n − 1)) · t(0.975, n − 1) / z(0.975), which makes the interval of a
mean that of Student's t. The factor is that of the expanded percentile interval (Hesterberg 2015, "What Teachers
Should Know About the Bootstrap", The American Statistician 69, 371-386). There it moves the percentiles outwards; here
it stretches the deviations, since no percentile of three blocks lies beyond the worst of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

RESAMPLES = 1000
"""Resamples of an interval."""

LEAST_UNITS = 3
"""Fewer blocks have no interval: their spread says nothing."""

_UPPER = 0.975

Range = tuple[float, float]
"""Least and largest value that a score can have."""

ANY: Range = (-math.inf, math.inf)
SHARE: Range = (0.0, 1.0)
BIAS: Range = (-1.0, math.inf)
"""Predicted ÷ true − 1."""


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


def interval(
    value: float, samples: Sequence[float] | NDArray[np.float64], *, units: int | None = None, within: Range = ANY
) -> Interval:
    """The middle 95 % of what the resamples gave, widened for few units; none where half of them are undefined.

    units: how many were drawn from; without it, nothing is widened. within: ends beyond what the score can be are cut.
    """
    found = np.asarray(samples, np.float64)
    good = found[np.isfinite(found)]
    if len(good) < RESAMPLES // 2:
        return Interval(value=value)
    wider = 1.0 if units is None else widening(units)
    low, high = np.clip(value + wider * (np.percentile(good, [2.5, 97.5]) - value), *within)
    return Interval(value=value, low=float(low), high=float(high))


def widening(units: int) -> float:
    """By how much deviations are to be stretched: 2.69 for 3 units, 1.22 for 10, 1.06 for 30."""
    return float(math.sqrt(units / (units - 1)) * stdtrit(units - 1, _UPPER) / ndtri(_UPPER))
