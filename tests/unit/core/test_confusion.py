"""Confusion: counts against a naive computation; they add up over windows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sealmap.core.confusion import Confusion
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED

labels = arrays(np.uint8, (6, 5), elements=st.sampled_from([0, 1, 2, IGNORE]))


def naive(truth: NDArray[np.uint8], pred: NDArray[np.uint8], positive: set[int]) -> dict[str, float]:
    pairs = [
        (int(t) in positive, int(p) in positive)
        for t, p in zip(truth.ravel(), pred.ravel(), strict=True)
        if IGNORE not in (int(t), int(p))
    ]
    tp, fp, fn = (pairs.count(x) for x in ((True, True), (False, True), (True, False)))

    def ratio(a: float, b: float) -> float:
        return a / b if b else math.nan

    precision, recall = ratio(tp, tp + fp), ratio(tp, tp + fn)
    return {
        "iou": ratio(tp, tp + fp + fn),
        "f1": ratio(2 * tp, 2 * tp + fp + fn),
        "precision": precision,
        "recall": recall,
        "area_bias": ratio(tp + fp, tp + fn) - 1,
    }


@given(labels, labels)
def test_scores_are_those_of_a_naive_computation(truth: NDArray[np.uint8], pred: NDArray[np.uint8]) -> None:
    confusion = Confusion.of(ROOF_PAVED, truth, pred)
    summary = confusion.summary()
    for name, positive in {"sealed": {1, 2}, "background": {0}, "roof": {1}, "paved": {2}}.items():
        assert summary[name] == pytest.approx(naive(truth, pred, positive), nan_ok=True)
    judged = (truth != IGNORE) & (pred != IGNORE)
    assert confusion.pixels == judged.sum()
    expected = (truth == pred)[judged].mean() if judged.any() else math.nan
    assert confusion.accuracy == pytest.approx(expected, nan_ok=True)


@given(labels, labels, st.integers(1, 5))
def test_windows_add_up(truth: NDArray[np.uint8], pred: NDArray[np.uint8], cut: int) -> None:
    parts = [Confusion.of(ROOF_PAVED, truth[s], pred[s]) for s in (slice(0, cut), slice(cut, None))]
    total = Confusion.zero(ROOF_PAVED) + parts[0] + parts[1]
    assert (total.counts_KK == Confusion.of(ROOF_PAVED, truth, pred).counts_KK).all()


def test_the_cell_is_true_class_then_predicted_class() -> None:
    confusion = Confusion.of(ROOF_PAVED, np.array([[1]], np.uint8), np.array([[2]], np.uint8))
    assert np.argwhere(confusion.counts_KK).tolist() == [[1, 2]]
    assert confusion.scores((1, 2))["iou"] == 1
    assert confusion.binary((1,)) == (0, 0, 1, 0)
    assert confusion.binary((2,)) == (0, 1, 0, 0)


def test_too_much_area_is_a_positive_bias() -> None:
    truth, pred = np.array([[1, 0, 0, 0]], np.uint8), np.array([[1, 1, 0, 0]], np.uint8)
    assert Confusion.of(SEALED, truth, pred).summary()["sealed"]["area_bias"] == 1
    assert Confusion.of(SEALED, pred, truth).summary()["sealed"]["area_bias"] == -0.5


def test_nothing_judged_is_not_a_number() -> None:
    zero = Confusion.zero(SEALED)
    assert zero.pixels == 0
    assert all(math.isnan(v) for v in zero.scores((1,)).values())


def test_refuses_values_beyond_the_legend() -> None:
    two = np.array([[2]], np.uint8)
    with pytest.raises(ValueError, match="beyond the legend 'sealed'"):
        Confusion.of(SEALED, two, two)


def test_refuses_counts_of_another_legend() -> None:
    with pytest.raises(ValueError, match="different legends"):
        Confusion.zero(SEALED) + Confusion.zero(ROOF_PAVED)
    with pytest.raises(ValueError, match="do not fit 2 classes"):
        Confusion(legend=SEALED, counts_KK=np.zeros((3, 3), np.int64))
    with pytest.raises(ValueError, match="do not fit"):
        Confusion(legend=SEALED, counts_KK=np.full((2, 2), -1, np.int64))
