"""Slivers: exact coverage of edge pixels, one owner per pixel centre, and the class next to them inside."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from sealmap.core.grid import Grid, Window
from sealmap.core.legend import IGNORE
from sealmap.files.raster import create_raster, open_raster
from sealmap.parcels import slivers
from sealmap.parcels.account import _exact
from sealmap.parcels.slivers import _near, _to_pixels, centres_inside, edge_cells, sliver_moves

X, Y, GSD = 366000.0, 5615000.0, 0.2
SIDE = 60
GRID = Grid(height=SIDE, width=SIDE, transform=Affine(GSD, 0, X, 0, -GSD, Y), crs=CRS.from_epsg(25832))


def write(path: Path, a: NDArray[np.uint8], nodata: int | None = IGNORE) -> Path:
    with create_raster(path, GRID, count=1, dtype="uint8", nodata=nodata) as d:
        d.write(a, 1)
    return path


def in_metres(*shapes: shapely.Geometry) -> NDArray[np.object_]:
    """Shapes given in pixels (column, row), on the map."""
    found: NDArray[np.object_] = shapely.transform(np.array(shapes), lambda xy: xy * [GSD, -GSD] + [X, Y])
    return found


def counted(path: Path, *shapes: shapely.Geometry, classes: int = 2) -> NDArray[np.float64]:
    """Pixels by class, the last column unknown, of shapes given in pixels."""
    with open_raster(path) as dataset:
        polygons = in_metres(*shapes)
        return _exact(dataset, polygons, classes) + sliver_moves(dataset, polygons, classes)


def drawn(rng: np.random.Generator, count: int) -> list[shapely.Geometry]:
    """Discs and rings of all sizes, in and partly beyond the map, some of two parts."""
    found: list[shapely.Geometry] = []
    for centre in rng.uniform(-4, SIDE + 4, (count, 2)):
        disc = shapely.Point(centre).buffer(rng.uniform(0.1, 14), quad_segs=int(rng.integers(1, 8)))
        hole = shapely.Point(centre + 0.3).buffer(rng.uniform(0.1, 5))
        found += [disc, disc.difference(hole), disc.union(shapely.box(2.2, 3.3, 4.4, 9.9))]
    return [g for g in found if not shapely.is_empty(g)]


def by_brute_force(a: NDArray[np.uint8], shape: shapely.Geometry, classes: int) -> NDArray[np.float64]:
    """The rule, pixel by pixel, with vector geometry."""
    row, col = np.divmod(np.arange(a.size), a.shape[1])
    covered = shapely.area(shapely.intersection(shape, shapely.box(col, row, col + 1, row + 1)))
    inside = shapely.contains_xy(shape, col + 0.5, row + 0.5)
    value = np.minimum(a.ravel(), classes)
    found = np.bincount(value[inside], covered[inside], classes + 1).astype(np.float64)  # int where empty
    for i in np.flatnonzero((covered > 0) & ~inside):
        aside = np.maximum(np.abs(row - row[i]), np.abs(col - col[i]))
        near = np.flatnonzero(inside & (aside <= 2))
        distance = (row[near] - row[i]) ** 2 + (col[near] - col[i]) ** 2
        takes = value[near[distance == distance.min()]] if near.size else value[[i]]
        np.add.at(found, takes, covered[i] / len(takes))
    return found


def test_coverage_of_edge_pixels_agrees_with_vector_geometry() -> None:
    window = Window(row=3, col=0, height=SIDE - 3, width=SIDE)
    for shape in shapely.orient_polygons(np.array(drawn(np.random.default_rng(1), 30))):
        cells = edge_cells(shape, window)
        boxes = shapely.box(cells.col_C, cells.row_C, cells.col_C + 1, cells.row_C + 1)
        np.testing.assert_allclose(cells.covered_C, shapely.area(shapely.intersection(boxes, shape)), atol=1e-9)
        col, row = np.meshgrid(np.arange(SIDE), np.arange(3, SIDE))
        part = shapely.area(shapely.intersection(shapely.box(col, row, col + 1, row + 1), shape))
        cut = (part > 1e-6) & (part < 1 - 1e-6)
        assert set(zip(row[cut], col[cut], strict=True)) <= set(zip(cells.row_C, cells.col_C, strict=True))


def test_the_rule_agrees_with_brute_force(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    a = rng.choice(np.array([0, 1, 2, IGNORE], np.uint8), (SIDE, SIDE), p=[0.4, 0.3, 0.2, 0.1])
    shapes = drawn(rng, 14)
    found = counted(write(tmp_path / "c.tif", a), *shapes, classes=3)
    np.testing.assert_allclose(found, [by_brute_force(a, g, 3) for g in shapes], atol=2e-4)


def test_windows_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    path = write(tmp_path / "c.tif", rng.integers(0, 2, (SIDE, SIDE)).astype(np.uint8))
    shapes = drawn(rng, 20)
    whole = counted(path, *shapes)
    monkeypatch.setattr(slivers, "_TILE", 7)
    np.testing.assert_allclose(counted(path, *shapes), whole, atol=1e-9)


def test_area_only_moves_between_classes(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    path = write(tmp_path / "c.tif", rng.choice(np.array([0, 1, IGNORE], np.uint8), (SIDE, SIDE)))
    with open_raster(path) as dataset:
        moves = sliver_moves(dataset, in_metres(*drawn(rng, 40)), 2)
    assert np.abs(moves).max() > 1
    assert np.abs(moves.sum(axis=1)).max() < 1e-9


def test_centres_inside_agree_with_vector_geometry() -> None:
    window = Window(row=3, col=-2, height=SIDE, width=SIDE - 7)
    col, row = np.meshgrid(np.arange(-2, SIDE - 9), np.arange(3, SIDE + 3))
    for shape in drawn(np.random.default_rng(6), 30):
        np.testing.assert_array_equal(centres_inside(shape, window), shapely.contains_xy(shape, col + 0.5, row + 0.5))


def test_of_two_neighbours_exactly_one_owns_a_centre_on_their_edge() -> None:
    rng = np.random.default_rng(5)
    window = Window(row=0, col=0, height=SIDE, width=SIDE)
    for _ in range(60):
        # corners on pixel centres and corners: edges run through many centres
        corners = shapely.MultiPoint(rng.integers(0, 2 * SIDE, (12, 2)) / 2)
        mosaic = shapely.get_parts(shapely.delaunay_triangles(corners))
        lines = np.unique(rng.integers(0, SIDE, 6)) + 0.5
        boxes = [shapely.box(a, b, c, d) for a, c in pairwise(lines) for b, d in pairwise(lines)]
        for parts in (mosaic, np.array(boxes)):
            some = rng.integers(0, 2, len(parts)) > 0
            joined = shapely.union_all(parts[some])  # with notches and holes
            turned = [g.reverse() if rng.integers(2) else g for g in parts[~some]]
            placed = _to_pixels(_near(in_metres(joined, *turned, shapely.union_all(parts)), GRID), GRID)
            owned = np.array([centres_inside(g, window) for g in placed])
            np.testing.assert_array_equal(owned[:-1].sum(axis=0), owned[-1])


def test_unknown_is_a_class(tmp_path: Path) -> None:
    a = np.ones((SIDE, SIDE), np.uint8)
    a[:, :10] = IGNORE
    a[:, 30:] = IGNORE
    path = write(tmp_path / "c.tif", a)
    # nothing in 9.6..10 is known but by the pixels right of it; 29.6.. is known, 30.. unknown by centre
    known, unknown = counted(path, shapely.box(9.6, 5, 20, 15), shapely.box(29.6, 5, 40, 15))
    assert known == pytest.approx([0, 104, 0], abs=1e-4)
    assert unknown == pytest.approx([0, 0, 104], abs=1e-4)


def test_another_nodata_value_is_unknown_too(tmp_path: Path) -> None:
    a = np.ones((SIDE, SIDE), np.uint8)
    a[:, 30:] = 7
    found = counted(write(tmp_path / "c.tif", a, nodata=7), shapely.box(29.6, 5, 40, 15), classes=20)[0]
    assert found[20] == pytest.approx(104, abs=1e-4)


def test_the_map_s_edge_is_no_parcel_edge(tmp_path: Path) -> None:
    a = np.ones((SIDE, SIDE), np.uint8)
    a[:, 20:] = 0
    path = write(tmp_path / "c.tif", a)
    # above the map stays out of the count; on it, the sliver right of column 20 is sealed as its neighbour
    inside = counted(path, shapely.box(10, -5, 20.4, 10), shapely.box(70, 70, 80, 80))
    assert inside[0] == pytest.approx([0, 104, 0], abs=1e-4)
    assert (inside[1] == 0).all()


def test_tiny_parcels_keep_their_plain_weights(tmp_path: Path) -> None:
    a = np.indices((SIDE, SIDE)).sum(axis=0).astype(np.uint8) % 2
    path = write(tmp_path / "c.tif", a)
    speck, two = counted(path, shapely.box(3.1, 4.1, 3.4, 4.4), shapely.box(3.6, 4.6, 4.4, 5.4))
    assert speck == pytest.approx([0, 0.09, 0], abs=1e-6)
    assert two == pytest.approx([0.32, 0.32, 0], abs=1e-6)


def test_a_tail_too_narrow_for_centres_keeps_its_plain_weights(tmp_path: Path) -> None:
    a = np.zeros((SIDE, SIDE), np.uint8)
    a[:, 30:] = 1
    path = write(tmp_path / "c.tif", a)
    body, tail = shapely.box(10, 10, 20, 20), shapely.box(20, 15.1, 50, 15.4)
    assert counted(path, body.union(tail))[0] == pytest.approx([100 + 3, 6, 0], abs=1e-4)


def test_equally_near_pixels_share_a_sliver(tmp_path: Path) -> None:
    a = np.zeros((SIDE, SIDE), np.uint8)
    a[:20] = 1
    # an inner corner: the sliver in row 20, column 19 touches row 19 above (1) and row 20, column 20 (0)
    shape = shapely.box(10, 10, 30, 20).union(shapely.box(19.6, 20, 30, 30))
    path = write(tmp_path / "c.tif", a)
    assert counted(path, shape)[0] == pytest.approx([104 - 0.2, 200 + 0.2, 0], abs=1e-4)
