"""Orthophotos: one sheet, many, or a folder, as one virtual mosaic on one grid.

What is data and what is not is decided here, once: by a mask, an alpha band, a nodata value, or, where a sheet
has none of these, the all-bands-zero edge that JPEG 2000 sheets have (DOMAIN §1.4).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from sealmap.core.errors import BandError, GridError, InputError
from sealmap.core.grid import Grid, Window, union_grid
from sealmap.core.patch import Patch
from sealmap.files.raster import gdal_env, grid_of, open_dataset, open_raster, read_window

SUFFIXES = (".jp2", ".tif", ".tiff", ".vrt", ".j2k")
_BLACK_EDGE_PX = 17
"""All-zero pixels count as 'no data' only where a square of this side is zero: lone black pixels are shadow."""

_OPEN_SHEETS = 48
"""Sheets kept open at once; a city has more than a process may open."""

_ALPHA_SAMPLE = 256
_NAMES = {"r": "red", "g": "green", "b": "blue", "ir": "nir", "near_infrared": "nir", "nearinfrared": "nir"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """One file of the mosaic. ``window``: its place on the mosaic's grid. ``bands``: name → 1-based band."""

    path: Path
    name: str
    window: Window
    bands: tuple[str, ...]
    alpha: int | None
    mask: str
    """Where validity comes from: 'alpha', 'mask', 'nodata' or 'black_edge'."""


