"""Scores per parcel: what a fee is charged for. Truth and map are counted alike, so only the map's errors are left.

Neighbours err alike (the same roof tiles, the same shade), so intervals draw blocks of ground with all their parcels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import DatasetError
from sealmap.evaluation.bootstrap import BIAS, SHARE, Interval, draws, interval
from sealmap.evaluation.scores import plain, spreads

MOST_UNKNOWN = 0.05
"""Parcels of whose area more than this share has no truth (or no map) are left out, and counted."""

WITHIN_M2, WITHIN_SHARE = 5.0, 0.10
"""What a parcel may be off by: square metres, or a share of its true sealed area."""

SIZES_M2 = (200.0, 500.0, 1000.0, 5000.0)
"""Limits of the classes of parcel area: gardens and garages, terraced houses, houses, large plots, estates."""

EXACT_M2 = 1e-3
"""Areas are sums of single-precision weights: what differs by less is equal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParcelAreas:
    """N parcels in m²: area of the parcel, sealed in truth and by the map, and what has no truth or no map.

    block: of ground (``evaluation.blocks``) that a parcel lies in.
    """

    parcel_id: tuple[str, ...]
    block: tuple[str, ...]
    area_N: NDArray[np.float64]
    truth_N: NDArray[np.float64]
    predicted_N: NDArray[np.float64]
    unknown_N: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.parcel_id)
        if any(len(a) != n for a in (self.block, self.area_N, self.truth_N, self.predicted_N, self.unknown_N)):
            raise ValueError("parcels need a block and one area of each kind")

    @property
    def error_N(self) -> NDArray[np.float64]:
        """What the map says too much, m²."""
        return self.predicted_N - self.truth_N

    @property
    def error_percent_N(self) -> NDArray[np.float64]:
        """The error in percent of the true sealed area; NaN where that is nothing."""
        some = self.truth_N > EXACT_M2
        return np.where(some, 100 * self.error_N / np.where(some, self.truth_N, 1.0), np.nan)

    @property
    def judged_N(self) -> NDArray[np.bool_]:
        """True for parcels that are known well enough."""
        return self.unknown_N <= MOST_UNKNOWN * self.area_N

    def only(self, keep_N: NDArray[np.bool_]) -> ParcelAreas:
        """Some of the parcels."""
        return ParcelAreas(
            parcel_id=tuple(p for p, k in zip(self.parcel_id, keep_N, strict=True) if k),
            block=tuple(b for b, k in zip(self.block, keep_N, strict=True) if k),
            area_N=self.area_N[keep_N],
            truth_N=self.truth_N[keep_N],
            predicted_N=self.predicted_N[keep_N],
            unknown_N=self.unknown_N[keep_N],
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ParcelGroup:
    """Parcels of ``low_m2`` up to ``high_m2`` area, and their scores with intervals over the blocks they lie in."""

    low_m2: float
    high_m2: float
    parcels: int
    blocks: int
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


def _columns(areas: ParcelAreas) -> NDArray[np.float64]:
    """What scores are made of, additive over parcels (N, 8): see ``_scores``."""
    truth, error = areas.truth_N, areas.error_N
    off = np.abs(error)
    small, near = off <= WITHIN_M2 + EXACT_M2, off <= WITHIN_SHARE * truth + EXACT_M2
    return np.stack([np.ones_like(truth), truth, error, off, error**2, small, near, small | near], axis=1)


def _scores(sums: NDArray[np.float64]) -> dict[str, float]:
    """Scores by name from sums over parcels.

    area_bias: sum of errors ÷ sum of truth; bias_m2: mean signed error; shares of parcels that are near enough.
    """
    number, truth, error, off, square, small, near, either = sums.tolist()
    return {
        "area_bias": error / truth if truth > 0 else float("nan"),
        "bias_m2": error / number,
        "mae_m2": off / number,
        "rmse_m2": math.sqrt(square / number),
        "within_5_m2": small / number,
        "within_10_percent": near / number,
        "within_either": either / number,
    }


def _group(areas: ParcelAreas, low: float, high: float, seed: int) -> ParcelGroup:
    columns = _columns(areas)
    blocks, home = np.unique(areas.block, return_inverse=True)
    sums = np.zeros((len(blocks), columns.shape[1]))
    np.add.at(sums, home, columns)
    samples = [_scores(sums[d].sum(axis=0)) for d in draws(len(blocks), seed)]
    total = columns.sum(axis=0)
    positive = (0.0, np.inf)
    ranges = {"area_bias": BIAS, "bias_m2": (-total[1] / total[0], np.inf), "mae_m2": positive, "rmse_m2": positive}
    scores = {
        name: interval(value, [s[name] for s in samples], units=len(blocks), within=ranges.get(name, SHARE))
        for name, value in _scores(total).items()
    }
    return ParcelGroup(low_m2=low, high_m2=high, parcels=len(columns), blocks=len(blocks), scores=scores)


def parcels_to_json(found: ParcelScores) -> dict[str, Any]:
    """Plain values for scores.json."""
    truth, predicted = found.judged.truth_N, found.judged.predicted_N
    return {
        "parcels": found.whole.parcels,
        "blocks": found.whole.blocks,
        "left_out": found.left_out,
        "truth_m2": plain(truth.sum(), 1),
        "predicted_m2": plain(predicted.sum(), 1),
        "scores": spreads(found.whole.scores),
        "by_size": [
            {
                "from_m2": g.low_m2,
                "below_m2": plain(g.high_m2, 1),
                "parcels": g.parcels,
                "blocks": g.blocks,
                "scores": spreads(g.scores),
            }
            for g in found.by_size
        ],
    }
