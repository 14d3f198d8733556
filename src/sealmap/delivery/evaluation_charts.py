"""Drawings of the evaluation page as SVG values: parcels as a scatter plot, IoU of sheets as dots with intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIDE = 440
"""Of the scatter plot, in units of its SVG; margins are outside."""

MOST_POINTS = 2000

_TICKS = (0, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000)
_LEAST_GAP = 30.0
"""Between two ticks."""

_NEAR_M2, _NEAR_SHARE = 5.0, 0.10
_SEED = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Scatter:
    """Points (x, y) in SIDE × SIDE, y downwards. band: path of what is near enough. ticks: (place, m²)."""

    points: list[tuple[float, float]]
    band: str
    ticks: list[tuple[float, int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dot:
    """A score on a line of 0..100. low, high: equal to it where there is no interval."""

    at: float
    low: float
    high: float


def scatter(points_N2: NDArray[np.float64]) -> Scatter:
    """True against mapped m² of parcels on square-root axes, so that gardens and halls are both seen; zero is there.

    Beyond MOST_POINTS a random choice of them, always the same.
    """
    shown = points_N2
    if len(shown) > MOST_POINTS:
        shown = shown[np.sort(np.random.default_rng(_SEED).choice(len(shown), MOST_POINTS, replace=False))]
    top = max(float(points_N2.max(initial=0.0)), 25.0) * 1.05

    def place(m2: float) -> float:
        return round(SIDE * math.sqrt(min(max(m2, 0.0), top) / top), 1)

    truths = (np.linspace(0, 1, 41) ** 2 * top).tolist()
    slack = [max(_NEAR_M2, _NEAR_SHARE * t) for t in truths]
    upper = [f"{place(t)} {SIDE - place(t + s)}" for t, s in zip(truths, slack, strict=True)]
    lower = [f"{place(t)} {SIDE - place(t - s)}" for t, s in zip(truths, slack, strict=True)]
    ticks: list[tuple[float, int]] = []
    for m2 in _TICKS:
        if m2 <= top and (not ticks or place(m2) - ticks[-1][0] >= _LEAST_GAP):
            ticks.append((place(m2), m2))
    return Scatter(
        points=[(place(x), round(SIDE - place(y), 1)) for x, y in shown.tolist()],
        band=f"M{'L'.join(upper + lower[::-1])}Z",
        ticks=ticks,
    )


def dot(value: float | None, interval: tuple[float | None, float | None]) -> Dot | None:
    """A score of 0..1 and its interval on the line; None where it is not known."""
    if value is None:
        return None
    low, high = (value if end is None else end for end in interval)
    return Dot(at=round(100 * value, 1), low=round(100 * low, 1), high=round(100 * high, 1))
