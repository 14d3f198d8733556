"""Cleaning: what goes, what stays, and that unknown is neither."""

from __future__ import annotations

import numpy as np
import pytest

from sealmap.core.errors import SettingsError
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED
from sealmap.vectorization.clean import CleanSpec, clean

OFF = CleanSpec(open_m=0, close_m=0, min_area_m2=0, min_hole_m2=0)


def field(side: int = 60, value: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.full((side, side), value, np.uint8)


def test_nothing_switched_on_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    noise = rng.choice(np.array([0, 1, 2, IGNORE], np.uint8), (40, 30))
    assert np.array_equal(clean(noise, ROOF_PAVED, 0.2, OFF), noise)


@pytest.mark.parametrize("gsd", [0.1, 0.2, 0.5])
def test_sizes_are_square_metres_at_every_pixel_size(gsd: float) -> None:
    spec = CleanSpec(open_m=0, close_m=0, min_area_m2=4, min_hole_m2=4)
    side = round(2 / gsd)  # exactly 4 m²: stays
    a = field(12 * side)
    a[side : 2 * side, side : 2 * side] = 1
    a[side : 2 * side, 4 * side : 5 * side] = 1
    a[side, 4 * side] = 0  # one pixel less: goes
    out = clean(a, SEALED, gsd, spec)
    assert out[:, : 3 * side].sum() == side * side
    assert out[:, 3 * side :].sum() == 0


def test_a_small_hole_is_filled_with_the_class_around_it_and_a_large_one_stays() -> None:
    a = field(value=2)
    a[:, :5] = a[:, -5:] = a[:5] = a[-5:] = 0
    a[10:14, 10:14] = 0  # 16 px at 0.2 m = 0.64 m²
    a[20:40, 20:40] = 0  # 16 m²
    out = clean(a, ROOF_PAVED, 0.2, CleanSpec())
    assert (out[10:14, 10:14] == 2).all()
    assert (out[22:38, 22:38] == 0).all()


def test_an_even_structuring_element_does_not_shift_the_map() -> None:
    a = field()
    a[20:40, 15:45] = 1
    for open_m, close_m in ((0.4, 0), (0, 0.4), (0.8, 0.8), (1.2, 1.0)):
        spec = CleanSpec(open_m=open_m, close_m=close_m, min_area_m2=0, min_hole_m2=0)
        kept = clean(a, SEALED, 0.2, spec)
        if max(open_m, close_m) <= 0.8:  # squares keep corners, discs round them
            assert np.array_equal(kept, a)
        rows, cols = np.nonzero(kept)
        assert (rows.min(), rows.max(), cols.min(), cols.max()) == (20, 39, 15, 44)


def test_opening_takes_thin_strips_and_closing_thin_gaps() -> None:
    a = field()
    a[10:30, 10:30] = 1
    a[20, 30:50] = 1  # 0.2 m wide
    a[15, 10:30] = 0  # a gap of 0.2 m
    out = clean(a, SEALED, 0.2, CleanSpec(min_area_m2=0, min_hole_m2=0))
    assert out[20, 35:].sum() == 0
    assert (out[15, 12:28] == 1).all()


def test_a_kernel_below_a_pixel_is_skipped() -> None:
    a = field()
    a[20, 10:50] = 1
    spec = CleanSpec(open_m=0.4, close_m=0.4, min_area_m2=0, min_hole_m2=0)
    assert np.array_equal(clean(a, SEALED, 0.5, spec), a)


def test_unknown_is_kept_and_never_made() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        noise = rng.choice(np.array([0, 1, 2, IGNORE], np.uint8), (50, 40), p=[0.4, 0.3, 0.2, 0.1])
        out = clean(noise, ROOF_PAVED, 0.2, CleanSpec())
        assert np.array_equal(out == IGNORE, noise == IGNORE)


def test_an_object_of_unknown_size_stays() -> None:
    a = field()
    a[30:33, 20:23] = 1
    a[33:36, 20:23] = IGNORE  # it may go on there
    a[0:2, 50:53] = 1  # or beyond the map
    a[10:13, 10:13] = 1  # this one is all there is
    out = clean(a, SEALED, 0.2, CleanSpec(open_m=0, close_m=0))
    assert (out[30:33, 20:23] == 1).all()
    assert (out[0:2, 50:53] == 1).all()
    assert out[10:13, 10:13].sum() == 0


def test_an_island_takes_the_class_around_it_but_the_union_stays() -> None:
    a = field()
    a[5:55, 5:55] = 2
    a[20:24, 20:24] = 1  # 0.64 m² of roof in paving
    a[30:50, 30:50] = 1  # 16 m²: a roof
    out = clean(a, ROOF_PAVED, 0.2, CleanSpec())
    assert (out[20:24, 20:24] == 2).all()
    assert (out[30:50, 30:50] == 1).all()
    assert np.array_equal(out > 0, a > 0)


def test_an_island_goes_to_the_class_of_most_of_its_edge() -> None:
    a = field()
    a[10:50, 10:28] = 1
    a[10:50, 28:50] = 2
    a[20:24, 25:28] = 2  # joined to the paving: no island
    a[30:33, 20:23] = 2
    out = clean(a, ROOF_PAVED, 0.2, CleanSpec(open_m=0, close_m=0))
    assert (out[20:24, 25:28] == 2).all()
    assert (out[30:33, 20:23] == 1).all()


def test_negative_sizes_are_refused() -> None:
    with pytest.raises(SettingsError, match="0 or more"):
        CleanSpec(open_m=-1)
