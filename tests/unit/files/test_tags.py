"""The legend travels in the class raster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sealmap.core.errors import InputError
from sealmap.core.grid import Grid
from sealmap.core.legend import LEGENDS, ROOF_PAVED, SEALED, Legend
from sealmap.files.raster import create_raster, open_raster
from sealmap.files.tags import LEGEND_TAG, legend_of, legend_tags


def write(path: Path, grid: Grid, values: list[int], tags: dict[str, str]) -> Path:
    class_HW = np.resize(np.array(values, np.uint8), (grid.height, grid.width))
    with create_raster(path, grid, count=1, dtype="uint8", nodata=255) as dataset:
        dataset.write(class_HW, 1)
        dataset.update_tags(**tags)
    return path


def legend_in(path: Path) -> Legend:
    with open_raster(path) as dataset:
        return legend_of(dataset)


@pytest.mark.parametrize("legend", LEGENDS.values(), ids=LEGENDS.keys())
def test_the_tag_comes_back(tmp_path: Path, grid: Grid, legend: Legend) -> None:
    assert legend_in(write(tmp_path / "c.tif", grid, [0, 255], legend_tags(legend))) == legend


@pytest.mark.parametrize(("values", "legend"), [([0, 1, 255], SEALED), ([255], SEALED), ([0, 1, 2], ROOF_PAVED)])
def test_without_a_tag_the_values_tell(tmp_path: Path, grid: Grid, values: list[int], legend: Legend) -> None:
    assert legend_in(write(tmp_path / "c.tif", grid, values, {})) == legend


def test_values_of_no_legend_are_refused(tmp_path: Path, grid: Grid) -> None:
    path = write(tmp_path / "c.tif", grid, [0, 7, 200], {})
    with pytest.raises(InputError, match=r"c\.tif has no tag .*: 0, 7, 200"):
        legend_in(path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"name": "x", "classes": []}'])
def test_a_broken_tag_is_refused(tmp_path: Path, grid: Grid, text: str) -> None:
    path = write(tmp_path / "c.tif", grid, [0, 1], {LEGEND_TAG: text})
    with pytest.raises(InputError, match="is no legend"):
        legend_in(path)


def test_an_orthophoto_is_no_class_raster(jp2: Path) -> None:
    with pytest.raises(InputError, match="3 bands of uint8"):
        legend_in(jp2)
