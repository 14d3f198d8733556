"""Pictures in another size."""

from __future__ import annotations

from typing import Any, TypeVar

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


def eight_bit(pixels_CHW: NDArray[Any], pixel_scale: float) -> NDArray[np.uint8]:
    """Stored pixels as (rows, columns, bands) uint8: deeper sheets lose what augmentation would blur anyway."""
    image = pixels_CHW.transpose(1, 2, 0)
    if image.dtype != np.uint8 or pixel_scale != 255:
        image = np.clip(image.astype(np.float32) * (255 / pixel_scale), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(image)
