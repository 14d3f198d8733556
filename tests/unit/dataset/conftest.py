"""A mosaic of arrays and tiny shapes: what the dataset stage needs of its neighbours, without any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from sealmap.core.grid import Grid, Window
from sealmap.core.patch import Patch

UTM32 = CRS.from_epsg(25832)


def grid_of_size(height: int, width: int, gsd: float = 0.2) -> Grid:
    return Grid(height=height, width=width, transform=Affine(gsd, 0, 350_000, 0, -gsd, 5_700_000), crs=UTM32)


@dataclass(frozen=True)
class FakeSheet:
    name: str
    window: Window


@dataclass
class FakeMosaic:
    """Sheets side by side in one array; ``reads`` notes the windows that were asked for."""

    pixels: NDArray[Any]
    sheets: tuple[FakeSheet, ...]
    bands: tuple[str, ...] = ("red", "green", "blue", "nir")
    valid: NDArray[np.bool_] | None = None
    reads: list[Window] = field(default_factory=list)

    @property
    def grid(self) -> Grid:
        return grid_of_size(*self.pixels.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.pixels.dtype

    def read(self, window: Window, bands: Sequence[str] | None = None) -> Patch:
        self.reads.append(window)
        order = [self.bands.index(b) for b in bands or self.bands]
        pixels = np.zeros((len(order), window.height, window.width), self.dtype)
        valid = np.zeros((window.height, window.width), np.bool_)
        inside = window.intersect(self.grid.window)
        if inside is not None:
            here, there = inside.within(window), inside.within(self.grid.window)
            known = np.ones(self.pixels.shape[1:], np.bool_) if self.valid is None else self.valid
            valid[here] = known[there]
            pixels[:, *here] = self.pixels[order][:, *there] * known[there]
        return Patch(pixels_CHW=pixels, valid_HW=valid, window=window, grid=self.grid)

    def thumbnail(self, window: Window, step: int, bands: Sequence[str]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        whole = self.read(window, bands)
        self.reads.pop()
        return whole.pixels_CHW[:, ::step, ::step], whole.valid_HW[::step, ::step]


def row_of_sheets(count: int, side: int, dtype: str = "uint8", seed: int = 0) -> FakeMosaic:
    """``count`` square sheets in a row: grey noise, so nothing is green."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(80, 120, (4, side, count * side)).astype(dtype)
    sheets = tuple(FakeSheet(f"s{i}", Window(row=0, col=i * side, height=side, width=side)) for i in range(count))
    return FakeMosaic(pixels=pixels, sheets=sheets)


@dataclass(frozen=True)
class FakeShapes:
    """Shapes as a cadastre gives them."""

    geometry: NDArray[np.object_]
    source: tuple[str, ...]
    klass: tuple[str, ...]
    function: tuple[str, ...]
    updated: tuple[date | None, ...]
    oid: tuple[str, ...]


def shapes_of(*rows: tuple[shapely.Geometry, str, str, str], updated: date | None = None) -> FakeShapes:
    return FakeShapes(
        geometry=np.array([r[0] for r in rows], dtype=object),
        source=tuple(r[1] for r in rows),
        klass=tuple(r[2] for r in rows),
        function=tuple(r[3] for r in rows),
        updated=(updated,) * len(rows),
        oid=tuple(f"oid{i}" for i in range(len(rows))),
    )


def box_px(grid: Grid, row: int, col: int, height: int, width: int) -> shapely.Geometry:
    """A rectangle of whole pixels in map coordinates."""
    x0, y0, x1, y1 = grid.subgrid(Window(row=row, col=col, height=height, width=width)).bounds
    return shapely.box(x0, y0, x1, y1)


@pytest.fixture(scope="session")
def fakes() -> SimpleNamespace:
    """The helpers above: test folders are no packages, so that they cannot be imported."""
    return SimpleNamespace(
        grid_of_size=grid_of_size,
        row_of_sheets=row_of_sheets,
        shapes_of=shapes_of,
        box_px=box_px,
        FakeSheet=FakeSheet,
        FakeMosaic=FakeMosaic,
    )