class Mosaic:
    """Sheets on one grid. Use ``open_mosaic``; not thread-safe (GDAL handles are not).

    Where sheets overlap, the one that comes first in the order given is taken.
    """

    def __init__(self, sheets: Sequence[Sheet], grid: Grid, dtype: np.dtype[Any]) -> None:
        self.sheets = tuple(sheets)
        self.grid = grid
        self.dtype = dtype
        self.bands = sheets[0].bands
        self._open: OrderedDict[Path, DatasetReader] = OrderedDict()
        self._edges = np.array([(s.window.row, s.window.col, s.window.stop_row, s.window.stop_col) for s in sheets])

    def read(self, window: Window, bands: Sequence[str] | None = None) -> Patch:
        """Pixels of a window, which may reach beyond the grid; there, and where no data is, valid is False.

        Raises BandError where the sheets lack a band, InputError where a file is damaged.
        """
        wanted = tuple(bands) if bands is not None else self.bands
        self.require_bands(wanted)
        pixels = np.zeros((len(wanted), window.height, window.width), self.dtype)
        valid = np.zeros((window.height, window.width), np.bool_)
        for sheet in self.sheets_in(window):
            part = sheet.window.intersect(window)
            if part is None:
                continue
            rows, cols = part.within(window)
            free = ~valid[rows, cols]
            if not free.any():
                continue
            found_CHW, found_HW = self._read_sheet(sheet, part, wanted)
            take = free & found_HW
            np.copyto(pixels[:, rows, cols], found_CHW, where=take[None])
            valid[rows, cols] |= take
        return Patch(pixels_CHW=pixels, valid_HW=valid, window=window, grid=self.grid)

    def thumbnail(self, window: Window, step: int, bands: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """About every ``step``-th pixel each way of the sheet whose window this is: pixels_CHW and valid_HW.

        Cheap where the file has overviews (every JPEG 2000 has). Of several sheets with this window, the first.
        """
        sheet = next(s for s in self.sheets if s.window == window)
        dataset = self._dataset(sheet)
        numbers = [sheet.bands.index(b) + 1 for b in bands]
        side = max(1, window.height // step), max(1, window.width // step)
        pixels: NDArray[Any] = dataset.read(numbers, out_shape=(len(numbers), *side))
        if sheet.mask == "alpha":
            return pixels, np.asarray(dataset.read(sheet.alpha, out_shape=side) > 0)
        if sheet.mask == "black_edge":
            return pixels, np.asarray(pixels.any(axis=0))
        return pixels, np.asarray((dataset.read_masks(numbers, out_shape=pixels.shape) > 0).any(axis=0))

    def sheets_in(self, window: Window) -> list[Sheet]:
        """Sheets that meet a window."""
        e = self._edges
        hit = (
            (e[:, 0] < window.stop_row) & (e[:, 2] > window.row) & (e[:, 1] < window.stop_col) & (e[:, 3] > window.col)
        )
        return [self.sheets[i] for i in np.flatnonzero(hit)]

    def require_bands(self, wanted: Sequence[str]) -> None:
        """Raise BandError unless all of ``wanted`` are there."""
        missing = [b for b in wanted if b not in self.bands]
        if missing:
            raise BandError(
                f"band{'s' if len(missing) > 1 else ''} {', '.join(missing)} missing:"
                f" {self.sheets[0].name} has {', '.join(self.bands)}, needed are {', '.join(wanted)}",
                remedy="use sheets with these bands, or a model made for the bands that there are",
            )

    def pixel_scale(self) -> float:
        """The value that means full brightness: 255 for 8 bits; for 16 bits, of the depth really used (2ⁿ−1)."""
        if self.dtype == np.uint8:
            return 255.0
        top = 0
        for sheet in self.sheets[:: max(1, len(self.sheets) // 8)]:
            dataset = self._dataset(sheet)
            side = min(1024, dataset.height), min(1024, dataset.width)
            sample = dataset.read(1, out_shape=side, masked=True)  # a nodata value of 65535 is no brightness
            top = max(top, int(sample.filled(0).max()))
        return float(2 ** max(8, top.bit_length()) - 1)

    def _read_sheet(
        self, sheet: Sheet, part: Window, wanted: tuple[str, ...]
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        dataset = self._dataset(sheet)
        inside = part.shift(-sheet.window.row, -sheet.window.col)
        numbers = [sheet.bands.index(b) + 1 for b in wanted]
        if sheet.mask == "black_edge":
            return _read_black_edge(dataset, inside, numbers, len(sheet.bands))
        pixels = read_window(dataset, inside, numbers)
        if sheet.mask == "alpha":
            assert sheet.alpha is not None
            valid = read_window(dataset, inside, [sheet.alpha])[0] > 0
        else:
            # A pixel is nodata only when no band has a value: one band may well hold the nodata value (0 in a
            # dark shadow).
            valid = (read_window(dataset, inside, numbers, masks=True) > 0).any(axis=0)
        return pixels, valid

    def _dataset(self, sheet: Sheet) -> DatasetReader:
        if sheet.path in self._open:
            self._open.move_to_end(sheet.path)
        else:
            if len(self._open) >= _OPEN_SHEETS:
                self._open.popitem(last=False)[1].close()
            self._open[sheet.path] = open_dataset(sheet.path)
        return self._open[sheet.path]

    def close(self) -> None:
        """Close all sheets."""
        for dataset in self._open.values():
            dataset.close()
        self._open.clear()


@contextmanager
def open_mosaic(paths: Sequence[Path]) -> Iterator[Mosaic]:
    """Open orthophotos (files or folders) as one mosaic; refuses what cannot be one, with the remedy."""
    files = expand(paths)
    heads = [_look(path) for path in files]
    _same(files, heads)
    grids = [grid for grid, *_ in heads]
    try:
        whole = union_grid(grids)
    except GridError as error:
        raise GridError(f"the sheets are not on one grid: {error.problem}", remedy=error.remedy) from error
    sheets = []
    for path, (grid, _, bands, alpha, mask) in zip(files, heads, strict=True):
        row, col = whole.offset_of(grid)
        window = Window(row=row, col=col, height=grid.height, width=grid.width)
        sheets.append(Sheet(path=path, name=path.stem, window=window, bands=bands, alpha=alpha, mask=mask))
    with gdal_env():  # one for all sheets: GDAL environments nest, sheets are closed in any order
        mosaic = Mosaic(sheets, whole, heads[0][1])
        try:
            yield mosaic
        finally:
            mosaic.close()


def expand(paths: Sequence[Path]) -> list[Path]:
    """Files as given; a folder gives the rasters in it, by name. InputError where nothing is found."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
            if not found:
                raise InputError(
                    f"the folder {path} holds no orthophoto", remedy=f"sheets end in {', '.join(SUFFIXES)}"
                )
            files += found
        else:
            files.append(path)
    if not files:
        raise InputError("no orthophoto given", remedy="name at least one file or folder")
    return list(dict.fromkeys(files))


_Head = tuple[Grid, "np.dtype[Any]", tuple[str, ...], int | None, str]


def _look(path: Path) -> _Head:
    """Grid, pixel type, band names, alpha band and source of validity of a file."""
    with open_raster(path) as dataset:
        grid = grid_of(dataset)
        kinds = set(dataset.dtypes)
        if len(kinds) != 1 or not kinds <= {"uint8", "uint16"}:
            raise InputError(
                f"{path.name} has pixels of type {', '.join(sorted(kinds))}; orthophotos are uint8 or uint16",
                remedy=f"convert with: gdal_translate -ot Byte -scale {path.name} OUT.tif",
            )
        alpha = _alpha_band(dataset)
        bands = _band_names(dataset, alpha)
        if len(bands) < 3:
            raise BandError(
                f"{path.name} has only {len(bands)} colour band(s): {', '.join(bands)}",
                remedy="an orthophoto has red, green and blue; a palette expands with: gdal_translate -expand rgb",
            )
        return grid, np.dtype(kinds.pop()), bands, alpha, _mask_kind(dataset, alpha)


def _alpha_band(dataset: DatasetReader) -> int | None:
    """The alpha band, if it is one. GDAL marks the fourth band of any 4-band GeoTIFF as alpha, NIR included."""
    if ColorInterp.alpha not in dataset.colorinterp:
        return None
    number = dataset.colorinterp.index(ColorInterp.alpha) + 1
    shape = min(_ALPHA_SAMPLE, dataset.height), min(_ALPHA_SAMPLE, dataset.width)
    sample: NDArray[Any] = dataset.read(number, out_shape=shape)
    between = ((sample > 0) & (sample < np.iinfo(sample.dtype).max)).mean()
    return number if between < 0.05 else None


def _band_names(dataset: DatasetReader, alpha: int | None) -> tuple[str, ...]:
    """Names by description, else by colour, else by order. The alpha band, always last here, has none."""
    by_order = ("red", "green", "blue", "nir")
    colors = {ColorInterp.red: "red", ColorInterp.green: "green", ColorInterp.blue: "blue"}
    count = dataset.count - (1 if alpha == dataset.count else 0)
    names: list[str] = []
    for i in range(count):
        told = (dataset.descriptions[i] or "").strip().lower().replace(" ", "_")
        told = _NAMES.get(told, told)
        known = told if told in by_order else colors.get(dataset.colorinterp[i])
        if known is None and count >= 3 and i < 4:
            known = by_order[i]
        name = known or told or f"band_{i + 1}"
        names.append(name if name not in names else f"band_{i + 1}")
    return tuple(names)


def _mask_kind(dataset: DatasetReader, alpha: int | None) -> str:
    if alpha is not None:
        return "alpha"
    if dataset.nodata is not None:
        return "nodata"
    if MaskFlags.per_dataset in dataset.mask_flag_enums[0] and MaskFlags.alpha not in dataset.mask_flag_enums[0]:
        return "mask"
    return "black_edge"


def _read_black_edge(
    dataset: DatasetReader, inside: Window, numbers: list[int], count: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pixels and validity where only black says 'no data'. Read with a margin: the answer is window-independent."""
    whole = Window(row=0, col=0, height=dataset.height, width=dataset.width)
    margin = _BLACK_EDGE_PX - 1
    wide = inside.expand(margin).intersect(whole)
    assert wide is not None
    every = read_window(dataset, wide, range(1, count + 1))
    rows, cols = inside.within(wide)
    pixels = every[[n - 1 for n in numbers]][:, rows, cols]
    black = (every == 0).all(axis=0)
    if not black.any():
        return pixels, np.ones((inside.height, inside.width), np.bool_)
    # Beyond the sheet counts as black, so that a narrow black edge along the border is found too.
    padded = np.pad(black.astype(np.uint8), margin, constant_values=1)
    for side in _interior_sides(wide, whole):
        padded[side] = 0
    kernel = np.ones((_BLACK_EDGE_PX, _BLACK_EDGE_PX), np.uint8)
    opened = cv2.morphologyEx(padded, cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    empty = opened[margin:-margin, margin:-margin].astype(np.bool_) & black
    return pixels, ~empty[rows, cols]


def _interior_sides(wide: Window, whole: Window) -> list[tuple[slice, slice]]:
    """Margins of the padded array that are not beyond the sheet: there, nothing is known to be black."""
    m, every = _BLACK_EDGE_PX - 1, slice(None)
    sides: list[tuple[bool, tuple[slice, slice]]] = [
        (wide.row > whole.row, (slice(0, m), every)),
        (wide.stop_row < whole.stop_row, (slice(-m, None), every)),
        (wide.col > whole.col, (every, slice(0, m))),
        (wide.stop_col < whole.stop_col, (every, slice(-m, None))),
    ]
    return [side for interior, side in sides if interior]


def _same(files: Sequence[Path], heads: Sequence[_Head]) -> None:
    """Refuse sheets that differ in pixel type or bands."""
    for path, (_, dtype, bands, *_) in zip(files, heads, strict=True):
        if dtype != heads[0][1]:
            raise InputError(
                f"{path.name} is {dtype}, {files[0].name} is {heads[0][1]}",
                remedy="run them one after the other",
            )
        if bands != heads[0][2]:
            raise BandError(
                f"{path.name} has bands {', '.join(bands)}; {files[0].name} has {', '.join(heads[0][2])}",
                remedy="run them one after the other, or take the common bands with: gdal_translate -b 1 -b 2 -b 3",
            )
