"""Account parcels: sealed square metres per parcel from the class raster, exact at parcel edges.

A pixel that a parcel edge cuts counts with the covered part of it (exactextract). Where its centre lies outside
the parcel, that part takes the class of the nearest pixel with its centre inside, since its own class is that of
the neighbour's ground (slivers.py, decision 6). The law of the table: Σ classes + unknown = geometric area, for
every parcel. Parts beyond the raster are unknown.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from exactextract import exact_extract
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from sealmap.core.errors import GridError, InputError
from sealmap.core.grid import Window
from sealmap.core.legend import IGNORE, Legend
from sealmap.files.raster import grid_of, open_raster, read_window
from sealmap.files.tags import legend_of
from sealmap.parcels.slivers import sliver_moves

Progress = Callable[[int, int], None]
"""Called with (done, total)."""

_BATCH = 500
"""Parcels between two calls of progress."""

_MAX_CELLS = 10_000_000
"""Pixels of one parcel in memory at a time."""

_CLOSES = 1e-6
"""Share of a parcel's area to which its sum must close. exactextract's weights are single precision."""

_ASIDE_M = ((0.0, 0.0), (1.1e-6, -0.7e-6), (-1.7e-6, 0.9e-6), (2.3e-6, 3.1e-6), (-4.7e-6, -2.9e-6))
"""Shifts in metres to try, of no meaning for an area: they take edges off the corners of pixels."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ParcelAccount:
    """Square metres per parcel.

    table: parcel_id, area_m2, official_area_m2, sealed_m2, <class>_m2 …, unsealed_m2, unknown_m2,
    sealed_share (0..1 of the known area, NaN where nothing is known), geometry in the CRS of the map. One
    row per parcel, in the order given. repaired: parcels whose geometry had to be repaired.
    """

    table: gpd.GeoDataFrame
    repaired: int

    def __post_init__(self) -> None:
        t = self.table
        gap = (t["sealed_m2"] + t["unsealed_m2"] + t["unknown_m2"] - t["area_m2"]).abs()
        if (gap > _CLOSES * t["area_m2"].clip(lower=1.0)).any():
            raise ValueError(f"parcels do not add up, the worst by {gap.max()} m²")


@dataclass(frozen=True, kw_only=True, slots=True)
class MapAreas:
    """Square metres of the whole map. class_m2: by class id, unsealed classes too. unknown_m2: nodata."""

    legend: Legend
    class_m2: tuple[float, ...]
    unknown_m2: float

    @property
    def known_m2(self) -> float:
        """Area with a class."""
        return sum(self.class_m2)

    @property
    def sealed_m2(self) -> float:
        """Area of the sealed classes."""
        return sum(self.class_m2[k] for k in self.legend.sealed_ids)


def account_map(classes: Path) -> MapAreas:
    """Areas of the whole class raster, read strip by strip."""
    with open_raster(classes) as dataset:
        grid, legend = grid_of(dataset), legend_of(dataset)
        counts = np.zeros(256, np.int64)
        step = max(dataset.block_shapes[0][0], 256)
        for row in range(0, grid.height, step):
            window = Window(row=row, col=0, height=min(step, grid.height - row), width=grid.width)
            counts += np.bincount(read_window(dataset, window, [1]).ravel(), minlength=256)
    m2 = counts * grid.pixel_area_m2
    return MapAreas(legend=legend, class_m2=tuple(float(v) for v in m2[: len(legend)]), unknown_m2=float(m2[IGNORE]))


def account_parcels(
    classes: Path, parcels: gpd.GeoDataFrame, legend: Legend | None = None, progress: Progress | None = None
) -> ParcelAccount:
    """Square metres per class of each parcel.

    parcels: parcel_id, geometry and, where known, official_area_m2; in any CRS (geometry is brought to the
    map's). legend: of the class raster; None reads it from the raster.

    Raises InputError for duplicate ids, geometry that is no polygon, and a layer that does not meet the map.
    """
    checked, repaired = _checked(parcels)
    with open_raster(classes) as dataset:
        grid = grid_of(dataset)
        legend = legend or legend_of(dataset)
        placed = checked.to_crs(grid.crs)
        _refuse_apart(placed, grid.bounds, checked)
        pixels_NK = _count(dataset, placed, len(legend), progress)
    return ParcelAccount(table=_table(placed, pixels_NK * grid.pixel_area_m2, legend), repaired=repaired)


