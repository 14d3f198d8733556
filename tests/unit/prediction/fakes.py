"""Engines without a network, orthophotos without a file, rasters without a disk: prediction, watched at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from sealmap.core.grid import Grid, Window
from sealmap.core.legend import IGNORE, SEALED, Legend
from sealmap.core.patch import Patch
from sealmap.files.raster import create_raster
from sealmap.model.card import ModelCard
from sealmap.prediction.mosaic import PROBABILITY_LEVELS, MapWriter
from sealmap.prediction.plan import Plan
from sealmap.prediction.predict import Predicted, predict

RGB = ("red", "green", "blue")

CARD = ModelCard(
    architecture="unet",
    encoder="none",
    bands=RGB,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    gsd_m=0.2,
    gsd_range_m=(0.08, 0.5),
    legend=SEALED,
    patch=64,
    halo=8,
)


def grid_of_size(height: int, width: int, gsd: float = 0.2) -> Grid:
    transform = Affine(gsd, 0, 364_000, 0, -gsd, 5_620_000)
    return Grid(height=height, width=width, transform=transform, crs=CRS.from_epsg(25832))


def noise(bands: int, height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """Values 1..127: never black, and two of them are never more than certain."""
    return np.random.default_rng(seed).integers(1, 128, (bands, height, width), np.uint8)


def write_sheet(path: Path, pixels_CHW: NDArray[Any], grid: Grid) -> Path:
    """A lossless GeoTIFF sheet."""
    count, dtype = pixels_CHW.shape[0], str(pixels_CHW.dtype)
    with create_raster(path, grid, count=count, dtype=dtype, nodata=None, block=256) as dataset:
        dataset.write(pixels_CHW)
    return path


@dataclass
class IdentityEngine:
    """Band value / 254 is the probability: the first band of the first sealed class, and so on."""

    legend: Legend = SEALED
    batches: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def card(self) -> ModelCard:
        return replace(CARD, legend=self.legend)

    def probs(self, pixels_NCHW: NDArray[Any], pixel_scale: float) -> NDArray[np.float32]:
        self.batches.append(pixels_NCHW.shape)
        sealed = len(self.legend.sealed_ids)
        parts = pixels_NCHW[:, :sealed].astype(np.float32) / np.float32(PROBABILITY_LEVELS)
        rest = 1 - parts.sum(axis=1, keepdims=True)
        return np.concatenate([rest, parts], axis=1).astype(np.float32)


@dataclass
class ConstantEngine:
    """The same probability of 'sealed' everywhere."""

    sealed: float
    batches: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def card(self) -> ModelCard:
        return CARD

    def probs(self, pixels_NCHW: NDArray[Any], pixel_scale: float) -> NDArray[np.float32]:
        self.batches.append(pixels_NCHW.shape)
        n, _, h, w = pixels_NCHW.shape
        plane = np.full((n, 1, h, w), self.sealed, np.float32)
        return np.concatenate([1 - plane, plane], axis=1)


@dataclass
class ArrayOrtho:
    """An orthophoto in memory that counts how often each pixel is read."""

    pixels: NDArray[Any]
    grid: Grid
    bands: tuple[str, ...] = RGB
    valid: NDArray[np.bool_] | None = None
    windows: list[Window] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reads = np.zeros(self.pixels.shape[1:], int)

    def pixel_scale(self) -> float:
        return 255.0

    def read(self, window: Window, bands: Sequence[str] | None = None) -> Patch:
        self.windows.append(window)
        order = [self.bands.index(b) for b in (bands or self.bands)]
        pixels = np.zeros((len(order), window.height, window.width), self.pixels.dtype)
        valid = np.zeros((window.height, window.width), np.bool_)
        inside = window.intersect(self.grid.window)
        if inside is not None:
            here, there = inside.within(window), inside.within(self.grid.window)
            known = np.ones(self.pixels.shape[1:], np.bool_) if self.valid is None else self.valid
            valid[here] = known[there]
            pixels[:, *here] = self.pixels[order][:, *there] * known[there]
            self.reads[there] += 1
        return Patch(pixels_CHW=pixels, valid_HW=valid, window=window, grid=self.grid)


class Canvas:
    """Stands in for a raster being written; ``authors`` counts the writes of each pixel."""

    def __init__(self, count: int, grid: Grid) -> None:
        self.values = np.full((count, grid.height, grid.width), IGNORE, np.uint8)
        self.authors = np.zeros((grid.height, grid.width), int)

    def write(self, values: NDArray[np.uint8], window: Any) -> None:
        rows = slice(window.row_off, window.row_off + window.height)
        cols = slice(window.col_off, window.col_off + window.width)
        self.values[:, rows, cols] = values
        self.authors[rows, cols] += 1


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A map in memory: probability bands as stored, classes, and what the run said of itself."""

    soft: Canvas
    hard: Canvas
    counts: NDArray[np.int64]
    done: Predicted


def draw(ortho: Any, engine: Any, plan: Plan, *, batch: int = 1, threshold: float = 0.5) -> Drawn:
    """Predict into memory."""
    legend = engine.card.legend
    sealed = len(legend.sealed_ids)
    soft = Canvas(sealed + 1 if sealed > 1 else 1, ortho.grid)
    hard = Canvas(1, ortho.grid)
    writer = MapWriter(soft, hard, legend, threshold)
    done = predict(ortho, engine, plan, writer, batch=batch)
    return Drawn(soft=soft, hard=hard, counts=writer.counts, done=done)


def read_all(path: Path) -> NDArray[Any]:
    """All bands of a raster, by rasterio alone."""
    with rasterio.open(path) as dataset:
        found: NDArray[Any] = dataset.read()
    return found
