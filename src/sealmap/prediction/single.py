"""One array at once: chips and small scenes, through the same resampling and padding as a whole sheet."""

from __future__ import annotations

from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from sealmap.core.grid import Grid
from sealmap.model.engine import Engine
from sealmap.prediction.plan import plan_for
from sealmap.prediction.strips import mirror_beyond


def predict_array(pixels_CHW: NDArray[Any], gsd_m: float, engine: Engine, pixel_scale: float) -> NDArray[np.float32]:
    """Pixels of any size, bands in the order of the model → probabilities (K, H, W) on the same pixels."""
    height, width = pixels_CHW.shape[1:]
    # Only the pixel size matters here; any metric CRS will do.
    grid = Grid(height=height, width=width, transform=Affine.scale(gsd_m, -gsd_m), crs=CRS.from_epsg(25832))
    side = -(-max(height, width) // 32) * 32
    plan = plan_for(grid, model_gsd_m=engine.card.gsd_m, halo_m=0, step=side, halo=0)
    square = np.zeros((pixels_CHW.shape[0], side, side), pixels_CHW.dtype)
    square[:, :height, :width] = pixels_CHW
    square = mirror_beyond(square, plan.tiling[0].read, grid)
    probs = engine.probs(plan.to_network(square)[None], pixel_scale)[0]
    return plan.to_sheet(probs)[:, :height, :width]
