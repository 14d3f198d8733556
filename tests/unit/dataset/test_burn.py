from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine

from sealmap.core.errors import SettingsError
from sealmap.core.grid import Window
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED
from sealmap.dataset.burn import (
    Burner,
    apply_vegetation_veto,
    burn,
    otsu,
    overruled,
    vegetation_index,
    vegetation_threshold,
)
from sealmap.dataset.rules import Labels


def labels_of(*rows: tuple[Any, str, int], edge_m: float = 0.0, veto: bool = False, default: str = "ignore") -> Labels:
    return Labels(
        geometry=np.array([r[0] for r in rows], dtype=object),
        label=np.array([r[1] for r in rows], dtype="<U8"),
        priority=np.array([r[2] for r in rows], dtype=np.int64),
        edge_m=np.full(len(rows), edge_m),
        veto=np.full(len(rows), veto),
        default=default,
        rules="t",
    )


def test_whole_pixels_are_burned_exactly(fakes: Any) -> None:
    g = fakes.grid_of_size(20, 30)
    found = burn(labels_of((fakes.box_px(g, 3, 4, 5, 6), "roof", 1)), ROOF_PAVED, g, g.window)
    expected = np.full((20, 30), IGNORE, np.uint8)
    expected[3:8, 4:10] = 1
    np.testing.assert_array_equal(found, expected)


def test_higher_priority_wins_and_equals_that_differ_are_ignored(fakes: Any) -> None:
    g = fakes.grid_of_size(10, 30)
    left, right = fakes.box_px(g, 0, 0, 10, 20), fakes.box_px(g, 0, 10, 10, 20)
    over = burn(labels_of((left, "roof", 2), (right, "paved", 1)), ROOF_PAVED, g, g.window)
    assert over[0].tolist() == [1] * 20 + [2] * 10
    equal = burn(labels_of((left, "roof", 1), (right, "paved", 1)), ROOF_PAVED, g, g.window)
    assert equal[0].tolist() == [1] * 10 + [IGNORE] * 10 + [2] * 10
    binary = burn(labels_of((left, "roof", 1), (right, "paved", 1)), SEALED, g, g.window)
    assert (binary == 1).all()  # both are sealed: no conflict


def test_default_covers_what_no_shape_does(fakes: Any) -> None:
    g = fakes.grid_of_size(8, 8)
    nothing = labels_of(default="unsealed")
    assert (burn(nothing, SEALED, g, g.window) == 0).all()
    assert (burn(replace(nothing, default="ignore"), SEALED, g, g.window) == IGNORE).all()


def test_the_edge_ring_reaches_to_both_sides_but_not_between_row_houses(fakes: Any) -> None:
    g = fakes.grid_of_size(40, 60)
    houses = (fakes.box_px(g, 10, 10, 20, 20), "roof", 5), (fakes.box_px(g, 10, 30, 20, 20), "roof", 5)
    found = burn(labels_of(*houses, edge_m=0.6, default="unsealed"), ROOF_PAVED, g, g.window)
    assert found[20].tolist() == [0] * 7 + [IGNORE] * 6 + [1] * 34 + [IGNORE] * 6 + [0] * 7
    assert found[:, 30].tolist() == [0] * 7 + [IGNORE] * 6 + [1] * 14 + [IGNORE] * 6 + [0] * 7


def test_a_hole_stays_a_hole(fakes: Any) -> None:
    g = fakes.grid_of_size(20, 20)
    ring = fakes.box_px(g, 2, 2, 16, 16).difference(fakes.box_px(g, 8, 8, 4, 4))
    found = burn(labels_of((ring, "roof", 1), default="unsealed"), SEALED, g, g.window)
    assert int((found == 1).sum()) == 16 * 16 - 4 * 4


def test_a_window_may_lie_beyond_the_grid(fakes: Any) -> None:
    g = fakes.grid_of_size(10, 10)
    shape = shapely.box(g.bounds[0] - 10, g.bounds[1], g.bounds[2], g.bounds[3])
    found = burn(labels_of((shape, "roof", 1)), SEALED, g, Window(row=-2, col=-3, height=5, width=5))
    assert (found[:2] == IGNORE).all()
    assert (found[2:] == 1).all()


