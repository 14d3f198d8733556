from __future__ import annotations

import numpy as np
import pytest

from sealmap.core.legend import IGNORE
from sealmap.dataset.vegetation import (
    grey,
    index_counts,
    index_name,
    otsu,
    overruled,
    vegetation_index,
    vegetation_threshold,
)


def test_indices_by_the_bands_there_are() -> None:
    pixels = np.array([[[50, 0]], [[100, 0]], [[50, 0]], [[150, 0]]], np.uint8)
    ndvi = vegetation_index(pixels, ("red", "green", "blue", "nir"))
    excess = vegetation_index(pixels[:3], ("red", "green", "blue"))
    assert ndvi is not None
    assert excess is not None
    np.testing.assert_allclose(ndvi, [[0.5, 0.0]])
    np.testing.assert_allclose(excess, [[0.5, 0.0]])
    swapped = vegetation_index(pixels[[3, 0]], ("nir", "red"))
    np.testing.assert_allclose(np.asarray(swapped), [[0.5, 0.0]])
    assert vegetation_index(pixels[:2], ("red", "green")) is None


def test_otsu_parts_two_heaps() -> None:
    rng = np.random.default_rng(0)
    heaps = np.concatenate([rng.normal(0.0, 0.03, 5000), rng.normal(0.5, 0.05, 2000)]).astype(np.float32)
    counts = index_counts(heaps)
    assert counts.sum() == 7000
    assert 0.12 < otsu(counts) < 0.38
    assert vegetation_threshold(counts, ("red", "nir")) == otsu(counts)
    halves = index_counts(heaps[::2]) + index_counts(heaps[1::2])
    np.testing.assert_array_equal(halves, counts)  # counts of sheets add up to those of their flight


@pytest.mark.parametrize(("where", "limit"), [(-0.4, 0.05), (0.8, 0.45)])
def test_a_sheet_of_one_kind_gets_a_sane_threshold(where: float, limit: float) -> None:
    heap = np.random.default_rng(0).normal(where, 0.02, 1000).astype(np.float32)
    assert vegetation_threshold(index_counts(heap), ("red", "nir")) == limit
    assert vegetation_threshold(index_counts(np.zeros(0, np.float32)), ("red", "nir")) == 0.45


def test_vegetation_overrules_what_the_cadastre_says_or_does_not_say() -> None:
    label = np.array([1, 1, IGNORE, IGNORE, 0], np.uint8)
    green = np.array([True, False, True, False, True])
    assert overruled(label, green).tolist() == [IGNORE, 1, 0, IGNORE, 0]


def test_the_index_has_a_name() -> None:
    assert index_name(("red", "green", "blue", "nir")) == "NDVI"
    assert index_name(("red", "green", "blue")) == "excess green"
    assert index_name(("red", "green")) == ""


def test_grey_is_neither_coloured_nor_dark() -> None:
    pixels = np.array([[[120, 120, 20, 90]], [[118, 160, 20, 60]], [[115, 80, 20, 40]]], np.uint8)
    assert grey(pixels, ("red", "green", "blue"), bright=200.0).tolist() == [[True, False, False, False]]
    assert not grey(pixels[:2], ("red", "green"), bright=200.0).any()
