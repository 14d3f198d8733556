"""Facts of a whole are the sum of facts of its parts; each figure is what its name says."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit.prediction.scenes import SERVED, binary, everywhere, ground, said, seen, two_sided

from sealmap.core.legend import ROOF_PAVED
from sealmap.prediction.facts import (
    ATOMS,
    LEVELS,
    STEP,
    TINTS,
    OutputFacts,
    PixelFacts,
    Served,
    output_facts,
    pixel_facts,
)


def cuts(draw: st.DrawFn, length: int, every: int, least: int = 1) -> list[int]:
    """Where an axis is cut: at multiples of ``every``, the last part no shorter than ``least``."""
    places = [p for p in range(every, length, every) if length - p >= least]
    chosen = draw(st.sets(st.sampled_from(places))) if places else set()
    return [0, *sorted(chosen), length]


@dataclass(frozen=True)
class Drawn:
    """A picture with gaps, and where it is cut."""

    pixels: NDArray[Any]
    valid: NDArray[np.bool_]
    scale: float
    rows: list[int]
    cols: list[int]

    def parts(self) -> list[PixelFacts]:
        return [
            pixel_facts(self.pixels[:, a:b, c:d], self.valid[a:b, c:d], self.scale)
            for a, b in pairwise(self.rows)
            for c, d in pairwise(self.cols)
        ]


@st.composite
def pictures(draw: st.DrawFn) -> Drawn:
    """Patches of 32 pixels that are black, white or anything; some of them without data, and some single pixels."""
    height, width = draw(st.integers(1, 100)), draw(st.integers(1, 140))
    deep = draw(st.booleans())
    scale = 4095.0 if deep else 255.0
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    shape = -(-height // 32), -(-width // 32)
    kind = np.kron(rng.integers(0, 4, shape), np.ones((32, 32), int))[:height, :width]
    noise = rng.random((3, height, width))
    bright = np.choose(kind, [noise * 8 / 255, 0.8 + noise * 0.2, noise, 0.5 + 0.01 * noise])
    pixels = np.rint(bright * scale).astype(np.uint16 if deep else np.uint8)
    gaps = np.kron(rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 1.0])), np.ones((32, 32), bool))
    valid = ~gaps[:height, :width].astype(bool) & (rng.random((height, width)) > draw(st.sampled_from([0.0, 0.02])))
    return Drawn(pixels, valid, scale, cuts(draw, height, 32), cuts(draw, width, 32))


@given(pictures())
@settings(max_examples=60)
def test_pixel_facts_of_a_whole_are_the_sum_of_its_parts(drawn: Drawn) -> None:
    whole, total = pixel_facts(drawn.pixels, drawn.valid, drawn.scale), PixelFacts.zero(3)
    for part in drawn.parts():
        total.add(part)
    for name in ("levels_CL", "tints"):
        np.testing.assert_array_equal(getattr(total, name), getattr(whole, name))
    for name in ("cells", "black", "blank", "pixels", "valid", "counted"):
        assert getattr(total, name) == getattr(whole, name), name
    np.testing.assert_allclose(total.sums_C, whole.sums_C, rtol=1e-6)
    np.testing.assert_allclose(total.products_CC, whole.products_CC, rtol=1e-5)
    # Neighbours on both sides of a cut between columns are no pair any more; nothing else is lost.
    lines = drawn.valid[:: 2 * STEP]
    lost = sum(int((lines[:, c - 1] & lines[:, c]).sum()) for c in drawn.cols[1:-1])
    assert total.steps_count == whole.steps_count - lost
    if not lost:
        np.testing.assert_allclose(total.steps_C, whole.steps_C, rtol=1e-6)
    assert (total.steps_C <= whole.steps_C * (1 + 1e-6)).all()


@st.composite
def answers(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.bool_], list[int], list[int]]:
    height, width = draw(st.integers(16, 80)), draw(st.integers(16, 80))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    probs = binary(1 / (1 + np.exp(-rng.normal(0, draw(st.sampled_from([0.5, 3.0, 20.0])), (height, width)))))
    if draw(st.booleans()):
        probs[:, rng.random((height, width)) < 0.1] = draw(st.sampled_from([np.nan, 7.0, -0.2]))
    valid = np.ones((height, width), np.bool_)
    return probs, valid, cuts(draw, height, 16, 16), cuts(draw, width, 16, 16)


@given(answers())
@settings(max_examples=60)
def test_output_facts_of_a_whole_are_the_sum_of_its_parts(
    drawn: tuple[NDArray[np.float32], NDArray[np.bool_], list[int], list[int]],
) -> None:
    probs, valid, rows, cols = drawn
    whole, total = output_facts(probs, valid, SERVED), OutputFacts()
    for a, b in pairwise(rows):
        for c, d in pairwise(cols):
            total.add(output_facts(probs[:, a:b, c:d], valid[a:b, c:d], SERVED))
    np.testing.assert_array_equal(total.atoms, whole.atoms)
    for name in ("spread", "pixels", "broken", "certain", "sealed"):
        assert getattr(total, name) == getattr(whole, name), name
    if not whole.broken:
        assert total.ground_m2 == pytest.approx(whole.ground_m2)
    for name in ("logits", "squares", "entropy", "steps", "checks"):
        assert getattr(total, name) == pytest.approx(getattr(whole, name), rel=1e-5, abs=1e-6, nan_ok=True), name


def test_what_is_added_leaves_the_other_as_it_was() -> None:
    one, other = seen(ground(1, 64)), seen(ground(2, 64))
    before = other.levels_CL.copy()
    one.add(other)
    one.add(other)
    np.testing.assert_array_equal(other.levels_CL, before)
    assert one.pixels == 3 * 64 * 64
    assert one.counted == 3 * 64


# --- pixels ---


def test_levels_are_those_of_every_eighth_pixel() -> None:
    picture = np.zeros((3, 64, 64), np.uint8)
    picture[:, ::STEP, ::STEP] = np.arange(192, dtype=np.uint8).reshape(3, 8, 8)
    found = seen(picture)
    for band in range(3):
        np.testing.assert_array_equal(np.flatnonzero(found.levels_CL[band]), np.arange(64) + 64 * band)
    assert found.counted == 64
    np.testing.assert_allclose(found.mean_C, (31.5 + 64 * np.arange(3)) / 255)


def test_the_deepest_value_of_any_pixel_type_is_the_last_level() -> None:
    for scale, kind in ((255, np.uint8), (4095, np.uint16), (65535, np.uint16)):
        for value, level in ((0, 0), (scale, LEVELS - 1), (scale // 2, 127)):
            found = seen(np.full((3, 8, 8), value, kind), float(scale))
            assert np.flatnonzero(found.levels_CL[0]).tolist() == [level]
    above = seen(np.full((3, 8, 8), 5000, np.uint16), 4095.0)
    assert np.flatnonzero(above.levels_CL[0]).tolist() == [LEVELS - 1]


def test_correlations_are_those_of_numpy() -> None:
    picture = ground(3, 128)
    few = picture[:, ::STEP, ::STEP].reshape(3, -1).astype(np.float64)
    np.testing.assert_allclose(seen(picture).correlation_CC, np.corrcoef(few), atol=1e-4)
    np.testing.assert_allclose(np.diag(seen(picture).covariance_CC), few.var(axis=1) / 255**2, rtol=1e-3)


@pytest.mark.parametrize("value", [0, 3, 37, 100, 201, 255])
def test_a_band_that_does_not_vary_goes_together_with_none(value: int) -> None:
    picture = ground(3, 128)
    picture[2] = value
    found = seen(picture).correlation_CC
    assert found[0, 1] > 0.5
    np.testing.assert_array_equal(found[2, :2], 0)
    np.testing.assert_array_equal(seen(np.full((3, 128, 128), value, np.uint8)).correlation_CC, 0)


def test_noise_is_rough_and_ground_is_not() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (3, 256, 256), np.uint8)
    assert seen(noise).roughness_C == pytest.approx(2 / np.sqrt(3), rel=0.1)  # of a uniform spread: 1/3 over 1/√12
    assert seen(ground(1, 256)).roughness_C.max() < 0.2
    assert seen(np.full((3, 64, 64), 90, np.uint8)).roughness_C.tolist() == [0, 0, 0]


def test_steps_into_gaps_do_not_count() -> None:
    picture = np.full((3, 32, 32), 50, np.uint8)
    picture[:, :, 10:20] = 250
    valid = everywhere(picture)
    valid[:, 10:20] = False
    found = pixel_facts(picture, valid, 255.0)
    assert found.steps_C.tolist() == [0, 0, 0]
    assert found.steps_count == 2 * (9 + 11)


def test_steps_count_too_where_none_of_the_pixels_taken_has_data() -> None:
    picture = ground(1, 64)[:, :8]
    valid = everywhere(picture)
    valid[0, 32::8] = False
    whole, total = pixel_facts(picture, valid, 255.0), PixelFacts.zero(3)
    for part in (slice(0, 32), slice(32, 64)):
        total.add(pixel_facts(picture[:, :, part], valid[:, part], 255.0))
    assert total.steps_count == whole.steps_count  # the cut lies at a gap: no pair is lost


def test_pixels_without_data_leave_no_trace() -> None:
    picture, bare = ground(1, 96), ground(1, 96)
    valid = everywhere(picture)
    valid[:32] = False
    bare[:, :32] = 255
    one, other = pixel_facts(picture, valid, 255.0), pixel_facts(bare, valid, 255.0)
    for name in PixelFacts.__slots__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.valid, one.pixels, one.cells) == (64 * 96, 96 * 96, 6)


def test_nothing_is_known_of_a_window_without_data_but_its_size() -> None:
    picture = ground(1, 64)
    found = pixel_facts(picture, ~everywhere(picture), 255.0)
    assert (found.pixels, found.valid, found.counted, found.cells, found.steps_count) == (4096, 0, 0, 0, 0)
    assert found.mean_C.tolist() == [0, 0, 0]


@pytest.mark.parametrize(("value", "black"), [(0, 1), (8, 1), (9, 0)])
def test_a_cell_is_black_up_to_eight(value: int, black: int) -> None:
    picture = np.zeros((3, 32, 32), np.uint8)
    picture[1, 8, 16] = value
    found = seen(picture)
    assert (found.cells, found.black, found.blank) == (1, black, 0)


@pytest.mark.parametrize(
    ("value", "tint", "blank"),
    [(204, 0, 1), (203, 0, 0), (220, 15, 1), (220, 16, 0), (255, 0, 1)],
)
def test_a_cell_is_blank_where_it_is_bright_and_without_colour(value: int, tint: int, blank: int) -> None:
    picture = np.full((3, 32, 32), value, np.uint8)
    picture[0] += np.uint8(tint)
    found = seen(picture)
    assert (found.cells, found.black, found.blank) == (1, 0, blank)


def test_a_cell_with_a_gap_is_none() -> None:
    picture = np.zeros((3, 64, 32), np.uint8)
    valid = everywhere(picture)
    valid[40, 8] = False
    found = pixel_facts(picture, valid, 255.0)
    assert (found.cells, found.black) == (1, 1)


def test_twelve_bits_are_black_and_blank_as_eight_are() -> None:
    assert seen(np.full((3, 32, 32), 128, np.uint16), 4095.0).black == 1
    assert seen(np.full((3, 32, 32), 129, np.uint16), 4095.0).black == 0
    assert seen(np.full((3, 32, 32), 3276, np.uint16), 4095.0).blank == 1


def test_tints_are_counted_by_light_and_relation_to_green() -> None:
    def places(red: int, green: int, blue: int) -> tuple[int, int, int]:
        found = seen(np.stack([np.full((8, 8), v, np.uint8) for v in (red, green, blue)])).tints
        assert found.sum() == 1
        light, first, third = (int(axis[0]) for axis in np.nonzero(found))
        return light, first, third

    middle = (TINTS - 1) // 2
    assert places(100, 100, 100)[1:] == (middle, middle)
    assert places(211, 100, 100)[1:] == (middle + 8, middle)  # ln 2.1 is half the range of 1.5
    assert places(100, 100, 47)[1:] == (middle, middle - 8)
    assert places(255, 1, 255)[1:] == (TINTS - 1, TINTS - 1)
    assert places(0, 255, 0)[1:] == (0, 0)
    assert places(0, 0, 0)[0] == 0
    assert places(255, 255, 255)[0] == 15
    assert places(200, 200, 200)[0] > places(60, 60, 60)[0]


def test_a_fourth_band_is_counted_and_has_no_say_in_colour() -> None:
    picture = np.concatenate([ground(1, 64), np.full((1, 64, 64), 255, np.uint8)])
    found, three = seen(picture), seen(picture[:3])
    np.testing.assert_array_equal(found.tints, three.tints)
    assert (found.black, found.blank) == (three.black, three.blank)
    assert found.levels_CL[3, -1] == found.counted


@pytest.mark.parametrize("bands", [1, 2])
def test_a_model_of_fewer_than_three_bands_has_facts_too(bands: int) -> None:
    found = seen(ground(1, 64)[:bands])
    assert found.levels_CL.shape == (bands, LEVELS)
    assert found.counted == 64
    assert found.cells == 4


# --- probabilities ---


def test_counts_of_probabilities_are_those_of_every_eighth_pixel() -> None:
    probs = np.full((64, 64), 0.9, np.float32)
    probs[::STEP, ::STEP] = 0.3
    probs[0, 0] = 0.5
    found = output_facts(binary(probs), np.ones((64, 64), np.bool_), SERVED)
    assert (found.pixels, found.sealed) == (64, 1)
    assert found.sealed_share == 1 / 64
    assert found.ground_m2 == pytest.approx(64 * 64 * 0.04)
    assert np.flatnonzero(found.atoms).tolist() == [int(0.3 * ATOMS), ATOMS // 2]
    assert found.mean_entropy == pytest.approx((63 * 0.8813 + 1) / 64, abs=1e-4)


def test_no_fact_is_taken_of_pixels_without_data() -> None:
    probs = binary(np.full((32, 32), 0.4, np.float32))
    probs[:, :16] = np.nan
    valid = np.ones((32, 32), np.bool_)
    valid[:16] = False
    found = output_facts(probs, valid, SERVED)
    assert (found.pixels, found.broken, found.sealed) == (8, 0, 0)
    assert output_facts(probs, np.zeros((32, 32), np.bool_), SERVED).pixels == 0


@pytest.mark.parametrize(("value", "broken"), [(np.nan, 1), (np.inf, 1), (1.001, 1), (-0.001, 1), (1.00005, 0), (0, 0)])
def test_what_is_no_probability_is_broken(value: float, broken: int) -> None:
    probs = binary(np.full((32, 32), 0.4, np.float32))
    probs[1, 8, 8] = value
    assert output_facts(probs, np.ones((32, 32), np.bool_), SERVED).broken == broken


def test_facts_stay_numbers_where_some_probabilities_are_none() -> None:
    probs = binary(np.full((32, 32), 0.4, np.float32))
    probs[:, 8, 8] = np.nan
    found = output_facts(probs, np.ones((32, 32), np.bool_), SERVED)
    assert found.broken == 1
    for name in ("spread", "logits", "squares", "entropy", "steps", "checks"):
        assert np.isfinite(getattr(found, name)), name


def test_broken_throughout_is_counted_and_no_error() -> None:
    found = output_facts(np.full((2, 32, 32), np.nan, np.float32), np.ones((32, 32), np.bool_), SERVED)
    assert (found.pixels, found.broken) == (16, 16)
    assert found.atoms.sum() == 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.3, 4.0])
def test_the_temperature_is_undone(temperature: float) -> None:
    logits = np.array([-3.0, -1.0, 0.25, 2.0])
    probs = binary(np.kron(1 / (1 + np.exp(-logits / temperature)), np.ones((8, 8))))
    served = Served(sealed=(1,), threshold=0.5, temperature=temperature, gsd_m=0.2)
    found = output_facts(probs, np.ones(probs.shape[1:], np.bool_), served)
    wanted = (ATOMS / (1 + np.exp(-logits))).astype(int)
    np.testing.assert_allclose(np.flatnonzero(found.atoms), wanted, atol=1)
    assert found.spread == pytest.approx(3.0, rel=1e-4)
    assert found.logit_deviation == pytest.approx(logits.std(), rel=1e-4)


def test_several_sealed_classes_count_as_one() -> None:
    probs = np.stack([np.full((8, 8), v, np.float32) for v in (0.45, 0.25, 0.3)])
    served = Served(sealed=ROOF_PAVED.sealed_ids, threshold=0.5, temperature=1.0, gsd_m=0.2)
    found = output_facts(probs, np.ones((8, 8), np.bool_), served)
    assert found.sealed == 1
    assert np.flatnonzero(found.atoms).tolist() == [int(0.55 * ATOMS)]
    assert found.spread == pytest.approx(np.log(0.45 / 0.25), rel=1e-5)


def test_certain_is_surer_than_one_in_a_million() -> None:
    found = said(two_sided(np.array([-30.0, -14.0, -13.0, 0.0, 13.0, 14.0, 30.0])))
    assert output_facts(found, everywhere(found), SERVED).certain == 4


def test_a_checkerboard_is_all_of_its_steps_and_stripes_are_none() -> None:
    rows, cols = np.indices((64, 64))
    valid = np.ones((64, 64), np.bool_)
    board = output_facts(binary(0.4 + 0.2 * ((rows + cols) % 2)), valid, SERVED)
    assert board.checks == pytest.approx(board.steps, rel=1e-5)
    assert board.steps == pytest.approx(64 * 2 * 0.2, rel=1e-5)
    stripes = output_facts(binary(0.4 + 0.2 * (cols % 2)), valid, SERVED)
    assert stripes.checks == pytest.approx(0, abs=1e-5)
    assert stripes.steps == pytest.approx(64 * 2 * 0.2, rel=1e-5)
    valid[9, 9] = False
    assert output_facts(binary(0.4 + 0.2 * ((rows + cols) % 2)), valid, SERVED).steps == 0


def test_shares_of_nothing_are_zero() -> None:
    nothing = OutputFacts()
    shares = nothing.sealed_share, nothing.mean_entropy, nothing.logit_deviation, nothing.disagreement
    assert shares == (0, 0, 0, 0)
