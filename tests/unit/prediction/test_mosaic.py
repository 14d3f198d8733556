"""The two rasters of a map, as other programs find them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from tests.unit.prediction.fakes import grid_of_size

from sealmap.core.errors import OutputError
from sealmap.core.grid import Grid, Window
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED, Legend
from sealmap.files.tags import legend_of
from sealmap.prediction.mosaic import MapFiles, open_maps

GRID = grid_of_size(700, 1100)


def write_map(folder: Path, legend: Legend, grid: Grid = GRID, *, overwrite: bool = False) -> MapFiles:
    """Random probabilities in strips, with a hole."""
    files = MapFiles(
        probability=folder / "p.tif", classes=folder / "c.tif", tags={"SEALMAP_MODEL": "abc"}, overwrite=overwrite
    )
    rng = np.random.default_rng(4)
    with open_maps(files, grid, legend, 0.4) as writer:
        for row in range(0, grid.height, 512):
            height = min(512, grid.height - row)
            raw = rng.dirichlet([1.0] * len(legend), (height, grid.width)).astype(np.float32)
            valid = np.ones((height, grid.width), np.bool_)
            valid[:40, :50] = False
            window = Window(row=row, col=0, height=height, width=grid.width)
            writer.write(window, np.ascontiguousarray(raw.transpose(2, 0, 1)), valid)
    return files


@pytest.mark.parametrize("legend", [SEALED, ROOF_PAVED], ids=lambda legend: legend.name)
def test_classes_and_probability_are_lossless_tiled_cogs_that_agree(tmp_path: Path, legend: Legend) -> None:
    files = write_map(tmp_path, legend)
    with rasterio.open(files.classes) as hard, rasterio.open(files.probability) as soft:
        for dataset in (hard, soft):
            assert dataset.driver == "GTiff"
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert dataset.profile["compress"] == "deflate"
            assert dataset.block_shapes[0] == (512, 512)
            assert dataset.overviews(1)
            assert dataset.nodata == IGNORE
            assert set(dataset.dtypes) == {"uint8"}
            assert (dataset.height, dataset.width) == (GRID.height, GRID.width)
            assert tuple(dataset.transform) == tuple(GRID.transform)
            assert dataset.crs.to_epsg() == 25832
            assert dataset.tags()["SEALMAP_MODEL"] == "abc"
        assert hard.colorinterp == (ColorInterp.palette,)
        colors = hard.colormap(1)
        assert [colors[c.id] for c in legend.classes] == [(*c.color, 255) for c in legend.classes]
        assert colors[IGNORE] == (0, 0, 0, 0)
        assert legend_of(hard) == legend
        assert soft.descriptions == (("sealed",) if legend is SEALED else ("sealed", "roof", "paved"))
        assert soft.scales == (pytest.approx(1 / 254),) * soft.count
        classes, bands = hard.read(1), soft.read()
        small = hard.read(1, out_shape=(350, 550))
    assert set(np.unique(classes)) == {*range(len(legend)), IGNORE}
    assert set(np.unique(small)) <= {*range(len(legend)), IGNORE}  # overviews are classes, not means
    hole = classes == IGNORE
    assert hole.sum() == 2 * 40 * 50
    assert all(((band == IGNORE) == hole).all() for band in bands)
    # a level is ±1/508 wide: beyond that, the class says what the probability says
    sure = ~hole & (np.abs(bands[0] - 0.4 * 254) > 0.5)
    np.testing.assert_array_equal((classes > 0)[sure], (bands[0] > 0.4 * 254)[sure])
    if legend is ROOF_PAVED:
        np.testing.assert_allclose(bands[0][~hole], bands[1:].sum(axis=0)[~hole], atol=1)
        decided = sure & (classes > 0) & (bands[1] != bands[2])
        np.testing.assert_array_equal((classes == 2)[decided], (bands[2] > bands[1])[decided])


def test_a_map_smaller_than_a_block_is_a_map(tmp_path: Path) -> None:
    files = write_map(tmp_path, SEALED, grid_of_size(61, 70))
    with rasterio.open(files.classes) as dataset:
        assert dataset.shape == (61, 70)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"


def test_nothing_is_left_of_a_map_that_was_not_finished(tmp_path: Path) -> None:
    files = MapFiles(probability=tmp_path / "p.tif", classes=tmp_path / "c.tif")
    with pytest.raises(ZeroDivisionError), open_maps(files, grid_of_size(64, 64), SEALED, 0.5):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_map_is_not_written_over_another_unless_told_to(tmp_path: Path) -> None:
    grid = grid_of_size(64, 64)
    files = write_map(tmp_path, SEALED, grid)
    before = files.classes.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_map(tmp_path, ROOF_PAVED, grid)
    assert files.classes.read_bytes() == before
    write_map(tmp_path, ROOF_PAVED, grid, overwrite=True)
    with rasterio.open(files.classes) as dataset:
        assert json.loads(dataset.tags()["SEALMAP_LEGEND"])["name"] == "roof_paved"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.tif", "p.tif"]
