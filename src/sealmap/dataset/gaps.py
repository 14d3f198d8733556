"""The gap between splits: which chips are too near to each other, and who gives way."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

NONE, TRAIN, VAL, TEST = range(4)
"""Codes of the splits, the strictest last: of two chips that are too near the one with the lower code is dropped."""


def near_pairs(edges_N4: NDArray[np.int64], home_N: NDArray[np.int64], gap: int) -> NDArray[np.int64]:
    """(2, pairs): chips of different homes that are less than ``gap`` pixels apart; each pair both ways round.

    Apart means along rows or along columns, as a square grown by the gap sees it: never more than the
    straight distance. With a gap of 0 only chips that overlap are near.
    """
    row, col, stop_row, stop_col = edges_N4.T
    tree = shapely.STRtree(shapely.box(col, row, stop_col, stop_row))
    a, b = tree.query(shapely.box(col - gap, row - gap, stop_col + gap, stop_row + gap))
    near = home_N[a] != home_N[b]
    for start, stop in ((row, stop_row), (col, stop_col)):
        near &= np.maximum(start[a], start[b]) - np.minimum(stop[a], stop[b]) < gap
    return np.stack([a[near], b[near]])


def emptied(placed_N: NDArray[np.int64], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Codes without the chips that lie too near to one of a stricter split: test stays before val before train."""
    kept = placed_N.copy()
    mine, other = pairs
    for loose in (VAL, TRAIN):
        kept[mine[(kept[mine] == loose) & (kept[other] > loose)]] = NONE
    return kept
