"""Clean a class map: morphology in metres on the sealed union, then small islands of a class inside it.

Every step looks only so far: what it does to a pixel depends on pixels within ``CleanSpec.reach_px``.
Strips that are read with that margin are therefore cleaned exactly as the whole map would be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import SettingsError
from sealmap.core.legend import IGNORE, Legend

_Mask = NDArray[np.bool_]
_Classes = NDArray[np.uint8]

_ROUND_FROM_PX = 5
"""Structuring elements from this side on are discs; smaller ones are squares (a 3 px 'disc' is a cross)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CleanSpec:
    """Sizes in metres and square metres; 0 switches a step off.

    open_m: sealed strips narrower than this go. close_m: gaps narrower than this close. min_area_m2:
    smaller sealed objects go, smaller islands of one class in another take its class. min_hole_m2: smaller
    holes are filled.
    """

    open_m: float = 0.4
    close_m: float = 0.4
    min_area_m2: float = 4.0
    min_hole_m2: float = 4.0

    def __post_init__(self) -> None:
        sizes = (self.open_m, self.close_m, self.min_area_m2, self.min_hole_m2)
        if not all(0 <= s < math.inf for s in sizes):
            raise SettingsError(f"cleaning sizes must be 0 or more: {sizes}")

    def reach_px(self, gsd_m: float) -> int:
        """Rows and columns around a pixel on which its cleaned class can depend.

        A component below n pixels that touches a pixel ends within n rows of it, and one that goes on
        beyond n rows has at least n pixels: n rows of margin decide its size. Each step needs the margins
        of those before it.
        """
        kernels = 2 * (_kernel_px(self.open_m, gsd_m) + _kernel_px(self.close_m, gsd_m))
        objects, holes = _pixels(self.min_area_m2, gsd_m), _pixels(self.min_hole_m2, gsd_m)
        nearest = math.isqrt(max(objects, holes))  # the widest hole of that area is a disc
        islands = 2 * objects  # an island, and whether its neighbour is one
        return kernels + objects + holes + nearest + islands + 8


def clean(class_HW: _Classes, legend: Legend, gsd_m: float, spec: CleanSpec) -> _Classes:
    """The cleaned map, a new array. 255 stays 255 and nothing else becomes 255.

    class_HW: ids of ``legend`` or 255 (unknown). Unknown pixels and what lies beyond the array are neither
    sealed nor unsealed: objects and holes that touch them have an unknown size and stay.
    """
    margin = 1 + _kernel_px(spec.open_m, gsd_m) + _kernel_px(spec.close_m, gsd_m)
    # 255 all around: the array's edge then needs no rule of its own
    padded = np.pad(class_HW, margin, constant_values=IGNORE)
    unknown = padded == IGNORE
    before = legend.sealed_HW(padded)
    after = _open(before, unknown, _kernel_px(spec.open_m, gsd_m))
    after = _close(after, unknown, _kernel_px(spec.close_m, gsd_m))
    after = after & ~_small(after, unknown, _pixels(spec.min_area_m2, gsd_m), connectivity=4)
    # 8-connected: what surrounds a 4-connected object meets at corners too
    after = after | _small(~after & ~unknown, unknown, _pixels(spec.min_hole_m2, gsd_m), connectivity=8)
    _take_nearest(padded, before & after, ~before & after)
    _take_nearest(padded, ~before & ~after & ~unknown, before & ~after)
    _absorb_islands(padded, legend, unknown, _pixels(spec.min_area_m2, gsd_m))
    inner = slice(margin, -margin)
    return np.ascontiguousarray(padded[inner, inner])


def _kernel_px(size_m: float, gsd_m: float) -> int:
    """Side of a structuring element in pixels; below 2 it does nothing."""
    return round(size_m / gsd_m)


def _pixels(area_m2: float, gsd_m: float) -> int:
    """Components with fewer pixels than this are smaller than ``area_m2``."""
    return math.ceil(area_m2 / gsd_m**2 - 1e-6)


def _open(sealed: _Mask, unknown: _Mask, side: int) -> _Mask:
    """Opening where unknown counts as sealed: a strip that goes on into the unknown is not narrow."""
    return sealed if side < 2 else _opened(sealed | unknown, side) & ~unknown


