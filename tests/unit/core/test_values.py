"""Errors, Patch and RunRecord."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS

from sealmap.core import errors
from sealmap.core.grid import Grid, Window
from sealmap.core.patch import Patch
from sealmap.core.record import InputFile, RunRecord
from sealmap.core.tiling import Tiling

GRID = Grid(height=8, width=8, transform=Affine(1, 0, 0, 0, -1, 8), crs=CRS.from_epsg(25832))


def test_an_error_is_one_line_with_its_remedy() -> None:
    error = errors.InputError("sheet.tif has 2 bands, 3 are needed", remedy="give an RGB sheet")
    assert str(error) == "sheet.tif has 2 bands, 3 are needed → give an RGB sheet"
    assert str(errors.InputError("it is so")) == "it is so"
    assert "\n" not in str(error)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = errors.__doc__ or ""
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    assert len(classes) == 10
    for cls in classes:
        assert issubclass(cls, errors.SealmapError)
        assert cls.__name__ in drawn
    assert issubclass(errors.GridError, errors.InputError)
    assert issubclass(errors.BandError, errors.InputError)


def test_a_patch_may_reach_beyond_its_grid() -> None:
    window = Window(row=-2, col=-2, height=4, width=6)
    patch = Patch(pixels_CHW=np.zeros((3, 4, 6), np.uint8), valid_HW=np.zeros((4, 6), bool), window=window, grid=GRID)
    assert patch.window.intersect(GRID.window) == Window(row=0, col=0, height=2, width=4)


@pytest.mark.parametrize(("pixels", "valid"), [((3, 4, 5), (4, 6)), ((3, 4, 6), (6, 4))])
def test_a_patch_refuses_arrays_that_do_not_fit(pixels: tuple[int, ...], valid: tuple[int, ...]) -> None:
    window = Window(row=0, col=0, height=4, width=6)
    with pytest.raises(ValueError, match="do not fit window"):
        Patch(pixels_CHW=np.zeros(pixels, np.uint8), valid_HW=np.zeros(valid, bool), window=window, grid=GRID)


def test_a_record_is_readable_json() -> None:
    record = RunRecord(
        verb="predict",
        started="2026-01-01T00:00:00Z",
        inputs=(InputFile(name="straße.tif", bytes=3, sha256="ab"),),
        versions={"sealmap": "0.1.0"},
        settings={"threshold": 0.5},
    )
    text = record.to_json()
    assert "straße" in text
    read = json.loads(text)
    assert list(read) == [f.name for f in dataclasses.fields(RunRecord)]
    assert read["inputs"] == [{"name": "straße.tif", "bytes": 3, "sha256": "ab"}]


def test_values_do_not_change() -> None:
    tiling = Tiling(height=4, width=4, step=2, halo=1)
    for value, name in ((GRID, "height"), (GRID.window, "row"), (tiling, "halo")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, 1)
