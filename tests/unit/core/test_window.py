"""Window: rectangles of whole pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealmap.core.grid import Window

windows = st.builds(
    Window,
    row=st.integers(-20, 20),
    col=st.integers(-20, 20),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
)


def cells(window: Window) -> set[tuple[int, int]]:
    return {(r, c) for r in range(window.row, window.stop_row) for c in range(window.col, window.stop_col)}


@given(windows, windows)
def test_intersect_is_the_intersection_of_pixels(a: Window, b: Window) -> None:
    common = a.intersect(b)
    assert (cells(common) if common else set()) == cells(a) & cells(b)


@given(windows)
def test_pixels(window: Window) -> None:
    assert window.pixels == len(cells(window))


@given(windows, st.integers(0, 5))
def test_expand_adds_a_margin_and_takes_it_back(window: Window, margin: int) -> None:
    grown = window.expand(margin)
    assert cells(window) <= cells(grown)
    assert (grown.height, grown.width) == (window.height + 2 * margin, window.width + 2 * margin)
    assert grown.expand(-margin) == window


def test_expand_by_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        Window(row=0, col=0, height=4, width=4).expand(-2)


@given(windows, st.integers(-9, 9), st.integers(-9, 9))
def test_shift_moves_every_pixel(window: Window, rows: int, cols: int) -> None:
    assert cells(window.shift(rows, cols)) == {(r + rows, c + cols) for r, c in cells(window)}


@given(windows, st.integers(0, 5))
def test_within_slices_the_window_out_of_an_array(window: Window, margin: int) -> None:
    outer = window.expand(margin)
    rows_HW = np.arange(outer.row, outer.stop_row)[:, None] + np.zeros((1, outer.width), int)
    cut = rows_HW[window.within(outer)]
    assert cut.shape == (window.height, window.width)
    assert (cut[0, 0], cut[-1, -1]) == (window.row, window.stop_row - 1)


def test_within_refuses_a_window_that_sticks_out() -> None:
    outer = Window(row=0, col=0, height=4, width=4)
    for window in (outer.shift(1, 0), outer.shift(-1, 0), outer.shift(9, 9)):
        with pytest.raises(ValueError, match="not inside"):
            window.within(outer)


@pytest.mark.parametrize(("height", "width"), [(0, 1), (1, 0), (-1, 5)])
def test_refuses_no_pixels(height: int, width: int) -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        Window(row=0, col=0, height=height, width=width)
