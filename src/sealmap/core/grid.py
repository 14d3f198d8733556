"""Grid and Window: where pixels are.

Rows before columns; integers for pixels, floats only for map coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from sealmap.core.errors import GridError

_RELATIVE_TOLERANCE = 1e-6
"""Pixel sizes that differ by less than this share are the same pixel size (world files round)."""

_ALIGN_TOLERANCE_PX = 0.01
"""Two grids are aligned when their origins differ by whole pixels to within this part of a pixel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A rectangle of pixels. ``row``/``col`` may be negative: a window may reach beyond its grid."""

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"a window needs at least one pixel, got {self.height}x{self.width}")

    @property
    def stop_row(self) -> int:
        """First row below the window."""
        return self.row + self.height

    @property
    def stop_col(self) -> int:
        """First column right of the window."""
        return self.col + self.width

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    def intersect(self, other: Window) -> Window | None:
        """The common rectangle, or None where the two do not overlap."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = min(self.stop_row, other.stop_row) - row
        width = min(self.stop_col, other.stop_col) - col
        if height < 1 or width < 1:
            return None
        return Window(row=row, col=col, height=height, width=width)

    def expand(self, margin: int) -> Window:
        """The window grown by ``margin`` pixels on each side."""
        return Window(
            row=self.row - margin,
            col=self.col - margin,
            height=self.height + 2 * margin,
            width=self.width + 2 * margin,
        )

    def shift(self, rows: int, cols: int) -> Window:
        """The same rectangle moved by whole pixels."""
        return Window(row=self.row + rows, col=self.col + cols, height=self.height, width=self.width)

    def within(self, outer: Window) -> tuple[slice, slice]:
        """Row and column slices of this window in an array that covers ``outer``."""
        if self.intersect(outer) != self:
            raise ValueError(f"{self} is not inside {outer}")
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.height), slice(col, col + self.width)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """A north-up raster grid with square pixels in a projected CRS with metres.

    Raises GridError, with the command that repairs it, when the georeference is none of that.
    """

    height: int
    width: int
    transform: Affine
    crs: CRS

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise GridError(f"the grid is empty: {self.height}x{self.width} pixels")
        t = self.transform
        if t.b != 0 or t.d != 0 or t.a <= 0 or t.e >= 0:
            raise GridError(
                f"the raster is not north-up (geotransform {tuple(t)[:6]})",
                remedy="make it so with: gdalwarp -r cubic IN OUT.tif",
            )
        if not math.isclose(t.a, -t.e, rel_tol=1e-4):
            raise GridError(
                f"pixels are not square: {t.a} x {-t.e}",
                remedy=f"resample with: gdalwarp -tr {t.a} {t.a} -r cubic IN OUT.tif",
            )
        if self.crs.is_geographic or not self.crs.is_projected:
            raise GridError(
                f"the CRS '{self.crs.name}' has no metres",
                remedy="reproject with: gdalwarp -t_srs EPSG:25832 -tr 0.2 0.2 -r cubic IN OUT.tif",
            )
        units = {axis.unit_name for axis in self.crs.axis_info[:2]}
        if units - {"metre", "meter"}:
            raise GridError(
                f"the CRS '{self.crs.name}' counts in {', '.join(sorted(units))}, not in metres",
                remedy="reproject with: gdalwarp -t_srs EPSG:25832 -r cubic IN OUT.tif",
            )

    @property
    def gsd_m(self) -> float:
        """Ground sampling distance: side of a pixel in metres."""
        return float(self.transform.a)

    @property
    def pixel_area_m2(self) -> float:
        """Area of one pixel in square metres."""
        return float(-self.transform.a * self.transform.e)

    @property
    def window(self) -> Window:
        """The window of all pixels."""
        return Window(row=0, col=0, height=self.height, width=self.width)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(min x, min y, max x, max y) in metres."""
        x0, y1 = self.transform @ (0, 0)
        x1, y0 = self.transform @ (self.width, self.height)
        return (x0, y0, x1, y1)

    def to_pixels(self, xy_N2: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map coordinates (x, y) as (column, row), fractions of pixels included."""
        inverse = ~self.transform
        moved: NDArray[np.float64] = xy_N2 * [inverse.a, inverse.e] + [inverse.c, inverse.f]
        return moved

    def to_map(self, colrow_N2: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse of ``to_pixels``."""
        t = self.transform
        moved: NDArray[np.float64] = colrow_N2 * [t.a, t.e] + [t.c, t.f]
        return moved

    def subgrid(self, window: Window) -> Grid:
        """The grid of a window of this grid (the window may reach beyond it)."""
        moved = self.transform @ Affine.translation(window.col, window.row)
        return Grid(height=window.height, width=window.width, transform=moved, crs=self.crs)

    def window_over(self, bounds: tuple[float, float, float, float]) -> Window | None:
        """The smallest window of this grid that covers ``bounds``; None where they do not meet."""
        x0, y0, x1, y1 = bounds
        left, top = ~self.transform @ (x0, y1)
        right, bottom = ~self.transform @ (x1, y0)
        eps = _ALIGN_TOLERANCE_PX
        row, col = math.floor(top + eps), math.floor(left + eps)
        stop_row, stop_col = math.ceil(bottom - eps), math.ceil(right - eps)
        if stop_row <= row or stop_col <= col:
            return None
        found = Window(row=row, col=col, height=stop_row - row, width=stop_col - col)
        return found.intersect(self.window)

    def offset_of(self, other: Grid) -> tuple[int, int]:
        """Row and column of ``other``'s first pixel on this grid.

        Raises GridError where CRS, pixel size or alignment differ.
        """
        if self.crs != other.crs:
            raise GridError(
                f"the CRS differs: '{self.crs.name}' and '{other.crs.name}'",
                remedy=f"bring both to one with: gdalwarp -t_srs {_authority(self.crs)} IN OUT.tif",
            )
        if not math.isclose(self.gsd_m, other.gsd_m, rel_tol=_RELATIVE_TOLERANCE):
            raise GridError(
                f"pixel sizes differ: {self.gsd_m} m and {other.gsd_m} m",
                remedy=f"resample with: gdalwarp -tr {self.gsd_m} {self.gsd_m} -tap -r average IN OUT.tif",
            )
        col, row = ~self.transform @ (other.transform.c, other.transform.f)
        if abs(col - round(col)) > _ALIGN_TOLERANCE_PX or abs(row - round(row)) > _ALIGN_TOLERANCE_PX:
            raise GridError(
                f"pixels are not aligned: shifted by {col - round(col):.3f} columns, {row - round(row):.3f} rows",
                remedy=f"align with: gdalwarp -tr {self.gsd_m} {self.gsd_m} -tap -r cubic IN OUT.tif",
            )
        return round(row), round(col)


def union_grid(grids: Iterable[Grid]) -> Grid:
    """The smallest grid that covers all of ``grids``; raises GridError where they are not of one lattice."""
    all_grids = list(grids)
    first = all_grids[0]
    offsets = [first.offset_of(g) for g in all_grids]
    top = min(row for row, _ in offsets)
    left = min(col for _, col in offsets)
    bottom = max(row + g.height for (row, _), g in zip(offsets, all_grids, strict=True))
    right = max(col + g.width for (_, col), g in zip(offsets, all_grids, strict=True))
    return first.subgrid(Window(row=top, col=left, height=bottom - top, width=right - left))


def _authority(crs: CRS) -> str:
    code = crs.to_authority()
    return f"{code[0]}:{code[1]}" if code else "EPSG:25832"
