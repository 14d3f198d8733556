"""Chips in memory: grey where nothing is, red where it is sealed, so that there is something to learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.legend import IGNORE, SEALED, Legend


@dataclass(frozen=True, kw_only=True)
class ArrayChips:
    """What training asks of chips. ``poison``: pixels that are no numbers, for runs that must stop."""

    count: int = 3
    side: int = 80
    seed: int = 0
    bands: tuple[str, ...] = ("red", "green", "blue")
    legend: Legend = SEALED
    gsd_m: float = 0.2
    pixel_scale: float = 255.0
    dtype: str = "uint8"
    only: int | None = None
    """All labels are this value."""

    def __len__(self) -> int:
        return self.count

    def read(self, index: int, /) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        rng = np.random.default_rng((self.seed, index))
        label = np.zeros((self.side, self.side), np.uint8)
        row, col = rng.integers(0, self.side // 2, 2)
        label[row : row + self.side // 2, col : col + self.side // 2] = 1
        pixels = rng.integers(60, 100, (len(self.bands), self.side, self.side))
        pixels[0][label == 1] += 120
        label[: self.side // 8] = IGNORE
        if self.only is not None:
            label[:] = self.only
        scaled = pixels * (self.pixel_scale / 255)
        return scaled.astype(self.dtype), label
