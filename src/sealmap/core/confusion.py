"""Confusion: counts that add up over windows; every score is derived from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sealmap.core.legend import IGNORE, Legend


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """counts_KK[t, p]: pixels of true class t predicted as p. Ignored pixels are in no cell."""

    legend: Legend
    counts_KK: NDArray[np.int64]

    def __post_init__(self) -> None:
        k = len(self.legend)
        if self.counts_KK.shape != (k, k) or (self.counts_KK < 0).any():
            raise ValueError(f"counts {self.counts_KK.shape} do not fit {k} classes")

    @staticmethod
    def zero(legend: Legend) -> Confusion:
        """No pixels yet."""
        k = len(legend)
        return Confusion(legend=legend, counts_KK=np.zeros((k, k), np.int64))

    @staticmethod
    def of(legend: Legend, truth_HW: NDArray[np.uint8], pred_HW: NDArray[np.uint8]) -> Confusion:
        """Counts of one window; pixels that are IGNORE in either are left out."""
        k = len(legend)
        judged = (truth_HW != IGNORE) & (pred_HW != IGNORE)
        truth, pred = truth_HW[judged].astype(np.int64), pred_HW[judged].astype(np.int64)
        if truth.size and (truth.max() >= k or pred.max() >= k):
            raise ValueError(f"a value beyond the legend '{legend.name}' (0..{k - 1}, {IGNORE})")
        counts = np.bincount(truth * k + pred, minlength=k * k).reshape(k, k)
        return Confusion(legend=legend, counts_KK=counts)

    def __add__(self, other: Confusion) -> Confusion:
        if self.legend != other.legend:
            raise ValueError("confusions of different legends do not add up")
        return Confusion(legend=self.legend, counts_KK=self.counts_KK + other.counts_KK)

    @property
    def pixels(self) -> int:
        """Number of judged pixels."""
        return int(self.counts_KK.sum())

    def binary(self, ids: tuple[int, ...]) -> tuple[int, int, int, int]:
        """(true positive, false positive, false negative, true negative) of a union of classes."""
        c, on = self.counts_KK, np.isin(np.arange(len(self.legend)), ids)
        tp = int(c[on][:, on].sum())
        fp = int(c[~on][:, on].sum())
        fn = int(c[on][:, ~on].sum())
        return tp, fp, fn, int(c[~on][:, ~on].sum())

    def scores(self, ids: tuple[int, ...]) -> dict[str, float]:
        """IoU, F1, precision, recall (0..1; NaN where undefined), signed area bias (predicted/true − 1)."""
        tp, fp, fn, _ = self.binary(ids)
        return {
            "iou": _ratio(tp, tp + fp + fn),
            "f1": _ratio(2 * tp, 2 * tp + fp + fn),
            "precision": _ratio(tp, tp + fp),
            "recall": _ratio(tp, tp + fn),
            "area_bias": _ratio(fp - fn, tp + fn),
        }

    def accuracy_of(self, ids: tuple[int, ...]) -> float:
        """Share of judged pixels that are rightly of this union of classes, or rightly not."""
        tp, _, _, tn = self.binary(ids)
        return _ratio(tp + tn, self.pixels)

    @property
    def accuracy(self) -> float:
        """Share of judged pixels with the right class."""
        return _ratio(int(np.trace(self.counts_KK)), self.pixels)

    def summary(self) -> dict[str, dict[str, float]]:
        """Scores of 'sealed' (union of the sealed classes) and of each class by key."""
        return {key: self.scores(ids) for key, ids in unions(self.legend).items()}


def unions(legend: Legend) -> dict[str, tuple[int, ...]]:
    """What scores are given for: 'sealed' (all sealed classes), then each class by key. Key → ids."""
    return {"sealed": legend.sealed_ids} | {c.key: (c.id,) for c in legend.classes if c.key != "sealed"}


def _ratio(a: float, b: float) -> float:
    return a / b if b else float("nan")
