"""Units of ground (sheets or blocks), and the ways to draw held-out ones among them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HELD_OUT_SHARE = 0.15
"""Wanted share of validation and of test, each; the rest trains."""

_DRAWS = 200
_BLOCKS = 36
"""Blocks that the default size aims at: each is 3 % of the ground, so that 15 % can be met."""

_FEW_BLOCKS = 6


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Units:
    """U units and the chips on them. at_N4: unit under each corner of a chip, centre_U2: (row, col) in pixels."""

    at_N4: NDArray[np.int64]
    centre_U2: NDArray[np.float64]

    @property
    def home_N(self) -> NDArray[np.int64]:
        """The unit that a chip lies in, or a number of its own where it straddles several."""
        own = self.at_N4.max() + 1 + np.arange(len(self.at_N4))
        return np.where((self.at_N4 == self.at_N4[:, :1]).all(axis=1), self.at_N4[:, 0], own)


def sheets_of(sheet_N: NDArray[np.str_], edges_N4: NDArray[np.int64]) -> Units:
    """Each sheet is a unit, its centre that of its chips."""
    _, at = np.unique(sheet_N, return_inverse=True)
    middle_N2 = (edges_N4[:, :2] + edges_N4[:, 2:]) / 2
    sums = np.stack([np.bincount(at, weights=middle_N2[:, axis]) for axis in (0, 1)], axis=1)
    return Units(at_N4=np.repeat(at[:, None], 4, axis=1), centre_U2=sums / np.bincount(at)[:, None])


def blocks_of(edges_N4: NDArray[np.int64], side: int) -> Units:
    """Squares of a lattice that starts at the upper left chip; only those that a chip touches are units.

    ``side`` is at least a chip's, so that a chip touches no block but those under its corners.
    """
    origin = edges_N4[:, :2].min(axis=0)
    first, last = (edges_N4[:, :2] - origin) // side, (edges_N4[:, 2:] - 1 - origin) // side
    rows = np.stack([first[:, 0], first[:, 0], last[:, 0], last[:, 0]], axis=1)
    cols = np.stack([first[:, 1], last[:, 1], first[:, 1], last[:, 1]], axis=1)
    width = int(cols.max()) + 1
    keys, at = np.unique(rows * width + cols, return_inverse=True)
    centre = np.stack([keys // width, keys % width], axis=1) * side + side / 2 + origin
    return Units(at_N4=at.reshape(rows.shape), centre_U2=centre)


def default_block(sheet_N: NDArray[np.str_], edges_N4: NDArray[np.int64]) -> int:
    """Side of a block in pixels where the user names none; see ``SplitSpec.block_px``."""
    patch = int((edges_N4[:, 2:] - edges_N4[:, :2]).max())
    sides = edges_N4[:, 2:].max(axis=0) - edges_N4[:, :2].min(axis=0)
    # The sheets' own ground, not the box around them all: sheets may lie far apart.
    ground = 0
    for name in np.unique(sheet_N):
        mine = edges_N4[sheet_N == name]
        ground += int(np.prod(mine[:, 2:].max(axis=0) - mine[:, :2].min(axis=0)))
    wanted = max(2 * patch, math.isqrt(ground // _BLOCKS))
    if ground < _FEW_BLOCKS * wanted**2:
        wanted = patch
    longer = int(sides.max())
    return max(patch, math.ceil(longer / max(1, longer // wanted)))


def draws_of(units: Units, weight_U: NDArray[np.float64], held: int, seed: int) -> NDArray[np.int64]:
    """(draws, U): 0 for train, 1..held for the held-out splits, each about HELD_OUT_SHARE of the weight.

    By turns held-out units are scattered, which makes them most alike; taken from two ends of a random direction,
    which loses least to gaps; and gathered around random places. No two draws are the same. Needs more units
    than ``held`` (0, 1 or 2).
    """
    count = len(units.centre_U2)
    rng = np.random.default_rng(seed)
    found: dict[bytes, NDArray[np.int64]] = {}
    for number in range(_DRAWS if held else 1):
        draw = np.zeros(count, np.int64)
        for split, order in zip(range(1, held + 1), _orders(units.centre_U2, number % 3, rng), strict=False):
            left = order[draw[order] == 0]
            # One unit stays for each split that still waits, and one to train.
            most = len(left) - 1 - (held - split)
            wanted = HELD_OUT_SHARE * weight_U.sum()
            some = int(np.abs(np.cumsum(weight_U[left]) - wanted).argmin()) + 1
            draw[left[: min(most, some)]] = split
        found.setdefault(draw.tobytes(), draw)
    return np.stack(list(found.values()))


def _orders(centre_U2: NDArray[np.float64], way: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Units in the order in which either held-out split takes them: scattered, from two ends, around two places."""
    shuffled = rng.permutation(len(centre_U2))
    if way == 0:
        return [shuffled, shuffled[::-1]]
    if way == 1:
        angle = rng.uniform(0, 2 * math.pi)
        along = centre_U2 @ np.array([math.sin(angle), math.cos(angle)])
        return [np.argsort(along, kind="stable"), np.argsort(-along, kind="stable")]
    far = [np.hypot(*(centre_U2 - centre_U2[place]).T) for place in shuffled[:2]]
    return [np.argsort(distance, kind="stable") for distance in far]
