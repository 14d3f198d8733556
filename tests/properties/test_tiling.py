"""Every pixel has exactly one author (DESIGN law 3)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealmap.core.grid import Window
from sealmap.core.tiling import Tile, Tiling

tilings = st.builds(
    Tiling,
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    step=st.integers(1, 100),
    halo=st.integers(0, 40),
)


@given(tilings)
def test_keeps_partition_the_grid(tiling: Tiling) -> None:
    authors = np.zeros((tiling.height, tiling.width), int)
    outer = Window(row=0, col=0, height=tiling.height, width=tiling.width)
    for tile in tiling:
        authors[tile.keep.within(outer)] += 1
    assert (authors == 1).all()


@given(tilings)
def test_reads_are_uniform_and_hold_the_keep_with_its_halo(tiling: Tiling) -> None:
    side = tiling.step + 2 * tiling.halo
    for tile in tiling:
        assert (tile.read.height, tile.read.width) == (side, side)
        around = tile.keep.expand(tiling.halo)
        assert around.intersect(tile.read) == around


@given(tilings)
def test_keep_in_read_picks_the_kept_pixels(tiling: Tiling) -> None:
    for tile in tiling:
        rows, cols = np.indices((tile.read.height, tile.read.width))
        rows, cols = rows + tile.read.row, cols + tile.read.col
        assert rows[tile.keep_in_read].shape == (tile.keep.height, tile.keep.width)
        assert rows[tile.keep_in_read][0, 0] == tile.keep.row
        assert cols[tile.keep_in_read][-1, -1] == tile.keep.stop_col - 1


@given(tilings)
def test_a_mosaic_of_what_was_read_is_the_raster_in_any_order(tiling: Tiling) -> None:
    pad = tiling.step + tiling.halo
    values = np.arange(tiling.height * tiling.width).reshape(tiling.height, tiling.width)
    padded = np.pad(values, pad)
    everything = Window(row=-pad, col=-pad, height=tiling.height + 2 * pad, width=tiling.width + 2 * pad)
    outer = Window(row=0, col=0, height=tiling.height, width=tiling.width)
    mosaic = np.full_like(values, -1)
    for tile in reversed(list(tiling)):
        read = padded[tile.read.within(everything)]
        mosaic[tile.keep.within(outer)] = read[tile.keep_in_read]
    assert (mosaic == values).all()


@given(tilings)
def test_is_a_sequence(tiling: Tiling) -> None:
    tiles = list(tiling)
    assert len(tiles) == len(tiling) == tiling.rows * tiling.cols
    assert tiles[-1] == tiling[len(tiling) - 1] == tiling.at(tiling.rows - 1, tiling.cols - 1)
    for beyond in (-1, len(tiling)):
        with pytest.raises(IndexError):
            tiling[beyond]


@pytest.mark.parametrize("wrong", [{"height": 0}, {"width": 0}, {"step": 0}, {"halo": -1}])
def test_refuses_the_impossible(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="impossible tiling"):
        Tiling(**({"height": 8, "width": 8, "step": 4, "halo": 1} | wrong))


def test_a_tile_refuses_a_keep_outside_its_read() -> None:
    with pytest.raises(ValueError, match="not inside"):
        Tile(read=Window(row=0, col=0, height=4, width=4), keep=Window(row=2, col=2, height=4, width=4))
