"""Look-up tables from one flight's brightness to another's: what they may do to an image, and what not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from tests.unit.prediction.fakes import CARD, RGB, ArrayOrtho, grid_of_size

from sealmap.core.errors import SettingsError
from sealmap.core.grid import Window
from sealmap.core.patch import Patch
from sealmap.model.card import BandStatistics, ModelCard
from sealmap.prediction.radiometry import (
    BINS,
    MatchedOrthophoto,
    Matching,
    distances,
    histogram_of,
    match_to,
    matched,
    wasserstein,
)

counts = arrays(np.int64, BINS, elements=st.integers(0, 10_000)).filter(lambda c: c.sum() > 0)


def trained_on(histogram: NDArray[np.int64], bands: tuple[str, ...] = RGB) -> ModelCard:
    share = histogram / histogram.sum()
    middle = (np.arange(BINS) + 0.5) / BINS
    mean = float(share @ middle)
    std = float(np.sqrt(share @ (middle - mean) ** 2))
    known = BandStatistics(mean=mean, std=std, histogram=tuple(share))
    return replace(CARD, statistics=dict.fromkeys(bands, known))


def scene(seed: int = 1, size: int = 128) -> NDArray[np.uint8]:
    """Pixels with a dark and a bright heap, as towns have."""
    rng = np.random.default_rng(seed)
    dark, bright = rng.normal(70, 18, (3, size, size)), rng.normal(150, 25, (3, size, size))
    return np.clip(np.where(rng.random((size, size)) < 0.4, dark, bright), 0, 255).astype(np.uint8)


def histogram(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    return histogram_of(pixels, np.ones(pixels.shape[1:], np.bool_), 255.0)


@given(flight=counts, training=counts, slope=st.floats(1, 4), how=st.sampled_from(["histogram", "moments"]))
def test_tables_never_fall_and_keep_within_the_slope(
    flight: NDArray[np.int64], training: NDArray[np.int64], slope: float, how: str
) -> None:
    table = match_to(trained_on(training), np.stack([flight] * 3), 255.0, how=how, max_slope=slope).tables_BV[0]  # type: ignore[arg-type]
    steps = np.diff(table.astype(int))
    assert (steps >= 0).all()
    # Over 32 values, rounding adds at most one; the ends of the scale may cut a curve flat, never make it steeper.
    long = table[32:].astype(int) - table[:-32]
    assert (long <= 32 * slope + 1).all()
    cut = 4 * slope  # the bin of 4 values in which a curve meets an end of the scale is partly flat
    inside = (table[:-32] > cut) & (table[32:] < 255 - cut)
    assert (long[inside] >= 32 / slope - 1).all()


@given(flight=counts, how=st.sampled_from(["histogram"]))
def test_a_flight_like_the_training_data_is_left_alone(flight: NDArray[np.int64], how: str) -> None:
    table = match_to(trained_on(flight), np.stack([flight] * 3), 255.0).tables_BV[0]
    np.testing.assert_array_equal(table, np.arange(256))


def test_moments_leave_a_like_flight_alone_too() -> None:
    found = histogram(scene())
    table = match_to(trained_on(found[0]), found[[0, 0, 0]], 255.0, how="moments").tables_BV[0]
    np.testing.assert_array_equal(table, np.arange(256))


@pytest.mark.parametrize("how", ["histogram", "moments"])
@pytest.mark.parametrize(("gain", "lift", "gamma"), [(0.7, 0, 1), (0.8, 40, 1), (1, 0, 1.5), (1, 0, 0.7)])
def test_another_camera_is_undone(how: str, gain: float, lift: float, gamma: float) -> None:
    pixels = scene()
    other = np.clip(255 * (pixels / 255) ** gamma * gain + lift, 0, 255).astype(np.uint8)
    training = histogram(pixels)
    card = replace(CARD, statistics={b: trained_on(h).statistics["red"] for b, h in zip(RGB, training, strict=True)})
    matching = match_to(card, histogram(other), 255.0, how=how)  # type: ignore[arg-type]
    patch = as_patch(other)
    back = matched(patch, matching, RGB).pixels_CHW
    before, after = (np.abs(p.astype(int) - pixels).mean() for p in (other, back))
    assert after < (0.25 if how == "histogram" else 0.5) * before
    near, far = distances(card, histogram(back.astype(np.uint8))), distances(card, histogram(other))
    assert all((near[b] or 0) < 0.3 * (far[b] or 0) for b in RGB)


def as_patch(pixels: NDArray[np.uint8], valid: NDArray[np.bool_] | None = None) -> Patch:
    height, width = pixels.shape[1:]
    known = np.ones((height, width), np.bool_) if valid is None else valid
    window = Window(row=0, col=0, height=height, width=width)
    return Patch(pixels_CHW=pixels, valid_HW=known, window=window, grid=grid_of_size(height, width))


def test_a_black_flight_cannot_tear_the_contrast_apart() -> None:
    """All pixels in one bin: histogram matching without bounds would map its noise to the whole scale."""
    flat = np.zeros((3, BINS), np.int64)
    flat[:, 10] = 1000
    table = match_to(trained_on(histogram(scene())[0]), flat, 255.0).tables_BV[0].astype(int)
    assert table[48] - table[36] <= 24 + 1


def test_bands_without_statistics_are_left_alone_and_named() -> None:
    card = trained_on(histogram(scene())[0], bands=("red",))
    blank = BandStatistics(mean=0.5, std=0.2)
    card = replace(card, statistics={**card.statistics, "green": blank})
    dark = histogram((scene() * 0.6).astype(np.uint8))
    found = match_to(card, dark, 255.0)
    assert found.unmatched == ("green", "blue")
    assert (found.tables_BV[0] != np.arange(256)).any()
    np.testing.assert_array_equal(found.tables_BV[1:], [np.arange(256)] * 2)
    assert match_to(card, dark, 255.0, how="moments").unmatched == ("blue",)  # these two need no histogram
    assert distances(card, dark) == {"red": pytest.approx(0.18, abs=0.05), "green": None, "blue": None}


def test_only_valid_pixels_change_and_bands_are_found_by_name() -> None:
    tables = np.stack([np.full(256, v, np.uint8) for v in (10, 20, 30)])
    matching = Matching(bands=RGB, tables_BV=tables)
    pixels = np.zeros((2, 4, 4), np.uint8)
    valid = np.ones((4, 4), np.bool_)
    valid[0] = False
    found = matched(as_patch(pixels, valid), matching, ("blue", "red"))
    assert found.pixels_CHW.dtype == np.uint8
    np.testing.assert_array_equal(found.pixels_CHW[:, 0], 0)
    assert (found.pixels_CHW[0, 1:] == 30).all()
    assert (found.pixels_CHW[1, 1:] == 10).all()


def test_a_matched_mosaic_reads_like_a_mosaic() -> None:
    pixels = scene(size=64)
    ortho = ArrayOrtho(pixels=pixels, grid=grid_of_size(64, 64))
    tables = np.stack([255 - np.arange(256)] * 3).astype(np.uint8)
    seen = MatchedOrthophoto(ortho, Matching(bands=RGB, tables_BV=tables))
    patch = seen.read(Window(row=-8, col=0, height=32, width=32))
    np.testing.assert_array_equal(patch.pixels_CHW[:, 8:], 255 - pixels[:, :24, :32])
    assert (patch.pixels_CHW[:, :8] == 0).all()  # beyond the grid: not valid, not changed
    assert (seen.grid, seen.bands, seen.pixel_scale()) == (ortho.grid, RGB, 255.0)


def test_deeper_pixels_have_deeper_tables() -> None:
    pixels = scene().astype(np.uint16) * 16 + 7
    deep = histogram_of(pixels, np.ones(pixels.shape[1:], np.bool_), 4095.0)
    np.testing.assert_array_equal(deep, histogram(scene()))
    found = match_to(trained_on(deep[0]), deep[[0, 0, 0]], 4095.0).tables_BV
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[0], np.arange(4096))
    above = as_patch(np.full((3, 4, 4), 5000, np.uint16))
    assert (matched(above, Matching(bands=RGB, tables_BV=found), RGB).pixels_CHW == 4095).all()


@given(a=counts, b=counts)
def test_distance_is_symmetric_and_zero_only_for_like_histograms(a: NDArray[np.int64], b: NDArray[np.int64]) -> None:
    there, back = wasserstein(a, tuple(b)), wasserstein(b, tuple(a))
    assert there is not None
    assert there == pytest.approx(back)
    assert 0 <= there < 1
    assert wasserstein(a, tuple(a)) == 0
    assert wasserstein(3 * a, tuple(a / a.sum())) == pytest.approx(0, abs=1e-12)


def test_distance_is_the_shift_of_brightness() -> None:
    pixels = np.full((3, 8, 8), 60, np.uint8)
    assert wasserstein(histogram(pixels)[0], tuple(histogram(pixels + 40)[0])) == pytest.approx(40 / 256)
    assert wasserstein(histogram(pixels)[0], ()) is None
    assert wasserstein(np.zeros(BINS), tuple(histogram(pixels)[0])) is None


def test_bins_are_those_of_the_training_data() -> None:
    """Cards count value v of 8 bits in bin v // 4."""
    ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    np.testing.assert_array_equal(histogram_of(ramp, np.ones((16, 16), np.bool_), 255.0), [[4] * BINS])
    for v in range(256):
        one = histogram_of(np.full((1, 1, 1), v, np.uint8), np.ones((1, 1), np.bool_), 255.0)
        assert one[0].argmax() == v // 4


@pytest.mark.parametrize(("how", "slope"), [("histogram", 0.5), ("wavelets", 2.0)])
def test_impossible_wishes_are_refused(how: str, slope: float) -> None:
    with pytest.raises(SettingsError):
        match_to(trained_on(histogram(scene())[0]), histogram(scene()), 255.0, how=how, max_slope=slope)  # type: ignore[arg-type]
