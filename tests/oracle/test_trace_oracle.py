"""Our polygons against those that GDAL makes of the whole raster at once, and against burning back."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio.features
import shapely
from shapely.geometry import shape

from sealmap.core.legend import ROOF_PAVED
from sealmap.vectorization.trace import Strip, trace


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("grain", [1, 4, 9])
def test_the_polygons_are_gdal_s(seed: int, grain: int) -> None:
    rng = np.random.default_rng(seed)
    a = np.kron(rng.integers(0, 3, (90 // grain, 70 // grain)), np.ones((grain, grain))).astype(np.uint8)
    ours = trace((Strip(row=r, class_HW=a[r : r + 13]) for r in range(0, len(a), 13)), ROOF_PAVED)
    gdal = [(shape(g), v) for g, v in rasterio.features.shapes(a, mask=a > 0, connectivity=4)]
    assert len(gdal) == len(ours.polygons_px)
    theirs = {shapely.normalize(g).wkb: v for g, v in gdal}
    assert {p.wkb: k for p, k in zip(ours.polygons_px, ours.class_id, strict=True)} == theirs


def test_burning_the_polygons_gives_the_raster_back() -> None:
    rng = np.random.default_rng(7)
    a = np.kron(rng.integers(0, 3, (20, 30)), np.ones((3, 3))).astype(np.uint8)
    found = trace((Strip(row=r, class_HW=a[r : r + 7]) for r in range(0, len(a), 7)), ROOF_PAVED)
    burnt = rasterio.features.rasterize(
        zip(found.polygons_px, found.class_id.tolist(), strict=True), out_shape=a.shape, dtype="uint8"
    )
    assert np.array_equal(burnt, a)
