"""Training and prediction see the same pixels and get the same probabilities (DESIGN law 1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.model.tiny import bundle
from tests.unit.prediction.fakes import grid_of_size, write_sheet

from sealmap.core.grid import Window
from sealmap.core.tiling import Tile
from sealmap.dataset.chipset import ChipSet
from sealmap.dataset.cuts import ChipSpec
from sealmap.files.raster import write_raster
from sealmap.model.engines import TorchEngine
from sealmap.pipeline.prepare import Labels, PrepareJob, prepare
from sealmap.prediction.plan import plan_for
from sealmap.prediction.predict import predict
from sealmap.prediction.single import predict_array
from sealmap.prediction.strips import read_tiles
from sealmap.sources.orthophoto import open_mosaic


@pytest.fixture(scope="module", params=["uint8", "uint16"])
def sheet_and_chips(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ChipSet]:
    """One lossless sheet of 2 x 6 patches, and chips without overlap of it."""
    folder = tmp_path_factory.mktemp("parity")
    rng = np.random.default_rng(5)
    grid, top = grid_of_size(128, 384), 256 if request.param == "uint8" else 4096
    pixels = rng.integers(1, top, (4, 128, 384)).astype(request.param)
    sheet = write_sheet(folder / "sheet.tif", pixels, grid)
    write_raster(folder / "truth.tif", rng.integers(0, 2, (1, 128, 384), np.uint8), grid, nodata=255)
    labels = Labels(truth=(folder / "truth.tif",))
    job = PrepareJob(orthos=[sheet], out=folder / "chips", labels=labels, spec=ChipSpec(patch=64, overlap=0))
    return sheet, prepare(job).chips


def test_a_chip_and_the_sheet_hold_the_same_pixels(sheet_and_chips: tuple[Path, ChipSet]) -> None:
    sheet, chips = sheet_and_chips
    with open_mosaic([sheet]) as mosaic:
        assert mosaic.bands == chips.bands
        assert mosaic.pixel_scale() == chips.pixel_scale
        for i, chip in enumerate(chips.chips):
            seen = mosaic.read(Window(row=chip.row, col=chip.col, height=64, width=64))
            np.testing.assert_array_equal(seen.pixels_CHW, chips.read(i)[0])


def test_a_chip_and_the_sheet_get_the_same_probabilities(sheet_and_chips: tuple[Path, ChipSet], tmp_path: Path) -> None:
    sheet, chips = sheet_and_chips
    engine = TorchEngine(bundle(tmp_path / "m.sealmap"), "cpu")
    by_chip = {
        (c.row, c.col): predict_array(chips.read(i)[0], chips.gsd_m, engine, chips.pixel_scale)
        for i, c in enumerate(chips.chips)
    }
    assert len(by_chip) >= 6
    written: dict[tuple[int, int], Any] = {}

    class Keeper:
        def take(self, tile: Tile, _patch: Any, probs_KHW: Any, _scale: float) -> None:
            rows, cols = tile.keep_in_read
            written[tile.keep.row, tile.keep.col] = probs_KHW[:, rows, cols].copy()

    with open_mosaic([sheet]) as mosaic:
        plan = plan_for(mosaic.grid, model_gsd_m=0.2, halo_m=0, step=64, halo=0)
        predict(mosaic, engine, plan, Keeper())
        tiles = list(read_tiles(mosaic, plan.tiling, engine.card.bands))
    assert len(tiles) == len(written) == 12
    for place, probs in by_chip.items():
        np.testing.assert_array_equal(probs, written[place])
        assert probs.std() > 0.01
