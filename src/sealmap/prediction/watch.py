"""What the guard wants to know of a flight and of its sheets, gathered while windows stream by: no second pass.

Nothing here grows with the raster: facts of a sheet are judged and dropped once its last window is through, and edges
wait for the neighbour that meets them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sealmap.core.grid import Window
from sealmap.core.patch import Patch
from sealmap.core.tiling import Tile, Tiling
from sealmap.prediction.facts import STEP, OutputFacts, PixelFacts, Served, output_facts, pixel_facts


class Placed(Protocol):
    """A sheet: its name and its window of the mosaic's grid."""

    @property
    def name(self) -> str:
        """As the guard calls it."""
        ...

    @property
    def window(self) -> Window:
        """Where it lies."""
        ...


@dataclass(kw_only=True, slots=True)
class Facts:
    """Of a sheet (``where`` is its name) or of the flight as a whole ('')."""

    where: str
    pixels: PixelFacts
    output: OutputFacts

    @staticmethod
    def zero(where: str, bands: int) -> Facts:
        """Nothing seen yet."""
        return Facts(where=where, pixels=PixelFacts.zero(bands), output=OutputFacts())


@dataclass(kw_only=True, slots=True)
class _Edge:
    """What a window says beyond its keep, for the neighbour that keeps it: sides, and probabilities at the seam."""

    sealed: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    last: NDArray[np.float32]
    before: NDArray[np.float32]


