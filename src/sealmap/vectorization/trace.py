"""Trace a class map to polygons on pixel edges, strip by strip, without seams.

Works in pixel coordinates (x = column, y = row): integers, so areas are exact and seams join without a
tolerance. A polygon is a 4-connected component of one sealed class. OpenCV's contours would not do: they
run through pixel centres and lose half a pixel on each side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sealmap.core.legend import Legend
from sealmap.vectorization.simplify import Polygons, drop_collinear

_Labels = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """Whole rows of a map, the first at ``row``.

    class_HW: class ids, 255 unknown. prob_HW: what the probability raster says of each pixel, as stored,
    NaN where it says nothing; None without such a raster.
    """

    row: int
    class_HW: NDArray[np.uint8]
    prob_HW: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Traced:
    """N polygons in pixel coordinates, ordered by their first pixel (row, then column).

    pixels: number of pixels. prob_sum, prob_count: sum of stored probabilities and number of pixels that
    have one. shared: True where a polygon has a common border with a polygon of another class.
    """

    polygons_px: Polygons
    class_id: NDArray[np.uint8]
    pixels: NDArray[np.int64]
    prob_sum: NDArray[np.float64]
    prob_count: NDArray[np.int64]
    shared: NDArray[np.bool_]

    def __post_init__(self) -> None:
        areas = shapely.area(self.polygons_px)
        if not np.array_equal(areas, self.pixels.astype(np.float64)):
            raise ValueError(f"traced {areas.sum()} pixels but counted {self.pixels.sum()}")


def trace(strips: Iterable[Strip], legend: Legend) -> Traced:
    """Polygons of the sealed classes. Strips come from the top without gaps and have one width."""
    parts: list[Traced] = []
    joins: list[NDArray[np.int64]] = []
    touching: list[NDArray[np.int64]] = []
    above: tuple[_Labels, NDArray[np.uint8]] | None = None
    offset = 0
    for strip in strips:
        labels, class_id = _label(strip.class_HW, legend)
        parts.append(_measure(strip, labels, class_id))
        if above is not None:
            below = (_numbered(labels[0], offset), strip.class_HW[0])
            pairs, same = _seam(above, below)
            joins.append(pairs[same])
            touching.append(pairs[~same])
        above = (_numbered(labels[-1], offset), strip.class_HW[-1].copy())
        offset += class_id.size
    return _join(_concatenate(parts), _stack(joins), _stack(touching))


def _label(class_HW: NDArray[np.uint8], legend: Legend) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """labels_HW (0 none, then 1..n) of 4-connected components of sealed classes, and each label's class."""
    labels = np.zeros(class_HW.shape, np.int32)
    class_id: list[int] = []
    for k in legend.sealed_ids:
        count, found = cv2.connectedComponents((class_HW == k).view(np.uint8), connectivity=4)
        np.add(found, len(class_id), out=labels, where=np.asarray(found) > 0, casting="unsafe")
        class_id += [k] * (count - 1)
    return labels, np.array(class_id, np.uint8)


def _measure(strip: Strip, labels: NDArray[np.int32], class_id: NDArray[np.uint8]) -> Traced:
    """The components of one strip as polygons with their sums, in the order of labels."""
    n = class_id.size
    polygons = np.empty(n, dtype=object)
    place = Affine.translation(0, strip.row)
    for geometry, value in rasterio.features.shapes(labels, mask=labels > 0, connectivity=4, transform=place):
        polygons[int(value) - 1] = shapely.geometry.shape(geometry)
    probs = np.full(labels.shape, np.nan, np.float32) if strip.prob_HW is None else strip.prob_HW
    known = (labels > 0) & np.isfinite(probs)
    counts = np.bincount(labels[known], minlength=n + 1)
    sums = np.bincount(labels[known], weights=probs[known], minlength=n + 1).astype(np.float64)
    return Traced(
        polygons_px=polygons,
        class_id=class_id,
        pixels=np.bincount(labels.ravel(), minlength=n + 1)[1:],
        prob_sum=sums[1:],
        prob_count=counts[1:],
        shared=_beside_another(labels, n),
    )


