"""Rasters: the only ``rasterio.open``. Output profiles are made here, never copied from an input (law 8)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from pyproj import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.windows import Window as RasterioWindow

from sealmap.core.errors import GridError, InputError, OutputError
from sealmap.core.grid import Grid, Window

BLOCK = 512
"""Side of a block in the rasters that we write, in pixels."""

_CACHE_BYTES = 256 * 2**20
"""GDAL's block cache, in bytes (a plain 256 would mean 256 bytes). Holds a row of 1024-blocks of a sheet."""


@contextmanager
def gdal_env() -> Iterator[None]:
    """GDAL options that all reading and writing here share. Sidecar files (.j2w) stay visible."""
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES, GDAL_NUM_THREADS=str(os.cpu_count() or 1)):
        yield


@contextmanager
def open_raster(path: Path) -> Iterator[DatasetReader]:
    """Open a raster for reading; InputError where it is missing, no raster, or cut short."""
    with gdal_env(), open_dataset(path) as dataset:
        yield dataset


def open_dataset(path: Path) -> DatasetReader:
    """As ``open_raster``, for a caller that keeps several open within one ``gdal_env`` and closes them itself."""
    check_raster_file(path)
    try:
        return rasterio.open(path)
    except RasterioIOError as error:
        raise InputError(
            f"{path} is no raster that can be read ({_first_line(error)})",
            remedy="give a GeoTIFF, JPEG 2000, COG or VRT; see what it is with: gdalinfo FILE",
        ) from error


def check_raster_file(path: Path) -> None:
    """Refuse what GDAL reports badly or late: missing files, folders, empty files, truncated JPEG 2000."""
    if not path.exists():
        raise InputError(f"{path} does not exist", remedy="check the path")
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a raster", remedy="give a file in it")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes)", remedy="fetch the file again")
    if path.suffix.lower() in {".jp2", ".j2k"}:
        _check_jp2(path)


