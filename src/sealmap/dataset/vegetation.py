"""What in the image is green: an index, a threshold per flight from its own histogram, and what follows for labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sealmap.core.legend import IGNORE

INDEX_BINS = 1024
INDEX_RANGE = (-1.0, 1.0)
"""Of ``index_counts``. Excess green reaches 2 in theory; pure green pixels count into the last bin."""

_NDVI_LIMITS = (0.05, 0.45)
_EXCESS_GREEN_LIMITS = (0.03, 0.20)
"""Where Otsu's threshold may lie. Where all is forest or all is town it cuts one heap in two anywhere."""

_GREY_CHROMA, _GREY_LIGHT = 0.12, 0.35
"""Of grey: spread of the colours as a share of the brightest, and brightness as a share of what is bright."""


def index_name(bands: Sequence[str]) -> str:
    """'NDVI', 'excess green', or '' where the bands allow neither."""
    if {"nir", "red"} <= set(bands):
        return "NDVI"
    return "excess green" if {"red", "green", "blue"} <= set(bands) else ""


def vegetation_index(
    pixels_CHW: NDArray[np.uint8] | NDArray[np.uint16], bands: Sequence[str]
) -> NDArray[np.float32] | None:
    """How green a pixel is: NDVI where there is a nir band, else excess green (2g-r-b)/(r+g+b).

    NDVI is -1..1, excess green -1..2. None where the bands allow neither. Black pixels give 0.
    """

    def band(name: str) -> NDArray[np.float32]:
        grey: NDArray[np.float32] = pixels_CHW[list(bands).index(name)].astype(np.float32)
        return grey

    if "nir" in bands and "red" in bands:
        above, below = band("nir") - band("red"), band("nir") + band("red")
    elif {"red", "green", "blue"} <= set(bands):
        red, green, blue = band("red"), band("green"), band("blue")
        above, below = 2 * green - red - blue, red + green + blue
    else:
        return None
    index: NDArray[np.float32] = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return index


def index_counts(index_N: NDArray[np.float32]) -> NDArray[np.int64]:
    """Histogram of an index: INDEX_BINS equal bins over INDEX_RANGE. Counts of several sheets add up."""
    low, high = INDEX_RANGE
    # Cast before the product: 32-bit floats would put a value that lies on an edge on either side of it.
    place = ((index_N.astype(np.float64) - low) / (high - low) * INDEX_BINS).astype(np.int64)
    return np.bincount(np.clip(place, 0, INDEX_BINS - 1).ravel(), minlength=INDEX_BINS)


def threshold_limits(bands: Sequence[str]) -> tuple[float, float]:
    """The least and the greatest threshold that is believed."""
    return _NDVI_LIMITS if index_name(bands) == "NDVI" else _EXCESS_GREEN_LIMITS


def vegetation_threshold(counts: NDArray[np.int64], bands: Sequence[str]) -> float:
    """The index above which a pixel is green: Otsu's over ``index_counts`` of a flight, kept within sane limits.

    One per flight: flights differ in season, light and calibration, so that no threshold fits all.
    """
    low, high = threshold_limits(bands)
    return high if not counts.any() else min(max(otsu(counts), low), high)


def otsu(counts: NDArray[np.int64]) -> float:
    """The threshold that parts counted values into the two groups with the least variance within (Otsu 1979)."""
    edges = np.linspace(*INDEX_RANGE, INDEX_BINS + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts)
    total, mass = weight[-1], np.cumsum(counts * centres)
    lower, upper = weight[:-1].astype(np.float64), (total - weight[:-1]).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = mass[:-1] / lower - (mass[-1] - mass[:-1]) / upper
    between = np.nan_to_num(lower * upper * gap**2, posinf=0.0, neginf=0.0)
    # Between two heaps with nothing in between every cut is best, but for rounding: take the middle one.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))
    return float(edges[1:-1][best[len(best) // 2]])


def overruled(label_N: NDArray[np.uint8], green_N: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """What vegetation makes of labels that it may overrule.

    A sealed label becomes IGNORE: a tree over a road, or a verge. IGNORE becomes unsealed (0): of a plot's ground
    the cadastre says nothing, but what is green there is not sealed. Without these a town without fields would
    give no unsealed pixel at all to learn from.
    """
    found = label_N.copy()
    found[green_N & (label_N != 0)] = IGNORE
    found[green_N & (label_N == IGNORE)] = 0
    return found


def grey(pixels_CHW: NDArray[np.uint8] | NDArray[np.uint16], bands: Sequence[str], bright: float) -> NDArray[np.bool_]:
    """True where a pixel has hardly any colour and is not dark: like asphalt, concrete, slate.

    ``bright``: what counts as bright in this sheet, as a pixel value. A mere hint for people who look for mistakes
    of the cadastre: dry soil and gravel may be grey, red pavers are not.
    """
    if not {"red", "green", "blue"} <= set(bands):
        return np.zeros(pixels_CHW.shape[1:], np.bool_)
    rgb = pixels_CHW[[list(bands).index(b) for b in ("red", "green", "blue")]].astype(np.float32)
    high, low = rgb.max(axis=0), rgb.min(axis=0)
    found: NDArray[np.bool_] = (high - low < _GREY_CHROMA * high) & (high > _GREY_LIGHT * bright)
    return found
