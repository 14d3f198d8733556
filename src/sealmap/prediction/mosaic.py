"""The mosaic: probabilities and classes, written window by window, each pixel once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetWriter

from sealmap.core.grid import Grid, Window
from sealmap.core.legend import IGNORE, Legend
from sealmap.core.patch import Patch
from sealmap.core.tiling import Tile
from sealmap.files.atomic import staged
from sealmap.files.raster import create_raster, palette, to_cog, write_window
from sealmap.files.tags import legend_tags

PROBABILITY_LEVELS = 254
"""Probability 1.0 is stored as 254; 255 is nodata. 0 and 1 survive exactly; a step is 0.0039."""


class MapWriter:
    """Writes what a window of the map holds into both rasters. Use ``open_maps``."""

    def __init__(self, probability: DatasetWriter, classes: DatasetWriter, legend: Legend, threshold: float) -> None:
        self._probability = probability
        self._classes = classes
        self._legend = legend
        self._threshold = threshold
        self.counts = np.zeros(256, np.int64)

    def take(self, tile: Tile, patch: Patch, probs_KHW: NDArray[np.float32], _scale: float) -> None:
        """Write what a tile keeps."""
        rows, cols = tile.keep_in_read
        self.write(tile.keep, probs_KHW[:, rows, cols], patch.valid_HW[rows, cols])

    def write(self, window: Window, probs_KHW: NDArray[np.float32], valid_HW: NDArray[np.bool_]) -> None:
        """probs_KHW: of the legend's classes, 0..1. Where valid is False, both rasters get 255."""
        classes = classify(probs_KHW, self._legend, self._threshold)
        classes[~valid_HW] = IGNORE
        bands = quantise(bands_of(probs_KHW, self._legend))
        bands[:, ~valid_HW] = IGNORE
        write_window(self._probability, bands, window.row, window.col)
        write_window(self._classes, classes[None], window.row, window.col)
        self.counts += np.bincount(classes.ravel(), minlength=256)

    def tag(self, **tags: str) -> None:
        """Write further tags into both rasters."""
        for dataset in (self._probability, self._classes):
            dataset.update_tags(**tags)


def classify(probs_KHW: NDArray[np.float32], legend: Legend, threshold: float) -> NDArray[np.uint8]:
    """Sealed where the sealed classes together reach the threshold; then the likeliest class of that side.

    One threshold on one quantity, so that roofs and paving do not each lose what they have in common.
    """
    sealed = np.array(legend.sealed_ids)
    open_ids = np.array([c.id for c in legend.classes if not c.sealed])
    is_sealed = probs_KHW[sealed].sum(axis=0) >= threshold
    best_sealed = sealed[probs_KHW[sealed].argmax(axis=0)]
    best_open = open_ids[probs_KHW[open_ids].argmax(axis=0)]
    classes: NDArray[np.uint8] = np.where(is_sealed, best_sealed, best_open).astype(np.uint8)
    return classes


def bands_of(probs_KHW: NDArray[np.float32], legend: Legend) -> NDArray[np.float32]:
    """Bands of the probability raster: 'sealed', then each sealed class where there are several."""
    parts = probs_KHW[list(legend.sealed_ids)]
    whole = parts.sum(axis=0, keepdims=True)
    return np.concatenate([whole, parts]) if len(parts) > 1 else whole


def band_names(legend: Legend) -> tuple[str, ...]:
    """Names of ``bands_of``."""
    keys = tuple(legend.classes[i].key for i in legend.sealed_ids)
    return ("sealed", *keys) if len(keys) > 1 else ("sealed",)


def quantise(probs: NDArray[np.float32]) -> NDArray[np.uint8]:
    """0..1 → 0..254, rounded to nearest."""
    return np.rint(np.clip(probs, 0, 1) * PROBABILITY_LEVELS).astype(np.uint8)


@dataclass(frozen=True, kw_only=True, slots=True)
class MapFiles:
    """Where the two rasters go, and what is written into both as GeoTIFF tags."""

    probability: Path
    classes: Path
    tags: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False


@contextmanager
def open_maps(files: MapFiles, grid: Grid, legend: Legend, threshold: float) -> Iterator[MapWriter]:
    """Rasters that take their final names together, when all windows are written; else nothing is left."""
    names = band_names(legend)
    with ExitStack() as stack:
        finals = [stack.enter_context(staged(p, overwrite=files.overwrite)) for p in (files.probability, files.classes)]
        plain = [p.with_name(f"{p.stem}.strips.tif") for p in finals]
        for path in plain:
            stack.callback(path.unlink, missing_ok=True)
        with (
            create_raster(plain[0], grid, count=len(names), dtype="uint8", nodata=IGNORE) as soft,
            create_raster(plain[1], grid, count=1, dtype="uint8", nodata=IGNORE) as hard,
        ):
            soft.scales = [1 / PROBABILITY_LEVELS] * len(names)
            soft.descriptions = names
            soft.update_tags(**files.tags)
            hard.descriptions = ("class",)
            hard.colorinterp = [ColorInterp.palette]
            hard.write_colormap(1, palette({c.id: c.color for c in legend.classes}))
            hard.update_tags(**legend_tags(legend), **files.tags)
            yield MapWriter(soft, hard, legend, threshold)
        to_cog(plain[0], finals[0], resampling="average")
        to_cog(plain[1], finals[1], resampling="mode")
