"""Pictures in another size."""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = TypeVar("Pixels", NDArray[np.uint8], NDArray[np.float32])

_AT_ONCE = 4
"""OpenCV resamples so many bands at most."""


def resized(image_HWC: Pixels, shape: tuple[int, int], how: int) -> Pixels:
    """An image (rows, columns, bands) in ``shape`` = (rows, columns). how: one of OpenCV's, such as INTER_AREA."""
    size = shape[1], shape[0]
    bands = image_HWC.shape[2]
    parts = [cv2.resize(image_HWC[:, :, i : i + _AT_ONCE], size, interpolation=how) for i in range(0, bands, _AT_ONCE)]
    # OpenCV drops the axis of a single band
    return np.concatenate([np.atleast_3d(part) for part in parts], axis=2)
