"""Square metres per parcel: exact at edges, honest about what is unknown, strict at the door."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.features import shapes
from shapely.geometry import shape

from sealmap.core.errors import GridError, InputError
from sealmap.core.grid import Grid
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED, Legend
from sealmap.files.raster import create_raster, open_raster
from sealmap.files.tags import legend_tags
from sealmap.parcels.account import ParcelAccount, _exact, account_map, account_parcels

X, Y, GSD = 366000.0, 5615000.0, 0.2
TRANSFORM = Affine(GSD, 0, X, 0, -GSD, Y)


def write(path: Path, a: NDArray[np.uint8], legend: Legend = ROOF_PAVED, nodata: int | None = IGNORE) -> Path:
    grid = Grid(height=a.shape[0], width=a.shape[1], transform=TRANSFORM, crs=CRS.from_epsg(25832))
    with create_raster(path, grid, count=1, dtype="uint8", nodata=nodata) as d:
        d.write(a, 1)
        d.update_tags(**legend_tags(legend))
    return path


def parcels(*geometry: shapely.Geometry, ids: list[str] | None = None) -> gpd.GeoDataFrame:
    names = ids or [f"0{i}" for i in range(len(geometry))]
    table = {"parcel_id": names, "official_area_m2": [100.0] * len(geometry)}
    return gpd.GeoDataFrame(table, geometry=list(geometry), crs="EPSG:25832")


def box(x0: float, y0: float, x1: float, y1: float) -> shapely.Polygon:
    """A box in metres from the map's top left corner, y downwards."""
    return shapely.box(X + x0, Y - y1, X + x1, Y - y0)


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """20 x 20 m: roof left of 5 m, paving to 10 m, unsealed, and unknown right of 18 m."""
    a = np.zeros((100, 100), np.uint8)
    a[:, :25], a[:, 25:50], a[:, 90:] = 1, 2, IGNORE
    return write(tmp_path / "classes.tif", a)


def test_pixels_count_with_the_part_that_lies_in_the_parcel(plain: Path) -> None:
    row = account_parcels(plain, parcels(box(4.83, 3.07, 12.41, 8.88))).table.iloc[0]
    height = 8.88 - 3.07
    assert row["area_m2"] == pytest.approx(height * 7.58, abs=1e-6)
    assert row["roof_m2"] == pytest.approx(height * 0.17, abs=1e-4)
    assert row["paved_m2"] == pytest.approx(height * 5, abs=1e-4)
    assert row["sealed_m2"] == pytest.approx(height * 5.17, abs=1e-4)
    assert row["unsealed_m2"] == pytest.approx(height * 2.41, abs=1e-4)
    assert row["unknown_m2"] == 0
    assert row["sealed_share"] == pytest.approx(5.17 / 7.58, abs=1e-5)
    assert row["official_area_m2"] == 100


def test_a_pixel_whose_centre_lies_outside_says_nothing_about_the_parcel(plain: Path) -> None:
    # the parcel begins right of the centre of the last roof pixel, and ends left of the first unsealed one's
    row = account_parcels(plain, parcels(box(4.93, 3.07, 10.06, 8.88))).table.iloc[0]
    assert row["roof_m2"] == pytest.approx(0, abs=1e-6)
    assert row["paved_m2"] == pytest.approx(row["area_m2"], abs=1e-6)
    assert row["unsealed_m2"] == pytest.approx(0, abs=1e-6)


def test_unknown_is_nodata_and_what_lies_outside(plain: Path) -> None:
    inside, partly, outside = account_parcels(
        plain, parcels(box(17, 0, 19, 1), box(-5, 0, 5, 1), box(100, 0, 101, 1))
    ).table.itertuples()
    assert (inside.unsealed_m2, inside.unknown_m2) == pytest.approx((1, 1), abs=1e-4)
    assert inside.sealed_share == 0
    assert (partly.roof_m2, partly.unknown_m2) == pytest.approx((5, 5), abs=1e-4)
    assert partly.sealed_share == pytest.approx(1)
    assert outside.unknown_m2 == pytest.approx(1)
    assert np.isnan(outside.sealed_share)


def test_255_is_unknown_even_where_the_file_does_not_say_so(tmp_path: Path) -> None:
    a = np.full((50, 50), 1, np.uint8)
    a[:25] = IGNORE
    row = account_parcels(write(tmp_path / "c.tif", a, SEALED, nodata=None), parcels(box(0, 0, 10, 10))).table.iloc[0]
    assert (row["sealed_m2"], row["unknown_m2"]) == pytest.approx((50, 50), abs=1e-4)
    assert "roof_m2" not in row


