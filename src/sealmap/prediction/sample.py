"""A fair sample of a flight: windows as a network would see them, spread evenly over the sheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import InputError
from sealmap.core.grid import Grid, Window
from sealmap.core.patch import Patch
from sealmap.model.card import ModelCard
from sealmap.prediction.plan import Plan, plan_for
from sealmap.prediction.radiometry import histogram_of
from sealmap.prediction.strips import mirror_beyond

LEAST_VALID = 0.98
"""A window is taken where at least this share of it has data: black edges would pass for dark roofs."""

LEAST_WINDOWS = 2
"""Fewer say nothing of a flight."""


class _Placed(Protocol):
    @property
    def window(self) -> Window: ...


class Flight(Protocol):
    """What a sample needs of a mosaic: sheets may lie far apart, and between them is nothing."""

    grid: Grid
    bands: tuple[str, ...]

    @property
    def sheets(self) -> Sequence[_Placed]:
        """The sheets, with their windows of the grid."""
        ...

    def read(self, window: Window, bands: Sequence[str] | None = None) -> Patch:
        """Pixels and validity of a window, which may reach beyond the grid."""
        ...

    def pixel_scale(self) -> float:
        """The pixel value that means 1.0."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class FlightSample:
    """Windows of a flight, in an order without meaning, so that any run of them is a fair sample too.

    pixels_NCHW: as stored, bands in the order of the card, at its ground sampling distance, sides multiples of 32.
    windows: of the mosaic's grid. candidates: windows that there were to choose from. skipped: chosen, but with too
    little data. histogram_CB: valid pixels as sheets have them, counts in equal bins of 0..1 per band.
    """

    pixels_NCHW: NDArray[Any]
    windows: tuple[Window, ...]
    candidates: int
    skipped: int
    histogram_CB: NDArray[np.int64]
    pixel_scale: float

    def batches(self, size: int) -> list[NDArray[Any]]:
        """Parts of about ``size`` windows; none is a single window unless the sample is."""
        return np.array_split(self.pixels_NCHW, max(1, round(len(self.pixels_NCHW) / size)))


def sample_flight(flight: Flight, card: ModelCard, *, count: int, seed: int) -> FlightSample:
    """About ``count`` windows, one drawn from each of as many equal parts of the flight.

    A window has the side of the card's training patch. Where the flight has fewer, all are taken.
    Raises BundleError where sheets do not fit the model, InputError where fewer than two windows have data.
    """
    card.check_raster("the orthophoto", flight.bands, flight.grid.gsd_m)
    side = round(card.patch * card.gsd_m / flight.grid.gsd_m)
    plan = plan_for(flight.grid, model_gsd_m=card.gsd_m, halo_m=0, step=side, halo=0)
    scale = flight.pixel_scale()
    rng = np.random.default_rng(seed)
    every = list(_candidates(flight, side))
    parts = np.array_split(np.arange(len(every)), min(count, len(every)))
    taken: list[Window] = []
    seen: list[NDArray[Any]] = []
    skipped = 0
    histogram: NDArray[np.int64] | None = None
    for part in parts:
        for number in rng.permutation(part)[:3]:
            patch = flight.read(every[number], card.bands)
            if _valid_share(patch) < LEAST_VALID:
                skipped += 1
                continue
            taken.append(every[number])
            seen.append(_as_seen(patch, plan))
            counts = histogram_of(patch.pixels_CHW, patch.valid_HW, scale)
            histogram = counts if histogram is None else histogram + counts
            break
    if len(taken) < LEAST_WINDOWS or histogram is None:
        raise InputError(
            f"{len(taken)} of {len(every)} windows of {side} x {side} px have data enough ({LEAST_VALID:.0%} of each)",
            remedy="give more sheets of the flight",
        )
    order = rng.permutation(len(taken))
    return FlightSample(
        pixels_NCHW=np.stack([seen[i] for i in order]),
        windows=tuple(taken[i] for i in order),
        candidates=len(every),
        skipped=skipped,
        histogram_CB=histogram,
        pixel_scale=scale,
    )


def _candidates(flight: Flight, side: int) -> Iterator[Window]:
    """Windows that cover every sheet, inside it where it is large enough; sheet by sheet, row by row."""
    for sheet in flight.sheets:
        w = sheet.window
        for row in _starts(w.row, w.height, side):
            for col in _starts(w.col, w.width, side):
                yield Window(row=row, col=col, height=side, width=side)


def _starts(first: int, length: int, side: int) -> list[int]:
    """Evenly spread starts of windows that cover ``length``; they overlap rather than reach beyond it."""
    number = -(-length // side)
    if number == 1:
        return [first]
    return [first + round(i * (length - side) / (number - 1)) for i in range(number)]


def _valid_share(patch: Patch) -> float:
    """Of the part on the grid: what lies beyond is mirrored, not missing."""
    inside = patch.window.intersect(patch.grid.window)
    if inside is None:
        return 0.0
    rows, cols = inside.within(patch.window)
    return float(patch.valid_HW[rows, cols].mean())


def _as_seen(patch: Patch, plan: Plan) -> NDArray[Any]:
    return plan.to_network(mirror_beyond(patch.pixels_CHW, patch.window, patch.grid))