def _beside_another(labels: NDArray[np.int32], n: int) -> NDArray[np.bool_]:
    """(n,) True for labels that share a pixel edge with another label (which then is of another class)."""
    shared = np.zeros(n + 1, bool)
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        edge = (a != b) & (a > 0) & (b > 0)
        shared[a[edge]] = True
        shared[b[edge]] = True
    return shared[1:]


def _numbered(labels: NDArray[np.int32], offset: int) -> _Labels:
    """Labels of a row numbered through all strips from 0; -1 where there is none."""
    return np.where(labels > 0, labels.astype(np.int64) - 1 + offset, -1)


def _seam(
    above: tuple[_Labels, NDArray[np.uint8]], below: tuple[_Labels, NDArray[np.uint8]]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Pairs (M, 2) of components that meet along a seam, and whether they are of the same class."""
    both = (above[0] >= 0) & (below[0] >= 0)
    pairs = np.stack([above[0][both], below[0][both]], axis=1)
    return pairs, above[1][both] == below[1][both]


def _concatenate(parts: list[Traced]) -> Traced:
    return Traced(
        polygons_px=np.concatenate([p.polygons_px for p in parts]),
        class_id=np.concatenate([p.class_id for p in parts]),
        pixels=np.concatenate([p.pixels for p in parts]),
        prob_sum=np.concatenate([p.prob_sum for p in parts]),
        prob_count=np.concatenate([p.prob_count for p in parts]),
        shared=np.concatenate([p.shared for p in parts]),
    )


def _stack(pairs: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.unique(np.concatenate([np.empty((0, 2), np.int64), *pairs]), axis=0)


def _join(pieces: Traced, joins: NDArray[np.int64], touching: NDArray[np.int64]) -> Traced:
    """Unite pieces that continue across seams: only those are touched."""
    n = pieces.pixels.size
    shared = pieces.shared.copy()
    shared[touching.ravel()] = True
    links = coo_array((np.ones(len(joins), np.int8), (joins[:, 0], joins[:, 1])), shape=(n, n))
    count, group = connected_components(links, directed=False)
    polygons = _unite(pieces.polygons_px, group, count)
    order = _by_first_pixel(polygons)
    class_id = np.zeros(count, np.uint8)
    class_id[group] = pieces.class_id
    return Traced(
        polygons_px=polygons[order],
        class_id=class_id[order],
        pixels=np.bincount(group, weights=pieces.pixels, minlength=count).astype(np.int64)[order],
        prob_sum=np.bincount(group, weights=pieces.prob_sum, minlength=count).astype(np.float64)[order],
        prob_count=np.bincount(group, weights=pieces.prob_count, minlength=count).astype(np.int64)[order],
        shared=(np.bincount(group, weights=shared, minlength=count) > 0)[order],
    )


def _unite(pieces: Polygons, group: NDArray[np.int32], count: int) -> Polygons:
    """One polygon per group, in a normal form that does not tell where the seams were."""
    united = np.empty(count, dtype=object)
    united[group] = pieces
    sizes = np.bincount(group, minlength=count)
    joined = np.flatnonzero(sizes > 1)
    if joined.size:
        by_group = np.argsort(group, kind="stable")
        stops = np.cumsum(sizes)
        for g in joined:
            united[g] = shapely.union_all(pieces[by_group[stops[g] - sizes[g] : stops[g]]])
        united[joined] = drop_collinear(united[joined])
    return np.asarray(shapely.normalize(united), dtype=object)


def _by_first_pixel(polygons: Polygons) -> NDArray[np.int64]:
    """Order by the corner that is first in rows, then columns: no two polygons share it."""
    corners, owner = shapely.get_coordinates(polygons, return_index=True)
    by_corner = np.lexsort((corners[:, 0], corners[:, 1]))
    _, first = np.unique(owner[by_corner], return_index=True)
    rank = np.argsort(first, kind="stable")
    return np.asarray(rank, np.int64)
