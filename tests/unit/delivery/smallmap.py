"""A small map with everything that the products need: two roofs, paving, unknown pixels, four parcels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from pyproj import CRS

from sealmap.core.grid import Grid
from sealmap.core.legend import IGNORE, ROOF_PAVED
from sealmap.core.record import InputFile, RunRecord
from sealmap.files.raster import create_raster, write_raster
from sealmap.files.tags import legend_tags

GRID = Grid(height=120, width=160, transform=Affine(0.2, 0, 366000, 0, -0.2, 5615000), crs=CRS.from_epsg(25832))


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """As the mass balance of vectorization, which delivery does not know."""

    pixels_m2: float
    added_m2: float
    removed_m2: float
    traced_m2: float
    simplified_m2: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Areas:
    """As the areas of parcels, which delivery does not know."""

    class_m2: tuple[float, ...]
    unknown_m2: float
    legend = ROOF_PAVED


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallMap:
    """Files in a folder, and tables."""

    folder: Path
    classes: Path
    probability: Path
    orthophoto: Path
    surfaces: gpd.GeoDataFrame
    parcels: gpd.GeoDataFrame
    sheets: gpd.GeoDataFrame
    record: RunRecord
    areas: Areas
    balance: Balance


def _box(x0: float, y0: float, x1: float, y1: float) -> shapely.Polygon:
    return shapely.box(366000 + x0, 5615000 - y1, 366000 + x1, 5615000 - y0)


def class_values() -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Roofs of 8 x 6 m and 6 x 6 m, paving of 4 x 24 m, an unknown corner of 2 x 2 m."""
    a = np.zeros((120, 160), np.uint8)
    a[20:50, 20:60], a[70:100, 25:55], a[:, 80:100] = 1, 1, 2
    a[110:, 150:] = IGNORE
    return a


def make(folder: Path) -> SmallMap:
    """Write the rasters into ``folder`` and make the tables."""
    a = class_values()
    rng = np.random.default_rng(0)
    tint = np.array([[90, 120, 70], [170, 90, 80], [130, 130, 130]])[np.where(a == IGNORE, 0, a)]
    photo = np.clip(tint + rng.normal(0, 12, tint.shape), 0, 255).astype(np.uint8)
    write_raster(folder / "ortho.tif", np.moveaxis(photo, -1, 0), GRID)
    with create_raster(folder / "classes.tif", GRID, count=1, dtype="uint8", nodata=IGNORE) as d:
        d.write(a, 1)
        d.update_tags(**legend_tags(ROOF_PAVED))
    with create_raster(folder / "probability.tif", GRID, count=1, dtype="uint8", nodata=IGNORE) as d:
        d.write(np.where(a == IGNORE, IGNORE, np.where(a > 0, 240, 10)).astype(np.uint8), 1)
        d.scales = [1 / 254]
    return SmallMap(
        folder=folder,
        classes=folder / "classes.tif",
        probability=folder / "probability.tif",
        orthophoto=folder / "ortho.tif",
        surfaces=_surfaces(),
        parcels=_parcels(),
        sheets=gpd.GeoDataFrame(
            {"name": ["ortho"], "flight_date": ["2024-03-09"]},
            geometry=[_box(0, 0, 32, 24)],
            crs="EPSG:25832",
        ),
        record=_record(),
        areas=Areas(class_m2=(584.0, 84.0, 96.0), unknown_m2=4.0),
        balance=Balance(pixels_m2=180.0, added_m2=0.5, removed_m2=0.25, traced_m2=180.25, simplified_m2=180.5),
    )


def _surfaces() -> gpd.GeoDataFrame:
    shapes = [_box(16, 0, 20, 24), _box(4, 4, 12, 10), _box(5, 14, 11, 20)]
    return gpd.GeoDataFrame(
        {
            "id": [1, 2, 3],
            "class_id": np.array([2, 1, 1], np.int32),
            "class": np.array(["paved", "roof", "roof"], dtype=object),
            "area_m2": [96.0, 48.0, 36.0],
            "perimeter_m": [56.0, 28.0, 24.0],
            "mean_probability": [0.94, 0.94, np.nan],
        },
        geometry=shapes,
        crs="EPSG:25832",
    )


def _parcels() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {
            "parcel_id": ["05123400100012", "05123400100013", "<b>3&4</b>", "05123400100099"],
            "area_m2": [192.0, 192.0, 96.0, 10.0],
            "official_area_m2": [191.0, np.nan, 96.0, 10.0],
            "sealed_m2": [48.04, 36.0, 96.0, 0.0],
            "roof_m2": [48.04, 36.0, 0.0, 0.0],
            "paved_m2": [0.0, 0.0, 96.0, 0.0],
            "unsealed_m2": [143.96, 156.0, 0.0, 0.0],
            "unknown_m2": [0.0, 0.0, 0.0, 10.0],
            "sealed_share": [48.04 / 192, 36 / 192, 1.0, np.nan],
        },
        geometry=[_box(0, 0, 16, 12), _box(0, 12, 16, 24), _box(16, 0, 20, 24), _box(40, 0, 50, 1)],
        crs="EPSG:25832",
    )


def _record() -> RunRecord:
    return RunRecord(
        verb="predict",
        started="2024-05-06T07:08:09Z",
        inputs=(InputFile(name="ortho.tif", bytes=57_600, sha256="ab" * 32),),
        versions={"sealmap": "0.1.0", "gdal": "3.10"},
        settings={"threshold": 0.5, "clean": {"open_m": 0.4}, "bands": [1, 2, 3]},
        model={"name": "unet <script>alert(1)</script>", "sha256": "cd" * 32},
        seconds={"predict": 12.5},
        figures={"tiles": 9},
    )
