"""Scores per parcel: what a fee is charged for. Truth and map are counted alike, so only the map's errors are left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import DatasetError
from sealmap.evaluation.bootstrap import Interval, draws, interval
from sealmap.evaluation.scores import plain, spreads

MOST_UNKNOWN = 0.05
"""Parcels of whose area more than this share has no truth (or no map) are left out, and counted."""

WITHIN_M2, WITHIN_SHARE = 5.0, 0.10
"""What a parcel may be off by: square metres, or a share of its true sealed area."""

SIZES_M2 = (200.0, 500.0, 1000.0, 5000.0)
"""Limits of the classes of parcel area: gardens and garages, terraced houses, houses, large plots, estates."""

_EXACT_M2 = 1e-3
"""Areas are sums of single-precision weights: what differs by less is equal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParcelAreas:
    """N parcels in m²: area of the parcel, sealed in truth and by the map, and what has no truth or no map."""

    parcel_id: tuple[str, ...]
    area_N: NDArray[np.float64]
    truth_N: NDArray[np.float64]
    predicted_N: NDArray[np.float64]
    unknown_N: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.parcel_id)
        if any(len(a) != n for a in (self.area_N, self.truth_N, self.predicted_N, self.unknown_N)):
            raise ValueError("parcels need one area of each kind")

    @property
    def judged_N(self) -> NDArray[np.bool_]:
        """True for parcels that are known well enough."""
        return self.unknown_N <= MOST_UNKNOWN * self.area_N

    def only(self, keep_N: NDArray[np.bool_]) -> ParcelAreas:
        """Some of the parcels."""
        return ParcelAreas(
            parcel_id=tuple(p for p, k in zip(self.parcel_id, keep_N, strict=True) if k),
            area_N=self.area_N[keep_N],
            truth_N=self.truth_N[keep_N],
            predicted_N=self.predicted_N[keep_N],
            unknown_N=self.unknown_N[keep_N],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ParcelGroup:
    """Parcels of ``low_m2`` up to ``high_m2`` area, and their scores with intervals over parcels."""

    low_m2: float
    high_m2: float
    parcels: int
    scores: dict[str, Interval]


@dataclass(frozen=True, kw_only=True, slots=True)
class ParcelScores:
    """All judged parcels, and the same by area of the parcel. left_out: parcels with too much unknown ground."""

    whole: ParcelGroup
    by_size: tuple[ParcelGroup, ...]
    left_out: int
    judged: ParcelAreas


def score_parcels(areas: ParcelAreas, *, seed: int = 1) -> ParcelScores:
    """Scores of the parcels that are known well enough; DatasetError where there are none."""
    judged = areas.only(areas.judged_N)
    if not judged.parcel_id:
        raise DatasetError(
            f"none of {len(areas.parcel_id)} parcels has truth on {1 - MOST_UNKNOWN:.0%} of its area",
            remedy="give a truth that covers parcels, or leave --parcels out",
        )
    limits = (0.0, *SIZES_M2, np.inf)
    groups = []
    for low, high in pairwise(limits):
        inside = (judged.area_N >= low) & (judged.area_N < high)
        if inside.any():
            groups.append(_group(judged.only(inside), low, high, seed))
    return ParcelScores(
        whole=_group(judged, 0.0, np.inf, seed),
        by_size=tuple(groups),
        left_out=len(areas.parcel_id) - len(judged.parcel_id),
        judged=judged,
    )


def _bias(truth: NDArray[np.float64], error: NDArray[np.float64]) -> float:
    total = truth.sum()
    return float(error.sum() / total) if total > 0 else float("nan")


_Score = Callable[[NDArray[np.float64], NDArray[np.float64]], float]
_SCORES: dict[str, _Score] = {
    "area_bias": _bias,
    "bias_m2": lambda _t, e: float(e.mean()),
    "mae_m2": lambda _t, e: float(np.abs(e).mean()),
    "rmse_m2": lambda _t, e: float(np.sqrt((e**2).mean())),
    "within_5_m2": lambda _t, e: float(_small(e).mean()),
    "within_10_percent": lambda t, e: float(_near(t, e).mean()),
    "within_either": lambda t, e: float((_small(e) | _near(t, e)).mean()),
}
"""(true sealed m², error m²) of parcels → score.

area_bias: sum of errors ÷ sum of truth; bias_m2: mean signed error; shares of parcels that are near enough.
"""


def _small(error: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.abs(error) <= WITHIN_M2 + _EXACT_M2


def _near(truth: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.abs(error) <= WITHIN_SHARE * truth + _EXACT_M2


def _group(areas: ParcelAreas, low: float, high: float, seed: int) -> ParcelGroup:
    truth, error = areas.truth_N, areas.predicted_N - areas.truth_N
    samples = [{name: score(truth[d], error[d]) for name, score in _SCORES.items()} for d in draws(len(truth), seed)]
    scores = {name: interval(score(truth, error), [s[name] for s in samples]) for name, score in _SCORES.items()}
    return ParcelGroup(low_m2=low, high_m2=high, parcels=len(truth), scores=scores)


def parcels_to_json(found: ParcelScores) -> dict[str, Any]:
    """Plain values for scores.json."""
    truth, predicted = found.judged.truth_N, found.judged.predicted_N
    return {
        "parcels": found.whole.parcels,
        "left_out": found.left_out,
        "truth_m2": plain(truth.sum(), 1),
        "predicted_m2": plain(predicted.sum(), 1),
        "scores": spreads(found.whole.scores),
        "by_size": [
            {
                "from_m2": g.low_m2,
                "below_m2": plain(g.high_m2, 1),
                "parcels": g.parcels,
                "scores": spreads(g.scores),
            }
            for g in found.by_size
        ],
    }
