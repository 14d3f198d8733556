"""Rasters: refused at the door (law 7), written without loss whatever was read (law 8)."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from sealmap.core.errors import GridError, InputError, OutputError
from sealmap.core.grid import Grid, Window
from sealmap.files.atomic import staged
from sealmap.files.raster import (
    check_raster_file,
    create_raster,
    grid_of,
    open_raster,
    output_profile,
    palette,
    read_raster,
    read_window,
    to_cog,
    write_raster,
    write_window,
)


def refusal(path: Path) -> InputError:
    """The error of opening a raster and reading all of it."""
    with pytest.raises(InputError) as caught, open_raster(path) as dataset:
        read_window(dataset, grid_of(dataset).window, [1])
    assert caught.value.remedy
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value


# --- the door ---


def test_a_jp2_is_read_to_the_last_bit(jp2: Path, grid: Grid, pixels_CHW: NDArray[np.uint8]) -> None:
    values, found = read_raster(jp2)
    assert found == grid
    assert (values == pixels_CHW).all()


def test_a_truncated_jp2_is_refused_wherever_it_ends(jp2: Path, tmp_path: Path) -> None:
    whole = jp2.read_bytes()
    cut = tmp_path / "cut.jp2"
    ends = {*range(300), *range(300, len(whole), 97), len(whole) - 2, len(whole) - 1}
    for end in sorted(ends):
        cut.write_bytes(whole[:end])
        refusal(cut)


def test_a_truncated_jp2_is_told_in_numbers(jp2: Path) -> None:
    whole = jp2.read_bytes()
    jp2.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=rf"cut short: {len(whole) // 2} bytes of {len(whole)}"):
        check_raster_file(jp2)


def test_a_jp2_whose_end_was_filled_with_zeros_is_refused(jp2: Path) -> None:
    whole = jp2.read_bytes()
    jp2.write_bytes(whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2))
    assert "no end marker" in str(refusal(jp2))


def test_bare_code_streams_and_open_boxes(jp2: Path, pixels_CHW: NDArray[np.uint8]) -> None:
    whole = jp2.read_bytes()
    at = whole.index(b"jp2c")
    bare = jp2.with_suffix(".j2k")
    bare.write_bytes(whole[at + 4 :])
    check_raster_file(bare)
    bare.write_bytes(whole[at + 4 : -100])
    assert "no end marker" in str(refusal(bare))
    jp2.write_bytes(whole[: at - 4] + bytes(4) + whole[at:])  # length 0: to the end of the file
    assert (read_raster(jp2)[0] == pixels_CHW).all()
    length = len(whole) - at + 4 + 8  # length 1: the real one follows in 8 bytes
    jp2.write_bytes(whole[: at - 4] + struct.pack(">I4sQ", 1, b"jp2c", length) + whole[at + 4 :])
    assert (read_raster(jp2)[0] == pixels_CHW).all()
    jp2.write_bytes(whole[: at - 4] + struct.pack(">I4s", 1, b"jp2c") + b"1234")
    refusal(jp2)


@pytest.mark.parametrize("name", ["text.jp2", "text.j2k", "TEXT.JP2", "text.tif", "text.png"])
def test_text_is_no_raster(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("<html>404 Not Found</html>")
    refusal(tmp_path / name)


@pytest.mark.parametrize("name", ["empty.jp2", "empty.tif"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert "0 bytes" in str(refusal(tmp_path / name))


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sheets.jp2").mkdir()
    assert "is a folder" in str(refusal(tmp_path / "sheets.jp2"))
    assert "does not exist" in str(refusal(tmp_path / "none.tif"))


def test_a_truncated_geotiff_is_refused_with_its_place(tmp_path: Path, grid: Grid) -> None:
    path = tmp_path / "cut.tif"
    noise = np.random.default_rng(0).integers(0, 256, (1, grid.height, grid.width), np.uint8)
    write_raster(path, noise, grid)
    path.write_bytes(path.read_bytes()[:-1000])
    assert "rows 0-48" in str(refusal(path))


def test_a_raster_without_crs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plain.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=4,
        width=4,
        count=1,
        dtype="uint8",
        transform=Affine(0.2, 0, 0, 0, -0.2, 0),
    ) as dataset:
        dataset.write(np.zeros((1, 4, 4), np.uint8))
    error = refusal(path)
    assert isinstance(error, GridError)
    assert "gdal_translate -a_srs" in error.remedy


def test_a_raster_in_degrees_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "world.tif"
    transform = Affine(1e-5, 0, 7, 0, -1e-5, 51)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=4,
        width=4,
        count=1,
        dtype="uint8",
        crs="EPSG:4326",
        transform=transform,
    ) as dataset:
        dataset.write(np.zeros((1, 4, 4), np.uint8))
    error = refusal(path)
    assert isinstance(error, GridError)
    assert "world.tif OUT.tif" in error.remedy


# --- what we write ---


def test_a_jp2_becomes_a_geotiff_without_loss(jp2: Path, tmp_path: Path, pixels_CHW: NDArray[np.uint8]) -> None:
    final = tmp_path / "out.tif"
    with open_raster(jp2) as source, staged(final, overwrite=False) as scratch:
        grid = grid_of(source)
        with create_raster(scratch, grid, count=3, dtype="uint8", nodata=None) as target:
            write_window(target, read_window(source, grid.window, [1, 2, 3]), 0, 0)
    with open_raster(final) as found:
        assert found.driver == "GTiff"
        assert found.profile["compress"] == "deflate"
        assert grid_of(found) == grid
        assert (found.read() == pixels_CHW).all()
    assert final.read_bytes()[:4] in (b"II*\0", b"MM\0*", b"II+\0")


@pytest.mark.parametrize("side", [48, 512, 600])
@pytest.mark.parametrize("count", [1, 3])
def test_the_profile_is_ours(grid: Grid, side: int, count: int) -> None:
    square = grid.subgrid(Window(row=0, col=0, height=side, width=side))
    profile = output_profile(square, count=count, dtype="uint8", nodata=255, block=512)
    assert (profile["driver"], profile["compress"], profile["nodata"]) == ("GTiff", "deflate", 255)
    assert not {"quality", "reversible", "photometric", "jpeg_quality"} & {k.lower() for k in profile}
    assert profile.get("tiled", False) == (side >= 512)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_windows_come_back_as_they_were_written(tmp_path: Path, grid: Grid, dtype: str) -> None:
    path = tmp_path / "map.tif"
    large = grid.subgrid(Window(row=-7, col=3, height=600, width=700))
    values = np.random.default_rng(0).integers(0, 250, (2, 600, 700)).astype(dtype)
    with create_raster(path, large, count=2, dtype=dtype, nodata=255, block=256) as dataset:
        for row in range(0, 600, 256):
            for col in range(0, 700, 256):
                write_window(dataset, values[:, row : row + 256, col : col + 256], row, col)
    with open_raster(path) as dataset:
        assert grid_of(dataset) == large
        assert dataset.block_shapes == [(256, 256)] * 2
        assert (dataset.nodata, dataset.dtypes) == (255, (dtype, dtype))
        window = Window(row=100, col=200, height=300, width=400)
        found = read_window(dataset, window, [2, 1])
        assert (found == values[::-1, 100:400, 200:600]).all()
        assert read_window(dataset, window, [1], masks=True).min() == 255


def test_write_raster_marks_red_green_blue(tmp_path: Path, grid: Grid) -> None:
    path = tmp_path / "chip.tif"
    values = np.ones((4, grid.height, grid.width), np.uint8)
    write_raster(path, values, grid)
    with open_raster(path) as dataset:
        assert [c.name for c in dataset.colorinterp] == ["red", "green", "blue", "undefined"]
    assert (read_raster(path)[0] == values).all()


def test_a_place_that_does_not_exist_is_an_output_error(tmp_path: Path, grid: Grid) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_raster(tmp_path / "none" / "x.tif", np.zeros((1, grid.height, grid.width), np.uint8), grid)


def test_a_cog_has_overviews_and_keeps_palette_and_tags(tmp_path: Path) -> None:
    big = Grid(
        height=1300,
        width=1100,
        transform=Affine(0.2, 0, 500_000, 0, -0.2, 5_600_000),
        crs=CRS.from_epsg(25832),
    )
    class_HW = np.zeros((1300, 1100), np.uint8)
    class_HW[200:700, 300:900] = 1
    class_HW[:50] = 255
    scratch, final = tmp_path / "scratch.tif", tmp_path / "map.tif"
    with create_raster(scratch, big, count=1, dtype="uint8", nodata=255) as dataset:
        dataset.write(class_HW, 1)
        dataset.write_colormap(1, palette({0: (204, 224, 190), 1: (204, 51, 51)}))
        dataset.update_tags(SEALMAP_MODEL="abc")
        dataset.set_band_description(1, "class")
    to_cog(scratch, final, resampling="mode")
    with open_raster(final) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.overviews(1) == [2, 4]
        assert dataset.block_shapes == [(512, 512)]
        assert grid_of(dataset) == big
        assert (dataset.read(1) == class_HW).all()
        assert (dataset.nodata, dataset.descriptions) == (255, ("class",))
        assert dataset.colormap(1)[1] == (204, 51, 51, 255)
        assert dataset.tags()["SEALMAP_MODEL"] == "abc"
        smaller = dataset.read(1, out_shape=(325, 275))
        assert set(np.unique(smaller)) == {0, 1, 255}  # 'mode' invents no class
    with rasterio.open(final, OVERVIEW_LEVEL=0) as overview:
        assert overview.shape == (650, 550)


def test_palette_makes_nodata_transparent() -> None:
    table = palette({1: (1, 2, 3)})
    assert len(table) == 256
    assert (table[0], table[1], table[255]) == ((0, 0, 0, 255), (1, 2, 3, 255), (0, 0, 0, 0))