def _checked(parcels: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, int]:
    """Parcels with unique text ids and valid polygons, and how many had to be repaired."""
    if parcels.empty or "parcel_id" not in parcels:
        raise InputError(
            f"the parcel layer has {len(parcels)} rows, columns {', '.join(map(str, parcels.columns))}",
            remedy="give parcels with a column parcel_id",
        )
    if parcels.crs is None:
        raise GridError("the parcels have no CRS", remedy="give them one: ogr2ogr -a_srs EPSG:25832 OUT IN")
    ids = parcels["parcel_id"]
    missing, twice = int(ids.isna().sum()), ids[ids.duplicated()].astype(str).unique()
    if missing or len(twice):
        raise InputError(
            f"parcel ids are not unique: {len(twice)} ids occur more than once ({', '.join(twice[:3])} …),"
            f" {missing} are missing",
            remedy="dissolve the layer by parcel id, or choose the column that is unique",
        )
    kinds = parcels.geom_type
    foreign = ~kinds.isin(["Polygon", "MultiPolygon"]) | parcels.geometry.is_empty
    if foreign.any():
        names = sorted({str(k) for k in kinds[foreign]})
        raise InputError(
            f"{int(foreign.sum())} of {len(parcels)} parcels are no polygons ({', '.join(names)})",
            remedy="choose the parcel layer; lines and points have no area",
        )
    flat = shapely.force_2d(parcels.geometry.to_numpy())
    broken = ~shapely.is_valid(flat)
    flat[broken] = [_polygonal(g) for g in shapely.make_valid(flat[broken])]
    columns = {"parcel_id": ids.astype(str).to_numpy()}
    official = parcels.get("official_area_m2", np.nan)
    frame = gpd.GeoDataFrame(columns | {"official_area_m2": official}, geometry=flat, crs=parcels.crs)
    return frame, int(broken.sum())


def _polygonal(geometry: shapely.Geometry) -> shapely.Geometry:
    """The polygons of a repaired geometry; loose lines that fall off are left out."""
    parts = shapely.get_parts(geometry)
    return shapely.union_all(parts[shapely.get_dimensions(parts) == 2])


def _refuse_apart(placed: gpd.GeoDataFrame, bounds: tuple[float, float, float, float], given: gpd.GeoDataFrame) -> None:
    if placed.intersects(shapely.box(*bounds)).any():
        return
    raise InputError(
        f"none of {len(placed)} parcels meets the map: parcels {_extent(placed.total_bounds)}"
        f" (from '{given.crs.name}'), map {_extent(np.array(bounds))}",
        remedy="check the CRS of the parcel layer and that it is of this town",
    )


def _extent(bounds: NDArray[np.float64]) -> str:
    x0, y0, x1, y1 = bounds
    return f"x {x0:.0f}..{x1:.0f}, y {y0:.0f}..{y1:.0f}"


def _count(
    dataset: DatasetReader, placed: gpd.GeoDataFrame, classes: int, progress: Progress | None
) -> NDArray[np.float64]:
    """pixels_NK: pixels (with parts) of each class in each parcel. Unknown pixels are in no column."""
    found = np.zeros((len(placed), classes))
    # parcels that are near each other on paper share decoded blocks
    rows = np.argsort(placed.hilbert_distance().to_numpy(), kind="stable")
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        polygons = placed.geometry.to_numpy()[batch]
        moved = _exact(dataset, polygons, classes) + sliver_moves(dataset, polygons, classes)
        # weights are single precision, moves double: what should be nothing can be -1e-7
        found[batch] = np.maximum(moved[:, :classes], 0.0)
        if progress is not None:
            progress(min(start + _BATCH, len(rows)), len(rows))
    return found


