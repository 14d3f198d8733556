from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine

from sealmap.core.errors import SettingsError
from sealmap.core.grid import Grid, Window
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED, Legend
from sealmap.dataset.burn import (
    EDGE,
    OUTSIDE,
    TORN,
    Burner,
)
from sealmap.dataset.rules import Labels, join_labels


def labels_of(*rows: tuple[Any, str, int], edge_m: float = 0.0, veto: bool = False, default: str = "ignore") -> Labels:
    return Labels(
        geometry=np.array([r[0] for r in rows], dtype=object),
        label=np.array([r[1] for r in rows], dtype="<U8"),
        priority=np.array([r[2] for r in rows], dtype=np.int64),
        edge_m=np.full(len(rows), edge_m),
        veto=np.full(len(rows), veto),
        text=np.array([f"class of {r[1]}" for r in rows], dtype=np.str_),
        known=np.ones(len(rows), bool),
        oid=np.array([f"oid{i}" for i in range(len(rows))], dtype=np.str_),
        changed=np.zeros(len(rows), np.int32),
        default=default,
        newer="ignore",
        rules="t",
    )


def burn(labels: Labels, legend: Legend, grid: Grid, window: Window) -> Any:
    return Burner.on(labels, legend, grid).burn(window).label_HW


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
    both = join_labels(road, house)
    assert both.rules == "t + t"
    assert Burner.on(both, ROOF_PAVED, g).burn(g.window).veto_HW[0].tolist() == [False] * 5 + [True] * 15


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


def test_every_pixel_says_why(fakes: Any) -> None:
    g = fakes.grid_of_size(12, 60)
    labels = labels_of(
        (fakes.box_px(g, 0, 0, 12, 20), "roof", 1),
        (fakes.box_px(g, 0, 10, 12, 20), "paved", 1),
        (fakes.box_px(g, 0, 30, 12, 10), "ignore", 1),
        (fakes.box_px(g, 0, 40, 12, 10), "ignore", 1),
    )
    labels = replace(labels, known=np.array([True, True, True, False]))
    burner = Burner.on(labels, ROOF_PAVED, g)
    row = burner.burn(g.window).cause_HW[5]
    assert set(row[10:20]) == {TORN}
    assert set(row[50:]) == {OUTSIDE}
    told = [(burner.causes[i].kind, burner.causes[i].text) for i in row[[0, 25, 35, 45]]]
    assert told == [
        ("roof", "class of roof"), ("paved", "class of paved"), ("ignore", "class of ignore"),
        ("unknown", "class of ignore"),
    ]  # fmt: skip
    ringed = Burner.on(labels_of((fakes.box_px(g, 0, 0, 12, 20), "roof", 1), edge_m=0.4), ROOF_PAVED, g)
    assert set(ringed.burn(g.window).cause_HW[5, 18:22]) == {EDGE}
    assert burner.oid_at(25.0, 5.0, int(row[25])) == "oid1"
    assert burner.oid_at(55.0, 5.0, int(row[25])) == ""


def test_shapes_newer_than_the_flight_are_ignored(fakes: Any) -> None:
    g = fakes.grid_of_size(10, 30)
    labels = labels_of((fakes.box_px(g, 0, 0, 10, 10), "roof", 2), (fakes.box_px(g, 0, 0, 10, 30), "paved", 1))
    labels = replace(labels, changed=np.array([date(2024, 5, 2).toordinal(), 0], np.int32))
    burner = Burner.on(labels, ROOF_PAVED, g)
    for flight, house in ((date(2024, 5, 1), IGNORE), (date(2024, 5, 2), 1), (None, 1)):
        found = burner.burn(g.window, flight)
        assert found.label_HW[5].tolist() == [house] * 10 + [2] * 20
        assert burner.causes[found.cause_HW[5, 0]].kind == ("newer" if house == IGNORE else "roof")


def test_large_shapes_are_cut_into_cells_without_a_trace(fakes: Any) -> None:
    """A circle of many points over four cells burns as an unbroken one does, but for rounding to 1/256 pixel."""
    g = fakes.grid_of_size(3000, 3000)
    x, y = g.transform @ (1500, 1500)
    circle = shapely.Point(x, y).buffer(280.0, quad_segs=400)
    cut = Burner.on(labels_of((circle, "roof", 1)), SEALED, g)
    assert len(cut.geometry) == 9
    found = cut.burn(g.window).label_HW == 1
    rows, cols = np.mgrid[:3000, :3000] + 0.5
    away = np.hypot(rows - 1500, cols - 1500)
    assert found[away < 1399.9].all()
    assert not found[away > 1400.1].any()


def test_too_many_classes_are_refused(fakes: Any) -> None:
    g = fakes.grid_of_size(10, 10)
    labels = labels_of(*[(fakes.box_px(g, 0, 0, 2, 2), "roof", 1)] * 40_000)
    labels = replace(labels, text=np.arange(40_000).astype(np.str_))
    with pytest.raises(SettingsError, match="different classes"):
        Burner.on(labels, SEALED, g)