def test_every_parcel_adds_up_and_its_plain_weights_agree_with_the_vector_oracle(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    a = rng.choice(np.array([0, 1, 2, IGNORE], np.uint8), (120, 140), p=[0.4, 0.3, 0.2, 0.1])
    path = write(tmp_path / "c.tif", a)
    centres = rng.uniform([X - 2, Y - 26], [X + 30, Y + 2], (40, 2))
    discs: list[shapely.Geometry] = [
        shapely.Point(c).buffer(r) for c, r in zip(centres, rng.uniform(0.05, 6, 40), strict=True)
    ]
    discs.append(shapely.MultiPolygon([box(1, 1, 2.03, 2.22), box(7, 7, 9.3, 8.1)]))
    table = account_parcels(path, parcels(*discs)).table
    total = table[["sealed_m2", "unsealed_m2", "unknown_m2"]].sum(axis=1)
    assert (total - table["area_m2"]).abs().max() < 1e-6
    with open_raster(path) as dataset:
        plain_m2 = _exact(dataset, np.array(discs), 3) * GSD**2
    for value in range(3):
        pixels = shapely.union_all([shape(g) for g, v in shapes(a, transform=TRANSFORM) if v == value])
        truth = shapely.area(shapely.intersection(pixels, np.array(discs)))
        assert np.abs(truth - plain_m2[:, value]).max() < 2e-5


def test_parcels_of_one_block_add_up_to_the_map(plain: Path) -> None:
    strips = [box(x, 0, x + 1.25, 20) for x in np.arange(0, 20, 1.25)]
    table, whole = account_parcels(plain, parcels(*strips)).table, account_map(plain)
    assert table["sealed_m2"].sum() == pytest.approx(whole.sealed_m2, abs=1e-4)
    assert table["unknown_m2"].sum() == pytest.approx(whole.unknown_m2, abs=1e-4)
    assert whole.class_m2 == pytest.approx((160, 100, 100))
    assert whole.known_m2 == pytest.approx(360)


def test_parcels_in_another_crs_are_brought_to_the_map(plain: Path) -> None:
    given = parcels(box(1, 1, 9, 9))
    there = account_parcels(plain, given.to_crs(4326)).table
    assert there.crs.to_epsg() == 25832
    here = account_parcels(plain, given).table
    assert there["roof_m2"][0] == pytest.approx(here["roof_m2"][0], abs=1e-3)


def test_a_layer_elsewhere_is_refused_with_both_extents(plain: Path) -> None:
    with pytest.raises(InputError, match=r"x 466000\.\..*map x 366000\.\.366020") as error:
        account_parcels(plain, parcels(box(100_000, 0, 100_010, 10)))
    assert "CRS" in error.value.remedy


def test_duplicate_and_missing_ids_are_counted(plain: Path) -> None:
    squares = [box(i, 0, i + 1, 1) for i in range(4)]
    with pytest.raises(InputError, match=r"1 ids occur more than once .*07") as error:
        account_parcels(plain, parcels(*squares, ids=["07", "08", "07", "07"]))
    assert "dissolve" in error.value.remedy
    broken = parcels(*squares)
    broken.loc[2, "parcel_id"] = None
    with pytest.raises(InputError, match="1 are missing"):
        account_parcels(plain, broken)


def test_layers_without_polygons_ids_or_crs_are_refused(plain: Path) -> None:
    with pytest.raises(InputError, match=r"1 of 2 parcels are no polygons.*LineString"):
        account_parcels(plain, parcels(box(0, 0, 1, 1), shapely.LineString([(X, Y), (X + 1, Y)])))
    with pytest.raises(InputError, match="parcel_id"):
        account_parcels(plain, parcels(box(0, 0, 1, 1)).drop(columns="parcel_id"))
    with pytest.raises(GridError, match="no CRS"):
        account_parcels(plain, parcels(box(0, 0, 1, 1)).set_crs(None, allow_override=True))


def test_broken_geometry_is_repaired_and_counted(plain: Path) -> None:
    bow_tie = shapely.Polygon([(X, Y), (X + 4, Y - 4), (X + 4, Y), (X, Y - 4)])
    account = account_parcels(plain, parcels(bow_tie, box(5, 5, 6, 6)))
    assert account.repaired == 1
    assert account.table["area_m2"][0] == pytest.approx(8)
    assert account.table["sealed_m2"][0] == pytest.approx(8, abs=1e-4)


def test_order_ids_and_missing_official_areas_are_kept(plain: Path) -> None:
    given = parcels(box(15, 15, 16, 16), box(0, 0, 1, 1), box(9, 2, 10, 3), ids=["b", "a", "0012"])
    calls: list[tuple[int, int]] = []
    table = account_parcels(
        plain, given.drop(columns="official_area_m2"), progress=lambda a, b: calls.append((a, b))
    ).table
    assert table["parcel_id"].tolist() == ["b", "a", "0012"]
    assert table["official_area_m2"].isna().all()
    assert calls == [(3, 3)]


def test_an_account_that_does_not_add_up_cannot_be_made(plain: Path) -> None:
    table = account_parcels(plain, parcels(box(0, 0, 1, 1))).table
    with pytest.raises(ValueError, match="do not add up"):
        ParcelAccount(table=table.assign(sealed_m2=table["sealed_m2"] + 0.1), repaired=0)


def test_edges_through_pixel_corners_lose_nothing(tmp_path: Path) -> None:
    # exactextract alone is wrong for one in ten of these
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 100, (300, 3, 2)) * GSD * np.array([1, -1]) + np.array([X, Y])
    triangles = [g for g in (shapely.Polygon(c) for c in corners) if g.area > 1]
    path = write(tmp_path / "c.tif", np.ones((100, 100), np.uint8), SEALED)
    table = account_parcels(path, parcels(*triangles)).table
    assert (table["sealed_m2"] - table["area_m2"]).abs().max() < 1e-6
    assert (table["unknown_m2"] == 0).all()


def test_a_parcel_cut_by_the_map_s_edge_is_counted_inside_it(tmp_path: Path) -> None:
    path = write(tmp_path / "c.tif", np.ones((100, 100), np.uint8), SEALED)
    cut = shapely.Polygon([(X - 4, Y), (X + 4, Y + 4), (X + 4, Y - 4)])  # its edges run through pixel corners
    row = account_parcels(path, parcels(cut)).table.iloc[0]
    inside = cut.intersection(shapely.box(X, Y - 20, X + 20, Y)).area
    assert (row["sealed_m2"], row["unknown_m2"]) == pytest.approx((inside, cut.area - inside), abs=1e-4)
