"""Whether a probability means what it says, and where to cut it: reliability, ECE, Brier score, scores by threshold.

All of it comes from one table of counts that adds up over windows, as ``Confusion`` does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import DatasetError, SettingsError

FINE = 4096
"""Bins of probability that are counted. Their edges k / FINE are exact in 32-bit floats, so a threshold on an edge
cuts the counts exactly as it cuts the pixels of a map."""

AIMS = ("iou", "f1", "zero_bias")
"""What a threshold may be chosen for."""

_ROUNDING = 1e-4
"""Probabilities may lie so far outside 0..1: softmax in floats adds up to 1 only nearly."""

_FLAT = 1e-4
"""Scores and biases nearer than this to the best are as good: one hundredth of a percent of the area."""

_MOST_BIAS = 0.02
"""A threshold with more area bias than this on the very pixels it was chosen on has not reached its aim."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliability:
    """Stated against observed probability of 'sealed' in B equal bins.

    edges: B + 1 values, 0..1. confidence: mean stated probability of a bin's pixels; observed: share of them that is
    sealed; both NaN where a bin has no pixel. counts: pixels per bin.
    ece: expected calibration error, the mean of abs(confidence − observed) over pixels (Naeini et al. 2015), 0..1.
    brier: mean of (probability − truth)² over pixels (Brier 1950), 0..1. Both NaN without pixels.
    """

    edges: NDArray[np.float64]
    confidence: NDArray[np.float64]
    observed: NDArray[np.float64]
    counts: NDArray[np.int64]
    ece: float
    brier: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ThresholdCurve:
    """Scores of 'sealed' by threshold: a pixel is sealed where its probability reaches the threshold.

    thresholds: rising, between 0 and 1. iou, f1: 0..1. bias: predicted area ÷ true area − 1, never rising with the
    threshold. All NaN where no judged pixel is sealed.
    """

    thresholds: NDArray[np.float64]
    iou: NDArray[np.float64]
    f1: NDArray[np.float64]
    bias: NDArray[np.float64]

    def at(self, threshold: float) -> dict[str, float]:
        """'iou', 'f1' and 'area_bias' at the nearest threshold of the curve."""
        i = int(np.abs(self.thresholds - threshold).argmin())
        return {"iou": float(self.iou[i]), "f1": float(self.f1[i]), "area_bias": float(self.bias[i])}

    def thinned(self, points: int = 99) -> ThresholdCurve:
        """About evenly spaced points of the curve, for a picture or a card; the values stay exact."""
        wanted = np.linspace(0, 1, points + 2)[1:-1]
        keep = np.unique(np.abs(self.thresholds[:, None] - wanted).argmin(axis=0))
        return ThresholdCurve(
            thresholds=self.thresholds[keep], iou=self.iou[keep], f1=self.f1[keep], bias=self.bias[keep]
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ReliabilityTally:
    """counts_2B[truth, bin]: judged pixels that are open (0) or sealed (1), by probability in FINE equal bins.

    A bin is closed below and open above, the last one closed. A pixel counts with the middle of its bin, so that
    means and the ECE are known to 1 / (2 · FINE) = 0.0001; what a threshold cuts is exact.
    """

    counts_2B: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.counts_2B.shape != (2, FINE) or (self.counts_2B < 0).any():
            raise ValueError(f"counts {self.counts_2B.shape} are not (2, {FINE}) numbers of pixels")

    @staticmethod
    def zero() -> ReliabilityTally:
        """No pixels yet."""
        return ReliabilityTally(counts_2B=np.zeros((2, FINE), np.int64))

    @staticmethod
    def of(
        prob: NDArray[np.floating], sealed: NDArray[np.bool_], judged: NDArray[np.bool_] | None = None
    ) -> ReliabilityTally:
        """Counts of one window, of any shape. prob: of 'sealed', 0..1. judged: True where a pixel counts."""
        if judged is not None:
            prob, sealed = prob[judged], sealed[judged]
        if prob.size and not (prob.min() >= -_ROUNDING and prob.max() <= 1 + _ROUNDING):  # NaN fails, too
            raise ValueError(f"probabilities from {prob.min()} to {prob.max()} are not within 0..1")
        bins = np.clip(np.floor(prob * FINE), 0, FINE - 1).astype(np.int64).ravel()
        counts = np.bincount(bins + FINE * sealed.ravel().astype(np.int64), minlength=2 * FINE)
        return ReliabilityTally(counts_2B=counts.reshape(2, FINE))

    def __add__(self, other: ReliabilityTally) -> ReliabilityTally:
        return ReliabilityTally(counts_2B=self.counts_2B + other.counts_2B)

    @property
    def pixels(self) -> int:
        """Number of judged pixels."""
        return int(self.counts_2B.sum())

    @property
    def sealed_share(self) -> float:
        """Share of the judged pixels that is sealed in truth, 0..1; NaN without pixels."""
        return float(self.counts_2B[1].sum() / self.pixels) if self.pixels else float("nan")

    def reliability(self, bins: int = 15) -> Reliability:
        """Stated against observed probability in ``bins`` equal bins, with ECE and Brier score."""
        middle = (np.arange(FINE) + 0.5) / FINE
        home = (middle * bins).astype(np.int64)
        both = self.counts_2B.sum(axis=0)
        counts = np.bincount(home, weights=both, minlength=bins)
        with np.errstate(invalid="ignore", divide="ignore"):
            confidence = np.bincount(home, weights=both * middle, minlength=bins) / counts
            observed = np.bincount(home, weights=self.counts_2B[1], minlength=bins) / counts
        missed = np.where(counts > 0, counts * np.abs(confidence - observed), 0.0).sum()
        squares = self.counts_2B[0] @ middle**2 + self.counts_2B[1] @ (1 - middle) ** 2
        total = self.pixels or float("nan")
        return Reliability(
            edges=np.linspace(0, 1, bins + 1), confidence=confidence, observed=observed,
            counts=counts.astype(np.int64), ece=float(missed / total), brier=float(squares / total),
        )  # fmt: skip

    def curve(self) -> ThresholdCurve:
        """Scores at every threshold that the counts tell apart: 1 / FINE, 2 / FINE and so on."""
        above = self.counts_2B[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]  # pixels at or above each inner edge
        fp, tp = above[0].astype(np.float64), above[1].astype(np.float64)
        true = float(self.counts_2B[1].sum()) or float("nan")
        return ThresholdCurve(
            thresholds=np.arange(1, FINE) / FINE,
            iou=tp / (true + fp),
            f1=2 * tp / (true + tp + fp),
            bias=(tp + fp) / true - 1,
        )


def check_aim(aim: str) -> None:
    """SettingsError where there is no such aim."""
    if aim not in AIMS:
        raise SettingsError(f"no aim '{aim}'", remedy=f"use one of: {', '.join(AIMS)}")


def choose_threshold(curve: ThresholdCurve, aim: str) -> float:
    """The threshold of the highest IoU or F1, or of the least area bias; of equally good neighbours the middle one.

    F1 = 2 IoU / (1 + IoU) rises with IoU, so both aims choose the same threshold. DatasetError where nothing is
    sealed in truth, or where no threshold comes near a bias of zero, as of a model with few distinct probabilities.
    """
    check_aim(aim)
    if not np.isfinite(curve.bias).all():
        raise DatasetError("no judged pixel is sealed, so no threshold can be chosen", remedy="choose other chips")
    lost = np.abs(curve.bias) if aim == "zero_bias" else 1 - curve.iou
    best = int(lost.argmin())
    if aim == "zero_bias" and lost[best] > _MOST_BIAS:
        raise DatasetError(
            f"no threshold brings the area bias to zero: the least is {curve.bias[best]:+.1%} at"
            f" {curve.thresholds[best]:.3f}, from {curve.bias[0]:+.1%} to {curve.bias[-1]:+.1%} over all",
            remedy="train the model longer, or choose the aim iou",
        )
    worse = np.flatnonzero(lost > lost[best] + _FLAT)
    first = int(worse[worse < best].max(initial=-1)) + 1
    last = int(worse[worse > best].min(initial=len(lost))) - 1
    return float(curve.thresholds[(first + last) // 2])