def _close(sealed: _Mask, unknown: _Mask, side: int) -> _Mask:
    """Closing is opening of the complement, so unknown counts as unsealed here."""
    return sealed if side < 2 else ~_opened(~sealed, side) & ~unknown


def _opened(mask: _Mask, side: int) -> _Mask:
    """Union of all structuring elements that fit in ``mask``.

    OpenCV does not reflect the kernel when it dilates: an even side would shift the result by one pixel. So
    the anchor and the kernel are mirrored by hand.
    """
    shape = cv2.MORPH_ELLIPSE if side >= _ROUND_FROM_PX else cv2.MORPH_RECT
    kernel = cv2.getStructuringElement(shape, (side, side))
    at = side // 2
    back = side - 1 - at
    eroded = cv2.erode(mask.view(np.uint8), kernel, anchor=(at, at))
    mirrored = np.ascontiguousarray(kernel[::-1, ::-1])
    return np.asarray(cv2.dilate(eroded, mirrored, anchor=(back, back))).view(np.bool_)


def _small(mask: _Mask, unknown: _Mask, pixels: int, *, connectivity: int) -> _Mask:
    """True on components of ``mask`` below ``pixels`` that touch no unknown pixel."""
    if pixels < 2 or not mask.any():
        return np.zeros_like(mask)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=connectivity)
    small = np.asarray(stats)[:, cv2.CC_STAT_AREA] < pixels
    small[0] = False
    shape = cv2.MORPH_CROSS if connectivity == 4 else cv2.MORPH_RECT
    beside = cv2.dilate(unknown.view(np.uint8), cv2.getStructuringElement(shape, (3, 3))).view(np.bool_)
    small[np.asarray(labels)[beside & mask]] = False
    return np.asarray(small[labels], np.bool_)


def _take_nearest(class_HW: _Classes, source: _Mask, target: _Mask) -> None:
    """Give each ``target`` pixel the class of a nearest ``source`` pixel, in place."""
    if not target.any():
        return
    ids = np.unique(class_HW[source])
    if ids.size == 1:
        class_HW[target] = ids[0]
        return
    _, labels = cv2.distanceTransformWithLabels(
        (~source).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    class_of = np.zeros(int(labels.max()) + 1, np.uint8)
    class_of[labels[source]] = class_HW[source]
    class_HW[target] = class_of[labels[target]]


def _absorb_islands(class_HW: _Classes, legend: Legend, unknown: _Mask, pixels: int) -> None:
    """Small components of a sealed class take the class of most of their edge, in place.

    Only neighbours that are no islands themselves have a vote; without one the island stays as it is. On a
    tie the lower id wins.
    """
    if len(legend.sealed_ids) < 2 or pixels < 2:
        return
    island = np.zeros(class_HW.shape, bool)
    for k in legend.sealed_ids:
        island |= _small(class_HW == k, unknown, pixels, connectivity=4)
    if not island.any():
        return
    votes_for = [k for k in legend.sealed_ids if ((class_HW == k) & ~island).any()]
    settled = np.where(island | ~np.isin(class_HW, votes_for), IGNORE, class_HW)
    before = class_HW.copy()
    for k in legend.sealed_ids:
        count, found = cv2.connectedComponents((island & (before == k)).view(np.uint8), connectivity=4)
        if count > 1:
            labels = np.asarray(found, np.int32)
            votes = _votes(labels, settled, count, len(legend))
            winner = np.where(votes.any(axis=1), votes.argmax(axis=1), k).astype(np.uint8)
            class_HW[labels > 0] = winner[labels[labels > 0]]


def _votes(labels: NDArray[np.int32], settled: _Classes, count: int, classes: int) -> NDArray[np.int64]:
    """votes[label, class]: pixel edges that a component shares with settled pixels of a class."""
    votes = np.zeros(count * classes, np.int64)
    lower, upper, left, right = np.s_[1:, :], np.s_[:-1, :], np.s_[:, :-1], np.s_[:, 1:]
    for here, there in ((lower, upper), (upper, lower), (left, right), (right, left)):
        edge = (labels[here] > 0) & (settled[there] != IGNORE)
        cells = labels[here][edge].astype(np.int64) * classes + settled[there][edge]
        votes += np.bincount(cells, minlength=count * classes)
    return votes.reshape(count, classes)
