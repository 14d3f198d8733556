"""Boundary IoU: how well outlines are met, whatever the size of the objects.

Cheng et al. 2021, "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation": of the true and of the
predicted mask only the pixels within d of their own contour are taken, and the IoU of these two bands is computed. A
large roof cannot hide a bad outline behind its many inner pixels.

Labels that ignore a ring around every edge leave nothing of the true outline to be met, and all that is invented away
from it to be blamed. So the part of the true outline that can be judged is counted too, and below LEAST_JUDGED no score
is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.core.confusion import unions
from sealmap.core.legend import IGNORE, Legend

WIDTH_PX = 3
"""d: 0.6 m at a ground sampling distance of 0.2 m, about what an orthophoto's geometry can promise."""

LEAST_JUDGED = 0.5
"""There is a score where at least this share of the true outline's pixels is judged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundaryCounts:
    """Pixels of the bands along contours, which add up over windows.

    counts_U2[u]: (judged pixels in both bands, in at least one) of the u-th of ``core.confusion.unions(legend)``.
    outline_U2[u]: (judged pixels of the true band, all of it). Where a true mask meets IGNORE it has an outline, too.
    """

    legend: Legend
    counts_U2: NDArray[np.int64]
    outline_U2: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name, c in (("both and any", self.counts_U2), ("judged and all", self.outline_U2)):
            if c.shape != (len(unions(self.legend)), 2) or (c < 0).any() or (c[:, 0] > c[:, 1]).any():
                raise ValueError(f"counts {c.tolist()} are none of {name} for legend '{self.legend.name}'")

    @staticmethod
    def zero(legend: Legend) -> BoundaryCounts:
        """No pixels yet."""
        none = np.zeros((len(unions(legend)), 2), np.int64)
        return BoundaryCounts(legend=legend, counts_U2=none, outline_U2=none)

    @staticmethod
    def of(
        legend: Legend, truth_HW: NDArray[np.uint8], pred_HW: NDArray[np.uint8], counted_HW: NDArray[np.bool_]
    ) -> BoundaryCounts:
        """Counts of one window. counted_HW: True where pixels count here, as far as they can be judged.

        A pixel within WIDTH_PX of one that is IGNORE in truth or prediction is not judged: whether a contour runs there
        is not known. What is that near to the edge of these arrays does not count. Give a margin where there is one.
        """
        known = (truth_HW != IGNORE) & (pred_HW != IGNORE)
        judged = eroded(known, WIDTH_PX)
        counted_HW = counted_HW & eroded(np.ones(truth_HW.shape, np.bool_), WIDTH_PX)
        counts, outlines = [], []
        for ids in unions(legend).values():
            truth, pred = (band(np.isin(class_HW, ids)) & counted_HW for class_HW in (truth_HW, pred_HW))
            counts.append([int((truth & pred & judged).sum()), int(((truth | pred) & judged).sum())])
            outlines.append([int((truth & judged).sum()), int(truth.sum())])
        return BoundaryCounts(
            legend=legend, counts_U2=np.array(counts, np.int64), outline_U2=np.array(outlines, np.int64)
        )

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        if self.legend != other.legend:
            raise ValueError("boundary counts of different legends do not add up")
        counts, outlines = self.counts_U2 + other.counts_U2, self.outline_U2 + other.outline_U2
        return BoundaryCounts(legend=self.legend, counts_U2=counts, outline_U2=outlines)

    def judged(self) -> dict[str, float]:
        """Share of the true outline that is judged, by key of ``unions`` (0..1; NaN where there is none)."""
        return _shares(self.legend, self.outline_U2)

    def iou(self) -> dict[str, float]:
        """Boundary IoU by key of ``unions``, 0..1.

        NaN where no contour was judged, or less than LEAST_JUDGED of the true one.
        """
        judged = self.judged()
        return {
            key: float("nan") if judged[key] < LEAST_JUDGED else iou
            for key, iou in _shares(self.legend, self.counts_U2).items()
        }


def band(mask_HW: NDArray[np.bool_], width: int = WIDTH_PX) -> NDArray[np.bool_]:
    """Pixels of a mask with a pixel outside it at most ``width`` rows and columns away, or the edge of the array.

    As in the paper's code, distance is that of a square neighbourhood.
    """
    return mask_HW & ~eroded(mask_HW, width)


def eroded(mask_HW: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """Pixels all of whose neighbours within ``width`` rows and columns are True; beyond the array, none is."""
    side = 2 * width + 1
    kernel = np.ones((side, side), np.uint8)
    found = cv2.erode(mask_HW.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return found.astype(np.bool_)


def _shares(legend: Legend, counts_U2: NDArray[np.int64]) -> dict[str, float]:
    rows = zip(unions(legend), counts_U2.tolist(), strict=True)
    return {key: some / every if every else float("nan") for key, (some, every) in rows}
