"""Counts by probability add up, say what brute force says, and are cut where a map would be cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sealmap.core.confusion import Confusion
from sealmap.core.errors import DatasetError, SettingsError
from sealmap.core.legend import IGNORE, SEALED
from sealmap.evaluation.calibration import (
    AIMS,
    FINE,
    ReliabilityTally,
    ThresholdCurve,
    check_aim,
    choose_threshold,
)
from sealmap.prediction.mosaic import classify

edges = st.integers(0, FINE).map(lambda k: np.float32(k / FINE))
probabilities = st.one_of(edges, st.floats(0, 1, width=32).map(np.float32))


def tally_of(prob: Any, sealed: Any) -> ReliabilityTally:
    return ReliabilityTally.of(np.asarray(prob, np.float32), np.asarray(sealed, np.bool_))


def drawn(count: int = 200_000, *, bend: float = 1.0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities, and truths that are sealed as often as probability ** bend says."""
    rng = np.random.default_rng(3)
    prob = rng.beta(0.6, 0.9, count)
    return prob, rng.random(count) < prob**bend


@given(
    prob=arrays(np.float32, 60, elements=probabilities),
    sealed=arrays(np.bool_, 60),
    judged=arrays(np.bool_, 60),
    k=st.integers(1, FINE - 1),
)
def test_a_threshold_cuts_the_counts_as_it_cuts_a_map(prob: Any, sealed: Any, judged: Any, k: int) -> None:
    curve = ReliabilityTally.of(prob, sealed, judged).curve()
    threshold = float(curve.thresholds[k - 1])
    assert threshold == k / FINE
    truth = np.where(judged, sealed, IGNORE).astype(np.uint8)[None]
    pred = classify(np.stack([1 - prob, prob])[:, None], SEALED, threshold)
    wanted = Confusion.of(SEALED, truth, pred).scores((1,))
    found = curve.at(threshold)
    for ours, theirs in (("iou", "iou"), ("f1", "f1"), ("area_bias", "area_bias")):
        if (sealed & judged).any():
            assert found[ours] == pytest.approx(wanted[theirs], abs=1e-12)
        else:
            assert np.isnan(found[ours])


@given(
    prob=arrays(np.float32, (4, 30), elements=probabilities),
    sealed=arrays(np.bool_, (4, 30)),
    order=st.permutations(range(4)),
)
def test_windows_add_up_in_any_order(prob: Any, sealed: Any, order: list[int]) -> None:
    total = sum((tally_of(prob[i], sealed[i]) for i in order), ReliabilityTally.zero())
    np.testing.assert_array_equal(total.counts_2B, tally_of(prob, sealed).counts_2B)
    assert total.pixels == 120


def test_ignored_pixels_count_nowhere() -> None:
    prob, sealed = np.array([0.1, np.nan, 0.9]), np.array([False, True, True])
    found = ReliabilityTally.of(prob, sealed, np.array([True, False, True]))
    assert found.pixels == 2
    assert found.sealed_share == 0.5


@pytest.mark.parametrize("wrong", [1.01, -0.01, float("nan"), float("inf")])
def test_what_is_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"not within 0\.\.1"):
        tally_of([0.5, wrong], [True, False])


def test_softmax_may_miss_one_by_rounding() -> None:
    assert tally_of([1.0000001, 1.0, -1e-9], [True, True, False]).counts_2B[1, -1] == 2


def test_reliability_by_hand() -> None:
    # Two bins: of 4 pixels at 0.25 one is sealed, of 2 at 0.875 both are.
    found = tally_of([0.25] * 4 + [0.875] * 2, [True] + [False] * 3 + [True] * 2).reliability(bins=2)
    np.testing.assert_array_equal(found.edges, [0, 0.5, 1])
    np.testing.assert_array_equal(found.counts, [4, 2])
    np.testing.assert_allclose(found.confidence, [0.25, 0.875], atol=1 / FINE)
    np.testing.assert_array_equal(found.observed, [0.25, 1.0])
    assert found.ece == pytest.approx(2 / 6 * 0.125, abs=1 / FINE)
    assert found.brier == pytest.approx((0.75**2 + 3 * 0.25**2 + 2 * 0.125**2) / 6, abs=1 / FINE)


