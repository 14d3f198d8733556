"""Checks of pixels: each says ok, warning or refusal where it should, up to its limits and beyond them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit.prediction.fakes import CARD
from tests.unit.prediction.scenes import everywhere, ground, of_levels, seen

from sealmap.core.finding import Finding
from sealmap.model.card import BandStatistics, ModelCard
from sealmap.prediction import checks_pixels
from sealmap.prediction.checks_pixels import (
    PIXEL_CHECKS,
    band_order,
    border,
    brightness,
    distances_of,
    infrared,
    missing,
    pale,
    scale,
)
from sealmap.prediction.facts import PixelFacts, pixel_facts
from sealmap.prediction.radiometry import BINS, histogram_of, wasserstein

Check = Callable[[PixelFacts, ModelCard], Finding]
NO_RGB = replace(CARD, bands=("nir", "red", "green"))


def cells(**counts: int) -> PixelFacts:
    found = PixelFacts.zero(3)
    for name, value in counts.items():
        setattr(found, name, value)
    return found


def often(picture: NDArray[np.uint8]) -> PixelFacts:
    """Facts of a flight that shows the same picture three times: more than 15,000 pixels."""
    found = seen(picture)
    for _ in range(2):
        found.add(seen(picture))
    assert found.counted >= checks_pixels.SURELY
    return found


def heap(at: int) -> tuple[float, ...]:
    """A histogram of one bin."""
    return tuple(float(i == at) for i in range(BINS))


def trained(at: int, **limits: float) -> ModelCard:
    """A card whose training data was of one brightness in all bands."""
    statistics = dict.fromkeys(CARD.bands, BandStatistics(mean=0.5, std=0.1, histogram=heap(at)))
    return replace(CARD, statistics=statistics, limits=limits)


def test_a_picture_of_the_ground_passes_every_check() -> None:
    found = [check(seen(ground(1)), CARD) for check in PIXEL_CHECKS]
    assert [f.verdict for f in found] == ["ok"] * len(PIXEL_CHECKS)
    assert len({f.check for f in found}) == len(PIXEL_CHECKS)


@given(st.sampled_from(["ground", "noise", "flat", "dark"]), st.integers(0, 255))
@settings(max_examples=40)
def test_every_check_answers_of_whatever_picture_and_can_be_written_down(kind: str, value: int) -> None:
    rng = np.random.default_rng(value)
    drawn: dict[str, Callable[[], NDArray[np.uint8]]] = {
        "ground": lambda: ground(value, 96),
        "noise": lambda: rng.integers(0, 256, (3, 96, 96), np.uint8),
        "flat": lambda: np.full((3, 96, 96), value, np.uint8),
        "dark": lambda: rng.integers(0, 4, (3, 96, 96), np.uint8),
    }
    facts = seen(drawn[kind]())
    for check in PIXEL_CHECKS:
        found = check(facts, trained(20, distance_red=0.1))
        assert (found.remedy == "") == (found.verdict == "ok")
        assert json.loads(json.dumps(found.to_json(), allow_nan=False)) == found.to_json()


# --- scale ---


@pytest.mark.parametrize(("top", "verdict"), [(34, "refusal"), (35, "warning"), (39, "ok")])
def test_a_picture_whose_brightest_is_dim_was_not_stretched(top: int, verdict: str) -> None:
    # Level 34 is the last below 0.14; up to 38 there are fewer than 40 levels.
    assert scale(of_levels(*range(top + 1)), CARD).verdict == verdict


def test_a_few_bright_pixels_do_not_make_a_dim_picture_bright() -> None:
    facts = of_levels(*range(30), each=1000)
    facts.levels_CL[:, 255] = 30  # a thousandth
    assert scale(facts, CARD).verdict == "refusal"
    facts.levels_CL[:, 255] = 40
    assert scale(facts, CARD).verdict == "warning"


@pytest.mark.parametrize(("rough", "verdict"), [(0.2, "ok"), (0.749, "ok"), (0.751, "refusal"), (1.1, "refusal")])
def test_pixels_that_have_nothing_to_do_with_each_other_are_refused(rough: float, verdict: str) -> None:
    found = scale(of_levels(*range(40, 200), rough=rough), CARD)
    assert found.verdict == verdict
    assert found.figures["roughness"] == pytest.approx(rough, abs=0.005)


def test_the_smoothest_colour_counts_not_the_roughest() -> None:
    facts = of_levels(*range(40, 200))
    facts.steps_C[2] *= 20
    assert scale(facts, CARD).verdict == "ok"


@pytest.mark.parametrize(("levels", "verdict"), [(5, "warning"), (39, "warning"), (40, "ok")])
def test_few_levels_are_a_palette(levels: int, verdict: str) -> None:
    found = scale(of_levels(*range(200, 200 - levels, -1)), CARD)
    assert found.verdict == verdict
    assert found.figures["levels used"] == levels


def test_a_fourth_band_may_be_of_any_roughness() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1, 576, 576), np.uint8)
    assert scale(seen(np.concatenate([ground(1), noise])), CARD).verdict == "ok"


@pytest.mark.parametrize("depth", [12, 16])
def test_the_low_byte_of_deeper_values_is_refused(depth: int) -> None:
    noise = np.random.default_rng(1).random((3, 576, 576))
    deep = ((ground(1) + noise) * 2 ** (depth - 8)).astype(np.uint16)
    low = (deep & 255).astype(np.uint8)
    found = scale(seen(low), CARD)
    assert found.verdict == "refusal"
    assert "low byte" in found.cause


@pytest.mark.parametrize("divisor", [16, 255])
def test_a_picture_that_was_divided_before_is_refused(divisor: int) -> None:
    found = scale(seen((ground(1) // divisor).astype(np.uint8)), CARD)
    assert found.verdict == "refusal"
    assert "divided" in found.cause


# --- colours ---


@pytest.mark.parametrize(
    ("score", "verdict"), [(0.01, "ok"), (0.0, "warning"), (-0.49, "warning"), (-0.5, "refusal"), (-3, "refusal")]
)
def test_the_order_of_bands_is_judged_by_its_score(score: float, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_pixels, "reversed_score", lambda _facts: score)
    found = band_order(often(ground(1)), CARD)
    assert found.verdict == verdict
    assert found.figures == {"red before blue": score}


@pytest.mark.parametrize(("score", "verdict"), [(0.09, "ok"), (0.1, "warning"), (0.49, "warning"), (0.5, "refusal")])
def test_infrared_is_judged_by_its_score(score: float, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_pixels, "infrared_score", lambda _facts: score)
    found = infrared(often(ground(1)), CARD)
    assert found.verdict == verdict
    assert found.figures == {"infrared in red": score}


def test_bgr_is_refused_and_so_is_infrared_in_the_place_of_red() -> None:
    picture = ground(1)
    bgr = band_order(often(picture[::-1]), CARD)
    assert bgr.verdict == "refusal"
    assert "BGR" in bgr.cause
    assert "-b 3 -b 2 -b 1" in bgr.remedy
    cir = infrared(often(np.concatenate([ground(9)[:1], picture[:2]])), CARD)
    assert cir.verdict == "refusal"
    assert "CIR" in cir.cause


@pytest.mark.parametrize(("check", "score"), [(band_order, "reversed_score"), (infrared, "infrared_score")])
@pytest.mark.parametrize(("short", "verdict"), [(0, "refusal"), (1, "warning")])
def test_a_small_map_is_warned_of_its_colours_and_not_refused(
    check: Check, score: str, short: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = often(ground(1))
    monkeypatch.setattr(checks_pixels, "SURELY", facts.counted + short)
    monkeypatch.setattr(checks_pixels, score, lambda _facts: -9.0 if check is band_order else 9.0)
    assert check(facts, CARD).verdict == verdict


def test_putting_red_and_blue_right_does_not_lose_the_fourth_band() -> None:
    picture = ground(1)[::-1]
    four = replace(CARD, bands=(*CARD.bands, "nir"), mean=(0.5,) * 4, std=(0.5,) * 4)
    found = band_order(often(np.concatenate([picture, picture[1:2]])), four)
    assert found.verdict == "refusal"
    assert "-b 3 -b 2 -b 1 -b 4" in found.remedy


def test_a_grey_sheet_is_warned_of_and_not_taken_for_swapped() -> None:
    grey = seen(ground(1)[[1, 1, 1]])
    assert band_order(grey, CARD).verdict == "warning"
    assert "grey" in band_order(grey, CARD).cause
    assert infrared(grey, CARD).verdict == "ok"


@pytest.mark.parametrize("check", [band_order, infrared])
def test_what_does_not_begin_with_red_green_blue_is_not_checked_for_colour(check: Check) -> None:
    found = check(seen(ground(1)[::-1]), NO_RGB)
    assert found.verdict == "ok"
    assert found.figures == {"not checked": "nir, red, green"}


# --- borders, clouds, gaps ---


@pytest.mark.parametrize(("check", "name", "warned", "refused"), [(border, "black", 3, 30), (pale, "blank", 30, 150)])
def test_shares_up_to_a_limit_are_on_its_good_side(check: Check, name: str, warned: int, refused: int) -> None:
    def verdict(count: int) -> str:
        return check(cells(cells=1000, **{name: count}), CARD).verdict

    assert [verdict(n) for n in (0, warned, warned + 1, refused, refused + 1, 1000)] == [
        "ok", "ok", "warning", "warning", "refusal", "refusal",
    ]  # fmt: skip


def test_a_black_border_is_told_with_its_share_and_clouds_with_theirs() -> None:
    found = border(cells(cells=200, black=9), CARD)
    assert found.figures == {"black cells": 0.045}
    assert "4.5% of the ground is black" in found.cause
    assert "nearblack" in found.remedy
    found = pale(cells(cells=200, blank=9), CARD)
    assert found.figures == {"blank cells": 0.045}
    assert "4.5% of the ground is blank" in found.cause


def test_a_picture_with_a_black_border_is_refused_and_with_one_marked_as_no_data_is_not() -> None:
    picture = ground(1)
    picture[:, :, :64] = 0
    valid = everywhere(picture)
    assert border(seen(picture), CARD).verdict == "refusal"
    valid[:, :64] = False
    assert border(pixel_facts(picture, valid, 255.0), CARD).verdict == "ok"


def test_snow_is_refused_and_bright_soil_is_not() -> None:
    picture = ground(1)
    picture[:, :200] = 240
    assert pale(seen(picture), CARD).verdict == "refusal"
    picture[2, :200] = 210
    assert pale(seen(picture), CARD).verdict == "ok"


def test_nothing_is_said_of_cells_where_there_are_none() -> None:
    for check in (border, pale):
        assert check(PixelFacts.zero(3), CARD).verdict == "ok"


@pytest.mark.parametrize(("valid", "verdict"), [(1000, "ok"), (500, "ok"), (499, "warning"), (0, "warning")])
def test_a_map_of_which_more_than_half_is_missing_is_warned_of(valid: int, verdict: str) -> None:
    found = missing(cells(pixels=1000, valid=valid), CARD)
    assert found.verdict == verdict
    assert found.figures == {"without data": round(1 - valid / 1000, 4)}


# --- brightness ---


def shifted(bins: int) -> PixelFacts:
    """All pixels in one bin of 64, so many above bin 20."""
    return of_levels(4 * (20 + bins))


@pytest.mark.parametrize(("bins", "verdict"), [(0, "ok"), (2, "ok"), (-2, "ok"), (3, "warning"), (-3, "warning")])
def test_a_flight_is_warned_of_beyond_what_held_out_sheets_reached(bins: int, verdict: str) -> None:
    limits = {f"distance_{band}": 2 / 64 for band in CARD.bands}
    found = brightness(shifted(bins), trained(20, **limits))
    assert found.verdict == verdict
    assert found.figures["red"] == pytest.approx(abs(bins) / 64, abs=1e-4)
    assert found.figures["limit red"] == pytest.approx(2 / 64, abs=1e-4)
    if verdict == "warning":
        assert "1.5 times as far" in found.cause


def test_one_band_beyond_its_limit_is_enough() -> None:
    limits = {"distance_red": 1.0, "distance_green": 1.0, "distance_blue": 1 / 64}
    assert brightness(shifted(2), trained(20, **limits)).verdict == "warning"
    assert brightness(shifted(2), trained(20, **(limits | {"distance_blue": 2 / 64}))).verdict == "ok"


def test_without_limits_nothing_is_judged_and_the_distance_is_told_all_the_same() -> None:
    found = brightness(shifted(30), trained(20))
    assert found.verdict == "ok"
    assert found.figures == pytest.approx(dict.fromkeys(CARD.bands, 30 / 64), abs=1e-4)
    assert brightness(shifted(30), CARD).figures == {}


def test_distances_are_those_that_matching_goes_by() -> None:
    picture = ground(2, 128)
    few: NDArray[np.uint8] = picture[:, ::8, ::8]
    card = trained(20)
    counts = histogram_of(few, everywhere(few), 255.0)
    wanted = {band: wasserstein(row, heap(20)) for band, row in zip(CARD.bands, counts, strict=True)}
    assert distances_of(seen(picture), card) == pytest.approx(wanted)


def test_bands_that_the_card_has_no_statistics_of_are_left_out() -> None:
    card = trained(20)
    one = replace(card, statistics={"green": card.statistics["green"], "red": BandStatistics(mean=0.5, std=0.1)})
    assert list(distances_of(seen(ground(1, 64)), one)) == ["green"]
