from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealmap.core.errors import DatasetError
from sealmap.core.grid import Window
from sealmap.dataset.chips import chip_starts
from sealmap.dataset.split import Placed, SplitSpec, assign_splits


def chips_of(sheets: int, side: int, patch: int, overlap: int, width: int | None = None) -> list[Placed]:
    """Chips of sheets in a row."""
    width = width or side
    return [
        Placed(sheet=f"s{k}", window=Window(row=r, col=k * width + c, height=patch, width=patch))
        for k in range(sheets)
        for r in chip_starts(side, patch, overlap)
        for c in chip_starts(width, patch, overlap)
    ]


def split_of_sheets(chips: list[Placed], splits: tuple[str, ...]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for chip, split in zip(chips, splits, strict=True):
        found.setdefault(chip.sheet, set()).add(split)
    return found


def nearest(chips: list[Placed], splits: tuple[str, ...], *, same_sheet: bool) -> int:
    """Pixels between the two nearest chips of different splits; negative where two overlap."""
    windows = [c.window for c in chips]
    edges = np.array([(w.row, w.stop_row, w.col, w.stop_col) for w in windows])
    starts, stops = edges[:, [0, 2]], edges[:, [1, 3]]
    gaps = np.maximum(starts[:, None], starts) - np.minimum(stops[:, None], stops)  # (chip, chip, axis)
    kinds, sheets = np.array(splits), np.array([c.sheet for c in chips])
    apart = (kinds[:, None] != kinds) & (kinds[:, None] != "") & (kinds != "")
    if same_sheet:
        apart &= sheets[:, None] == sheets
    return int(gaps.max(axis=2)[apart].min())


@pytest.mark.parametrize("count", [3, 5, 20])
def test_many_sheets_are_split_whole(count: int) -> None:
    chips = chips_of(count, 100, 50, 10)
    found = assign_splits(chips, SplitSpec())
    assert found.mode == "sheet"
    assert found.dropped == 0
    kinds = split_of_sheets(chips, found.splits)
    assert all(len(k) == 1 for k in kinds.values())
    held = [next(iter(k)) for k in kinds.values()]
    assert held.count("val") == held.count("test") == max(1, round(0.15 * count))


def test_the_seed_decides_and_repeats() -> None:
    chips = chips_of(8, 100, 50, 10)
    by_seed = [assign_splits(chips, SplitSpec(seed=s)).splits for s in range(6)]
    assert assign_splits(chips, SplitSpec(seed=3)).splits == by_seed[3]
    assert len(set(by_seed)) > 1
    backwards = assign_splits(chips[::-1], SplitSpec(seed=3)).splits
    assert backwards[::-1] == by_seed[3]


def test_two_sheets_give_a_test_sheet_and_blocks() -> None:
    chips = chips_of(2, 600, 64, 16)
    found = assign_splits(chips, SplitSpec(seed=1))
    kinds = split_of_sheets(chips, found.splits)
    assert kinds == {"s0": {"train", "val", ""}, "s1": {"test"}}
    assert nearest(chips, found.splits, same_sheet=True) >= 64
    assert found.dropped == found.splits.count("") > 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("width", [300, 900])
def test_one_sheet_gives_blocks_with_a_gap(seed: int, width: int) -> None:
    chips = chips_of(1, 600, 64, 16, width)
    found = assign_splits(chips, SplitSpec(seed=seed))
    assert set(found.splits) == {"train", "val", "test", ""}
    assert nearest(chips, found.splits, same_sheet=False) >= 64
    assert found.splits.count("train") > found.splits.count("val")


def test_a_sheet_that_is_too_small_says_so() -> None:
    chips = chips_of(1, 300, 64, 16)
    with pytest.raises(DatasetError, match="no chip is left for 'train'"):
        assign_splits(chips, SplitSpec(gap_px=64))
    assert set(assign_splits(chips, SplitSpec(gap_px=0)).splits) >= {"train", "val", "test"}


def test_without_a_wish_the_widest_gap_that_fits_is_taken_and_recorded() -> None:
    assert assign_splits(chips_of(1, 1000, 64, 16), SplitSpec()).gap_px == 64
    small = assign_splits(chips_of(1, 300, 64, 16), SplitSpec())
    assert small.gap_px < 64
    assert set(small.splits) >= {"train", "val", "test"}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(300, 700),
    st.sampled_from([(64, 16), (64, 0), (100, 60)]),
    st.integers(0, 99),
    st.sampled_from(["auto", "blocks"]),
)
def test_no_two_splits_ever_overlap(sheets: int, side: int, cut: tuple[int, int], seed: int, mode: str) -> None:
    chips = chips_of(sheets, side, *cut)
    try:
        found = assign_splits(chips, SplitSpec(seed=seed, mode=mode))
    except DatasetError:
        return
    assert nearest(chips, found.splits, same_sheet=False) >= 0


def test_sheets_that_overlap_lose_chips_not_the_law() -> None:
    first = chips_of(3, 200, 50, 10)
    shifted = [
        Placed(sheet=c.sheet, window=c.window.shift(0, -30 * int(c.sheet[1:]))) for c in first
    ]  # each sheet 30 px into its left neighbour
    found = assign_splits(shifted, SplitSpec())
    assert nearest(shifted, found.splits, same_sheet=False) >= 0
    assert found.dropped > 0


def test_named_sheets_go_where_the_user_says() -> None:
    chips = chips_of(4, 200, 50, 10)
    found = assign_splits(chips, SplitSpec(named={"s2": "test", "s0": "val"}))
    assert split_of_sheets(chips, found.splits) == {
        "s0": {"val"},
        "s1": {"train"},
        "s2": {"test"},
        "s3": {"train"},
    }
    one = assign_splits(chips, SplitSpec(named={"s2": "test"}))
    kinds = split_of_sheets(chips, one.splits)
    assert kinds["s2"] == {"test"}
    assert sorted(next(iter(kinds[s])) for s in ("s0", "s1", "s3")) == ["train", "train", "val"]


def test_a_named_test_sheet_beside_one_other() -> None:
    chips = chips_of(2, 600, 64, 16)
    found = assign_splits(chips, SplitSpec(named={"s0": "test"}))
    kinds = split_of_sheets(chips, found.splits)
    assert kinds == {"s0": {"test"}, "s1": {"train", "val", ""}}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"mode": "random"}, "auto, sheet, blocks"),
        ({"named": {"s0": "trian"}}, "train, val, test"),
        ({"gap_px": -1}, "0 or more"),
    ],
)
def test_wrong_specs_are_refused(spec: dict[str, object], words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        SplitSpec(**spec)  # type: ignore[arg-type]


def test_impossible_plans_are_refused() -> None:
    chips = chips_of(2, 200, 50, 10)
    with pytest.raises(DatasetError, match=r"no sheet 'x9'.*s0, s1"):
        assign_splits(chips, SplitSpec(named={"x9": "test"}))
    with pytest.raises(DatasetError, match="2 sheets cannot be split"):
        assign_splits(chips, SplitSpec(mode="sheet"))
    with pytest.raises(DatasetError, match="no chips"):
        assign_splits([], SplitSpec())
