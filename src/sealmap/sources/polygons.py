"""Geometry of a cadastre: valid flat polygons, one per object."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

_SAME_SHARE = 0.5
"""Two shapes of one object that share more than this of the smaller are twice the same, else two parts of it."""


def polygons_of(geometry: NDArray[np.object_]) -> tuple[NDArray[np.object_], int]:
    """Valid 2D polygons (empty where a shape has none) and how many had to be repaired."""
    flat = shapely.force_2d(geometry)
    flat[shapely.is_missing(flat) | ~np.isfinite(shapely.bounds(flat)).all(axis=1)] = shapely.Polygon()
    broken = ~shapely.is_valid(flat)
    flat[broken] = shapely.make_valid(flat[broken])
    for i in np.flatnonzero(~np.isin(shapely.get_type_id(flat), (3, 6))):  # neither polygon nor multipolygon
        parts = shapely.get_parts(shapely.get_parts(flat[i]))
        areas = parts[shapely.get_type_id(parts) == 3]
        flat[i] = shapely.union_all(areas) if len(areas) else shapely.Polygon()
    return flat, int(broken.sum())


def without_duplicates(
    geometry: NDArray[np.object_], oid: Sequence[str], updated: Sequence[date | None]
) -> NDArray[np.int64]:
    """Rows to keep of those with one id: of the newest date, each place once; rows without an id all stay.

    Objects on a municipal border are in two packages. Rows of one id that lie side by side are parts of one object.
    """
    groups: dict[str, list[int]] = {}
    for i, key in enumerate(oid):
        groups.setdefault(key, []).append(i)
    keep = groups.pop("", [])
    for rows in groups.values():
        newest = max(updated[i] or date.min for i in rows)
        kept: list[int] = []
        for i in (i for i in rows if (updated[i] or date.min) == newest):
            if not any(_same_place(geometry[i], geometry[k]) for k in kept):
                kept.append(i)
        keep += kept
    return np.sort(np.array(keep, np.int64))


def _same_place(a: BaseGeometry, b: BaseGeometry) -> bool:
    smaller = min(a.area, b.area)
    return bool(shapely.equals(a, b)) or (smaller > 0 and bool(shapely.intersection(a, b).area > _SAME_SHARE * smaller))
