"""Facts of a flight and its sheets while windows stream by: all of it, each sheet once, and nothing left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit.prediction.fakes import RGB, ArrayOrtho, IdentityEngine, grid_of_size, noise
from tests.unit.prediction.scenes import SERVED, binary, cut, tiled

from sealmap.core.grid import Window
from sealmap.core.tiling import Tile, Tiling
from sealmap.prediction import strips
from sealmap.prediction.facts import OutputFacts, output_facts, pixel_facts
from sealmap.prediction.strips import read_tiles
from sealmap.prediction.watch import Facts, Watch


@dataclass(frozen=True)
class Sheet:
    """A name and a place."""

    name: str
    window: Window


def sheet(name: str, row: int, col: int, height: int, width: int) -> Sheet:
    return Sheet(name, Window(row=row, col=col, height=height, width=width))


@dataclass
class Flown:
    """A watch that has seen every window of a picture, and what it was told of sheets."""

    watch: Watch
    judged: list[Facts] = field(default_factory=list)
    waiting: int = 0

    @property
    def output(self) -> OutputFacts:
        return self.watch.flight.output


Says = Callable[[Tile, NDArray[Any]], NDArray[np.float32]]


def identity(_tile: Tile, pixels: NDArray[Any]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = IdentityEngine().probs(pixels[None], 255.0)[0]
    return found


def of_the_window(_tile: Tile, pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Depends on the window as a whole: on where in it a pixel lies."""
    side = pixels.shape[1]
    return binary(np.broadcast_to(np.linspace(0.1, 0.9, side), (side, side)))


def fly(
    picture: NDArray[Any],
    tiling: Tiling,
    says: Says = identity,
    sheets: tuple[Sheet, ...] = (),
    valid: NDArray[np.bool_] | None = None,
) -> Flown:
    found = Flown(watch=Watch(SERVED, len(picture), tiling, sheets))
    found.watch._judge = found.judged.append
    ortho = ArrayOrtho(picture, grid_of_size(*picture.shape[1:]), valid=valid)
    for tile, patch in read_tiles(ortho, tiling, RGB):
        found.watch.see(tile, patch, says(tile, patch.pixels_CHW), 255.0)
        waiting = len(found.watch._right) + len(found.watch._below) + len(found.watch._open)
        found.waiting = max(found.waiting, waiting)
    return found


def test_facts_of_a_flight_are_those_of_the_picture_as_a_whole() -> None:
    picture = noise(3, 160, 224, 1)
    valid = np.ones((160, 224), np.bool_)
    valid[40:70, 100:200] = False
    found = fly(picture, tiled(160, 224, 64, 16), valid=valid).watch.flight
    pixels, output = pixel_facts(picture, valid, 255.0), output_facts(identity(None, picture), valid, SERVED)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found.pixels.levels_CL, pixels.levels_CL)
    np.testing.assert_array_equal(found.pixels.tints, pixels.tints)
    np.testing.assert_array_equal(found.output.atoms, output.atoms)
    for name in ("cells", "black", "blank", "pixels", "valid"):
        assert getattr(found.pixels, name) == getattr(pixels, name), name
    for name in ("pixels", "certain", "sealed", "broken", "spread", "ground_m2"):
        assert getattr(found.output, name) == pytest.approx(getattr(output, name)), name
    assert found.where == ""


# --- seams ---


