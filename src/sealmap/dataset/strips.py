"""Read a sheet from top to bottom, each pixel once, and cut chips from the rows at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sealmap.core.grid import Grid, Window
from sealmap.core.patch import Patch

_READ_ROWS = 1024
"""Rows per read. Blocks of sheets are 256, 512 or 1024 high: reads in this step decode none twice."""


class SheetLike(Protocol):
    """A sheet of a mosaic; ``window`` is its place on the mosaic's grid."""

    @property
    def name(self) -> str:
        """Name, unique in the mosaic."""
        ...

    @property
    def window(self) -> Window:
        """Place on the grid."""
        ...


class MosaicLike(Protocol):
    """Sheets on one grid. ``read`` gives valid False where there is no data."""

    @property
    def grid(self) -> Grid:
        """Grid of the mosaic."""
        ...

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 or uint16."""
        ...

    @property
    def sheets(self) -> Sequence[SheetLike]:
        """All sheets."""
        ...

    def read(self, window: Window, bands: Sequence[str] | None = None) -> Patch:
        """Pixels of a window."""
        ...

    def thumbnail(self, window: Window, step: int, bands: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """About every ``step``-th pixel each way of a sheet's window: pixels (band, row, column) and valid."""
        ...


class SheetReader:
    """Pixels of one sheet for windows asked for from top to bottom. Holds about two strips in memory."""

    def __init__(self, mosaic: MosaicLike, sheet: Window, bands: Sequence[str]) -> None:
        self._mosaic, self._sheet, self._bands = mosaic, sheet, tuple(bands)
        self._top = self._stop = sheet.row
        self._pixels: NDArray[Any] = np.zeros((len(bands), 0, sheet.width), mosaic.dtype)
        self._valid = np.zeros((0, sheet.width), np.bool_)

    def read(self, window: Window) -> Patch:
        """Pixels of a window; what lies outside the sheet is not valid, even where a neighbour has it."""
        inside = window.intersect(self._sheet)
        if inside is None or inside.row < self._top:
            raise ValueError(f"{window} is not in the sheet {self._sheet}, or above rows that were let go")
        self._advance(inside)
        pixels = np.zeros((len(self._bands), window.height, window.width), self._mosaic.dtype)
        valid = np.zeros((window.height, window.width), np.bool_)
        held = Window(row=self._top, col=self._sheet.col, height=self._stop - self._top, width=self._sheet.width)
        target, source = inside.within(window), inside.within(held)
        pixels[:, *target] = self._pixels[:, *source]
        valid[target] = self._valid[source]
        pixels[:, ~valid] = 0
        return Patch(pixels_CHW=pixels, valid_HW=valid, window=window, grid=self._mosaic.grid)

    def _advance(self, inside: Window) -> None:
        """Let go of rows above ``inside`` and read on to its end."""
        if inside.row > self._top:
            gone = min(inside.row, self._stop) - self._top
            self._pixels, self._valid = self._pixels[:, gone:], self._valid[gone:]
            self._top += gone
        while self._stop < inside.stop_row:
            height = min(_READ_ROWS, self._sheet.stop_row - self._stop)
            strip = Window(row=self._stop, col=self._sheet.col, height=height, width=self._sheet.width)
            new = self._mosaic.read(strip, self._bands)
            self._pixels = np.concatenate([self._pixels, new.pixels_CHW], axis=1)
            self._valid = np.concatenate([self._valid, new.valid_HW], axis=0)
            self._stop += height
