"""Blocks: ground of about 200 m a side that a bootstrap draws as one, since what lies nearer is not independent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sealmap.core.grid import Window as Area

BLOCK_M = 200.0
"""What the side of a block is near to. Ground is parted evenly: no strip is left over that would count as a block."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A part of a sheet. sheet: its index; place: on the grid of all sheets."""

    name: str
    sheet: int
    place: Area


def sheet_blocks(sheets: Sequence[tuple[str, Area]], gsd_m: float) -> list[Block]:
    """All blocks, sheet by sheet from the top. sheets: name and place of each."""
    found = []
    for number, (name, sheet) in enumerate(sheets):
        counts = [_count(side * gsd_m) for side in (sheet.height, sheet.width)]
        places = parted(sheet, counts[0], counts[1])
        found += [Block(name=f"{name}/{i}/{j}", sheet=number, place=place) for i, j, place in places]
    return found


def block_at(blocks: Sequence[Block], row_N: NDArray[np.float64], col_N: NDArray[np.float64]) -> tuple[str, ...]:
    """Name of the block at each point of the grid, the first where sheets overlap; '' where there is none."""
    names = np.full(len(row_N), "", object)
    for block in reversed(blocks):
        p = block.place
        names[(row_N >= p.row) & (row_N < p.stop_row) & (col_N >= p.col) & (col_N < p.stop_col)] = block.name
    return tuple(names.tolist())


def chip_blocks(places: Sequence[tuple[str, int, int]], patch: int, gsd_m: float) -> list[str]:
    """Block of each chip, by its centre; what the chips of a sheet span is parted. places: sheet, first row and column.

    patch: side of a chip in pixels.
    """
    spans: dict[str, list[list[int]]] = {}
    for sheet, row, col in places:
        for span, start in zip(spans.setdefault(sheet, [[row, row], [col, col]]), (row, col), strict=True):
            span[:] = min(span[0], start), max(span[1], start)

    def part(start: int, span: list[int]) -> int:
        side = span[1] - span[0] + patch
        return (2 * (start - span[0]) + patch) * _count(side * gsd_m) // (2 * side)

    return [f"{s}/{part(row, spans[s][0])}/{part(col, spans[s][1])}" for s, row, col in places]


def parted(area: Area, rows: int, cols: int) -> Iterator[tuple[int, int, Area]]:
    """(row, column, place) of the parts of an area, of nearly one size."""
    for i, (top, bottom) in enumerate(pairwise(_edges(area.height, rows))):
        for j, (left, right) in enumerate(pairwise(_edges(area.width, cols))):
            place = Area(row=area.row + top, col=area.col + left, height=bottom - top, width=right - left)
            yield i, j, place


def _count(side_m: float) -> int:
    return max(1, round(side_m / BLOCK_M))


def _edges(side: int, count: int) -> list[int]:
    return [round(i * side / count) for i in range(count + 1)]
