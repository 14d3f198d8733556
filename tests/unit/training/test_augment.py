"""Augmentation: the same seed gives the same picture; labels stay labels."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sealmap.core.legend import IGNORE
from sealmap.training import augment as augment_module
from sealmap.training.augment import Augment

VALUES = np.array([0, 1, 2, IGNORE], np.uint8)


def some(bands: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (8, 8, bands), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    return coarse, rng.choice(VALUES, (8, 8)).repeat(8, axis=0).repeat(8, axis=1)


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize(("strength", "domain"), [(0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 0.5)])
def test_the_same_seed_gives_the_same_sample(bands: int, strength: float, domain: float) -> None:
    image, label = some(bands)
    before = image.copy(), label.copy()
    results = set()
    for seed in range(12):
        used = Augment(strength, domain)
        for other in range(seed % 3):  # what came before must not matter
            used(image, label, 1000 + other)
        a, b = used(image, label, seed), Augment(strength, domain)(image, label, seed)
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])
        results.add(a[0].tobytes())
    assert len(results) >= 8  # eight symmetries at least
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(label, before[1])


@pytest.mark.parametrize("bands", [3, 4, 5])
@pytest.mark.parametrize("domain", [0.0, 1.0])
def test_labels_stay_labels_and_shapes_stay_shapes(bands: int, domain: float) -> None:
    image, label = some(bands)
    augment = Augment(1.0, domain)
    for seed in range(60):
        x, y = augment(image, label, seed)
        assert x.shape == image.shape
        assert x.dtype == np.uint8
        assert y.shape == label.shape
        assert y.dtype == np.uint8
        assert set(np.unique(y)) <= set(VALUES.tolist())


def test_image_and_label_move_together() -> None:
    _, label = some(3)
    label = np.where(label == IGNORE, 0, label).astype(np.uint8)
    image = (100 + 50 * label)[:, :, None].repeat(3, axis=2).astype(np.uint8)
    augment = Augment(0.0)
    moved = 0
    for seed in range(40):
        x, y = augment(image, label, seed)
        known = y != IGNORE
        wrong = np.abs(x[:, :, 0].astype(int) - (100 + 50 * y))[known] > 25
        assert wrong.mean() < 0.08  # interpolation at edges
        moved += not np.array_equal(y, label)
    assert moved > 25


def test_what_a_rotation_brings_in_is_ignored() -> None:
    image, label = np.full((64, 64, 3), 200, np.uint8), np.ones((64, 64), np.uint8)
    augment = Augment(0.0)
    seen = 0
    for seed in range(60):
        x, y = augment(image, label, seed)
        brought = (x == 0).all(axis=2)
        assert (y[brought] == IGNORE).all()
        seen += brought.any()
    assert seen


def test_domain_is_the_share_of_samples_of_another_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    image, label = some(3)
    seen = list[int]()
    monkeypatch.setattr(augment_module, "another_flight", lambda image, _: seen.append(1) or image)  # type: ignore[func-returns-value]
    share = Augment(0.0, 0.3)
    for seed in range(200):
        share(image, label, seed)
    assert len(seen) / 200 == pytest.approx(0.3, abs=0.08)
    # what is not drawn stays as it was without
    seen.clear()
    plain, mixed = Augment(1.0), Augment(1.0, 0.3)
    for seed in range(30):
        before = len(seen)
        a, b = plain(image, label, seed), mixed(image, label, seed)
        np.testing.assert_array_equal(a[1], b[1])
        if len(seen) == before:
            np.testing.assert_array_equal(a[0], b[0])
