"""Tile and Tiling: an indexable partition of a grid. Every pixel has exactly one author (DESIGN law 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sealmap.core.grid import Window


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """What a network reads (may reach beyond the grid) and the part of it that is kept."""

    read: Window
    keep: Window

    def __post_init__(self) -> None:
        if self.keep.intersect(self.read) != self.keep:
            raise ValueError(f"keep {self.keep} is not inside read {self.read}")

    @property
    def keep_in_read(self) -> tuple[slice, slice]:
        """Row and column slices of ``keep`` in an array of ``read``."""
        return self.keep.within(self.read)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tiling:
    """Tiles of one ``read`` size whose ``keep`` windows partition ``height`` x ``width`` pixels.

    step: side of a keep window, in pixels; halo: pixels read around it on every side. The last row and column
    keep what is left; their read window has the same size as all others, so batches are uniform.
    """

    height: int
    width: int
    step: int
    halo: int

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.step) < 1 or self.halo < 0:
            raise ValueError(f"impossible tiling: {self}")

    @property
    def rows(self) -> int:
        """Number of tile rows."""
        return -(-self.height // self.step)

    @property
    def cols(self) -> int:
        """Number of tile columns."""
        return -(-self.width // self.step)

    def __len__(self) -> int:
        return self.rows * self.cols

    def __getitem__(self, index: int) -> Tile:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.at(*divmod(index, self.cols))

    def __iter__(self) -> Iterator[Tile]:
        return (self[i] for i in range(len(self)))

    def at(self, tile_row: int, tile_col: int) -> Tile:
        """The tile in a tile row and tile column."""
        row, col = tile_row * self.step, tile_col * self.step
        keep = Window(
            row=row,
            col=col,
            height=min(self.step, self.height - row),
            width=min(self.step, self.width - col),
        )
        side = self.step + 2 * self.halo
        read = Window(row=row - self.halo, col=col - self.halo, height=side, width=side)
        return Tile(read=read, keep=keep)
