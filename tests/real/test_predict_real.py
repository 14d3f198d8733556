"""Real rasters with ragged edges and holes through the shipped model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from sealmap.core.errors import BundleError
from sealmap.core.legend import IGNORE
from sealmap.pipeline import shipped_bundle
from sealmap.pipeline.maps import Serving, predict
from sealmap.sources.orthophoto import open_mosaic


@pytest.fixture(scope="module")
def shipped() -> Path:
    """The bundle that comes with sealmap."""
    path = shipped_bundle()
    if not path.exists():
        pytest.skip("SHIPPED MODEL MISSING: src/sealmap/model/shipped.sealmap")
    return path


@pytest.fixture
def pix4d(shared_data: Path) -> Path:
    return shared_data / "edge_rasters" / "pix4d_alpha_nodata_35cm.tif"


@pytest.fixture
def poznan(shared_data: Path) -> Path:
    return shared_data / "edge_rasters" / "poznan_ortho_2m_nodata_hole.tif"


def test_beyond_the_alpha_edge_nothing_is_claimed(shipped: Path, pix4d: Path, tmp_path: Path) -> None:
    with rasterio.open(pix4d) as sheet:
        empty = sheet.read(4) == 0
        transform, crs = sheet.transform, sheet.crs
    assert 0.01 < empty.mean() < 0.99
    mapped = predict([pix4d], tmp_path / "map", model=shipped, serving=Serving(device="cpu"))
    with rasterio.open(mapped.classes) as hard, rasterio.open(mapped.probability) as soft:
        assert (hard.transform, hard.crs, hard.shape) == (transform, crs, empty.shape)
        np.testing.assert_array_equal(hard.read(1) == IGNORE, empty)
        for band in soft.read():
            np.testing.assert_array_equal(band == IGNORE, empty)
        known = hard.read(1)[~empty]
    assert set(np.unique(known)) <= set(range(len(mapped.card.legend)))
    assert mapped.done.resampled_to_m == mapped.card.gsd_m
    assert mapped.areas.unknown_m2 == pytest.approx(empty.sum() * abs(transform.a * transform.e))


def test_pixels_of_two_metres_are_refused(shipped: Path, poznan: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"2 m pixels; the model was trained for .* m → .*gdalwarp -tr"):
        predict([poznan], tmp_path / "map", model=shipped, serving=Serving(device="cpu"))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_nodata_hole_is_no_data(poznan: Path) -> None:
    with rasterio.open(poznan) as sheet:
        known = sheet.dataset_mask() > 0
    assert 0 < (~known).sum() < known.size
    with open_mosaic([poznan]) as mosaic:
        patch = mosaic.read(mosaic.grid.window)
    np.testing.assert_array_equal(patch.valid_HW, known)
    assert not patch.pixels_CHW[:, ~patch.valid_HW].any()
