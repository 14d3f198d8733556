"""The light of a flight: how green its green is, from a thumbnail of each sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from sealmap.dataset.strips import MosaicLike
from sealmap.dataset.vegetation import INDEX_BINS, index_counts, vegetation_index, vegetation_threshold

_SAMPLE_PX = 1_500_000
"""About so many pixels of a sheet are looked at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Light:
    """How a sheet looks.

    threshold: vegetation index above which a pixel is green. counts: ``vegetation.index_counts`` of the sheet.
    bright: pixel value of what is bright in the sheet (98th percentile of the brightest colour).
    """

    threshold: float
    counts: NDArray[np.int64]
    bright: float


def lights(mosaic: MosaicLike, bands: Sequence[str], flights: Mapping[str, date]) -> dict[str, Light]:
    """The light of each sheet. Sheets of one day share a threshold; one of an unknown day has its own.

    A single sheet of forest or of town has but one heap in its histogram; the whole flight has both.
    """
    counts, bright = {}, {}
    for sheet in mosaic.sheets:
        step = 2 ** max(0, round(math.log2(max(1.0, sheet.window.height * sheet.window.width / _SAMPLE_PX)) / 2))
        pixels, valid = mosaic.thumbnail(sheet.window, step, bands)
        index = vegetation_index(pixels, bands)
        none = np.zeros(INDEX_BINS, np.int64)
        counts[sheet.name] = none if index is None else index_counts(index[valid])
        seen = pixels[:3].max(axis=0)[valid]
        bright[sheet.name] = float(np.percentile(seen, 98)) if seen.size else 1.0
    flown: dict[date | str, list[str]] = {}
    for name in counts:
        flown.setdefault(flights.get(name, name), []).append(name)
    thresholds = {
        name: round(vegetation_threshold(sum((counts[n] for n in names), np.zeros(INDEX_BINS, np.int64)), bands), 4)
        for names in flown.values()
        for name in names
    }
    return {name: Light(threshold=thresholds[name], counts=counts[name], bright=bright[name]) for name in counts}
