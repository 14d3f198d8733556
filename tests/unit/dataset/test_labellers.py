from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sealmap.core.errors import DatasetError, GridError
from sealmap.core.grid import Window
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED
from sealmap.dataset.chips import prepare_chips
from sealmap.dataset.cuts import ChipSpec
from sealmap.dataset.labellers import RasterLabeller
from sealmap.files.raster import write_raster


def truth_file(path: Path, fakes: Any, window: Window, values: np.ndarray[Any, Any], side: int = 300) -> Path:
    write_raster(path, values[None], fakes.grid_of_size(side, side).subgrid(window), nodata=IGNORE)
    return path


def test_truth_is_read_where_it_lies(fakes: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.choice(np.array([0, 1, 2, IGNORE], np.uint8), (40, 50))
    path = truth_file(tmp_path / "t.tif", fakes, Window(row=10, col=20, height=40, width=50), values)
    labeller = RasterLabeller.open([path], fakes.grid_of_size(300, 300), ROOF_PAVED)
    found = labeller.label(Window(row=0, col=0, height=60, width=80))
    np.testing.assert_array_equal(found.label_HW[10:50, 20:70], values)
    assert (found.label_HW[:10] == IGNORE).all()
    assert not found.veto_HW.any()


def test_the_first_truth_that_knows_is_taken(fakes: Any, tmp_path: Path) -> None:
    whole = Window(row=0, col=0, height=2, width=2)
    first = truth_file(tmp_path / "a.tif", fakes, whole, np.array([[1, IGNORE], [0, IGNORE]], np.uint8))
    second = truth_file(tmp_path / "b.tif", fakes, whole, np.array([[2, 2], [2, IGNORE]], np.uint8))
    labeller = RasterLabeller.open([first, second], fakes.grid_of_size(300, 300), ROOF_PAVED)
    assert labeller.label(whole).label_HW.tolist() == [[1, 2], [0, IGNORE]]


def test_a_finer_truth_serves_a_binary_legend(fakes: Any, tmp_path: Path) -> None:
    whole = Window(row=0, col=0, height=1, width=4)
    path = truth_file(tmp_path / "t.tif", fakes, whole, np.array([[0, 1, 2, IGNORE]], np.uint8))
    grid = fakes.grid_of_size(300, 300)
    assert RasterLabeller.open([path], grid, SEALED, ROOF_PAVED).label(whole).label_HW.tolist() == [[0, 1, 1, 255]]
    with pytest.raises(DatasetError, match="no place for 'sealed'"):
        RasterLabeller.open([path], grid, ROOF_PAVED, SEALED)
    with pytest.raises(DatasetError, match="holds 2, a value that the legend lacks"):
        RasterLabeller.open([path], grid, SEALED).label(whole)


def test_truth_off_the_lattice_is_refused(fakes: Any, tmp_path: Path) -> None:
    values, whole = np.zeros((4, 4), np.uint8), Window(row=0, col=0, height=4, width=4)
    coarse = tmp_path / "coarse.tif"
    write_raster(coarse, values[None], fakes.grid_of_size(4, 4, gsd=0.5))
    with pytest.raises(GridError, match=r"coarse\.tif: pixel sizes differ"):
        RasterLabeller.open([coarse], fakes.grid_of_size(300, 300), SEALED)
    colours = tmp_path / "rgb.tif"
    write_raster(colours, np.zeros((3, 4, 4), np.uint8), fakes.grid_of_size(300, 300).subgrid(whole))
    with pytest.raises(DatasetError, match=r"3 band\(s\)"):
        RasterLabeller.open([colours], fakes.grid_of_size(300, 300), SEALED)
    with pytest.raises(DatasetError, match="no truth raster"):
        RasterLabeller.open([], fakes.grid_of_size(300, 300), SEALED)


def test_hand_drawn_truth_becomes_chips(fakes: Any, tmp_path: Path) -> None:
    mosaic = fakes.row_of_sheets(3, 100)
    values = np.random.default_rng(0).choice(np.array([0, 1, 2, IGNORE], np.uint8), (100, 300))
    whole = Window(row=0, col=0, height=100, width=300)
    path = truth_file(tmp_path / "t.tif", fakes, whole, values)
    labeller = RasterLabeller.open([path], mosaic.grid, ROOF_PAVED)
    chips = prepare_chips(mosaic, labeller, tmp_path / "chips", ChipSpec(patch=100, overlap=0)).chips
    assert chips.rules == "truth"
    for i in range(3):
        np.testing.assert_array_equal(chips.read(i)[1], values[:, i * 100 : (i + 1) * 100])
