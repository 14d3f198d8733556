"""What a sheet's name and its CRS say, against where its georeference puts it."""

from __future__ import annotations

import re
from functools import lru_cache

from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from sealmap.core.finding import Finding
from sealmap.core.grid import Grid
from sealmap.sources.dop import DopSheet, sheet_from_name

_KM = 1000.0
_OFFSET = re.compile(r"_x\d{3}_y\d{3}$")
"""The invented town's sheets below 1 km say where in the kilometre they begin, and may reach over its edge."""

_MARGIN_DEG = 1.0
"""Areas of use are drawn generously; a flight may reach a little beyond."""


def georeference(name: str, grid: Grid) -> Finding:
    """Zone, place, extent and ground sampling distance as the name says them; place within the CRS's area of use."""
    figures = {
        "crs": grid.crs.name,
        "gsd_m": round(grid.gsd_m, 4),
        "west": round(grid.bounds[0]),
        "south": round(grid.bounds[1]),
    }
    said = sheet_from_name(name)
    for cause, grave in _contradictions(said, grid, whole=not _OFFSET.search(name)) if said else ():
        return Finding(
            check="georeference", verdict="refusal" if grave else "warning", where=name, figures=figures, cause=cause,
            remedy="check CRS and pixel size with gdalinfo; set the right ones with gdal_edit.py -a_srs and -tr",
        )  # fmt: skip
    if not _in_area_of_use(grid):
        return Finding(
            check="georeference", verdict="warning", where=name, figures=figures,
            cause=f"the sheet lies outside the area that {grid.crs.name} is used in: a wrong CRS, or an arbitrary"
            " origin",
            remedy="check the CRS with gdalinfo; set the right one with gdal_edit.py -a_srs",
        )  # fmt: skip
    return Finding(check="georeference", figures=figures)


def _contradictions(said: DopSheet, grid: Grid, *, whole: bool) -> list[tuple[str, bool]]:
    """(what contradicts, whether it must be wrong), the gravest first. whole: it fills the named square."""
    west, south, east, north = grid.bounds
    found = []
    zone = _utm_zone(grid.crs)
    if zone is not None and zone != said.zone:
        found.append((f"the name says UTM zone {said.zone}, the file {grid.crs.name}: a wrong CRS", True))
    size = said.size_km * _KM
    corner = said.east_km * _KM, said.north_km * _KM
    slack = 2 * grid.gsd_m
    inside = all(c - slack <= at < c + size for c, at in zip(corner, (west, south), strict=True))
    if whole:
        inside = inside and east <= corner[0] + size + slack and north <= corner[1] + size + slack
    wrong_size = said.gsd_m is not None and abs(grid.gsd_m / said.gsd_m - 1) > 0.02
    if zone == said.zone and not inside:
        named = f"{corner[0]:.0f}, {corner[1]:.0f} and {said.size_km} km"
        there = f"{west:.0f}, {south:.0f} to {east:.0f}, {north:.0f}"
        what = "pixel size" if wrong_size else "place"
        found.append((f"the name says {named}, the file {there}: a wrong {what}", True))
    if wrong_size:
        found.append((
            f"the name says pixels of {said.gsd_m:g} m, the file {grid.gsd_m:g} m: a wrong pixel size, or resampled",
            False,
        ))  # fmt: skip
    return found


def _utm_zone(crs: CRS) -> int | None:
    told = crs.utm_zone
    return int(told[:-1]) if told else None


@lru_cache(maxsize=8)
def _to_degrees(crs: CRS) -> Transformer:
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)


def _in_area_of_use(grid: Grid) -> bool:
    """Also True where the CRS does not say where it is used."""
    area = grid.crs.area_of_use
    if area is None:
        return True
    west, south, east, north = grid.bounds
    try:
        lon, lat = _to_degrees(grid.crs).transform((west + east) / 2, (south + north) / 2)
    except ProjError:
        return False
    return bool(
        area.west - _MARGIN_DEG <= lon <= area.east + _MARGIN_DEG
        and area.south - _MARGIN_DEG <= lat <= area.north + _MARGIN_DEG
    )
