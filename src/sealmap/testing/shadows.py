"""Where buildings, cars, hedges and roof furniture cast shadow, as polygons to burn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from sealmap.testing.model import Solid

Shapes = NDArray[Any]
Throw = tuple[float, float]


def throw_m(azimuth_deg: float, elevation_deg: float) -> Throw:
    """Shift of the shadow (east, north) in metres per metre of height."""
    az, cot = math.radians(azimuth_deg), 1.0 / math.tan(math.radians(elevation_deg))
    return -math.sin(az) * cot, -math.cos(az) * cot


def cast(solids: Sequence[Solid], throw: Throw, lift: float = 0.0) -> Shapes:
    """Shadow of each convex solid on a plane ``lift`` metres high: hull of base and thrown corners."""
    if not solids:
        return np.empty(0, object)
    corners = np.concatenate([np.array(s.points, float) for s in solids])
    owner = np.repeat(np.arange(len(solids)), [len(s.points) for s in solids])
    moved = corners[:, :2] + np.maximum(corners[:, 2:] - lift, 0) * np.array(throw)
    base, base_owner = shapely.get_coordinates([s.base for s in solids], return_index=True)
    points, index = np.concatenate([base, moved]), np.concatenate([base_owner, owner])
    order = np.argsort(index, kind="stable")
    lines: Shapes = np.asarray(shapely.linestrings(points[order], indices=index[order]), object)
    hulls: Shapes = np.asarray(shapely.convex_hull(lines), object)
    return hulls


def rings(shapes: Shapes) -> list[dict[str, Any]]:
    """GeoJSON of polygons without holes; much faster than asking each shape for its own."""
    keep = [s for s in shapes if s.geom_type == "Polygon" and not s.is_empty]
    coords, index = shapely.get_coordinates(keep, return_index=True)
    stops = np.searchsorted(index, np.arange(len(keep) + 1))
    flat = coords.tolist()
    return [{"type": "Polygon", "coordinates": [flat[a:b]]} for a, b in pairwise(stops)]


def layers(solids: Sequence[Solid], throw: Throw) -> list[tuple[Any, int]]:
    """Shapes to burn in this order, with 1 = shadow and 0 = lit: later ones win."""
    low = [s for s in solids if s.role == "low"]
    tall = sorted((s for s in solids if s.role == "building"), key=top)
    out: list[tuple[Any, int]] = []
    for group in (low, tall):
        out += [(g, 1) for g in rings(cast(group, throw))]
        out += [(g, 0) for g in rings(np.array([s.base for s in group], object))]
    out += [(g, 1) for g in _on_roofs(tall, throw)]
    tops = [s for s in solids if s.role == "rooftop" and s.clip is not None]
    # Roofs fall away from the chimney: 0.7 stands for the part of the throw that stays on the plane.
    thrown = cast(tops, (throw[0] * 0.7, throw[1] * 0.7))
    for solid, shadow in zip(tops, thrown, strict=True):
        out += [(shapely.intersection(shadow, solid.clip), 1), (solid.base, 0)]
    return out


def top(solid: Solid) -> float:
    """Height of the highest corner in metres."""
    return max(p[2] for p in solid.points)


def _on_roofs(tall: list[Solid], throw: Throw) -> list[Any]:
    """Shadows of high roofs on lower ones beside them."""
    if len(tall) < 2:
        return []
    out: list[Any] = []
    tree = shapely.STRtree([s.base for s in tall])
    heights = np.array([top(s) for s in tall])
    eaves = np.array([s.eave for s in tall])
    by, onto = tree.query(cast(tall, throw), predicate="intersects")
    lower = heights[by] > heights[onto] + 0.8
    for i, j in zip(by[lower], onto[lower], strict=True):
        lift = float(eaves[j] + heights[j]) / 2
        part = shapely.intersection(cast([tall[i]], throw, lift)[0], tall[j].base)
        part = shapely.difference(part, tall[i].base)
        if not part.is_empty and part.area > 0.2:
            out.append(part)
    return out