@pytest.mark.parametrize("bend", [1.0, 1.6])
def test_reliability_against_brute_force(bend: float) -> None:
    prob, sealed = drawn(bend=bend)
    found = ReliabilityTally.of(prob, sealed).reliability(15)
    home = np.minimum((prob * 15).astype(int), 14)
    gaps = [abs(float(prob[home == b].mean() - sealed[home == b].mean())) * (home == b).mean() for b in range(15)]
    assert found.ece == pytest.approx(sum(gaps), abs=3e-4)
    assert found.brier == pytest.approx(((prob - sealed) ** 2).mean(), abs=1e-4)
    assert found.counts.sum() == len(prob)
    assert (found.ece < 0.005) == (bend == 1.0)  # honest probabilities have no error to speak of


def test_nothing_judged_has_no_score() -> None:
    found = ReliabilityTally.zero().reliability()
    assert np.isnan(found.ece)
    assert np.isnan(found.brier)
    assert np.isnan(found.observed).all()
    assert np.isnan(ReliabilityTally.zero().sealed_share)


def test_bias_never_rises_with_the_threshold() -> None:
    prob, sealed = drawn()
    curve = ReliabilityTally.of(prob, sealed).curve()
    assert (np.diff(curve.bias) <= 0).all()
    np.testing.assert_allclose(curve.f1, 2 * curve.iou / (1 + curve.iou))


def test_each_aim_is_reached() -> None:
    prob, sealed = drawn(bend=2.0)
    curve = ReliabilityTally.of(prob, sealed).curve()
    best = choose_threshold(curve, "iou")
    assert curve.at(best)["iou"] >= np.nanmax(curve.iou) - 1e-4
    assert choose_threshold(curve, "f1") == best
    unbiased = choose_threshold(curve, "zero_bias")
    assert abs(curve.at(unbiased)["area_bias"]) < 1e-3
    assert abs(unbiased - best) > 0.02  # two aims, two thresholds
    assert abs(curve.at(best)["area_bias"]) > 0.01


def test_of_equally_good_thresholds_the_middle_one() -> None:
    certain = tally_of([0.25] * 10 + [0.75] * 10, [False] * 10 + [True] * 10).curve()
    for aim in AIMS:
        assert choose_threshold(certain, aim) == pytest.approx(0.5, abs=1 / FINE)


def test_the_run_of_the_best_is_taken_not_a_far_one() -> None:
    t = np.arange(1, 10) / 10
    iou = np.array([0.9, 0.9, 0.2, 0.5, 0.9, 0.90005, 0.9, 0.3, 0.1])
    curve = ThresholdCurve(thresholds=t, iou=iou, f1=2 * iou / (1 + iou), bias=1 - t)
    assert choose_threshold(curve, "iou") == 0.6


def test_an_aim_that_nobody_knows() -> None:
    with pytest.raises(SettingsError, match=r"no aim 'best' → use one of: iou, f1, zero_bias"):
        check_aim("best")


def test_without_sealed_ground_there_is_no_threshold() -> None:
    with pytest.raises(DatasetError, match="no judged pixel is sealed"):
        choose_threshold(tally_of([0.1, 0.9], [False, False]).curve(), "iou")


def test_a_bias_that_cannot_be_brought_to_zero_is_told_with_numbers() -> None:
    # Two probabilities only: either everything is sealed or nothing of worth.
    curve = tally_of([0.3] * 90 + [0.7] * 10, [True] * 50 + [False] * 50).curve()
    with pytest.raises(DatasetError, match=r"the least is -80\.0% at .*from \+100\.0% to -100\.0%"):
        choose_threshold(curve, "zero_bias")


def test_a_thinned_curve_keeps_exact_points() -> None:
    prob, sealed = drawn()
    curve = ReliabilityTally.of(prob, sealed).curve()
    thin = curve.thinned()
    assert len(thin.thresholds) == 99
    np.testing.assert_allclose(np.diff(thin.thresholds), 0.01, atol=2 / FINE)
    for t, iou in zip(thin.thresholds, thin.iou, strict=True):
        assert curve.at(float(t))["iou"] == iou
