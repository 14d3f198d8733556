"""Boundary IoU: how well outlines are met, whatever the size of the objects.

Cheng et al. 2021, "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation": of the true and of the
predicted mask only the pixels within d of their own contour are taken, and the IoU of these two bands is computed. A
large roof cannot hide a bad outline behind its many inner pixels.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundaryCounts:
    """Pixels of the bands along contours, which add up over windows.

    counts_U2[u]: (pixels in both bands, pixels in at least one) of the u-th of ``core.confusion.unions(legend)``.
    """

    legend: Legend
    counts_U2: NDArray[np.int64]

    def __post_init__(self) -> None:
        c = self.counts_U2
        if c.shape != (len(unions(self.legend)), 2) or (c < 0).any() or (c[:, 0] > c[:, 1]).any():
            raise ValueError(f"counts {c.tolist()} are none of both and any for legend '{self.legend.name}'")

    @staticmethod
    def zero(legend: Legend) -> BoundaryCounts:
        """No pixels yet."""
        return BoundaryCounts(legend=legend, counts_U2=np.zeros((len(unions(legend)), 2), np.int64))

    @staticmethod
    def of(
        legend: Legend, truth_HW: NDArray[np.uint8], pred_HW: NDArray[np.uint8], counted_HW: NDArray[np.bool_]
    ) -> BoundaryCounts:
        """Counts of one window. counted_HW: True where pixels count here, as far as they can be judged.

        A pixel within WIDTH_PX of one that is IGNORE in truth or prediction, or of the edge of these arrays, is not
        judged: whether a contour runs there is not known. Give a margin of WIDTH_PX where there is one.
        """
        known = (truth_HW != IGNORE) & (pred_HW != IGNORE)
        judged = eroded(known, WIDTH_PX) & counted_HW
        rows = []
        for ids in unions(legend).values():
            bands = [band(np.isin(class_HW, ids)) & judged for class_HW in (truth_HW, pred_HW)]
            rows.append([int((bands[0] & bands[1]).sum()), int((bands[0] | bands[1]).sum())])
        return BoundaryCounts(legend=legend, counts_U2=np.array(rows, np.int64))

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        if self.legend != other.legend:
            raise ValueError("boundary counts of different legends do not add up")
        return BoundaryCounts(legend=self.legend, counts_U2=self.counts_U2 + other.counts_U2)

    def iou(self) -> dict[str, float]:
        """Boundary IoU by key of ``unions`` (0..1; NaN where no contour was judged)."""
        return {
            key: both / any_ if any_ else float("nan")
            for key, (both, any_) in zip(unions(self.legend), self.counts_U2.tolist(), strict=True)
        }


def band(mask_HW: NDArray[np.bool_], width: int = WIDTH_PX) -> NDArray[np.bool_]:
    """Pixels of a mask with a pixel outside it at most ``width`` rows and columns away.

    As in the paper's code, distance is that of a square neighbourhood; the edge of the array is no contour.
    """
    return mask_HW & ~eroded(mask_HW, width, beyond=True)


def eroded(mask_HW: NDArray[np.bool_], width: int, *, beyond: bool = False) -> NDArray[np.bool_]:
    """Pixels all of whose neighbours within ``width`` rows and columns are True; ``beyond``: what the outside is."""
    side = 2 * width + 1
    kernel = np.ones((side, side), np.uint8)
    found = cv2.erode(mask_HW.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=int(beyond))
    return found.astype(np.bool_)