@given(
    st.integers(1, 150), st.integers(1, 150), st.integers(1, 60), st.integers(0, 40), st.integers(0, 9999),
)  # fmt: skip
@settings(max_examples=60)
def test_a_model_that_returns_its_input_agrees_with_itself_and_no_edge_is_left(
    height: int, width: int, step: int, halo: int, seed: int
) -> None:
    step = max(step, height // 8, width // 8, 1)
    found = fly(noise(3, height, width, seed), tiled(height, width, step, halo))
    assert found.output.differ == 0
    assert found.output.disagreement == 0
    assert (found.watch._right, found.watch._below, found.watch._open) == ({}, {}, {})
    assert found.output.across >= 0


def test_overlaps_are_counted_pixel_by_pixel() -> None:
    # Two seams of 64 rows (8 taken), two of 64 columns, and 8 pixels of each of 16 halo pixels are compared.
    found = fly(noise(3, 128, 128, 1), tiled(128, 128, 64, 16)).output
    assert found.overlap == 4 * 8 * 8
    assert found.seams == 4 * 8


def test_windows_without_a_border_have_nothing_to_compare() -> None:
    found = fly(noise(3, 128, 128, 1), tiled(128, 128, 64), of_the_window).output
    assert (found.overlap, found.seams, found.disagreement) == (0, 0, 0)


def test_a_single_window_has_no_neighbour() -> None:
    found = fly(noise(3, 100, 60, 1), tiled(100, 60, 128, 16))
    assert (found.output.overlap, found.output.seams, found.waiting) == (0, 0, 0)


def test_a_model_that_depends_on_the_window_disagrees_with_itself() -> None:
    picture = noise(3, 128, 128, 1)
    # On every pixel between columns, where one window is at its end and the next at its beginning; on none between
    # rows, where both say the same.
    found = fly(picture, tiled(128, 128, 64, 16), of_the_window).output
    assert (found.overlap, found.differ) == (256, 128)
    turned = fly(picture, tiled(128, 128, 64, 16), lambda t, p: of_the_window(t, p).transpose(0, 2, 1)).output
    assert (turned.overlap, turned.differ) == (256, 128)


def test_steps_at_seams_are_those_of_the_map() -> None:
    ramp = np.broadcast_to(np.arange(128, dtype=np.uint8), (3, 128, 128))
    found = fly(ramp, tiled(128, 128, 64, 16)).output
    # Over the seams between columns as much as beside them: one level; along the others nothing changes.
    assert found.across == pytest.approx(2 * 8 / 254, rel=1e-4)
    assert found.inside == pytest.approx(2 * 8 / 254, rel=1e-4)
    stepped = fly(ramp, tiled(128, 128, 64, 16), of_the_window).output
    assert stepped.across / stepped.seams > 10 * stepped.inside / stepped.seams


def test_gaps_in_the_picture_are_not_compared() -> None:
    picture = noise(3, 128, 128, 1)
    valid = np.ones((128, 128), np.bool_)
    valid[:64] = False
    # Between the two windows above there is nothing to compare. Windows above speak of the ground below, where they
    # agree, but what they say at the seam itself is of the gap.
    found = fly(picture, tiled(128, 128, 64, 16), of_the_window, valid=valid).output
    assert (found.overlap, found.differ) == (8 * 8 + 2 * 8 * 8, 8 * 8)
    assert found.seams == 8


def test_disagreement_is_found_at_the_threshold_of_the_model() -> None:
    def says(tile: Tile, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """0.4 and 0.6 by turns: on two sides of 0.5 only where the model's threshold is that."""
        first = (tile.keep.row + tile.keep.col) // 64 % 2
        return binary(np.full(pixels.shape[1:], 0.4 if first else 0.6))

    found = fly(noise(3, 128, 128, 1), tiled(128, 128, 64, 16), says).output
    assert found.disagreement == 1
    assert found.across / found.seams == pytest.approx(0.2, rel=1e-4)
    assert found.inside == 0


def test_memory_is_one_row_of_edges_however_high_the_picture_is() -> None:
    low, high = (fly(noise(3, rows * 32, 128, 1), tiled(rows * 32, 128, 32, 8)) for rows in (4, 16))
    assert low.waiting == high.waiting <= 2 * 4


def test_edges_wait_for_the_next_band_of_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "STRIP_COLUMNS", 64)
    found = fly(noise(3, 128, 256, 1), tiled(128, 256, 32, 8))
    whole = found.output
    monkeypatch.undo()
    assert whole.overlap == fly(noise(3, 128, 256, 1), tiled(128, 256, 32, 8)).output.overlap
    assert whole.differ == 0
    assert (found.watch._right, found.watch._below) == ({}, {})


# --- sheets ---


def quarters(side: int) -> tuple[Sheet, ...]:
    half = side // 2
    return tuple(sheet(f"s{i}", half * (i // 2), half * (i % 2), half, half) for i in range(4))


def test_each_sheet_is_judged_once_with_the_facts_of_its_own_ground() -> None:
    picture = np.zeros((3, 128, 128), np.uint8)
    for i in range(4):
        picture[:, 64 * (i // 2) : 64 * (i // 2 + 1), 64 * (i % 2) : 64 * (i % 2 + 1)] = 40 * (i + 1)
    found = fly(picture, tiled(128, 128, 32, 8), sheets=quarters(128))
    assert [f.where for f in found.judged] == ["s0", "s1", "s2", "s3"]
    for i, facts in enumerate(found.judged):
        assert np.flatnonzero(facts.pixels.levels_CL[0]).tolist() == [40 * (i + 1)]
        assert facts.pixels.pixels == 64 * 64
        assert facts.output.pixels == 64
    found.watch.close()
    assert len(found.judged) == 4


def test_a_sheet_is_judged_and_dropped_when_its_last_window_is_through() -> None:
    tiling, sheets = tiled(256, 64, 32, 0), tuple(sheet(f"s{i}", 64 * i, 0, 64, 64) for i in range(4))
    judged: list[str] = []
    watch = Watch(SERVED, 3, tiling, sheets, lambda facts: judged.append(facts.where))
    picture = noise(3, 256, 64, 1)
    after = []
    for tile in tiling:
        patch = cut(tile, picture, grid_of_size(256, 64))
        watch.see(tile, patch, identity(tile, patch.pixels_CHW), 255.0)
        after.append((len(judged), len(watch._open)))
    assert after == [(0, 1)] * 3 + [(1, 0)] + [(1, 1)] * 3 + [(2, 0)] + [(2, 1)] * 3 + [(3, 0)] + [(3, 1)] * 3 + [
        (4, 0)
    ]


def test_a_single_sheet_is_the_flight() -> None:
    found = fly(noise(3, 64, 64, 1), tiled(64, 64, 32), sheets=(sheet("only", 0, 0, 64, 64),))
    found.watch.close()
    assert found.judged == []


def test_sheets_that_overlap_are_judged_once_each_at_the_latest_in_the_end() -> None:
    sheets = sheet("left", 0, 0, 96, 96), sheet("right", 0, 32, 96, 96)
    found = fly(noise(3, 96, 128, 1), tiled(96, 128, 32, 8), sheets=sheets)
    assert [f.where for f in found.judged] == ["left"]
    found.watch.close()
    found.watch.close()
    assert [f.where for f in found.judged] == ["left", "right"]
    assert [f.output.pixels for f in found.judged] == [9 * 16, 3 * 16]


def test_a_sheet_below_another_is_not_judged() -> None:
    sheets = sheet("above", 0, 0, 64, 64), sheet("below", 0, 0, 64, 64)
    found = fly(noise(3, 64, 64, 1), tiled(64, 64, 32), sheets=sheets)
    found.watch.close()
    assert [f.where for f in found.judged] == ["above"]


def test_sheets_smaller_than_a_window_are_judged_at_most_once() -> None:
    sheets = tuple(sheet(f"s{i}", 0, 20 * i, 20, 20) for i in range(8))
    found = fly(noise(3, 20, 160, 1), tiled(20, 160, 64, 8), sheets=sheets)
    found.watch.close()
    # Middles of the windows lie in columns 32, 96 and 144.
    assert [f.where for f in found.judged] == ["s1", "s4", "s7"]


sheets_drawn = st.lists(
    st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(1, 90), st.integers(1, 90)), min_size=2, max_size=6
)


@given(sheets_drawn, st.integers(16, 60), st.integers(0, 12))
@settings(max_examples=60)
def test_no_sheet_is_judged_twice_and_no_ground_counts_twice(
    places: list[tuple[int, int, int, int]], step: int, halo: int
) -> None:
    sheets = tuple(sheet(f"s{i}", *place) for i, place in enumerate(places))
    height, width = max(s.window.stop_row for s in sheets), max(s.window.stop_col for s in sheets)
    found = fly(noise(3, height, width, 1), tiled(height, width, step, halo), sheets=sheets)
    found.watch.close()
    assert max(Counter(f.where for f in found.judged).values(), default=1) == 1
    assert sum(f.pixels.pixels for f in found.judged) <= height * width
    assert found.watch.flight.pixels.pixels == height * width
    if all(s.window == Window(row=0, col=0, height=height, width=width) for s in sheets):
        assert len(found.judged) == 1
