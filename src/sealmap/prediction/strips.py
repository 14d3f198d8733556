"""Reading a mosaic strip by strip: each pixel is decoded about once, and memory is one strip.

JPEG 2000 is slow to read by window: an untiled sheet takes 0.7 s for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.core.grid import Grid, Window
from sealmap.core.patch import Patch
from sealmap.core.tiling import Tile, Tiling

STRIP_COLUMNS = 16_384
"""Widest strip held in memory, in pixels; wider mosaics are read in bands of columns."""


class Orthophoto(Protocol):
    """What prediction needs of a mosaic."""

    grid: Grid
    bands: tuple[str, ...]

    def read(self, window: Window, bands: Sequence[str] | None = None) -> Patch:
        """Pixels and validity of a window, which may reach beyond the grid."""
        ...

    def pixel_scale(self) -> float:
        """The pixel value that means 1.0."""
        ...


def read_tiles(mosaic: Orthophoto, tiling: Tiling, bands: Sequence[str]) -> Iterator[tuple[Tile, Patch]]:
    """Tiles, row by row, with their pixels. Beyond the grid pixels are mirrored, and not valid."""
    per_band = max(1, STRIP_COLUMNS // tiling.step)
    for first in range(0, tiling.cols, per_band):
        cols = range(first, min(first + per_band, tiling.cols))
        yield from _read_band(mosaic, tiling, bands, cols)


def _read_band(mosaic: Orthophoto, tiling: Tiling, bands: Sequence[str], cols: range) -> Iterator[tuple[Tile, Patch]]:
    strip: Patch | None = None
    for row in range(tiling.rows):
        tiles = [tiling.at(row, col) for col in cols]
        left, right = tiles[0].read, tiles[-1].read
        wanted = Window(row=left.row, col=left.col, height=left.height, width=right.stop_col - left.col)
        strip = _advance(mosaic, bands, strip, wanted)
        for tile in tiles:
            yield tile, _cut(strip, tile.read, mosaic.grid)


def _advance(mosaic: Orthophoto, bands: Sequence[str], old: Patch | None, wanted: Window) -> Patch:
    """The strip at ``wanted``; rows that the old strip has are taken from it, not decoded again."""
    if old is None or old.window.stop_row <= wanted.row:
        return mosaic.read(wanted, bands)
    kept = old.window.stop_row - wanted.row
    fresh = Window(
        row=old.window.stop_row,
        col=wanted.col,
        height=wanted.stop_row - old.window.stop_row,
        width=wanted.width,
    )
    new = mosaic.read(fresh, bands)
    return Patch(
        pixels_CHW=np.concatenate([old.pixels_CHW[:, -kept:], new.pixels_CHW], axis=1),
        valid_HW=np.concatenate([old.valid_HW[-kept:], new.valid_HW]),
        window=wanted,
        grid=old.grid,
    )


def _cut(strip: Patch, window: Window, grid: Grid) -> Patch:
    rows, cols = window.within(strip.window)
    pixels, valid = strip.pixels_CHW[:, rows, cols], strip.valid_HW[rows, cols]
    return Patch(pixels_CHW=mirror_beyond(pixels, window, grid), valid_HW=valid, window=window, grid=grid)


def mirror_beyond(pixels_CHW: NDArray[Any], window: Window, grid: Grid) -> NDArray[Any]:
    """Fill what lies beyond the grid with the mirrored inside: a network takes black for a dark roof."""
    inside = window.intersect(grid.window)
    if inside is None or inside == window:
        return pixels_CHW
    rows, cols = inside.within(window)
    image = np.ascontiguousarray(pixels_CHW[:, rows, cols].transpose(1, 2, 0))
    top, left = inside.row - window.row, inside.col - window.col
    bottom, right = window.stop_row - inside.stop_row, window.stop_col - inside.stop_col
    wide = cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_REFLECT)
    return wide.reshape(*wide.shape[:2], -1).transpose(2, 0, 1)