def test_a_legend_that_cannot_hold_a_label_is_refused(fakes: Any) -> None:
    g = fakes.grid_of_size(10, 10)
    labels = labels_of((fakes.box_px(g, 0, 0, 2, 2), "sealed", 1))
    assert (burn(labels, SEALED, g, g.window)[:2, :2] == 1).all()
    with pytest.raises(SettingsError, match="lacks"):
        Burner.on(labels, ROOF_PAVED, g)


def test_veto_belongs_to_the_shape_on_top(fakes: Any) -> None:
    g = fakes.grid_of_size(10, 20)
    road = labels_of((fakes.box_px(g, 0, 0, 10, 20), "paved", 1), veto=True)
    house = labels_of((fakes.box_px(g, 0, 0, 10, 5), "roof", 2))
    both = Labels(
        geometry=np.concatenate([road.geometry, house.geometry]),
        label=np.concatenate([road.label, house.label]),
        priority=np.concatenate([road.priority, house.priority]),
        edge_m=np.zeros(2),
        veto=np.array([True, False]),
        default="ignore",
        rules="t",
    )
    assert Burner.on(both, ROOF_PAVED, g).burn(g.window).veto_HW[0].tolist() == [False] * 5 + [True] * 15


def test_vegetation_overrules_only_where_it_may() -> None:
    pixels = np.zeros((4, 1, 4), np.uint8)
    pixels[0], pixels[3] = 60, [180, 60, 180, 180]  # red and nir: green, grey, green, green
    label = np.array([[1, 1, 1, 0]], np.uint8)
    veto = np.array([[True, True, False, False]])
    bands = ("red", "green", "blue", "nir")
    found = apply_vegetation_veto(label, pixels, bands, veto, 0.2)
    assert found.tolist() == [[IGNORE, 1, 1, 0]]
    assert label.tolist() == [[1, 1, 1, 0]]
    without = apply_vegetation_veto(label, pixels[:1], ("red",), veto, 0.2)
    assert without.tolist() == label.tolist()


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
    assert 0.12 < otsu(heaps) < 0.38
    assert vegetation_threshold(heaps, ("red", "nir")) == otsu(heaps)


@pytest.mark.parametrize(("where", "limit"), [(-0.4, 0.05), (0.8, 0.45)])
def test_a_sheet_of_one_kind_gets_a_sane_threshold(where: float, limit: float) -> None:
    heap = np.random.default_rng(0).normal(where, 0.02, 1000).astype(np.float32)
    assert vegetation_threshold(heap, ("red", "nir")) == limit
    assert vegetation_threshold(np.zeros(0, np.float32), ("red", "nir")) == 0.45
    assert vegetation_threshold(np.full(9, np.float32(0.1)), ("red", "nir")) == pytest.approx(0.1, abs=0.51)


def test_windows_agree_where_an_outline_runs_through_a_pixel_centre(fakes: Any) -> None:
    """Found among 25 000 triangles: in plain floating point, two windows differ in a pixel of it."""
    g = replace(fakes.grid_of_size(8000, 8000), transform=Affine(1.0, 0, 0.0, 0, -1.0, 8000.0))
    triangle = shapely.Polygon([(7003.9, 3007.8), (7003.0, 3000.0), (7010.4, 3007.4)])
    burner = Burner.on(labels_of((triangle, "roof", 1)), SEALED, g)
    large = Window(row=4979, col=6989, height=42, width=42)
    small = Window(row=4986, col=6997, height=17, width=17)
    whole, part = burner.burn(large).label_HW, burner.burn(small).label_HW
    assert (part == 1).any()
    np.testing.assert_array_equal(part, whole[small.within(large)])


def test_vegetation_overrules_what_the_cadastre_says_or_does_not_say() -> None:
    label = np.array([1, 1, IGNORE, IGNORE, 0], np.uint8)
    green = np.array([True, False, True, False, True])
    assert overruled(label, green).tolist() == [IGNORE, 1, 0, IGNORE, 0]