def _check_jp2(path: Path) -> None:
    """A truncated code stream decodes to silent garbage or fails an hour later: look at the boxes now.

    Box layout: ISO/IEC 15444-1 Annex I (length 4 bytes, type 4 bytes; length 1 → 8 more bytes, 0 → to the
    end).
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(12)
        if head[:4] == b"\xff\x4f\xff\x51":  # a bare code stream
            start, stop = 0, size
        elif head[4:8] != b"jP  ":
            raise InputError(
                f"{path} is named JPEG 2000 but is none (it begins with {head[:8]!r})",
                remedy="fetch the file again or give it its right suffix",
            )
        else:
            start, stop = _codestream_extent(stream, size)
        if stop > size:
            raise InputError(
                f"{path} is cut short: {size} bytes of {stop}",
                remedy="fetch the file again; it is incomplete",
            )
        if start >= 0:
            stream.seek(stop - 2)
            if stream.read(2) != b"\xff\xd9":
                raise InputError(
                    f"{path} is cut short: its code stream has no end marker at byte {stop}",
                    remedy="fetch the file again; it is incomplete",
                )


def _codestream_extent(stream: Any, size: int) -> tuple[int, int]:
    """First and last byte of the first code stream box; (-1, 0) where there is none."""
    at = 0
    while at + 8 <= size:
        stream.seek(at)
        length, kind = struct.unpack(">I4s", stream.read(8))
        header = 8
        if length == 1 and at + 16 <= size:
            length, header = struct.unpack(">Q", stream.read(8))[0], 16
        stop = size if length == 0 else at + length
        if kind == b"jp2c":
            return at + header, stop
        if length and length < header:
            break
        at = stop
    return -1, 0


def grid_of(dataset: DatasetReader) -> Grid:
    """The grid of a raster; GridError, naming the file, where it has none that we can use."""
    name = Path(dataset.name).name
    if dataset.crs is None:
        raise GridError(
            f"{name} has no CRS", remedy=f"give it one with: gdal_translate -a_srs EPSG:25832 {name} OUT.tif"
        )
    try:
        crs = CRS.from_wkt(dataset.crs.to_wkt())
        return Grid(height=dataset.height, width=dataset.width, transform=dataset.transform, crs=crs)
    except GridError as error:
        raise GridError(f"{name}: {error.problem}", remedy=error.remedy.replace("IN", name)) from error


def read_window(dataset: DatasetReader, window: Window, bands: Sequence[int], *, masks: bool = False) -> NDArray[Any]:
    """Bands (1-based) of a window inside the raster, as (band, row, column).

    InputError where bytes are broken.
    """
    area = RasterioWindow(window.col, window.row, window.width, window.height)
    reader = dataset.read_masks if masks else dataset.read
    try:
        found: NDArray[Any] = reader(list(bands), window=area)
    except RasterioError as error:
        raise InputError(
            f"{dataset.name} cannot be read at rows {window.row}-{window.stop_row},"
            f" columns {window.col}-{window.stop_col} ({_first_line(error)})",
            remedy="the file is damaged there: fetch it again",
        ) from error
    return found


def read_raster(path: Path) -> tuple[NDArray[Any], Grid]:
    """A whole small raster as (band, row, column) and its grid. For chips and figures, not for sheets."""
    with open_raster(path) as dataset:
        grid = grid_of(dataset)
        return read_window(dataset, grid.window, range(1, dataset.count + 1)), grid


def output_profile(grid: Grid, *, count: int, dtype: str, nodata: int | None, block: int) -> dict[str, Any]:
    """The profile of a lossless, tiled, compressed GeoTIFF on ``grid``."""
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": grid.height,
        "width": grid.width,
        "count": count,
        "dtype": dtype,
        "crs": grid.crs.to_wkt(),
        "transform": grid.transform,
        "compress": "deflate",
        "zlevel": 6,
        "bigtiff": "IF_SAFER",
        "interleave": "pixel" if count == 1 else "band",
        "nodata": nodata,
    }
    if grid.height >= block and grid.width >= block:
        profile |= {"tiled": True, "blockxsize": block, "blockysize": block}
    return profile


@contextmanager
def create_raster(
    path: Path, grid: Grid, *, count: int, dtype: str, nodata: int | None, block: int = BLOCK
) -> Iterator[DatasetWriter]:
    """Create a lossless GeoTIFF to write windows into. ``path`` is a scratch path from ``files.atomic``."""
    profile = output_profile(grid, count=count, dtype=dtype, nodata=nodata, block=block)
    with gdal_env():
        try:
            with rasterio.open(path, "w", **profile) as dataset:
                yield dataset
        except RasterioError as error:
            raise OutputError(f"{path} cannot be written ({_first_line(error)})", remedy="check space") from error


def write_window(dataset: DatasetWriter, values_KHW: NDArray[Any], row: int, col: int) -> None:
    """Write (band, row, column) values with their first pixel at ``row``, ``col``."""
    area = RasterioWindow(col, row, values_KHW.shape[2], values_KHW.shape[1])
    dataset.write(values_KHW, window=area)


def write_raster(path: Path, values_KHW: NDArray[Any], grid: Grid, *, nodata: int | None = None) -> None:
    """Write a whole small raster without loss. ``path`` is a scratch path or lies in a scratch folder."""
    count, dtype = values_KHW.shape[0], str(values_KHW.dtype)
    with create_raster(path, grid, count=count, dtype=dtype, nodata=nodata, block=256) as dataset:
        if count >= 3:
            dataset.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue] + [ColorInterp.undefined] * (
                count - 3
            )
        dataset.write(values_KHW)


def to_cog(scratch: Path, final: Path, *, resampling: str) -> None:
    """Rewrite a GeoTIFF as a cloud-optimised one with overviews (``resampling``: 'mode' or 'average')."""
    with gdal_env():
        try:
            rasterio.shutil.copy(
                scratch,
                final,
                driver="COG",
                compress="DEFLATE",
                blocksize=BLOCK,
                overview_resampling=resampling,
                bigtiff="IF_SAFER",
                num_threads="ALL_CPUS",
            )
        except RasterioError as error:
            raise OutputError(f"{final} cannot be written ({_first_line(error)})", remedy="check space") from error


def palette(colors: dict[int, tuple[int, int, int]]) -> dict[int, tuple[int, int, int, int]]:
    """A GDAL colour table: given colours opaque, 255 transparent, everything else black."""
    table = dict.fromkeys(range(256), (0, 0, 0, 255))
    table |= {i: (*rgb, 255) for i, rgb in colors.items()}
    table[255] = (0, 0, 0, 0)
    return table


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
