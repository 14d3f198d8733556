"""Windows: each pixel once, on chips and on whole sheets; contours and objects do not stop at a window's edge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.evaluation.ground import Place, Sheets, Whole, random_classes, say, sheets, tiled

from sealmap.core.confusion import Confusion
from sealmap.core.errors import DatasetError
from sealmap.core.grid import Window as Area
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED, Legend
from sealmap.evaluation import blocks
from sealmap.evaluation import windows as module
from sealmap.evaluation.boundary import WIDTH_PX, BoundaryCounts
from sealmap.evaluation.objects import ObjectTally
from sealmap.evaluation.windows import (
    ChipObjects,
    Judge,
    Seen,
    Window,
    as_photo,
    score_chips,
    score_sheets,
    sheet_objects,
)

BOTH = Judge(truth=ROOF_PAVED, model=ROOF_PAVED)


def summed(found: list[Window]) -> tuple[Confusion, BoundaryCounts]:
    legend = found[0].counts.legend
    return (
        sum((w.counts for w in found), Confusion.zero(legend)),
        sum((w.boundary for w in found), BoundaryCounts.zero(legend)),
    )


@given(st.integers(0, 999), st.sampled_from([SEALED, ROOF_PAVED]), st.integers(5, 40), st.integers(1, 10), st.data())
@settings(max_examples=30)
def test_overlapping_chips_count_each_pixel_once(
    seed: int, legend: Legend, side: int, count: int, data: st.DataObject
) -> None:
    chips = sheets(seed, legend, side=side)
    covered = {n: np.zeros((80, 80), np.bool_) for n in "ab"}
    for i in range(count):
        place = Place(
            f"c{i}", data.draw(st.sampled_from("ab")), *(data.draw(st.integers(0, 80 - side)) for _ in range(2))
        )
        chips.chips.append(place)
        covered[place.sheet][place.row : place.row + side, place.col : place.col + side] = True
    found = score_chips(chips, say, chips.judge)
    expected = np.zeros((len(legend), len(legend)), int)
    for n in "ab":
        truth, said = chips.truth[n][covered[n]], chips.said[n][covered[n]]
        for t, p in zip(truth[truth != IGNORE], said[truth != IGNORE], strict=True):
            expected[t, p] += 1
    assert summed(found)[0].counts_KK.tolist() == expected.tolist()
    called = sum(w.calls.counts_K2 for w in found)
    sealed = list(legend.sealed_ids)
    assert np.asarray(called).tolist() == np.stack([expected.sum(1), expected[:, sealed].sum(1)], axis=1).tolist()


def test_contours_are_judged_inside_chips_and_once_where_they_overlap() -> None:
    truth = random_classes(3, SEALED, (40, 64), ignored=0.0)
    said = np.roll(truth, 1, axis=0)
    chips = Sheets(SEALED, {"a": truth}, {"a": said}, side=40)
    chips.chips = [Place("l", "a", 0, 0), Place("r", "a", 0, 24)]
    _, found = summed(score_chips(chips, say, chips.judge))
    inside = np.zeros(truth.shape, np.bool_)
    inside[WIDTH_PX:-WIDTH_PX, WIDTH_PX:-WIDTH_PX] = True
    assert found.counts_U2.tolist() == BoundaryCounts.of(SEALED, truth, said, inside).counts_U2.tolist()


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHEET_WINDOW_PX", 16)
    monkeypatch.setattr(module, "_STRIP_PX", 7)
    monkeypatch.setattr(blocks, "BLOCK_M", 30.0)


def overlapping() -> Whole:
    """Three sheets on a grid of 50 × 90 with a hole; the second overlaps the first by 10 columns."""
    truth = random_classes(5, ROOF_PAVED, (50, 90), ignored=0.002)
    said = np.roll(truth, 1, axis=1)
    said[said == IGNORE] = 0
    places = [("a", (0, 0, 30, 40)), ("b", (0, 30, 30, 60)), ("c", (30, 0, 20, 40))]
    areas = [(n, Area(row=r, col=c, height=h, width=w)) for n, (r, c, h, w) in places]
    truth[30:, 40:] = IGNORE
    said[30:, 40:] = IGNORE
    return Whole(truth, said, areas)


@pytest.mark.usefixtures("small_windows")
def test_whole_sheets_are_scored_as_one_array() -> None:
    ground = overlapping()
    found = score_sheets(ground, BOTH)
    counts, boundary = summed(found)
    assert counts.counts_KK.tolist() == Confusion.of(ROOF_PAVED, ground.truth, ground.said).counts_KK.tolist()
    everywhere = np.ones(ground.truth.shape, np.bool_)
    whole = BoundaryCounts.of(ROOF_PAVED, ground.truth, ground.said, everywhere)
    assert boundary.counts_U2.tolist() == whole.counts_U2.tolist()
    assert boundary.outline_U2.tolist() == whole.outline_U2.tolist()
    assert whole.counts_U2[0, 0] > 20
    by_sheet = {n: sum(w.counts.pixels for w in found if w.sheet == n) for n in "abc"}
    known = ground.truth != IGNORE
    assert by_sheet == {"a": known[:30, :40].sum(), "b": known[:30, 40:].sum(), "c": known[30:, :40].sum()}
    assert len({w.name for w in found}) == len(found)
    blocks = {w.block for w in found if w.sheet == "b"}
    assert blocks == {"b/0/0", "b/0/1"}  # 30 × 60 pixels of a metre; 2 × 2 windows of 15 pixels a block


@pytest.mark.usefixtures("small_windows")
def test_objects_of_whole_sheets_are_those_of_one_array() -> None:
    ground = overlapping()
    tally = ObjectTally(ROOF_PAVED, 1.0)
    cut = np.zeros(ground.truth.shape, np.bool_)
    cut[0] = cut[-1] = True
    cut[:, 0] = cut[:, -1] = True
    tally.add(ground.truth, ground.said, cut)
    expected, found = tally.close(), sheet_objects(ground, BOTH, 1.0)
    for kind in ("sealed", "roof"):
        assert found.kinds[kind].number_S.tolist() == expected.kinds[kind].number_S.tolist()
        assert found.kinds[kind].hit_S.tolist() == expected.kinds[kind].hit_S.tolist()
    assert found.false.area_S.tolist() == expected.false.area_S.tolist()


def test_an_object_that_a_chip_cuts_has_no_size() -> None:
    truth = np.zeros((24, 48), np.uint8)
    truth[10:12, 20:28] = 1  # on both chips
    truth[2:4, 2:4] = 1
    chips = Sheets(SEALED, {"a": truth}, {"a": truth}, [Place("l", "a", 0, 0), Place("r", "a", 0, 24)])
    objects = ChipObjects(SEALED, 1.0)
    score_chips(chips, say, chips.judge, observers=[objects])
    assert objects.found.kinds["sealed"].number_S.tolist() == [1, 0, 0, 0, 2]
    assert objects.found.kinds["sealed"].area_S.tolist() == [4, 0, 0, 0, 16]


def test_an_object_is_cut_where_another_chip_has_it_already() -> None:
    truth = np.zeros((24, 40), np.uint8)
    truth[10:12, 20:28] = 1
    chips = Sheets(SEALED, {"a": truth}, {"a": truth}, [Place("l", "a", 0, 0), Place("r", "a", 0, 16)])
    objects = ChipObjects(SEALED, 1.0)
    score_chips(chips, say, chips.judge, observers=[objects])
    assert objects.found.kinds["sealed"].area_S.tolist() == [0, 0, 0, 0, 16]


def test_legends_that_differ_meet_as_sealed_or_not() -> None:
    truth = np.array([[0, 1, 2, 2, IGNORE]], np.uint8)
    said = np.array([[1, 1, 0, 1, 0]], np.uint8)
    judge = Judge(truth=ROOF_PAVED, model=SEALED)
    assert judge.legend == SEALED
    assert judge.common(truth, ROOF_PAVED).tolist() == [[0, 1, 1, 1, IGNORE]]
    calls = judge.calls(truth, said, np.ones(truth.shape, np.bool_))
    assert calls.counts_K2.tolist() == [[1, 1], [1, 1], [2, 1]]
    other = Judge(truth=SEALED, model=SEALED).calls(truth * 0, said, np.ones(truth.shape, np.bool_))
    with pytest.raises(ValueError, match="different legends"):
        calls + other


def test_observers_see_every_window_in_order() -> None:
    shown: list[tuple[str, tuple[int, ...]]] = []

    def look(window: Window, seen: Seen) -> None:
        assert seen.probability_HW is not None
        shown.append((window.name, seen.photo().shape))
        assert (seen.judged_HW == IGNORE)[~seen.counted_HW].all()

    chips = tiled(names="a")
    score_chips(chips, say, chips.judge, observers=[look])
    assert shown == [(c.name, (24, 24, 3)) for c in chips.chips]


def test_ground_without_labels_is_refused() -> None:
    chips = tiled(names="a")
    chips.truth["a"][:] = IGNORE
    with pytest.raises(DatasetError, match="no pixel of this ground has a label →"):
        score_chips(chips, say, chips.judge)
    ground = overlapping()
    ground.truth[:] = IGNORE
    with pytest.raises(DatasetError, match="--truth covers the sheets"):
        score_sheets(ground, BOTH)


def test_a_photo_is_of_8_bits() -> None:
    pixels = np.full((4, 2, 3), 1023, np.uint16)
    assert as_photo(pixels, 1023.0).tolist() == np.full((2, 3, 3), 255).tolist()
