"""From a class raster to a table of polygons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from sealmap.core.errors import GridError, InputError, SettingsError
from sealmap.core.grid import Grid
from sealmap.core.legend import IGNORE, ROOF_PAVED, Legend
from sealmap.files.raster import create_raster, read_raster
from sealmap.files.tags import legend_tags
from sealmap.vectorization.clean import CleanSpec
from sealmap.vectorization.vectorize import (
    MassBalance,
    VectorizeSpec,
    clean_raster,
    vectorize_raster,
)

RAW = VectorizeSpec(clean=None, simplify_m=0)


def grid(height: int, width: int, gsd: float = 0.2) -> Grid:
    transform = Affine(gsd, 0, 366000.2, 0, -gsd, 5615000.4)
    return Grid(height=height, width=width, transform=transform, crs=CRS.from_epsg(25832))


def write_classes(path: Path, a: NDArray[np.uint8], legend: Legend = ROOF_PAVED, gsd: float = 0.2) -> Path:
    with create_raster(path, grid(a.shape[0], a.shape[1], gsd), count=1, dtype="uint8", nodata=IGNORE) as d:
        d.write(a, 1)
        d.update_tags(**legend_tags(legend))
    return path


def write_probability(path: Path, bands: dict[str, NDArray[np.uint8]]) -> Path:
    shape = next(iter(bands.values())).shape
    with create_raster(path, grid(shape[0], shape[1]), count=len(bands), dtype="uint8", nodata=255) as d:
        for i, (name, values) in enumerate(bands.items(), 1):
            d.write(values, i)
            d.set_band_description(i, name)
        d.scales = [1 / 254] * len(bands)
    return path


@pytest.fixture
def yard(tmp_path: Path) -> Path:
    """A roof of 5 x 8 m with a light well of 2 x 2 m, paving of 4 x 8 m beside it, and an unknown corner."""
    a = np.zeros((60, 70), np.uint8)
    a[10:50, 5:30] = 1
    a[20:30, 10:20] = 0
    a[10:50, 30:50] = 2
    a[55:, 60:] = IGNORE
    return write_classes(tmp_path / "classes.tif", a)


def test_polygons_lie_on_pixel_edges_with_holes(yard: Path) -> None:
    frame = vectorize_raster(yard, spec=RAW).polygons
    assert list(frame.columns) == [
        "id", "class_id", "class", "area_m2", "perimeter_m", "mean_probability", "geometry",
    ]  # fmt: skip
    assert frame["class"].tolist() == ["roof", "paved"]
    assert frame["id"].tolist() == [1, 2]
    roof = shapely.box(366001.2, 5614990.4, 366006.2, 5614998.4).difference(
        shapely.box(366002.2, 5614994.4, 366004.2, 5614996.4)
    )
    assert frame.geometry[0].symmetric_difference(roof).area < 1e-6
    assert frame["area_m2"].tolist() == pytest.approx([36.0, 32.0], abs=1e-9)
    assert frame["perimeter_m"].tolist() == pytest.approx([26 + 8, 24.0], abs=1e-6)
    assert frame["mean_probability"].isna().all()
    assert frame.crs.to_epsg() == 25832


def test_the_probability_of_a_polygon_is_that_of_its_own_class(yard: Path, tmp_path: Path) -> None:
    shape = (60, 70)
    roof = np.full(shape, 127, np.uint8)
    roof[10:50, 5:15] = 255  # unknown there: does not count
    bands = {"sealed": np.full(shape, 254, np.uint8), "roof": roof}
    frame = vectorize_raster(yard, write_probability(tmp_path / "p.tif", bands), RAW).polygons
    assert frame["mean_probability"].tolist() == pytest.approx([127 / 254, 1.0])


@pytest.mark.parametrize("rows", [1, 7, 25, 2048])
def test_strips_change_nothing(yard: Path, tmp_path: Path, rows: int) -> None:
    rng = np.random.default_rng(3)
    bands = {"sealed": rng.integers(0, 255, (60, 70)).astype(np.uint8)}
    p = write_probability(tmp_path / "p.tif", bands)
    small = CleanSpec(min_area_m2=1, min_hole_m2=1)
    whole = vectorize_raster(yard, p, VectorizeSpec(clean=small)).polygons
    cut = vectorize_raster(yard, p, VectorizeSpec(clean=small, strip_rows=rows)).polygons
    assert cut.geometry.geom_equals_exact(whole.geometry, 1e-9).all()
    assert cut.drop(columns="geometry").equals(whole.drop(columns="geometry"))


def test_the_mass_balance_tells_what_cleaning_did(tmp_path: Path) -> None:
    a = np.zeros((60, 60), np.uint8)
    a[10:50, 10:50] = 2
    a[20:24, 20:24] = 0  # 16 px filled
    a[30:34, 30:34] = 1  # 16 px take the class around them
    a[2:5, 2:5] = 1  # 9 px removed
    found = vectorize_raster(write_classes(tmp_path / "c.tif", a))
    b = found.balance
    assert b.pixels_m2 == pytest.approx((1600 - 16 + 9) * 0.04)
    assert (b.added_m2, b.removed_m2, b.reclassified_m2) == pytest.approx((0.64, 0.36, 0.64))
    assert b.traced_m2 == pytest.approx(64.0)
    assert found.polygons["area_m2"].sum() == pytest.approx(b.traced_m2)


def test_a_mass_balance_that_does_not_close_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="does not close"):
        MassBalance(pixels_m2=10, added_m2=1, removed_m2=0, reclassified_m2=0, traced_m2=10, simplified_m2=10)


@pytest.mark.parametrize("gsd", [0.1, 0.2, 0.5])
def test_simplifying_takes_the_steps_off_and_keeps_the_area_from_pixels(tmp_path: Path, gsd: float) -> None:
    n = 200
    y, x = np.mgrid[:n, :n]
    inside = (np.abs(x - n / 2) + 0.6 * np.abs(y - n / 2)) < n / 3  # slanted edges
    a = np.where(inside, np.where(x < n / 2, 1, 2), 0).astype(np.uint8)
    path = write_classes(tmp_path / "c.tif", a, gsd=gsd)
    stepped = vectorize_raster(path, spec=RAW).polygons
    smooth = vectorize_raster(path, spec=VectorizeSpec(clean=None))
    corners = shapely.get_num_coordinates(smooth.polygons.geometry.to_numpy())
    assert (corners < shapely.get_num_coordinates(stepped.geometry.to_numpy()) / 5).all()
    assert (smooth.polygons["perimeter_m"] < stepped["perimeter_m"]).all()
    assert smooth.polygons["area_m2"].tolist() == stepped["area_m2"].tolist()
    assert smooth.balance.simplified_m2 == pytest.approx(smooth.balance.traced_m2, rel=0.01)
    assert smooth.polygons.geometry[0].intersection(smooth.polygons.geometry[1]).area < 1e-6


def test_a_map_without_sealed_pixels_gives_an_empty_table(tmp_path: Path) -> None:
    found = vectorize_raster(write_classes(tmp_path / "c.tif", np.zeros((20, 20), np.uint8)))
    assert len(found.polygons) == 0
    assert found.polygons.crs.to_epsg() == 25832
    assert found.balance.traced_m2 == 0


def test_probabilities_of_another_grid_are_refused(yard: Path, tmp_path: Path) -> None:
    p = write_probability(tmp_path / "p.tif", {"sealed": np.zeros((10, 10), np.uint8)})
    with pytest.raises(GridError, match="another grid"):
        vectorize_raster(yard, p)


def test_a_raster_that_is_no_class_raster_is_refused(tmp_path: Path) -> None:
    a = np.full((9, 9), 7, np.uint8)
    with create_raster(tmp_path / "x.tif", grid(9, 9), count=1, dtype="uint8", nodata=255) as d:
        d.write(a, 1)
    with pytest.raises(InputError, match="7"):
        vectorize_raster(tmp_path / "x.tif")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(SettingsError):
        VectorizeSpec(simplify_m=-1)
    with pytest.raises(SettingsError):
        VectorizeSpec(strip_rows=0)


def test_progress_ends_at_all_rows(yard: Path) -> None:
    calls: list[tuple[int, int]] = []
    vectorize_raster(yard, spec=VectorizeSpec(strip_rows=25), progress=lambda a, b: calls.append((a, b)))
    assert calls == [(25, 60), (50, 60), (60, 60)]


def test_the_cleaned_raster_gives_the_same_polygons_without_cleaning(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    a = np.kron(rng.integers(0, 3, (12, 12)), np.ones((6, 6))).astype(np.uint8)
    a[rng.random(a.shape) < 0.05] = 1
    path, out = write_classes(tmp_path / "c.tif", a), tmp_path / "cleaned.tif"
    clean_raster(path, out, CleanSpec())
    assert not np.array_equal(read_raster(out)[0][0], a)
    direct = vectorize_raster(path).polygons
    later = vectorize_raster(out, spec=VectorizeSpec(clean=None)).polygons
    assert later.geometry.geom_equals_exact(direct.geometry, 1e-9).all()
    assert later["area_m2"].tolist() == direct["area_m2"].tolist()
