"""Simplify outlines together: a border that two polygons share stays one, so no gap and no overlap opens."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

Polygons = NDArray[np.object_]
"""An array (N,) of shapely polygons."""


def simplify_coverage(polygons_px: Polygons, shared: NDArray[np.bool_], tolerance_px: float) -> Polygons:
    """Outlines without the steps of pixels, as an array of the same length.

    polygons_px: pixel-edge polygons with integer corners (x = column, y = row) that do not overlap.
    shared: (N,) True where a polygon has a common border with another one. tolerance_px: a corner goes when
    the triangle with its neighbours has less area than the square of it (Visvalingam-Whyatt); 0 changes
    nothing.
    """
    if tolerance_px <= 0 or polygons_px.size == 0:
        return polygons_px
    ready = polygons_px.copy()
    ready[shared] = _with_common_corners(ready[shared])
    return np.asarray(shapely.coverage_simplify(ready, tolerance_px), dtype=object)


def _with_common_corners(polygons_px: Polygons) -> Polygons:
    """The same polygons, where each has the corners of its neighbours that lie on its own straight edges.

    Where two polygons meet at the straight edge of a third, only those two have a corner; GEOS needs it in
    all three to know the border as a common one.
    """
    if polygons_px.size == 0:
        return polygons_px
    corners = np.unique(_codes(shapely.get_coordinates(polygons_px)))
    # all pixel corners on the way (rint: the division of an edge is not exact), then only corners of polygons
    dense = shapely.transform(shapely.segmentize(polygons_px, 1.0), np.rint)
    kind, points, (ring_stops, polygon_stops) = shapely.to_ragged_array(dense)
    codes = _codes(points)
    at = np.minimum(np.searchsorted(corners, codes), corners.size - 1)
    keep = corners[at] == codes
    kept_before = np.concatenate([[0], np.cumsum(keep)])
    stops = (kept_before[ring_stops], polygon_stops)
    return np.asarray(shapely.from_ragged_array(kind, points[keep], stops), dtype=object)


def _codes(points_px: NDArray[np.float64]) -> NDArray[np.int64]:
    """One integer for each integer point (x, y)."""
    xy = points_px.astype(np.int64)
    return (xy[:, 1] << 32) + xy[:, 0]


def drop_collinear(polygons_px: Polygons) -> Polygons:
    """Pixel-edge polygons with corners only. Normal form first: each ring then starts at a corner."""
    return np.asarray(shapely.simplify(shapely.normalize(polygons_px), 0.0), dtype=object)
