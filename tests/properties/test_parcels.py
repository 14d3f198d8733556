"""Parcels whose edge is the surface's edge are counted without bias; nothing is lost; cut parcels add up."""

from __future__ import annotations

import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
import shapely.affinity
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import CRS

from sealmap.core.grid import Grid
from sealmap.core.legend import IGNORE, SEALED
from sealmap.files.raster import create_raster, open_raster
from sealmap.files.tags import legend_tags
from sealmap.parcels.account import _exact, account_parcels
from sealmap.parcels.slivers import _near, _to_pixels, centres_inside

X, Y, GSD, SIDE = 366000.0, 5615000.0, 0.2, 100
PIXEL_M2 = GSD**2
GRID = Grid(height=SIDE, width=SIDE, transform=Affine(GSD, 0, X, 0, -GSD, Y), crs=CRS.from_epsg(25832))
ALL = shapely.box(X, Y - SIDE * GSD, X + SIDE * GSD, Y)

angles = st.floats(0, 180)
places = st.tuples(st.floats(-1, 1), st.floats(-1, 1))


def burnt(folder: str, sealed: shapely.Geometry) -> Path:
    """A class raster of a sealed surface by pixel centres, centres on its edge as the account takes them."""
    (placed,) = _to_pixels(_near(np.array([sealed]), GRID), GRID)
    return written(folder, centres_inside(placed, GRID.window).astype(np.uint8))


def written(folder: str, a: NDArray[np.uint8]) -> Path:
    path = Path(folder) / "c.tif"
    with create_raster(path, GRID, count=1, dtype="uint8", nodata=IGNORE) as d:
        d.write(a, 1)
        d.update_tags(**legend_tags(SEALED))
    return path


def sealed_m2(path: Path, *parcels: shapely.Geometry) -> NDArray[np.float64]:
    table = gpd.GeoDataFrame({"parcel_id": range(len(parcels))}, geometry=list(parcels), crs=GRID.crs)
    found: NDArray[np.float64] = account_parcels(path, table).table["sealed_m2"].to_numpy()
    return found


def plain_m2(path: Path, *parcels: shapely.Geometry) -> NDArray[np.float64]:
    """Sealed by plain exact weights."""
    with open_raster(path) as dataset:
        found: NDArray[np.float64] = _exact(dataset, np.array(parcels), 2)[:, 1] * PIXEL_M2
    return found


def rectangle(width: float, height: float, angle: float, shift: tuple[float, float] = (0, 0)) -> shapely.Polygon:
    """In metres, turned around the middle of the map."""
    x, y = X + SIDE * GSD / 2 + shift[0], Y - SIDE * GSD / 2 + shift[1]
    box = shapely.box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    turned: shapely.Polygon = shapely.affinity.rotate(box, angle)
    return turned


def half_plane(angle: float, shift: tuple[float, float]) -> shapely.Polygon:
    """All that lies on one side of a line through the middle of the map, moved by ``shift``."""
    long = shapely.box(X - 100, Y - SIDE * GSD / 2, X + 100, Y + 100)
    middle = (X + SIDE * GSD / 2, Y - SIDE * GSD / 2)
    turned = shapely.affinity.rotate(long, angle, origin=middle)
    found: shapely.Polygon = shapely.affinity.translate(turned, *shift)
    return found


@settings(max_examples=60)
@given(angles, places, st.floats(1, 12), st.floats(1, 12))
def test_a_surface_that_is_the_parcel_is_counted_whole_and_its_neighbour_gets_nothing(
    angle: float, shift: tuple[float, float], width: float, height: float
) -> None:
    street = rectangle(width, height, angle, shift)
    with tempfile.TemporaryDirectory() as folder:
        found = sealed_m2(burnt(folder, street), street, ALL.difference(street))
    # a corner can stick out further than a pixel beyond the centres inside; the rest is exact
    assert found == pytest.approx([street.area, 0], abs=0.5 * PIXEL_M2)


def test_plain_weights_lose_an_eighth_of_a_pixel_along_a_common_edge_and_the_rule_does_not() -> None:
    # the parcel shares one long edge and two short ones with the sealed strip, the fourth edge runs inside
    rng = np.random.default_rng(0)
    plain, ruled, lengths = [], [], []
    for angle in rng.uniform(0, 180, 150):
        shift = (float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1)))
        parcel = rectangle(12, 8, angle, shift)
        strip = parcel.intersection(half_plane(angle, (shift[0] + rng.uniform(-1, 1), shift[1])))
        truth = parcel.intersection(strip).area
        with tempfile.TemporaryDirectory() as folder:
            path = burnt(folder, strip)
            plain.append(plain_m2(path, parcel)[0] - truth)
            ruled.append(sealed_m2(path, parcel)[0] - truth)
        lengths.append(shapely.length(shapely.intersection(strip.boundary, parcel.boundary.buffer(1e-6))))
    eighth = np.mean(lengths) * GSD / 8
    assert -1.6 * eighth < np.mean(plain) < -0.8 * eighth
    assert abs(np.mean(ruled)) < 0.05 * eighth
    assert np.std(ruled) < 0.5 * eighth


@settings(max_examples=60)
@given(st.integers(0, 2**16), angles, places, st.floats(0.05, 30), st.floats(0.05, 30))
def test_classes_and_unknown_add_up_to_the_area_on_the_map(
    seed: int, angle: float, shift: tuple[float, float], width: float, height: float
) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 2, (SIDE, SIDE)).astype(np.uint8)
    parcel = rectangle(width, height, angle, (10 * shift[0], 10 * shift[1]))
    beside = rectangle(1, 1, 0)  # that a parcel meets the map
    table = gpd.GeoDataFrame({"parcel_id": ["1", "2"]}, geometry=[parcel, beside], crs=GRID.crs)
    with tempfile.TemporaryDirectory() as folder:
        row = account_parcels(written(folder, a), table).table.iloc[0]
    on_map = parcel.intersection(ALL).area
    near = 1e-6 * max(parcel.area, 1)
    assert row["sealed_m2"] >= 0
    assert row["unsealed_m2"] >= -1e-12
    assert row["sealed_m2"] + row["unsealed_m2"] == pytest.approx(on_map, abs=near)
    assert row["unknown_m2"] == pytest.approx(parcel.area - on_map, abs=near)


@settings(max_examples=100)
@given(angles, st.floats(20, 160), places)
def test_halves_add_up_to_a_pixel_area_where_one_class_edge_crosses_the_cut(
    cut_angle: float, between: float, shift: tuple[float, float]
) -> None:
    whole = rectangle(15.3, 14.7, 0, (0.03, 0.04))
    cut = half_plane(cut_angle, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        path = burnt(folder, half_plane(cut_angle + between, shift))
        one, other, both = sealed_m2(path, whole.intersection(cut), whole.difference(cut), whole)
    assert abs(one + other - both) < 1.5 * PIXEL_M2


@settings(max_examples=40)
@given(angles, places)
def test_halves_add_up_exactly_where_no_class_edge_crosses_the_cut(angle: float, shift: tuple[float, float]) -> None:
    whole, cut = rectangle(15.3, 14.7, 0), half_plane(angle, shift)
    with tempfile.TemporaryDirectory() as folder:
        found = sealed_m2(
            written(folder, np.ones((SIDE, SIDE), np.uint8)), whole.intersection(cut), whole.difference(cut)
        )
    assert found.sum() == pytest.approx(whole.area, abs=1e-6 * whole.area)
