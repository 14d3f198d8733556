"""A temperature is found again, and says so where there is none to find; isotonic regression is told apart from it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit.model.tiny import CARD

from sealmap.core.errors import DatasetError
from sealmap.core.legend import ROOF_PAVED, SEALED
from sealmap.evaluation.calibration import FINE, ReliabilityTally
from sealmap.evaluation.temperature import (
    BOUNDS,
    Knots,
    PixelSample,
    at_bounds,
    compare_on_halves,
    fit_temperature,
    isotonic,
    log_share,
    logits_of,
    moved,
)
from sealmap.model.bundle import probabilities

SEALED_K = {2: np.array([False, True]), 3: np.array([False, True, True])}


def served(logits_NK: NDArray[np.float32], temperature: float, knots: Knots = ()) -> NDArray[np.float32]:
    """Probabilities as the bundle makes them."""
    legend = SEALED if logits_NK.shape[1] == 2 else ROOF_PAVED
    card = replace(CARD, temperature=temperature, isotonic=knots, legend=legend)
    out: NDArray[np.float32] = probabilities(torch.from_numpy(logits_NK)[:, :, None, None], card).numpy()[:, :, 0, 0]
    return out


def sample_of(temperature: float, *, classes: int = 3, count: int = 60_000, spread: float = 3.0) -> PixelSample:
    """Logits, and labels that are drawn as often as softmax(logits / temperature) says."""
    rng = np.random.default_rng(int(100 * temperature) + classes)
    logits = rng.normal(0, spread, (count, classes)).astype(np.float32)
    cumulated = served(logits, temperature).cumsum(axis=1)
    label = (rng.random((count, 1)) > cumulated[:, :-1]).sum(axis=1)
    return PixelSample(
        logits_NK=logits, truth_NK=np.eye(classes, dtype=np.bool_)[label], sealed_K=SEALED_K[classes],
        half_N=np.arange(count) % 2 == 1,
    )  # fmt: skip


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("wanted", [0.5, 1.0, 2.5])
def test_the_temperature_of_the_labels_is_found(wanted: float, classes: int) -> None:
    sample = sample_of(wanted, classes=classes)
    found = fit_temperature(sample)
    assert found == pytest.approx(wanted, rel=0.04)
    assert not at_bounds(found)
    assert sample.tally(found).reliability().ece < 0.01
    if wanted != 1.0:
        assert sample.tally(1.0).reliability().ece > 0.02


def test_the_fit_is_the_lowest_loss_of_many() -> None:
    sample = sample_of(1.7)
    found = fit_temperature(sample)

    def loss(temperature: float) -> float:
        return -float(log_share(sample.logits_NK, sample.truth_NK, temperature).mean())

    assert all(loss(found) <= loss(t) + 1e-9 for t in np.geomspace(*BOUNDS, 60))


def test_logits_twice_as_large_want_twice_the_temperature() -> None:
    sample = sample_of(1.5)
    doubled = replace(sample, logits_NK=sample.logits_NK * 2 + 7)
    assert fit_temperature(doubled) == pytest.approx(2 * fit_temperature(sample), rel=0.005)


def test_labels_that_say_sealed_only_serve_too() -> None:
    sample = sample_of(2.0)
    sides = np.where(sample.sealed_N[:, None], sample.sealed_K, ~sample.sealed_K)
    assert fit_temperature(replace(sample, truth_NK=sides)) == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_shares_are_those_that_the_bundle_serves(temperature: float) -> None:
    logits = sample_of(1.0, count=500).logits_NK
    wanted = served(logits, temperature)[:, 1:].sum(axis=1)
    np.testing.assert_allclose(np.exp(log_share(logits, SEALED_K[3], temperature)), wanted, rtol=1e-4, atol=1e-7)
    again = served(logits_of(served(logits, temperature), temperature), temperature)
    np.testing.assert_allclose(again, served(logits, temperature), rtol=1e-4, atol=1e-7)


def test_a_probability_of_zero_does_not_break_the_fit() -> None:
    sample = sample_of(1.0, count=5000)
    probs = served(sample.logits_NK * 60, 1.0)
    assert (probs == 0).any()
    assert BOUNDS[0] < fit_temperature(replace(sample, logits_NK=logits_of(probs, 1.0))) <= BOUNDS[1]


def test_a_perfect_and_a_senseless_network_run_into_the_bounds() -> None:
    sample = sample_of(1.0)
    perfect = replace(sample, logits_NK=sample.truth_NK.astype(np.float32))
    senseless = replace(sample, truth_NK=np.roll(sample.truth_NK, 7, axis=0))
    assert fit_temperature(perfect) < BOUNDS[0] * 1.02
    assert fit_temperature(senseless) > BOUNDS[1] / 1.02
    assert at_bounds(fit_temperature(perfect))
    assert at_bounds(fit_temperature(senseless))


def test_nothing_and_nonsense_are_refused_with_numbers() -> None:
    sample = sample_of(1.0, count=200)
    with pytest.raises(DatasetError, match="no judged pixel"):
        fit_temperature(replace(sample, logits_NK=sample.logits_NK[:0]))
    broken = sample.logits_NK.copy()
    broken[:3, 1] = np.nan
    with pytest.raises(DatasetError, match="not finite at 3 of 200 pixels"):
        fit_temperature(replace(sample, logits_NK=broken))


def bent(count: int = 100_000) -> ReliabilityTally:
    """Probabilities that are right at neither end, in a way that no temperature mends."""
    rng = np.random.default_rng(8)
    prob = rng.random(count)
    return ReliabilityTally.of(prob, rng.random(count) < 0.2 + 0.4 * prob**3)


def test_isotonic_knots_rise_and_mend_what_a_temperature_cannot() -> None:
    tally = bent()
    knots = isotonic(tally)
    stated, values = zip(*knots, strict=True)
    assert (stated[0], stated[-1]) == (0, 1)
    assert all(a < b for a, b in pairwise(stated))
    assert all(a <= b for a, b in pairwise(values))
    mended = moved(tally, knots)
    assert mended.counts_2B.sum(axis=1).tolist() == tally.counts_2B.sum(axis=1).tolist()
    assert tally.reliability().ece > 0.1
    assert mended.reliability().ece < 0.005
    assert mended.reliability().brier < tally.reliability().brier
    assert moved(tally, ()) is tally


def test_counts_move_as_the_bundle_maps_pixels() -> None:
    sample = sample_of(1.0, count=20_000)
    knots = isotonic(bent())
    plain, mapped = served(sample.logits_NK, 1.3), served(sample.logits_NK, 1.3, knots)
    there = moved(sample.tally(1.3), knots).reliability()
    here = ReliabilityTally.of(mapped[:, 1:].sum(axis=1), sample.sealed_N).reliability()
    assert here.ece == pytest.approx(there.ece, abs=5e-4)
    assert here.brier == pytest.approx(there.brier, abs=5e-4)
    np.testing.assert_allclose(mapped.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(mapped[:, 1] / mapped[:, 2], plain[:, 1] / plain[:, 2], rtol=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, FINE - 1), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=40))
def test_any_counts_give_knots_that_a_card_takes(counted: list[tuple[int, int, int]]) -> None:
    counts = np.zeros((2, FINE), np.int64)
    for place, zeros, ones in counted:
        counts[:, place] += zeros, ones + 1
    tally = ReliabilityTally(counts_2B=counts)
    assert replace(CARD, isotonic=isotonic(tally)).isotonic
    stated, values = np.array(isotonic(tally)).T
    share = float(np.interp((np.arange(FINE) + 0.5) / FINE, stated, values) @ counts.sum(axis=0))
    assert 0 <= share <= tally.pixels


def test_isotonic_regression_wins_only_where_it_does() -> None:
    plain = compare_on_halves(sample_of(2.0, classes=2), "iou", temperature=1.0)
    assert not plain.isotonic_wins
    assert plain.best == "temperature"
    assert plain.ece["temperature"] < 0.01 < plain.ece["none"]
    sample = sample_of(1.0, classes=2, spread=1.5)
    rng = np.random.default_rng(4)
    prob = served(sample.logits_NK, 1.0)[:, 1]
    label = (rng.random(len(prob)) < 0.15 + 0.5 * (prob > 0.3) + 0.3 * (prob > 0.9)).astype(int)
    steps = compare_on_halves(replace(sample, truth_NK=np.eye(2, dtype=np.bool_)[label]), "iou", temperature=1.0)
    assert steps.isotonic_wins
    assert steps.best == "isotonic"
    assert steps.brier["isotonic"] < 0.99 * steps.brier["temperature"]


def test_a_threshold_without_bias_keeps_it_on_the_other_half() -> None:
    found = compare_on_halves(sample_of(2.0), "zero_bias", temperature=1.0)
    assert max(map(abs, found.area_bias)) < 0.02
    assert found.area_bias[0] * found.area_bias[1] < 0  # what the one half has too much, the other lacks


def test_a_temperature_that_does_not_carry_over_is_noticed() -> None:
    sample = sample_of(1.0, classes=2)
    hot, cold = sample_of(3.0, classes=2), sample_of(0.4, classes=2)
    truth = np.where(sample.half_N[:, None], hot.truth_NK, cold.truth_NK)
    logits = np.where(sample.half_N[:, None], hot.logits_NK, cold.logits_NK)
    found = compare_on_halves(replace(sample, truth_NK=truth, logits_NK=logits), "iou", temperature=1.0)
    assert found.temperature_loses


def test_halves_that_are_unlike_are_refused() -> None:
    sample = sample_of(1.0)
    half = np.where(np.random.default_rng(1).random(len(sample.half_N)) < 0.98, sample.sealed_N, ~sample.sealed_N)
    with pytest.raises(DatasetError, match=r"the halves are unlike: \d+\.\d% of the one is sealed"):
        compare_on_halves(replace(sample, half_N=half), "iou", temperature=1.0)
