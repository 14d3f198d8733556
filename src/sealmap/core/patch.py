"""Patch: pixels of a window with their validity. A value, no file handle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sealmap.core.grid import Grid, Window


@dataclass(frozen=True, kw_only=True, slots=True)
class Patch:
    """Pixels read from an orthophoto.

    pixels_CHW: as stored (uint8 or uint16), 0 where not valid.
    valid_HW: bool; True where the orthophoto has data.
    window: of ``grid``; may reach beyond it (there, valid is False).
    """

    pixels_CHW: NDArray[np.uint8] | NDArray[np.uint16]
    valid_HW: NDArray[np.bool_]
    window: Window
    grid: Grid

    def __post_init__(self) -> None:
        shape = (self.window.height, self.window.width)
        if self.pixels_CHW.shape[1:] != shape or self.valid_HW.shape != shape:
            raise ValueError(f"arrays {self.pixels_CHW.shape}, {self.valid_HW.shape} do not fit window {shape}")
