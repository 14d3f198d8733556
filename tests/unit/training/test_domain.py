"""Another flight: each step does what it is named for, and no more."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sealmap.training import domain
from sealmap.training.domain import another_flight

SEEDS = range(25)


def scene(bands: int = 3, side: int = 64) -> NDArray[np.float32]:
    """Grass, a grey road, a red roof and its shadow, with some grain."""
    v = np.zeros((side, side, bands), np.float32) + np.array([0.30, 0.42, 0.22, 0.7, 0.5][:bands], np.float32)
    v[10:20] = 0.55
    v[30:50, 30:50, :3] = 0.6, 0.3, 0.25
    v[50:58, 30:50] *= 0.3
    return np.clip(v + np.random.default_rng(0).normal(0, 0.02, v.shape), 0, 1).astype(np.float32)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("bands", [3, 4, 5])
def test_it_is_another_picture_of_the_same_ground(bands: int) -> None:
    pixels = np.round(scene(bands) * 255).astype(np.uint8)
    before, grey = pixels.copy(), list[float]()
    for seed in SEEDS:
        a, b = another_flight(pixels, rng(seed)), another_flight(pixels, rng(seed))
        np.testing.assert_array_equal(a, b)
        assert a.shape == pixels.shape
        assert a.dtype == np.uint8
        # what is where has not moved
        grey.append(float(np.corrcoef(a[:, :, :3].mean(axis=2).ravel(), pixels[:, :, :3].mean(axis=2).ravel())[0, 1]))
    np.testing.assert_array_equal(pixels, before)
    assert min(grey) > 0.6
    assert np.median(grey) > 0.85


@pytest.mark.parametrize(("step", "chance"), domain._STEPS, ids=lambda v: getattr(v, "__name__", ""))
@pytest.mark.parametrize("bands", [3, 5])
def test_every_step_changes_the_picture_and_keeps_its_shape(step: domain.Step, chance: float, bands: int) -> None:
    assert 0 < chance < 1
    before, v = scene(bands), scene(bands)
    results = [step(v, rng(seed)) for seed in range(5)]
    np.testing.assert_array_equal(v, before)
    assert all(r.shape == v.shape and r.dtype == np.float32 for r in results)
    assert all(np.abs(r - v).max() > 1e-3 for r in results)
    assert len({r.tobytes() for r in results}) == 5


def test_curves_keep_the_order_of_grey_levels() -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None, :, None].repeat(3, axis=2)
    for seed in range(100):
        assert (np.diff(domain._curves(ramp, rng(seed)), axis=1) >= -1e-6).all()


def test_a_grey_road_stays_nearly_grey() -> None:
    """No flight is published with green asphalt."""
    road = np.full((32, 32, 3), 0.5, np.float32)
    for seed in range(200):
        v = road
        for step in (domain._light, domain._haze, domain._saturation, domain._curves, domain._white_balance):
            v = np.clip(step(v, rng(seed)), 0, 1)
        red, green, blue = v.mean(axis=(0, 1))
        assert abs(green - (red + blue) / 2) < 0.09
        assert abs(red - blue) < 0.35


def test_only_shadows_are_lit_or_deepened() -> None:
    v = scene()
    changes = [domain._light(v, rng(seed)) - v for seed in SEEDS]
    roof, shadow = (slice(33, 47), slice(33, 47)), (slice(52, 56), slice(33, 47))
    assert all(np.abs(c[roof][:, :, 1]).max() < 0.02 + 0.5 * np.abs(c[shadow]).max() for c in changes)
    signs = {np.sign(c[shadow].mean()) for c in changes}
    assert signs == {-1, 1}


def test_coarser_pixels_lose_detail_but_no_light() -> None:
    v = scene()
    for seed in SEEDS:
        found = domain._coarser(v, rng(seed))
        assert found.mean() == pytest.approx(v.mean(), abs=0.01)
        assert np.abs(np.diff(found[20:28, :28], axis=1)).mean() < np.abs(np.diff(v[20:28, :28], axis=1)).mean()


def test_saturation_leaves_grey_and_further_bands_alone() -> None:
    v = scene(4)
    for seed in SEEDS:
        found = domain._saturation(v, rng(seed))
        np.testing.assert_array_equal(found[:, :, 3], v[:, :, 3])
        np.testing.assert_allclose(domain._grey(found), domain._grey(v), atol=1e-5)


def test_compression_keeps_colours_in_their_order() -> None:
    pixels = np.round(scene(4) * 255).astype(np.uint8)
    for seed in SEEDS:
        found = domain._compressed(pixels, rng(seed))
        np.testing.assert_array_equal(found[:, :, 3], pixels[:, :, 3])
        for band in range(3):
            assert abs(found[33:47, 33:47, band].mean() - pixels[33:47, 33:47, band].mean()) < 12