class Watch:
    """Facts of a flight and of each of its sheets, while windows stream by.

    served: how probabilities are read. tiling: of the mosaic, to know when a sheet is through. judge: called once with
    the facts of each sheet of several, as soon as it is through.
    """

    def __init__(
        self,
        served: Served,
        bands: int,
        tiling: Tiling,
        sheets: Sequence[Placed] = (),
        judge: Callable[[Facts], None] = lambda _facts: None,
    ) -> None:
        self.flight = Facts.zero("", bands)
        self._served = served
        self._bands = bands
        self._halo = tiling.halo // 2
        self._sheets = sheets if len(sheets) > 1 else ()
        self._places = np.array(
            [(s.window.row, s.window.stop_row, s.window.col, s.window.stop_col) for s in self._sheets]
        ).reshape(-1, 4)
        self._centres = tuple(_centres(length, tiling.step) for length in (tiling.height, tiling.width))
        self._open: dict[int, tuple[Facts, int]] = {}
        self._right: dict[tuple[int, int], _Edge] = {}
        self._below: dict[tuple[int, int], _Edge] = {}
        self._judge = judge

    def see(self, tile: Tile, patch: Patch, probs_KHW: NDArray[np.float32], scale: float) -> None:
        """A window as it was read, and its probabilities. scale: the pixel value that means 1.0."""
        rows, cols = tile.keep_in_read
        valid = patch.valid_HW[rows, cols]
        pixels = pixel_facts(patch.pixels_CHW[:, rows, cols], valid, scale)
        output = output_facts(probs_KHW[:, rows, cols], valid, self._served)
        self._overlaps(tile, patch.valid_HW, probs_KHW, output)
        self.flight.pixels.add(pixels)
        self.flight.output.add(output)
        number = self._sheet_of(tile.keep)
        if number is None:
            return
        if number not in self._open:
            self._open[number] = Facts.zero(self._sheets[number].name, self._bands), self._windows_of(number)
        facts, left = self._open.pop(number)
        facts.pixels.add(pixels)
        facts.output.add(output)
        if left > 1:
            self._open[number] = facts, left - 1
        else:
            self._judge(facts)

    def close(self) -> None:
        """Judge the sheets whose ground other sheets cover in part."""
        for facts, _ in self._open.values():
            self._judge(facts)
        self._open.clear()

    def _sheet_of(self, keep: Window) -> int | None:
        if not self._sheets:
            return None
        row, col = keep.row + keep.height // 2, keep.col + keep.width // 2
        p = self._places
        hit = np.flatnonzero((p[:, 0] <= row) & (row < p[:, 1]) & (p[:, 2] <= col) & (col < p[:, 3]))
        return int(hit[0]) if len(hit) else None

    def _windows_of(self, number: int) -> int:
        first, stop, left, right = self._places[number]
        down = (self._centres[0] >= first) & (self._centres[0] < stop)
        across = (self._centres[1] >= left) & (self._centres[1] < right)
        return int(down.sum() * across.sum())

    def _overlaps(
        self, tile: Tile, valid_HW: NDArray[np.bool_], probs_KHW: NDArray[np.float32], found: OutputFacts
    ) -> None:
        """Compare with what the neighbours above and to the left said of this ground; leave the same for the next."""
        keep, reach = tile.keep, self._halo
        rows, cols = tile.keep_in_read
        top, left, bottom, right = rows.start, cols.start, rows.stop, cols.stop
        for edges, key, turned in (
            (self._right, (keep.row, keep.col), True),
            (self._below, (keep.row, keep.col), False),
        ):
            edge = edges.pop(key, None)
            if edge is None:
                continue
            part = (
                (slice(top, bottom, STEP), slice(left, min(right, left + reach)))
                if turned
                else (slice(top, min(bottom, top + reach)), slice(left, right, STEP))
            )
            _compare(edge, self._p(probs_KHW, part), valid_HW[part], self._served.threshold, found, turned=turned)
        beyond = {
            "right": (slice(top, bottom, STEP), slice(right - 2, right + reach)),
            "below": (slice(bottom - 2, bottom + reach), slice(left, right, STEP)),
        }
        if keep.stop_col < self._centres[1][-1] and right - left >= 2:
            part = beyond["right"]
            self._right[keep.row, keep.stop_col] = self._edge(probs_KHW, valid_HW, part, turned=True)
        if keep.stop_row < self._centres[0][-1] and bottom - top >= 2:
            part = beyond["below"]
            self._below[keep.stop_row, keep.col] = self._edge(probs_KHW, valid_HW, part, turned=False)

    def _p(self, probs_KHW: NDArray[np.float32], part: tuple[slice, slice]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = probs_KHW[(list(self._served.sealed), *part)].sum(axis=0)
        return found

    def _edge(
        self, probs_KHW: NDArray[np.float32], valid_HW: NDArray[np.bool_], part: tuple[slice, slice], *, turned: bool
    ) -> _Edge:
        """Two lines inside the seam, then what lies beyond it."""
        prob, valid = self._p(probs_KHW, part), valid_HW[part]
        if turned:
            prob, valid = prob.T, valid.T
        sides = prob[2:] >= self._served.threshold
        return _Edge(sealed=sides, valid=valid[1:].copy(), last=prob[1].copy(), before=prob[0].copy())


def _compare(
    edge: _Edge, prob: NDArray[np.float32], valid: NDArray[np.bool_], threshold: float, found: OutputFacts, *,
    turned: bool,
) -> None:  # fmt: skip
    if turned:
        prob, valid = prob.T, valid.T
    deep, wide = min(len(prob), len(edge.sealed)), min(prob.shape[1], edge.sealed.shape[1])
    prob, valid = prob[:deep, :wide], valid[:deep, :wide]
    both = valid & edge.valid[1 : deep + 1, :wide]
    found.overlap += int(both.sum())
    found.differ += int((both & ((prob >= threshold) != edge.sealed[:deep, :wide])).sum())
    if deep:
        near = both[0] & edge.valid[0, :wide]
        across, inside = np.abs(edge.last[:wide] - prob[0]), np.abs(edge.last - edge.before)[:wide]
        near = near & np.isfinite(across) & np.isfinite(inside)
        found.across += float(across[near].sum(dtype=np.float64))
        found.inside += float(inside[near].sum(dtype=np.float64))
        found.seams += int(near.sum())


def _centres(length: int, step: int) -> NDArray[np.int64]:
    """Middle of each kept window along an axis."""
    starts = np.arange(0, length, step)
    found: NDArray[np.int64] = starts + np.minimum(step, length - starts) // 2
    return found
