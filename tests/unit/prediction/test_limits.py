"""Limits are the extremes over held-out grounds, each taken as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit.prediction.fakes import CARD
from tests.unit.prediction.scenes import binary, ground, seen, served_by
from tests.unit.prediction.test_checks_pixels import trained

from sealmap.model.card import ModelCard
from sealmap.prediction.checks_output import certainty
from sealmap.prediction.checks_pixels import brightness, distances_of
from sealmap.prediction.facts import OutputFacts, output_facts
from sealmap.prediction.limits import Grounds

SIDE = 64


def flat(value: int) -> NDArray[np.uint8]:
    return np.full((3, SIDE, SIDE), value, np.uint8)


def sure(p: float) -> NDArray[np.float32]:
    return binary(np.full((SIDE, SIDE), p))


def entropy(p: float) -> float:
    return float(-p * np.log2(p) - (1 - p) * np.log2(1 - p))


def test_without_ground_there_are_no_limits() -> None:
    assert Grounds(CARD).limits() == {}
    empty = Grounds(CARD)
    empty.count(("a", "s"), 10, 20)
    assert empty.limits() == {}


def test_limits_are_the_extremes_over_grounds() -> None:
    grounds = Grounds(trained(20))
    for key, value, p, sealed in (("a", 4 * 21, 0.02, 10), ("b", 4 * 15, 0.2, 70), ("c", 4 * 23, 0.1, 30)):
        grounds.see((key, "s"), flat(value), sure(p), (255.0, 0.2))
        grounds.count((key, "s"), sealed, 100)
    found = grounds.limits()
    for band in CARD.bands:
        assert found[f"distance_{band}"] == pytest.approx(5 / 64, abs=1e-5)
    assert found["entropy"] == pytest.approx(entropy(0.2), abs=1e-4)
    assert (found["sealed_low"], found["sealed_high"]) == (0.1, 0.7)
    assert found["grounds"] == 3


def test_each_band_has_its_own_extreme() -> None:
    grounds = Grounds(trained(20))
    for key, band in (("a", 0), ("b", 2)):
        picture = flat(4 * 20)
        picture[band] = 4 * (22 + band)
        grounds.see((key, "s"), picture, sure(0.1), (255.0, 0.2))
    found = grounds.limits()
    assert [found[f"distance_{b}"] for b in CARD.bands] == pytest.approx([2 / 64, 0, 4 / 64], abs=1e-5)


def test_windows_of_a_ground_are_taken_together() -> None:
    whole, parts = Grounds(trained(20)), Grounds(trained(20))
    picture, probs = np.concatenate([flat(4 * 10), flat(4 * 30)], axis=2), np.concatenate([sure(0.01), sure(0.5)], 2)
    whole.see(("a", "s"), picture, probs, (255.0, 0.2))
    for half in (slice(0, SIDE), slice(SIDE, None)):
        parts.see(("a", "s"), picture[:, :, half], probs[:, :, half], (255.0, 0.2))
    parts.count(("a", "s"), 1, 10)
    parts.count(("a", "s"), 5, 10)
    assert parts.limits() == whole.limits() | {"sealed_low": 0.3, "sealed_high": 0.3}
    assert parts.limits()["entropy"] == pytest.approx((entropy(0.01) + 1) / 2, abs=1e-4)
    # Two grounds, on the other hand, have each their own: the one of pure doubt is the limit.
    apart = Grounds(trained(20))
    apart.see(("a", "s"), picture[:, :, :SIDE], probs[:, :, :SIDE], (255.0, 0.2))
    apart.see(("b", "s"), picture[:, :, SIDE:], probs[:, :, SIDE:], (255.0, 0.2))
    assert apart.limits()["entropy"] == pytest.approx(1, abs=1e-4)


def test_small_sheets_of_a_flight_are_one_ground_and_large_ones_are_not() -> None:
    small, large = Grounds(trained(20)), Grounds(trained(20))
    for grounds, gsd_m in ((small, 0.2), (large, 7.0)):  # 164 m² and 20 ha
        for sheet, value, p in (("s1", 4 * 10, 0.01), ("s2", 4 * 30, 0.5)):
            grounds.see(("a", sheet), flat(value), sure(p), (255.0, gsd_m))
    assert small.limits()["grounds"] == 1
    assert small.limits()["entropy"] == pytest.approx((entropy(0.01) + 1) / 2, abs=1e-4)
    assert large.limits()["grounds"] == 2
    assert large.limits()["entropy"] == pytest.approx(1, abs=1e-4)


def test_ground_on_which_nothing_is_judged_has_no_share() -> None:
    grounds = Grounds(CARD)
    grounds.see(("a", "s"), flat(80), sure(0.1), (255.0, 0.2))
    grounds.count(("a", "s"), 0, 0)
    assert "sealed_low" not in grounds.limits()


def test_without_statistics_there_is_no_distance() -> None:
    grounds = Grounds(CARD)
    grounds.see(("a", "s"), flat(80), sure(0.1), (255.0, 0.2))
    assert set(grounds.limits()) == {"entropy", "grounds"}


def test_limits_are_learnt_at_the_scale_of_the_pixels() -> None:
    eight, twelve = Grounds(trained(20)), Grounds(trained(20))
    eight.see(("a", "s"), flat(100), sure(0.1), (255.0, 0.2))
    twelve.see(("a", "s"), np.full((3, SIDE, SIDE), 1606, np.uint16), sure(0.1), (4095.0, 0.2))
    assert twelve.limits() == pytest.approx(eight.limits())


def test_a_card_keeps_them() -> None:
    grounds = Grounds(trained(20))
    grounds.see(("a", "s"), ground(1, SIDE), sure(0.1), (255.0, 0.2))
    grounds.count(("a", "s"), 1, 3)
    card = replace(trained(20), limits=grounds.limits())
    assert ModelCard.from_json(card.to_json()).limits == grounds.limits()


@given(st.integers(0, 999), st.floats(0.01, 0.99))
@settings(max_examples=30)
def test_the_ground_that_a_limit_is_of_is_within_it(seed: int, p: float) -> None:
    grounds, picture, probs = Grounds(trained(20)), ground(seed, SIDE), sure(p)
    grounds.see(("a", "s"), picture, probs, (255.0, 0.2))
    card = replace(trained(20), limits=grounds.limits())
    assert brightness(seen(picture), card).verdict == "ok"
    output: OutputFacts = output_facts(probs, np.ones((SIDE, SIDE), np.bool_), served_by(card))
    assert certainty(output, card).verdict == "ok"
    assert distances_of(seen(picture), card)["red"] > 0
