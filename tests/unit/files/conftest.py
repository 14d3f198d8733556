"""A grid and small sheets to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from sealmap.core.grid import Grid


@pytest.fixture
def grid() -> Grid:
    return Grid(height=48, width=64, transform=Affine(0.2, 0, 500_000, 0, -0.2, 5_600_000), crs=CRS.from_epsg(25832))


@pytest.fixture
def pixels_CHW(grid: Grid) -> NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (3, grid.height, grid.width), np.uint8)


@pytest.fixture
def jp2(tmp_path: Path, grid: Grid, pixels_CHW: NDArray[np.uint8]) -> Path:
    """A sheet in lossless JPEG 2000."""
    path = tmp_path / "sheet.jp2"
    with rasterio.open(
        path,
        "w",
        driver="JP2OpenJPEG",
        height=grid.height,
        width=grid.width,
        count=3,
        dtype="uint8",
        crs=grid.crs.to_wkt(),
        transform=grid.transform,
        QUALITY="100",
        REVERSIBLE="YES",
    ) as dataset:
        dataset.write(pixels_CHW)
    return path
