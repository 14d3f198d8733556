"""A sample is a function of (seed, number)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.training.arraychips import ArrayChips

from sealmap.core.errors import TrainingError
from sealmap.core.legend import IGNORE
from sealmap.training.batches import SampleStream, Source, balanced, batches, crop
from sealmap.training.recipes import tiny
from sealmap.training.resample import eight_bit

RECIPE = replace(tiny(), patch=32, batch=3, steps=4)


def stream(first: int = 0, seed: int = 1, **more: int) -> SampleStream:
    sources = [Source(chips=ArrayChips()), Source(chips=ArrayChips(seed=5, side=70), weight=0.5)]
    return SampleStream(sources, replace(RECIPE, seed=seed, **more), 0.2, first)  # type: ignore[arg-type]


def test_a_sample_is_a_function_of_seed_and_number() -> None:
    a, b = stream(), stream()
    forward = [a[i] for i in range(12)]
    for i in reversed(range(12)):
        for one, other in zip(forward[i], b[i], strict=True):
            assert torch.equal(one, other)
    late = stream(first=5)
    assert len(late) == 7
    assert torch.equal(late[0][0], forward[5][0])
    assert not torch.equal(stream(seed=2)[0][0], forward[0][0])
    assert len({x.numpy().tobytes() for x, _ in forward}) == 12


def test_samples_are_floats_of_0_to_1_and_whole_labels() -> None:
    for i in range(12):
        x, y = stream()[i]
        assert x.dtype == torch.float32
        assert x.shape == (3, 32, 32)
        assert 0 <= x.min() <= x.max() <= 1
        assert y.dtype == torch.int64
        assert set(np.unique(y.numpy()).tolist()) <= {0, 1, IGNORE}


def test_batches_go_on_where_a_run_stopped() -> None:
    sources = [Source(chips=ArrayChips())]
    whole = list(batches(sources, RECIPE, 0.2, 0))
    rest = list(batches(sources, RECIPE, 0.2, 3))
    assert (len(whole), len(rest)) == (4, 1)
    assert torch.equal(whole[3][0], rest[0][0])
    assert torch.equal(whole[3][1], rest[0][1])
    assert whole[0][0].shape == (3, 3, 32, 32)


def test_sources_are_drawn_by_their_weight() -> None:
    a, b = ArrayChips(only=0), ArrayChips(only=1)
    recipe = replace(RECIPE, augment=0.0, zoom=1.0, steps=100)
    drawn = SampleStream([Source(chips=a, weight=3.0), Source(chips=b)], recipe, 0.2)
    share = np.mean([int(drawn[i][1].max() == 1) for i in range(200)])
    assert 0.15 < share < 0.35


@given(st.integers(5, 90), st.integers(5, 90), st.sampled_from([32, 64]), st.floats(0.3, 3.0), st.integers(0, 99))
@settings(max_examples=60)
def test_a_crop_has_the_size_of_the_patch_and_no_new_labels(
    height: int, width: int, patch: int, step: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    bands = 4 + seed % 2  # OpenCV resamples four at most
    image = rng.integers(0, 256, (height, width, bands), np.uint8)
    label = rng.choice(np.array([0, 2, IGNORE], np.uint8), (height, width))
    out_image, out_label = crop(image, label, patch, step, rng)
    assert out_image.shape == (patch, patch, bands)
    assert out_label.shape == (patch, patch)
    assert set(np.unique(out_label)) <= {0, 2, IGNORE}


def test_a_chip_smaller_than_the_patch_is_mirrored_and_ignored_beyond() -> None:
    rng = np.random.default_rng(0)
    image, label = rng.integers(1, 256, (20, 40, 3), np.uint8), np.ones((20, 40), np.uint8)
    out_image, out_label = crop(image, label, 32, 1.0, rng)
    assert (out_label[20:] == IGNORE).all()
    assert (out_label[:20] == 1).all()
    np.testing.assert_array_equal(out_image[20:], out_image[8:20][::-1])


def test_a_crop_at_the_chips_own_pixel_size_is_untouched() -> None:
    rng = np.random.default_rng(0)
    image, label = rng.integers(1, 256, (50, 50, 3), np.uint8), rng.integers(0, 2, (50, 50), np.uint8)
    out_image, out_label = crop(image, label, 32, 1.0, rng)
    places = [
        (r, c)
        for r in range(19)
        for c in range(19)
        if np.array_equal(image[r : r + 32, c : c + 32], out_image)
        and np.array_equal(label[r : r + 32, c : c + 32], out_label)
    ]
    assert len(places) == 1


@pytest.mark.parametrize("scale", [255.0, 1023.0, 4095.0, 65_535.0])
def test_deep_pixels_become_eight_bits(scale: float) -> None:
    pixels = np.array([[[0, scale / 2, scale]]] * 3).astype(np.uint16)
    assert eight_bit(pixels, scale)[0, :, 0].tolist() == [0, 127, 255]
    assert eight_bit(pixels * np.uint16(0) + np.uint16(scale), scale / 3).max() == 255


def test_chips_are_drawn_by_their_odds() -> None:
    source = Source(chips=ArrayChips(), odds=(0.0,) * (len(ArrayChips()) - 2) + (1.0, 3.0))
    rng = np.random.default_rng(0)
    drawn = np.bincount([source.draw(rng) for _ in range(4000)], minlength=len(ArrayChips()))
    assert drawn[:-2].sum() == 0
    assert drawn[-1] / 4000 == pytest.approx(0.75, abs=0.03)
    with pytest.raises(ValueError, match="1 odds for"):
        Source(chips=ArrayChips(), odds=(1.0,))


def shares(source: Source) -> dict[str, float]:
    """How often each sheet is drawn."""
    rng = np.random.default_rng(0)
    drawn = [(source.sheets or ())[source.draw(rng)] for _ in range(4000)]
    return {name: drawn.count(name) / len(drawn) for name in set(drawn)}


def test_sheets_count_alike_where_asked() -> None:
    source = Source(chips=ArrayChips(count=10), sheets=("big",) * 8 + ("small", "smaller"))
    assert shares(source)["big"] == pytest.approx(0.8, abs=0.03)
    found = shares(balanced(source))
    assert found == {name: pytest.approx(1 / 3, abs=0.03) for name in ("big", "small", "smaller")}


def test_balanced_sheets_keep_the_odds_between_their_chips() -> None:
    odds = (1.0, 1.0, 1.0, 0.1, 1.0, 0.1)
    source = balanced(Source(chips=ArrayChips(count=6), odds=odds, sheets=("a",) * 4 + ("b",) * 2))
    assert source.odds is not None
    assert source.odds[3] / source.odds[0] == pytest.approx(0.1)
    assert source.odds[5] / source.odds[4] == pytest.approx(0.1)
    assert source.odds[4] == 2 * source.odds[0]
    # a sheet of fields alone does not become as frequent as one of houses
    fields = balanced(Source(chips=ArrayChips(count=4), odds=(1.0, 1.0, 0.1, 0.1), sheets=("a", "a", "b", "b")))
    assert shares(fields)["b"] == pytest.approx(0.1 / 1.1, abs=0.02)


def test_a_stream_balances_when_the_recipe_says_so() -> None:
    sealed, bare = ArrayChips(only=1, count=1), ArrayChips(only=0, count=1)

    class Both(ArrayChips):
        def read(self, index: int, /) -> tuple[np.ndarray, np.ndarray]:
            return (sealed if index == 0 else bare).read(0)

    recipe = replace(RECIPE, augment=0.0, zoom=1.0, steps=100)
    source = Source(chips=Both(count=10), sheets=("town",) + ("fields",) * 9)
    for balance, share in (("chips", 0.1), ("sheets", 0.5)):
        seen = SampleStream([source], replace(recipe, balance=balance), 0.2)  # type: ignore[arg-type]
        assert np.mean([int((seen[i][1] == 1).any()) for i in range(150)]) == pytest.approx(share, abs=0.12)
    with pytest.raises(TrainingError, match="do not say of which sheets they are → --set balance=chips"):
        SampleStream([Source(chips=bare)], replace(recipe, balance="sheets"), 0.2)
    with pytest.raises(ValueError, match="1 names of sheets for 3 chips"):
        Source(chips=ArrayChips(), sheets=("a",))
