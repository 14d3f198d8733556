"""Scores by size of object: small roofs and terraces are lost first, and an IoU over pixels does not show it.

An object is a 4-connected component (as polygons are traced) of the truth, measured by its judged pixels: labels that
leave a ring open around every outline do not cut objects. Of what an edge of the scored ground cuts only the least
size is known: where that is of the largest class already, so is the object; else it is counted apart, in a class of its
own. Streets with all that touches them are one object, and a large one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sealmap.core.legend import IGNORE, Legend

LIMITS_M2 = (20.0, 100.0, 500.0)
"""Where one size ends and the next begins: sheds and terraces, houses, large houses, halls and streets."""

SIZES = ("below_20", "20_to_100", "100_to_500", "from_500", "cut")
"""Keys of the sizes in m²; 'cut' is what an edge cuts to less than the largest size."""

_FOUND = 0.5
"""An object is found where more than this share of it is predicted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeCounts:
    """By size (S = len(SIZES)), additive.

    number_S, found_S: objects, and those found. area_S, hit_S: pixels of them, and those predicted.
    """

    number_S: NDArray[np.int64]
    found_S: NDArray[np.int64]
    area_S: NDArray[np.int64]
    hit_S: NDArray[np.int64]

    @staticmethod
    def zero() -> SizeCounts:
        """No objects yet."""
        z = [np.zeros(len(SIZES), np.int64) for _ in range(4)]
        return SizeCounts(number_S=z[0], found_S=z[1], area_S=z[2], hit_S=z[3])

    def __add__(self, other: SizeCounts) -> SizeCounts:
        return SizeCounts(
            number_S=self.number_S + other.number_S,
            found_S=self.found_S + other.found_S,
            area_S=self.area_S + other.area_S,
            hit_S=self.hit_S + other.hit_S,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Objects:
    """What was found of the true objects of each kind, and components of ground that is claimed sealed and is not.

    kinds: 'sealed', and 'roof' where the legend has it (found as roof). false: sums to the false positive pixels of
    'sealed'; its found_S and hit_S are 0.
    """

    kinds: dict[str, SizeCounts]
    false: SizeCounts

    def __add__(self, other: Objects) -> Objects:
        kinds = {kind: counts + other.kinds[kind] for kind, counts in self.kinds.items()}
        return Objects(kinds=kinds, false=self.false + other.false)


class ObjectTally:
    """Takes whole rows of the scored ground from the top and counts objects, those across rows of two calls too.

    Memory: one call's rows, and a few numbers for each object that reaches their last row.
    """

    def __init__(self, legend: Legend, pixel_area_m2: float) -> None:
        self._legend = legend
        self._ids = {"sealed": legend.sealed_ids}
        self._ids |= {c.key: (c.id,) for c in legend.classes if c.key == "roof"}
        self._kinds = {kind: _Components(pixel_area_m2) for kind in self._ids}
        self._false = _Components(pixel_area_m2)

    def add(self, truth_HW: NDArray[np.uint8], pred_HW: NDArray[np.uint8], cut_HW: NDArray[np.bool_]) -> None:
        """The next rows. cut_HW: True along edges beyond which the ground goes on unseen."""
        judged = (truth_HW != IGNORE) & (pred_HW != IGNORE)
        for kind, ids in self._ids.items():
            self._kinds[kind].add(np.isin(truth_HW, ids) & judged, np.isin(pred_HW, ids), cut_HW)
        wrong = judged & self._legend.sealed_HW(pred_HW) & ~self._legend.sealed_HW(truth_HW)
        self._false.add(wrong, np.zeros(wrong.shape, np.bool_), cut_HW)

    def close(self) -> Objects:
        """No more rows come: what reaches the last one is cut there."""
        return Objects(kinds={k: c.close() for k, c in self._kinds.items()}, false=self._false.close())


class _Components:
    """Connected components of one mask, row by row; what touches the last row stays open."""

    def __init__(self, pixel_area_m2: float) -> None:
        self._pixel_area_m2 = pixel_area_m2
        self._open = np.zeros((0, 3), np.int64)  # pixels, hits, cut edges of each open component
        self._bottom = np.zeros(0, np.int64)  # the last row: 0, or 1 + index into these
        self._done = SizeCounts.zero()

    def add(self, mask_HW: NDArray[np.bool_], hit_HW: NDArray[np.bool_], cut_HW: NDArray[np.bool_]) -> None:
        count, labels = cv2.connectedComponents(mask_HW.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
        flat = labels.ravel()
        fresh = np.stack(
            [
                np.bincount(part, minlength=count)
                for part in (flat, flat[(hit_HW & mask_HW).ravel()], flat[(cut_HW & mask_HW).ravel()])
            ],
            axis=1,
        )[1:]
        before = len(self._open)
        groups = _joined(self._bottom, labels[0], before, count - 1)
        number = int(groups.max()) + 1 if groups.size else 0
        sums = np.zeros((number, 3), np.int64)
        np.add.at(sums, groups, np.concatenate([self._open, fresh]))
        group_of_label = np.concatenate([[-1], groups[before:]])
        last = group_of_label[labels[-1]]
        still = np.unique(last[last >= 0])
        self._finish(np.delete(sums, still, axis=0))
        self._open = sums[still]
        self._bottom = np.where(last >= 0, np.searchsorted(still, last) + 1, 0)

    def close(self) -> SizeCounts:
        self._open[:, 2] += 1
        self._finish(self._open)
        self._open, self._bottom = self._open[:0], self._bottom[:0]
        return self._done

    def _finish(self, sums: NDArray[np.int64]) -> None:
        pixels, hits, cut = sums.T
        size = np.searchsorted(LIMITS_M2, np.round(pixels * self._pixel_area_m2, 6), side="right")
        size[(cut > 0) & (size < len(LIMITS_M2))] = SIZES.index("cut")
        found = hits > _FOUND * pixels

        def per_size(weights: NDArray[np.int64]) -> NDArray[np.int64]:
            out = np.zeros(len(SIZES), np.int64)
            np.add.at(out, size, weights)
            return out

        self._done += SizeCounts(
            number_S=per_size(np.ones_like(pixels)),
            found_S=per_size(found.astype(np.int64)),
            area_S=per_size(pixels),
            hit_S=per_size(hits),
        )


def _joined(bottom: NDArray[np.int64], top: NDArray[np.int32], before: int, fresh: int) -> NDArray[np.int64]:
    """Group of each open component (``before`` many) and each fresh one, joined where two rows meet."""
    pairs = np.zeros((0, 2), np.int64)
    if bottom.size:
        meets = (bottom > 0) & (top > 0)
        pairs = np.unique(np.stack([bottom[meets] - 1, top[meets] - 1 + before], axis=1), axis=0)
    total = before + fresh
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(total, total))
    return connected_components(graph, directed=False)[1].astype(np.int64) if total else np.zeros(0, np.int64)
