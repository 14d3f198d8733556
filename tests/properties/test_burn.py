"""What a pixel gets depends neither on the window asked for nor on the order of the shapes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from sealmap.core.grid import Grid, Window
from sealmap.core.legend import ROOF_PAVED
from sealmap.dataset.burn import Burner
from sealmap.dataset.rules import Labels

GRID = Grid(height=48, width=64, transform=Affine(0.2, 0, 350_000.1, 0, -0.2, 5_700_000.3), crs=CRS.from_epsg(25832))
FLIGHT = date(2024, 5, 1)
LABELS = ("roof", "paved", "unsealed", "ignore")


@st.composite
def labels(draw: st.DrawFn) -> Labels:
    """Boxes and triangles on and off the lattice, overlapping at will, some at equal priority."""
    count = draw(st.integers(1, 6))
    shapes = []
    for _ in range(count):
        # Tenths of a pixel: many outlines run through pixel centres, where rounding would show.
        place = st.tuples(st.integers(-50, 690), st.integers(-50, 530))
        corners = draw(st.lists(place, min_size=3, max_size=4, unique=True))
        points = [GRID.transform @ (x / 10, y / 10) for x, y in corners]
        shapes.append(shapely.convex_hull(shapely.MultiPoint(points)).buffer(0.0))
    return Labels(
        geometry=np.array(shapes, dtype=object),
        label=np.array([draw(st.sampled_from(LABELS)) for _ in shapes]),
        priority=np.array([draw(st.integers(0, 2)) for _ in shapes]),
        edge_m=np.array([draw(st.sampled_from([0.0, 0.4, 0.6])) for _ in shapes]),
        veto=np.array([draw(st.booleans()) for _ in shapes]),
        text=np.array([draw(st.sampled_from(["a", "b"])) for _ in shapes]),
        known=np.array([draw(st.booleans()) for _ in shapes]),
        oid=np.array(["" for _ in shapes]),
        changed=np.array([draw(st.sampled_from([0, FLIGHT.toordinal() + 1])) for _ in shapes], np.int32),
        newer="ignore",
        default=draw(st.sampled_from(["ignore", "unsealed"])),
        rules="drawn",
    )


@st.composite
def windows(draw: st.DrawFn) -> Window:
    return Window(
        row=draw(st.integers(-5, 40)),
        col=draw(st.integers(-5, 50)),
        height=draw(st.integers(1, 30)),
        width=draw(st.integers(1, 40)),
    )


@settings(max_examples=80, deadline=None)
@given(labels(), windows())
def test_a_window_is_a_part_of_the_whole(drawn: Labels, window: Window) -> None:
    burner = Burner.on(drawn, ROOF_PAVED, GRID)
    inside = window.intersect(GRID.window)
    if inside is None:
        return
    whole, part = burner.burn(GRID.window, FLIGHT), burner.burn(window, FLIGHT)
    there, here = inside.within(GRID.window), inside.within(window)
    np.testing.assert_array_equal(part.label_HW[here], whole.label_HW[there])
    np.testing.assert_array_equal(part.veto_HW[here], whole.veto_HW[there])
    np.testing.assert_array_equal(part.cause_HW[here], whole.cause_HW[there])


@settings(max_examples=50, deadline=None)
@given(labels(), st.randoms(use_true_random=False))
def test_the_order_of_shapes_does_not_matter(drawn: Labels, random: object) -> None:
    order = list(range(len(drawn)))
    random.shuffle(order)  # type: ignore[attr-defined]
    columns = ("geometry", "label", "priority", "edge_m", "veto", "text", "known", "oid", "changed")
    shuffled = replace(drawn, **{name: getattr(drawn, name)[order] for name in columns})
    one = Burner.on(drawn, ROOF_PAVED, GRID).burn(GRID.window, FLIGHT)
    two = Burner.on(shuffled, ROOF_PAVED, GRID).burn(GRID.window, FLIGHT)
    np.testing.assert_array_equal(one.label_HW, two.label_HW)
    np.testing.assert_array_equal(one.veto_HW, two.veto_HW)
    np.testing.assert_array_equal(one.cause_HW, two.cause_HW)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 90), st.booleans(), st.booleans())
def test_neighbours_share_every_pixel_exactly_once(half: int, across: bool, ccw: bool) -> None:  # noqa: FBT001
    """Two shapes with a common border leave no pixel out and share none, even through pixel centres."""
    x0, y0, x1, y1 = GRID.bounds
    x, y = GRID.transform @ (half / 2, half / 2)
    if across:
        shapes = [shapely.box(x0, y0, x1, y, ccw=ccw), shapely.box(x0, y, x1, y1, ccw=ccw)]
    else:
        shapes = [shapely.box(x0, y0, x, y1, ccw=ccw), shapely.box(x, y0, x1, y1, ccw=ccw)]
    both = Labels(
        geometry=np.array(shapes, dtype=object),
        label=np.array(["roof", "paved"]),
        priority=np.zeros(2, np.int64),
        edge_m=np.zeros(2),
        veto=np.zeros(2, bool),
        text=np.array(["house", "road"]),
        known=np.ones(2, bool),
        oid=np.array(["", ""]),
        changed=np.zeros(2, np.int32),
        newer="ignore",
        default="ignore",
        rules="drawn",
    )
    found = Burner.on(both, ROOF_PAVED, GRID).burn(GRID.window).label_HW
    assert set(np.unique(found)) <= {1, 2}
