"""How a sheet is cut for a network that sees its own ground sampling distance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import SettingsError
from sealmap.core.grid import Grid
from sealmap.core.tiling import Tiling
from sealmap.files.raster import BLOCK

_MODEL_STEP_PX = 1024
"""Side of a kept window as the network sees it. With the halo it costs 1.27 computed per kept pixel."""

_SAME_GSD = 0.01
"""Ground sampling distances that differ by less than this share are not resampled."""

_STRIDE = 32
"""Windows given to a network are multiples of its stride."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A tiling of the sheet's grid and the size at which a network sees each read window.

    side_px: side of a read window in sheet pixels. seen_px: the same side at the network's ground sampling
    distance. net_px: that padded to a multiple of the network's stride.
    """

    tiling: Tiling
    side_px: int
    seen_px: int
    net_px: int
    resampled: bool

    def to_network(self, pixels_CHW: NDArray[Any]) -> NDArray[Any]:
        """Sheet pixels (C, side, side) → what the network takes (C, net, net)."""
        if self.resampled:
            how = cv2.INTER_AREA if self.seen_px < self.side_px else cv2.INTER_CUBIC
            size = (self.seen_px, self.seen_px)
            image = cv2.resize(np.ascontiguousarray(pixels_CHW.transpose(1, 2, 0)), size, interpolation=how)
            pixels_CHW = np.ascontiguousarray(image.reshape(*size, -1).transpose(2, 0, 1))
        return _pad(pixels_CHW, self.net_px)

    def to_sheet(self, probs_KHW: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of a window as the network gave them → (K, side, side)."""
        seen = probs_KHW[:, : self.seen_px, : self.seen_px]
        if not self.resampled:
            return seen
        size = (self.side_px, self.side_px)
        planes = [cv2.resize(np.ascontiguousarray(p), size, interpolation=cv2.INTER_LINEAR) for p in seen]
        return np.stack(planes).astype(np.float32)


def plan_for(
    grid: Grid, *, model_gsd_m: float, halo_m: float, step: int | None = None, halo: int | None = None
) -> Plan:
    """Cut ``grid`` into windows.

    halo_m: border in metres that is read but not kept. ``step`` and ``halo`` (sheet pixels) override the choice;
    without them steps are multiples of the output block, so that no block is compressed twice (DESIGN law 3).
    """
    scale = grid.gsd_m / model_gsd_m
    resampled = abs(scale - 1) > _SAME_GSD
    if step is None:
        step = max(BLOCK, round(_MODEL_STEP_PX / scale / BLOCK) * BLOCK) if resampled else _MODEL_STEP_PX
        step = min(step, _fitted(grid))
    if halo is None:
        halo = math.ceil(halo_m / grid.gsd_m / 16) * 16
    if step < 1 or halo < 0:
        raise SettingsError(f"step {step} must be at least 1 and halo {halo} at least 0")
    side = step + 2 * halo
    seen = max(1, round(side * scale)) if resampled else side
    net = math.ceil(seen / _STRIDE) * _STRIDE
    tiling = Tiling(height=grid.height, width=grid.width, step=step, halo=halo)
    return Plan(tiling=tiling, side_px=side, seen_px=seen, net_px=net, resampled=resampled)


def _fitted(grid: Grid) -> int:
    """A small sheet is one window: do not compute what lies beyond it."""
    return math.ceil(max(grid.height, grid.width) / _STRIDE) * _STRIDE


def _pad(pixels_CHW: NDArray[Any], side: int) -> NDArray[Any]:
    short = side - pixels_CHW.shape[1]
    return np.pad(pixels_CHW, ((0, 0), (0, short), (0, short)), mode="symmetric") if short else pixels_CHW
