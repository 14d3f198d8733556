"""Sheets with meaning: one grid, band names, and what is data and what is not."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from sealmap.core.errors import BandError, GridError, InputError, SealmapError
from sealmap.core.grid import Window
from sealmap.core.patch import Patch
from sealmap.sources import orthophoto
from sealmap.sources.orthophoto import SUFFIXES, expand, open_mosaic

X, Y = 364_000.0, 5_620_000.0
GSD = 0.2


def sheet(path: Path, pixels: NDArray[Any], row: int = 0, col: int = 0, **more: Any) -> Path:
    """A GeoTIFF whose first pixel lies at ``row``, ``col`` of a common lattice. ``colors``, ``names``: of bands."""
    colors, names, mask = more.pop("colors", None), more.pop("names", None), more.pop("mask", None)
    profile = {
        "driver": "GTiff", "dtype": str(pixels.dtype), "crs": "EPSG:25832",
        "count": pixels.shape[0], "height": pixels.shape[1], "width": pixels.shape[2],
        "transform": Affine(GSD, 0, X + col * GSD, 0, -GSD, Y - row * GSD),
    }  # fmt: skip
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile | more) as dataset:
        dataset.write(pixels)
        if colors:
            dataset.colorinterp = colors
        if names:
            dataset.descriptions = names
        if mask is not None:
            dataset.write_mask(mask)
    return path


def grey(value: int, height: int = 40, width: int = 50, bands: int = 3, dtype: str = "uint8") -> NDArray[Any]:
    return np.full((bands, height, width), value, dtype)


def noise(height: int = 40, width: int = 50, bands: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(1, 256, (bands, height, width), np.uint8)


def read(*paths: Path) -> Patch:
    with open_mosaic(paths) as mosaic:
        return mosaic.read(mosaic.grid.window)


# --- one mosaic of several sheets ---


def test_sheets_become_one_grid_and_the_gap_between_them_is_no_data(tmp_path: Path) -> None:
    a, b = noise(seed=1), noise(30, 20, seed=2)
    with open_mosaic([sheet(tmp_path / "b.tif", b, 45, 60), sheet(tmp_path / "a.tif", a, 5, 10)]) as mosaic:
        assert (mosaic.grid.height, mosaic.grid.width) == (70, 70)
        assert mosaic.grid.transform.c == pytest.approx(X + 10 * GSD)
        assert mosaic.grid.transform.f == pytest.approx(Y - 5 * GSD)
        patch = mosaic.read(mosaic.grid.window)
        beyond = mosaic.read(Window(row=-7, col=-3, height=20, width=20))
    np.testing.assert_array_equal(patch.pixels_CHW[:, :40, :50], a)
    np.testing.assert_array_equal(patch.pixels_CHW[:, 40:, 50:], b)
    assert patch.valid_HW.sum() == 40 * 50 + 30 * 20
    assert not patch.pixels_CHW[:, ~patch.valid_HW].any()
    assert not beyond.valid_HW[:7].any()
    assert not beyond.valid_HW[:, :3].any()
    np.testing.assert_array_equal(beyond.pixels_CHW[:, 7:, 3:], a[:, :13, :17])


def test_where_sheets_overlap_the_first_is_taken_and_the_second_fills_its_holes(tmp_path: Path) -> None:
    first, second = grey(10), grey(20)
    first[:, 20:25, 30:35] = 99  # the nodata value
    a = sheet(tmp_path / "a.tif", first, nodata=99)
    b = sheet(tmp_path / "b.tif", second, 0, 25, nodata=99)
    patch = read(a, b)
    assert patch.valid_HW.all()
    assert (patch.pixels_CHW[:, 20:25, 30:35] == 20).all()
    patch.pixels_CHW[:, 20:25, 30:35] = 10
    assert (patch.pixels_CHW[:, :, :50] == 10).all()
    assert (patch.pixels_CHW[:, :, 50:] == 20).all()
    assert (read(b, a).pixels_CHW[:, :, 25:] == 20).all()


def test_more_sheets_than_are_kept_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orthophoto, "_OPEN_SHEETS", 2)
    paths = [sheet(tmp_path / f"s{i}.tif", grey(i + 1), 0, 50 * i) for i in range(5)]
    with open_mosaic(paths) as mosaic:
        for _ in range(2):
            patch = mosaic.read(mosaic.grid.window)
            assert [int(patch.pixels_CHW[0, 3, 50 * i]) for i in range(5)] == [1, 2, 3, 4, 5]
            assert len(mosaic._open) == 2


def test_bands_are_read_by_name_and_order(tmp_path: Path) -> None:
    pixels = noise(bands=4)
    path = sheet(tmp_path / "a.tif", pixels)
    with open_mosaic([path]) as mosaic:
        patch = mosaic.read(mosaic.grid.window, ("nir", "red"))
        np.testing.assert_array_equal(patch.pixels_CHW, pixels[[3, 0]])
        with pytest.raises(
            BandError, match=r"swir, tir missing: a has red, green, blue, nir, needed are red, swir"
        ) as e:
            mosaic.read(mosaic.grid.window, ("red", "swir", "tir"))
        assert e.value.remedy


def test_folders_are_searched_by_suffix_and_named_files_count_once(tmp_path: Path) -> None:
    a, b = sheet(tmp_path / "b.TIF", grey(1)), sheet(tmp_path / "a.tif", grey(2))
    (tmp_path / "a.tfw").write_text("0.2")
    (tmp_path / "._a.tif").write_text("left by a Mac")
    assert expand([tmp_path, a]) == [b, a]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no orthophoto") as error:
        expand([empty])
    assert all(suffix in error.value.remedy for suffix in SUFFIXES)
    with pytest.raises(InputError, match="no orthophoto given"):
        expand([])


# --- what is data ---


def test_nodata_by_value_needs_all_bands(tmp_path: Path) -> None:
    pixels = noise()
    pixels[:, :10] = 0
    pixels[0, 20] = 0  # a red without light is no hole
    patch = read(sheet(tmp_path / "a.tif", pixels, nodata=0))
    np.testing.assert_array_equal(patch.valid_HW, (pixels > 0).any(axis=0))
    assert not patch.valid_HW[:10].any()
    assert patch.valid_HW[20].all()


def test_nodata_by_mask(tmp_path: Path) -> None:
    mask = np.random.default_rng(3).random((40, 50)) < 0.8
    pixels = noise()
    patch = read(sheet(tmp_path / "a.tif", pixels, mask=mask.astype(np.uint8) * 255))
    np.testing.assert_array_equal(patch.valid_HW, mask)
    np.testing.assert_array_equal(patch.pixels_CHW, pixels * mask)


RGBA = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


def test_nodata_by_alpha(tmp_path: Path) -> None:
    pixels = noise(bands=4)
    pixels[3] = 255
    pixels[3, :13] = 0
    path = sheet(tmp_path / "a.tif", pixels, colors=RGBA)
    with open_mosaic([path]) as mosaic:
        assert mosaic.bands == ("red", "green", "blue")
        assert mosaic.sheets[0].mask == "alpha"
        valid = mosaic.read(mosaic.grid.window).valid_HW
        only_red = mosaic.read(mosaic.grid.window, ("red",))
    assert not valid[:13].any()
    assert valid[13:].all()
    np.testing.assert_array_equal(only_red.valid_HW, valid)
    assert only_red.pixels_CHW.shape[0] == 1


@pytest.mark.parametrize("value", [0, 128])
def test_near_infrared_that_is_marked_as_alpha_is_near_infrared(tmp_path: Path, value: int) -> None:
    pixels = noise(bands=4)
    pixels[3, :10] = value  # water: where alpha would say 'no data'
    path = sheet(tmp_path / "a.tif", pixels, colors=RGBA)
    with open_mosaic([path]) as mosaic:
        assert mosaic.bands == ("red", "green", "blue", "nir")
        patch = mosaic.read(mosaic.grid.window)
    assert patch.valid_HW.all()
    np.testing.assert_array_equal(patch.pixels_CHW, pixels)


def test_black_inside_is_shadow_and_a_black_edge_is_no_data(tmp_path: Path) -> None:
    pixels = noise(100, 120)
    pixels[:, :, :20] = 0  # a black edge, as a JPEG 2000 sheet has beyond the border of a state
    pixels[:, 50, 60] = 0
    pixels[:, 60:70, 70:80] = 0  # a light shaft: large, not large enough
    path = sheet(tmp_path / "a.tif", pixels)
    patch = read(path)
    assert not patch.valid_HW[:, :20].any()
    assert patch.valid_HW[:, 20:].all()


def test_a_narrow_black_edge_along_the_border_is_no_data(tmp_path: Path) -> None:
    pixels = noise(100, 120)
    pixels[:, -3:] = 0
    patch = read(sheet(tmp_path / "a.tif", pixels))
    assert not patch.valid_HW[-3:].any()
    assert patch.valid_HW[:-3].all()


def test_black_in_one_band_is_a_colour(tmp_path: Path) -> None:
    pixels = noise(60, 60)
    pixels[1:, :30] = 0
    assert read(sheet(tmp_path / "a.tif", pixels)).valid_HW.all()
    with open_mosaic([tmp_path / "a.tif"]) as mosaic:  # nor does it depend on the bands that are asked for
        assert mosaic.read(mosaic.grid.window, ("blue",)).valid_HW.all()


@given(st.data())
@settings(max_examples=25)
def test_black_edges_are_the_same_through_any_window(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(20, 70)), data.draw(st.integers(20, 70))
    pixels = noise(height, width, seed=data.draw(st.integers(0, 99)))
    for _ in range(data.draw(st.integers(1, 5))):
        row, col = data.draw(st.integers(-10, height - 1)), data.draw(st.integers(-10, width - 1))
        h, w = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 40))
        pixels[:, max(0, row) : max(0, row + h), max(0, col) : max(0, col + w)] = 0
    with tempfile.TemporaryDirectory() as folder:
        path = sheet(Path(folder) / "a.tif", pixels)
        with open_mosaic([path]) as mosaic:
            whole = mosaic.read(mosaic.grid.window)
            for _ in range(8):
                window = Window(
                    row=data.draw(st.integers(-20, height - 1)),
                    col=data.draw(st.integers(-20, width - 1)),
                    height=data.draw(st.integers(1, 50)),
                    width=data.draw(st.integers(1, 50)),
                )
                inside = window.intersect(mosaic.grid.window)
                if inside is None:
                    continue
                part, rows_cols = mosaic.read(window), inside.within(window)
                expected = whole.valid_HW[inside.within(mosaic.grid.window)]
                np.testing.assert_array_equal(part.valid_HW[rows_cols], expected)
                assert part.valid_HW.sum() == expected.sum()
    assert not whole.valid_HW[(pixels > 0).all(axis=0)].size or whole.valid_HW[(pixels > 0).all(axis=0)].all()


# --- brightness ---


@pytest.mark.parametrize(
    ("top", "scale"), [(200, 255), (255, 255), (256, 511), (4000, 4095), (4095, 4095), (40_000, 65_535)]
)
def test_sixteen_bits_are_scaled_by_the_depth_in_use(tmp_path: Path, top: int, scale: int) -> None:
    pixels = grey(100, dtype="uint16")
    pixels[0, 7, 9] = top
    with open_mosaic([sheet(tmp_path / "a.tif", pixels)]) as mosaic:
        assert mosaic.dtype == np.uint16
        assert mosaic.pixel_scale() == scale


def test_eight_bits_are_eight_bits(tmp_path: Path) -> None:
    with open_mosaic([sheet(tmp_path / "a.tif", grey(3))]) as mosaic:
        assert mosaic.pixel_scale() == 255


def test_a_nodata_value_is_no_brightness(tmp_path: Path) -> None:
    pixels = grey(3000, dtype="uint16")
    pixels[:, :10] = 65_535
    with open_mosaic([sheet(tmp_path / "a.tif", pixels, nodata=65_535)]) as mosaic:
        assert mosaic.pixel_scale() == 4095


# --- names of bands ---


def test_descriptions_name_bands(tmp_path: Path) -> None:
    names = ("Near Infrared", "R", "Green", "blue", "swir")
    pixels = noise(bands=5)
    with open_mosaic([sheet(tmp_path / "a.tif", pixels, names=names)]) as mosaic:
        assert mosaic.bands == ("nir", "red", "green", "blue", "swir")
        found = mosaic.read(mosaic.grid.window, ("red", "green", "blue")).pixels_CHW
    np.testing.assert_array_equal(found, pixels[1:4])


def test_without_descriptions_colours_name_bands_then_order(tmp_path: Path) -> None:
    colors = (ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined)
    with open_mosaic([sheet(tmp_path / "a.tif", noise(bands=4), colors=colors)]) as mosaic:
        assert mosaic.bands == ("blue", "green", "red", "nir")
    plain = (ColorInterp.gray, *[ColorInterp.undefined] * 4)
    with open_mosaic([sheet(tmp_path / "b.tif", noise(bands=5), colors=plain)]) as mosaic:
        assert mosaic.bands == ("red", "green", "blue", "nir", "band_5")


# --- refusals: the numbers and the remedy ---


def refused(kind: type[SealmapError], words: str, remedy: str, *paths: Path) -> None:
    with pytest.raises(kind, match=words) as error, open_mosaic(paths):
        pass
    assert remedy in error.value.remedy, error.value.remedy
    assert "\n" not in str(error.value)


def test_rotated_sheets_are_refused(tmp_path: Path) -> None:
    turned = Affine(GSD, 0.01, X, 0.01, -GSD, Y)
    path = sheet(tmp_path / "a.tif", grey(1), transform=turned)
    refused(GridError, r"a\.tif.*not north-up.*0\.01", "gdalwarp -r cubic a.tif OUT.tif", path)


def test_degrees_are_refused(tmp_path: Path) -> None:
    lonlat = Affine(2e-6, 0, 7.0, 0, -2e-6, 50.7)
    path = sheet(tmp_path / "a.tif", grey(1), crs="EPSG:4326", transform=lonlat)
    refused(GridError, r"a\.tif.*WGS 84.*no metres", "gdalwarp -t_srs EPSG:25832", path)


def test_a_sheet_without_crs_is_refused(tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.tif", grey(1), crs=None)
    refused(GridError, r"a\.tif has no CRS", "gdal_translate -a_srs EPSG:25832 a.tif", path)


def test_two_crs_are_refused(tmp_path: Path) -> None:
    a, b = sheet(tmp_path / "a.tif", grey(1)), sheet(tmp_path / "b.tif", grey(1), crs="EPSG:25833")
    refused(GridError, r"zone 32N.*zone 33N", "gdalwarp -t_srs EPSG:25832", a, b)


def test_two_pixel_sizes_are_refused(tmp_path: Path) -> None:
    a = sheet(tmp_path / "a.tif", grey(1))
    b = sheet(tmp_path / "b.tif", grey(1), transform=Affine(0.1, 0, X, 0, -0.1, Y))
    refused(GridError, r"0\.2 m and 0\.1 m", "gdalwarp -tr 0.2 0.2", a, b)


def test_pixels_beside_the_lattice_are_refused(tmp_path: Path) -> None:
    a = sheet(tmp_path / "a.tif", grey(1))
    b = sheet(tmp_path / "b.tif", grey(1), transform=Affine(GSD, 0, X + 0.05, 0, -GSD, Y))
    refused(GridError, r"not aligned.*0\.250 columns", "-tap", a, b)


@pytest.mark.parametrize("dtype", ["float32", "int16"])
def test_other_pixel_types_are_refused(tmp_path: Path, dtype: str) -> None:
    path = sheet(tmp_path / "a.tif", grey(1, dtype=dtype))
    refused(InputError, rf"a\.tif has pixels of type {dtype}", "gdal_translate -ot Byte -scale a.tif", path)


def test_two_pixel_types_are_refused(tmp_path: Path) -> None:
    a, b = sheet(tmp_path / "a.tif", grey(1)), sheet(tmp_path / "b.tif", grey(1, dtype="uint16"))
    refused(InputError, r"b\.tif is uint16, a\.tif is uint8", "one after the other", a, b)


@pytest.mark.parametrize("bands", [1, 2])
def test_one_band_is_refused(tmp_path: Path, bands: int) -> None:
    path = sheet(tmp_path / "a.tif", grey(1, bands=bands))
    refused(BandError, rf"only {bands} colour band", "gdal_translate -expand rgb", path)


def test_sheets_of_different_bands_are_refused(tmp_path: Path) -> None:
    a, b = sheet(tmp_path / "a.tif", grey(1, bands=4)), sheet(tmp_path / "b.tif", grey(1))
    words = r"b\.tif has bands red, green, blue; a\.tif has red, green, blue, nir"
    refused(BandError, words, "gdal_translate -b 1 -b 2 -b 3", a, b)


def test_a_missing_sheet_is_refused(tmp_path: Path) -> None:
    refused(InputError, "does not exist", "check the path", sheet(tmp_path / "a.tif", grey(1)), tmp_path / "b.tif")
