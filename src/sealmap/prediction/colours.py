"""Whether a picture's red, green and blue are what they are called: two scores that a flight's light does not move.

Brightness and cast of a flight are taken out first (every band is seen relative to its own mean), so that a blue
morning is not taken for swapped bands. What stays is what sun, soil and leaves do: shade is lit by the sky and bluer
than what the sun hits; red and green go together more closely than green and blue; leaves are poor in blue as in red;
and near infrared goes its own way wherever something grows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sealmap.prediction.facts import LEVELS, LIGHTS, TINT_RANGE, TINTS, PixelFacts

REVERSED = ("correlation", "shade", "cast", "skew", "spread", "leaves", "tail", "slope")
"""Each changes its sign where red and blue change places, so that no constant is needed."""

INFRARED = ("red_green", "green_blue", "red_blue", "one")

REVERSED_WEIGHTS = (2.059, 2.68, 2.644, -0.021, -2.551, 2.824, 0.98, 4.961)
INFRARED_WEIGHTS = (-4.401, 3.878, -3.049, 3.843)
"""Fitted by ``scripts/learn_guard.py``, which prints how they do on sources that they were not fitted on."""

_AXIS = (np.arange(TINTS) - (TINTS - 1) / 2) * (2 * TINT_RANGE) / (TINTS - 1)
_LOGS = np.log((np.arange(LEVELS) + 0.5) / LEVELS)
_MOST = 0.995
"""Correlations are cut here before they are stretched: beyond, they are noise."""


def reversed_score(facts: PixelFacts) -> float:
    """Above 0 where the first band is red and the third blue, below 0 where it is the other way round."""
    return float(reversed_figures(facts) @ np.array(REVERSED_WEIGHTS))


def infrared_score(facts: PixelFacts) -> float:
    """Above 0 where the first band looks like near infrared."""
    return float(infrared_figures(facts) @ np.array(INFRARED_WEIGHTS))


def reversed_figures(facts: PixelFacts) -> NDArray[np.float64]:
    """The figures named in REVERSED."""
    share, (light, first, third) = _tints(facts)
    both_AB = share.sum(axis=0)
    grid = first[:, None] - third[None, :]
    light_L = share.sum(axis=(1, 2))
    tint_L = np.divide(
        (share * grid).sum(axis=(1, 2)), light_L, out=np.zeros(LIGHTS), where=light_L > 0
    )  # mean ln(first ÷ third) by light
    below = np.cumsum(light_L)
    dark, bright = below <= max(0.15, below[below > 0][0]), below - light_L >= min(0.85, 1 - light_L[light_L > 0][-1])
    shade = _mean(tint_L, light_L * bright) - _mean(tint_L, light_L * dark)
    mean = light_L @ tint_L
    around = np.sqrt((share * (grid - mean) ** 2).sum()) + 1e-9
    spread_L = light - light_L @ light
    slope = (light_L * spread_L * (tint_L - mean)).sum() / (np.sqrt(light_L @ spread_L**2) + 1e-9) / around
    deviations, skews = zip(
        *(_moments(axis, both_AB.sum(axis=1 - i)) for i, axis in enumerate((first, third))), strict=True
    )
    leaves = _greenest(both_AB, first, third)
    tail = _quantile(both_AB.sum(axis=1), first) - _quantile(both_AB.sum(axis=0), third)
    stretched = _stretched(facts)
    logs = _mean_logs(facts)
    return np.array([
        stretched[0] - stretched[1], shade, logs[0] - logs[2], skews[0] - skews[1],
        np.log(deviations[0] / deviations[1]), leaves, tail, slope,
    ])  # fmt: skip


def infrared_figures(facts: PixelFacts) -> NDArray[np.float64]:
    """The figures named in INFRARED."""
    return np.array([*_stretched(facts), 1.0])


def _tints(facts: PixelFacts) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], ...]]:
    """Shares by light and both tints, and these axes, the tints relative to the flight's mean."""
    counts = facts.tints.astype(np.float64)
    logs = _mean_logs(facts)
    axes = (np.arange(LIGHTS, dtype=np.float64), _AXIS - (logs[0] - logs[1]), _AXIS - (logs[2] - logs[1]))
    return counts / max(1.0, counts.sum()), axes


def _mean_logs(facts: PixelFacts) -> NDArray[np.float64]:
    found: NDArray[np.float64] = facts.levels_CL[:3] @ _LOGS / max(1, facts.counted)
    return found


def _stretched(facts: PixelFacts) -> NDArray[np.float64]:
    """Correlations of the first and second, second and third, first and third band, as Fisher's z."""
    matrix = np.clip(facts.correlation_CC, -_MOST, _MOST)
    found: NDArray[np.float64] = np.arctanh(np.array([matrix[0, 1], matrix[1, 2], matrix[0, 2]]))
    return found


def _moments(axis: NDArray[np.float64], share: NDArray[np.float64]) -> tuple[float, float]:
    """Standard deviation and skewness."""
    apart = axis - share @ axis
    deviation = float(np.sqrt(share @ apart**2)) + 1e-6
    return deviation, float(share @ apart**3) / deviation**3


def _greenest(share_AB: NDArray[np.float64], first: NDArray[np.float64], third: NDArray[np.float64]) -> float:
    """Mean ln(first ÷ third) of about the tenth of the pixels with the least of both; like ones all or none."""
    both = np.round(first[:, None] + third[None, :], 9)
    order = np.argsort(both, axis=None)
    last = min(int(np.searchsorted(np.cumsum(share_AB.ravel()[order]), 0.1)), both.size - 1)
    taken = both <= both.ravel()[order[last]]
    return _mean((first[:, None] - third[None, :])[taken], share_AB[taken])


def _quantile(share: NDArray[np.float64], axis: NDArray[np.float64], part: float = 0.99) -> float:
    return float(np.interp(part, np.cumsum(share), axis))


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    total = weights.sum()
    return float(values @ weights / total) if total > 0 else 0.0
