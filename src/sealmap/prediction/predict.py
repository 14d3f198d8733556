"""Orthophoto → probabilities: read strip by strip, run batch by batch, write each pixel once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import InputError
from sealmap.core.patch import Patch
from sealmap.core.tiling import Tile
from sealmap.model.engine import Engine
from sealmap.prediction.plan import Plan, plan_for
from sealmap.prediction.strips import Orthophoto, read_tiles


@dataclass(frozen=True, kw_only=True, slots=True)
class Predicted:
    """What a run did. tiles: windows in all; empty: windows without data; pixels: of the map, data or not."""

    tiles: int
    empty: int
    pixels: int
    resampled_to_m: float | None
    seconds: float


class Sink(Protocol):
    """Where windows go: a map's writer, or one that the guard watches."""

    def take(self, tile: Tile, patch: Patch, probs_KHW: NDArray[np.float32], scale: float) -> None:
        """A window as it was read, and probabilities of all of it. scale: the pixel value that means 1.0."""
        ...


def plan_prediction(mosaic: Orthophoto, engine: Engine, *, step: int | None = None, halo: int | None = None) -> Plan:
    """Windows for this model on this mosaic; BundleError or BandError where the two do not fit."""
    card = engine.card
    card.check_raster("the orthophoto", mosaic.bands, mosaic.grid.gsd_m)
    return plan_for(mosaic.grid, model_gsd_m=card.gsd_m, halo_m=card.halo * card.gsd_m, step=step, halo=halo)


def predict(
    mosaic: Orthophoto,
    engine: Engine,
    plan: Plan,
    writer: Sink,
    *,
    batch: int = 1,
    report: Callable[[int, int], None] = lambda _done, _all: None,
) -> Predicted:
    """Run ``engine`` over every window of ``plan`` and hand over what it says.

    batch: windows given to the engine at once. report: called with (windows done, windows in all).
    Raises InputError where no pixel of the mosaic has data.
    """
    started = time.perf_counter()
    scale = mosaic.pixel_scale()
    tiles = read_tiles(mosaic, plan.tiling, engine.card.bands)
    done = empty = 0
    for group in _groups(tiles, batch):
        for (tile, patch), probs in zip(group, _run(group, engine, plan, scale), strict=True):
            rows, cols = tile.keep_in_read
            writer.take(tile, patch, probs, scale)
            empty += not patch.valid_HW[rows, cols].any()
        done += len(group)
        report(done, len(plan.tiling))
    if empty == done:
        raise InputError("no pixel of the orthophoto has data", remedy="check nodata value, mask and alpha band")
    return Predicted(
        tiles=done,
        empty=empty,
        pixels=mosaic.grid.window.pixels,
        resampled_to_m=engine.card.gsd_m if plan.resampled else None,
        seconds=time.perf_counter() - started,
    )


def _groups(tiles: Iterable[tuple[Tile, Patch]], size: int) -> Iterator[list[tuple[Tile, Patch]]]:
    group: list[tuple[Tile, Patch]] = []
    for item in tiles:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _run(group: list[tuple[Tile, Patch]], engine: Engine, plan: Plan, scale: float) -> list[NDArray[np.float32]]:
    """Probabilities (K, side, side) of each window; the engine is not asked about windows without data."""
    seen = [i for i, (_, patch) in enumerate(group) if patch.valid_HW.any()]
    side, classes = plan.side_px, len(engine.card.legend)
    found: list[Any] = [np.zeros((classes, side, side), np.float32) for _ in group]
    if seen:
        pixels_NCHW = np.stack([plan.to_network(group[i][1].pixels_CHW) for i in seen])
        for i, probs in zip(seen, engine.probs(pixels_NCHW, scale), strict=True):
            found[i] = plan.to_sheet(probs)
    return found
