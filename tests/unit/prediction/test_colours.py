"""Scores of colour: they turn round where red and blue change places, and a flight's light does not move them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit.prediction.scenes import ground, seen

from sealmap.prediction.colours import (
    INFRARED,
    INFRARED_WEIGHTS,
    REVERSED,
    REVERSED_WEIGHTS,
    infrared_figures,
    infrared_score,
    reversed_figures,
    reversed_score,
)

SEEDS = (1, 2, 3)


def figures(picture: NDArray[np.uint8]) -> dict[str, float]:
    return dict(zip(REVERSED, reversed_figures(seen(picture)).tolist(), strict=True))


def test_every_figure_has_a_weight() -> None:
    assert len(REVERSED) == len(REVERSED_WEIGHTS) == len(reversed_figures(seen(ground(1, 64))))
    assert len(INFRARED) == len(INFRARED_WEIGHTS) == len(infrared_figures(seen(ground(1, 64))))


@pytest.mark.parametrize("seed", SEEDS)
def test_red_before_blue_scores_above_zero_and_the_other_way_round_below(seed: int) -> None:
    picture = ground(seed)
    right, wrong = reversed_score(seen(picture)), reversed_score(seen(picture[::-1]))
    assert right > 1
    assert wrong < -1
    assert wrong == pytest.approx(-right, rel=0.1)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_figure_changes_its_sign_where_red_and_blue_change_places(seed: int) -> None:
    right, wrong = figures(ground(seed)), figures(ground(seed)[::-1])
    for name in REVERSED:
        assert wrong[name] == pytest.approx(-right[name], abs=0.05), name


@pytest.mark.parametrize("gains", [(0.7, 1.0, 1.0), (1.0, 1.0, 0.7), (0.8, 0.8, 0.8), (0.9, 0.75, 1.0)])
@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_a_cast_of_the_light_does_not_turn_the_score_round(gains: tuple[float, ...], order: slice) -> None:
    picture = ground(1)[order]
    tinted = np.rint(picture * np.array(gains)[:, None, None]).astype(np.uint8)
    before, after = figures(picture), figures(tinted)
    for name in set(REVERSED) - {"cast"}:  # the one that looks at the cast itself
        assert after[name] == pytest.approx(before[name], abs=0.1), name
    assert np.sign(reversed_score(seen(tinted))) == np.sign(reversed_score(seen(picture)))


def test_a_cast_is_told_as_red_over_blue() -> None:
    picture = ground(1)
    redder = np.rint(picture * np.array([1.0, 1.0, 0.7])[:, None, None]).astype(np.uint8)
    assert figures(redder)["cast"] - figures(picture)["cast"] == pytest.approx(-np.log(0.7), abs=0.02)


def test_shade_that_is_bluer_counts_for_red_in_front() -> None:
    picture = ground(1)
    assert figures(picture)["shade"] > 0.2
    assert figures(picture)["slope"] > 0.2
    assert figures(picture)["correlation"] > 0.2


def test_near_infrared_in_front_goes_its_own_way() -> None:
    picture = ground(1)
    leaves = ground(9)[:1]
    cir = np.concatenate([leaves, picture[:2]])
    assert infrared_score(seen(picture)) < -1
    assert infrared_score(seen(cir)) > 1


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.integers(0, 4), st.integers(1, 3))
@settings(max_examples=60)
def test_scores_are_numbers_of_whatever_picture(red: int, green: int, blue: int, noise: int, varied: int) -> None:
    picture = np.empty((3, 64, 64), np.uint8)
    picture[:] = np.array([red, green, blue], np.uint8)[:, None, None]
    rng = np.random.default_rng(red)
    picture[:varied] = np.clip(picture[:varied].astype(int) + rng.integers(-noise, noise + 1, (varied, 64, 64)), 0, 255)
    facts = seen(picture)
    assert np.isfinite(reversed_score(facts))
    assert np.isfinite(infrared_score(facts))
    assert abs(infrared_score(facts)) < 100
