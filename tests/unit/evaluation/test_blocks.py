"""Blocks: even parts of about 200 m, whatever the pixel; each point in one of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealmap.core.grid import Window
from sealmap.evaluation.blocks import BLOCK_M, block_at, chip_blocks, sheet_blocks


def area(row: int, col: int, height: int, width: int) -> Window:
    return Window(row=row, col=col, height=height, width=width)


@pytest.mark.parametrize(("side", "gsd_m", "parts"), [(10_000, 0.1, 5), (5000, 0.2, 5), (2000, 0.5, 5), (1152, 0.2, 1)])
def test_blocks_are_set_in_metres_and_leave_no_strip(side: int, gsd_m: float, parts: int) -> None:
    found = sheet_blocks([("a", area(0, 0, side, side))], gsd_m)
    assert len(found) == parts**2
    assert len({(b.place.height, b.place.width) for b in found}) == 1
    assert found[-1].name == f"a/{parts - 1}/{parts - 1}"


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([0.1, 0.2, 0.5]))
def test_blocks_part_a_sheet_evenly(height: int, width: int, gsd_m: float) -> None:
    found = sheet_blocks([("a", area(7, 9, height, width))], gsd_m)
    assert sum(b.place.pixels for b in found) == height * width
    for sides, whole in (({b.place.height for b in found}, height), ({b.place.width for b in found}, width)):
        assert max(sides) - min(sides) <= 1
        assert max(sides) * gsd_m <= max(1.5 * BLOCK_M, BLOCK_M) + gsd_m
        assert min(sides) * gsd_m >= min(whole * gsd_m, BLOCK_M / 1.5) - gsd_m
    assert all(b.place.intersect(area(7, 9, height, width)) == b.place for b in found)


def test_a_point_lies_in_the_block_of_the_first_sheet_that_has_it() -> None:
    blocks = sheet_blocks([("a", area(0, 0, 400, 400)), ("b", area(0, 300, 400, 400))], 1.0)
    row, col = np.array([10.5, 10.5, 399.9, 10.0, 400.0]), np.array([10.5, 350.5, 200.0, 400.0, 10.0])
    assert block_at(blocks, row, col) == ("a/0/0", "a/0/1", "a/1/1", "b/0/0", "")


def test_chips_are_parted_by_what_they_span() -> None:
    """Nine chips of 100 m over 300 m are two blocks a side; a chip goes where its centre lies."""
    places = [("a", r, c) for r in (0, 500, 1000) for c in (0, 500, 1000)]
    found = chip_blocks([*places, ("b", 7000, 7000)], 500, 0.2)
    assert found[:9] == ["a/0/0", "a/0/1", "a/0/1", "a/1/0", "a/1/1", "a/1/1", "a/1/0", "a/1/1", "a/1/1"]
    assert found[9] == "b/0/0"
    assert len(set(chip_blocks(places, 500, 0.4))) == 9