def _exact(dataset: DatasetReader, polygons: NDArray[np.object_], classes: int) -> NDArray[np.float64]:
    """Pixels (N, classes + 1) in each polygon, the last column unknown; every sum is proven against geometry.

    exactextract 0.3.0 loses whole pixels where an edge runs exactly through pixel corners (a triangle of 100
    pixels with corners on the grid counts 98), and surveyed coordinates do lie on round numbers. Where a sum
    is wrong, the polygon is counted again a micrometre aside.
    """
    found = np.zeros((len(polygons), classes + 1))
    wrong, gap = np.arange(len(polygons)), np.zeros(0)
    for right, up in _ASIDE_M:
        by = np.array([right, up])
        moved = shapely.transform(polygons[wrong], by.__add__)
        found[wrong] = _weights(dataset, moved, classes)
        expected = _expected(dataset, moved)
        gap = np.abs(found[wrong].sum(axis=1) - expected) / np.maximum(expected, 1.0)
        wrong, gap = wrong[gap > _CLOSES / 4], gap[gap > _CLOSES / 4]
        if not wrong.size:
            return found
    if gap.max() > _CLOSES:
        raise ValueError(f"{wrong.size} parcels cannot be counted exactly, off by up to {gap.max():.2e}")
    return found


def _expected(dataset: DatasetReader, polygons: NDArray[np.object_]) -> NDArray[np.float64]:
    """Pixels that polygons cover, from geometry alone."""
    grid = grid_of(dataset)
    covered = shapely.area(shapely.intersection(polygons, shapely.box(*grid.bounds)))
    return np.asarray(covered / grid.pixel_area_m2, np.float64)


def _weights(dataset: DatasetReader, polygons: NDArray[np.object_], classes: int) -> NDArray[np.float64]:
    """Pixels (N, classes + 1) as exactextract counts them; last column: 255, values beyond the legend."""
    found = np.zeros((len(polygons), classes + 1))
    frame = gpd.GeoDataFrame(geometry=polygons, crs=dataset.crs.to_wkt())
    operations = [f"{name}(default_value={IGNORE})" for name in ("count", "unique", "frac")]
    with warnings.catch_warnings():
        # both are in the map's CRS; exactextract compares two spellings of it
        warnings.filterwarnings("ignore", message="Spatial reference system")
        answers = exact_extract(dataset, frame, operations, max_cells_in_memory=_MAX_CELLS)
    for row, answer in zip(found, answers, strict=True):
        p = answer["properties"]
        ids = np.minimum(np.asarray(p["unique"], np.int64), classes)
        np.add.at(row, ids, np.asarray(p["frac"]) * p["count"])
    return found


def _table(placed: gpd.GeoDataFrame, m2_NK: NDArray[np.float64], legend: Legend) -> gpd.GeoDataFrame:
    """The account. Weights in single precision leave a sum off by about 1e-7: that is not 'unknown'."""
    area, known = placed.area.to_numpy(), m2_NK.sum(axis=1)
    rest = area - known
    unknown = np.where(np.abs(rest) <= _CLOSES / 2 * np.maximum(area, 1.0), 0.0, rest)
    sealed_ids = list(legend.sealed_ids)
    sealed = m2_NK[:, sealed_ids].sum(axis=1)
    share = np.divide(sealed, known, out=np.full(len(area), np.nan), where=known > 0)
    columns = {
        "parcel_id": placed["parcel_id"].to_numpy(),
        "area_m2": area,
        "official_area_m2": placed["official_area_m2"].to_numpy(dtype=float, na_value=np.nan),
        "sealed_m2": sealed,
    }
    if len(sealed_ids) > 1:
        columns |= {f"{legend.classes[k].key}_m2": m2_NK[:, k] for k in sealed_ids}
    columns |= {"unsealed_m2": known - sealed, "unknown_m2": unknown, "sealed_share": share.clip(0.0, 1.0)}
    return gpd.GeoDataFrame(columns, geometry=placed.geometry.to_numpy(), crs=placed.crs)
