from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import shapely

from sealmap.core.errors import DatasetError
from sealmap.core.grid import Window
from sealmap.dataset.cuts import chip_starts
from sealmap.dataset.split import HALO_PX, Area, Placed, SplitSpec, assign_splits

HELD = {"train", "val", "test"}


def chips_of(
    sheets: int, side: int, patch: int, overlap: int, width: int | None = None, apart: int = 0
) -> list[Placed]:
    """Chips of sheets in a row."""
    width = width or side
    return [
        Placed(sheet=f"s{k}", window=Window(row=r, col=k * (width + apart) + c, height=patch, width=patch))
        for k in range(sheets)
        for r in chip_starts(side, patch, overlap)
        for c in chip_starts(width, patch, overlap)
    ]


def split_of_sheets(chips: list[Placed], splits: tuple[str, ...]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for chip, split in zip(chips, splits, strict=True):
        found.setdefault(chip.sheet, set()).add(split)
    return found


def nearest(chips: list[Placed], splits: tuple[str, ...]) -> int:
    """Pixels between the two nearest chips of different splits; negative where two overlap."""
    windows = [c.window for c in chips]
    edges = np.array([(w.row, w.stop_row, w.col, w.stop_col) for w in windows])
    starts, stops = edges[:, [0, 2]], edges[:, [1, 3]]
    gaps = np.maximum(starts[:, None], starts) - np.minimum(stops[:, None], stops)  # (chip, chip, axis)
    kinds = np.array(splits)
    apart = (kinds[:, None] != kinds) & (kinds[:, None] != "") & (kinds != "")
    return int(gaps.max(axis=2)[apart].min())


def sealed_of(chips: list[Placed], splits: tuple[str, ...], split: str = "") -> float:
    """Share of sealed pixels, of one split or of all chips."""
    mine = [c for c, s in zip(chips, splits, strict=True) if not split or s == split]
    judged = sum(c.judged * c.window.pixels for c in mine)
    return sum(c.sealed * c.judged * c.window.pixels for c in mine) / judged


# --- sheets ---


@pytest.mark.parametrize("count", [3, 5, 20])
def test_many_sheets_are_split_whole(count: int) -> None:
    chips = chips_of(count, 100, 50, 10, apart=1000)
    found = assign_splits(chips, SplitSpec())
    assert (found.mode, found.gap_px, found.dropped) == ("sheet", 50 + HALO_PX, 0)
    kinds = split_of_sheets(chips, found.splits)
    assert all(len(k) == 1 for k in kinds.values())
    held = [next(iter(k)) for k in kinds.values()]
    assert held.count("val") == held.count("test") == max(1, round(0.15 * count))


def test_neighbouring_sheets_keep_the_gap_too() -> None:
    chips = chips_of(8, 1000, 64, 16)
    found = assign_splits(chips, SplitSpec())
    assert found.gap_px == 64 + HALO_PX
    assert nearest(chips, found.splits) >= 64 + HALO_PX
    for kinds in split_of_sheets(chips, found.splits).values():
        assert len(kinds - {""}) == 1
    (test,) = (s for s, kinds in split_of_sheets(chips, found.splits).items() if "test" in kinds)
    assert all(s == "test" for c, s in zip(chips, found.splits, strict=True) if c.sheet == test)


def test_the_seed_decides_and_repeats() -> None:
    chips = chips_of(8, 100, 50, 10, apart=1000)
    by_seed = [assign_splits(chips, SplitSpec(seed=s)).splits for s in range(6)]
    assert assign_splits(chips, SplitSpec(seed=3)).splits == by_seed[3]
    assert len(set(by_seed)) > 1
    backwards = assign_splits(chips[::-1], SplitSpec(seed=3)).splits
    assert backwards[::-1] == by_seed[3]


def test_two_sheets_give_a_test_sheet_and_blocks() -> None:
    chips = chips_of(2, 600, 64, 16)
    found = assign_splits(chips, SplitSpec(seed=1))
    assert found.mode == "sheet+blocks"
    assert split_of_sheets(chips, found.splits) == {"s0": {"train", "val", ""}, "s1": {"test"}}
    assert nearest(chips, found.splits) >= found.gap_px >= 64
    assert found.dropped == found.splits.count("") > 0


def test_sheets_that_overlap_lose_chips_not_the_law() -> None:
    first = chips_of(3, 200, 50, 10)
    shifted = [
        Placed(sheet=c.sheet, window=c.window.shift(0, -30 * int(c.sheet[1:]))) for c in first
    ]  # each sheet 30 px into its left neighbour
    found = assign_splits(shifted, SplitSpec(gap_px=0))
    assert nearest(shifted, found.splits) >= 0
    assert found.dropped > 0
    assert assign_splits(first, SplitSpec(gap_px=0)).dropped == 0


def test_named_sheets_go_where_the_user_says() -> None:
    chips = chips_of(4, 200, 50, 10, apart=1000)
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
    assert (found.mode, one.mode) == ("named", "named+sheet")


def test_a_named_test_sheet_beside_one_other() -> None:
    chips = chips_of(2, 600, 64, 16)
    found = assign_splits(chips, SplitSpec(named={"s0": "test"}))
    kinds = split_of_sheets(chips, found.splits)
    assert kinds == {"s0": {"test"}, "s1": {"train", "val", ""}}
    assert found.mode == "named+blocks"


def test_all_sheets_may_be_for_the_test() -> None:
    chips = chips_of(2, 200, 50, 10)
    found = assign_splits(chips, SplitSpec(named={"s0": "test", "s1": "test"}))
    assert set(found.splits) == {"test"}
    assert set(found.sealed_share) == {"test"}


# --- blocks ---


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("width", [300, 900])
def test_one_sheet_gives_blocks_with_a_gap(seed: int, width: int) -> None:
    chips = chips_of(1, 600, 64, 16, width)
    found = assign_splits(chips, SplitSpec(seed=seed))
    assert set(found.splits) == {*HELD, ""}
    assert nearest(chips, found.splits) >= found.gap_px >= 64
    assert found.splits.count("train") > found.splits.count("val")


def test_a_lattice_over_all_sheets_gives_the_wanted_shares() -> None:
    chips = chips_of(4, 2000, 64, 16)
    found = assign_splits(chips, SplitSpec(mode="blocks"))
    assert (found.mode, found.gap_px) == ("blocks", 64 + HALO_PX)
    kinds = split_of_sheets(chips, found.splits)
    assert any({"train", "test"} <= k or {"train", "val"} <= k for k in kinds.values())
    shares = {s: found.splits.count(s) / len(chips) for s in HELD}
    assert 0.1 <= shares["val"] <= 0.2
    assert 0.1 <= shares["test"] <= 0.2
    assert shares["train"] > 0.55


@pytest.mark.parametrize("block", [64, 100, 200])
def test_chips_across_blocks_of_one_split_stay(block: int) -> None:
    """Without gap or overlap a chip is dropped only where blocks of different splits meet in it."""
    chips = chips_of(1, 800, 50, 0)
    found = assign_splits(chips, SplitSpec(mode="blocks", block_px=block, gap_px=0))
    by_block: dict[tuple[int, int], set[str]] = {}
    for chip, split in zip(chips, found.splits, strict=True):
        w = chip.window
        if split and w.row // block == (w.stop_row - 1) // block and w.col // block == (w.stop_col - 1) // block:
            by_block.setdefault((w.row // block, w.col // block), set()).add(split)
    assert all(len(kinds) == 1 for kinds in by_block.values())
    for chip, split in zip(chips, found.splits, strict=True):
        w = chip.window
        under = {
            kind
            for row in (w.row, w.stop_row - 1)
            for col in (w.col, w.stop_col - 1)
            for kind in by_block.get((row // block, col // block), {"?"})
        }
        if "?" not in under:
            assert split == (next(iter(under)) if len(under) == 1 else "")


def test_blocks_that_hold_no_chip_are_refused() -> None:
    chips = chips_of(3, 600, 64, 16)
    with pytest.raises(DatasetError, match=r"blocks of 63 px hold no chip of 64 px → use blocks of at least 64 px"):
        assign_splits(chips, SplitSpec(mode="blocks", block_px=63))
    with pytest.raises(DatasetError, match=r"1 blocks cannot be split into train and val and test: 507 chips of 64 px"):
        assign_splits(chips, SplitSpec(mode="blocks", block_px=2000))


# --- the gap ---


def test_an_explicit_gap_is_never_loosened() -> None:
    chips = chips_of(1, 300, 64, 16)
    for mode in ("auto", "blocks"):
        words = (
            r"no chip is left for '\w+': of 36 chips of 64 px, \d+ are dropped for gaps of 200 px.*→.*a smaller gap,"
        )
        with pytest.raises(DatasetError, match=words):
            assign_splits(chips, SplitSpec(mode=mode, gap_px=200))
    found = assign_splits(chips, SplitSpec(gap_px=20))
    assert found.gap_px == 20
    assert nearest(chips, found.splits) >= 20


def test_only_auto_gives_way_where_there_is_no_room_and_says_how_far() -> None:
    roomy = assign_splits(chips_of(1, 2000, 64, 16), SplitSpec())
    assert roomy.gap_px == 64 + HALO_PX
    gaps = []
    for side in (600, 300, 200, 130):
        chips = chips_of(1, side, 64, 16)
        found = assign_splits(chips, SplitSpec())
        assert set(found.splits) >= HELD
        assert nearest(chips, found.splits) >= found.gap_px
        gaps.append(found.gap_px)
    assert all(a >= b for a, b in pairwise(gaps))
    assert set(gaps) <= {192, 64, 32, 0}
    assert gaps[-1] < 64
    with pytest.raises(DatasetError, match=r"gaps of 192 px.*a smaller gap or the split mode 'auto'"):
        assign_splits(chips_of(1, 300, 64, 16), SplitSpec(mode="blocks"))


def test_a_gap_that_costs_a_split_more_than_half_has_no_room() -> None:
    chips = chips_of(3, 160, 64, 16)  # 3×3 chips per sheet; a gap of 64 px leaves one column of a middle sheet
    found = assign_splits(chips, SplitSpec())
    assert 0 < found.gap_px < 64
    assert min(found.splits.count(s) for s in HELD) >= 5


def test_test_is_kept_before_validation_before_train() -> None:
    row = [Placed(sheet=f"s{k}", window=Window(row=0, col=60 * k, height=50, width=50)) for k in range(5)]
    named = dict(zip(("s0", "s1", "s2", "s3", "s4"), ("val", "train", "val", "test", "train"), strict=True))
    found = assign_splits([*row, far("train")], SplitSpec(named=named | {"train": "train"}, gap_px=20))
    # s2 (val) is too near to the test and s1 (train) to s0 (val); s2, once gone, holds up nobody.
    assert found.splits == ("val", "", "", "test", "", "train")
    loose = assign_splits([*row, far("train")], SplitSpec(named=named | {"train": "train"}, gap_px=10))
    assert loose.splits == ("val", "train", "val", "test", "train", "train")


def far(sheet: str) -> Placed:
    return Placed(sheet=sheet, window=Window(row=9000, col=9000, height=50, width=50))


def test_a_dropped_validation_chip_drops_no_train_chip() -> None:
    row = [Placed(sheet=f"s{k}", window=Window(row=0, col=60 * k, height=50, width=50)) for k in range(3)]
    named = {"s0": "train", "s1": "val", "s2": "test", "far": "val"}
    found = assign_splits([*row, far("far")], SplitSpec(named=named, gap_px=20))
    assert found.splits == ("train", "", "test", "val")


# --- balance ---


def town_beside_fields(sheets: int) -> list[Placed]:
    """Sheets from dense (0.8 sealed) to empty (0), of 2×2 chips each, far apart."""
    return [
        Placed(sheet=c.sheet, window=c.window, sealed=0.8 * int(c.sheet[1:]) / (sheets - 1))
        for c in chips_of(sheets, 100, 50, 0, apart=1000)
        if int(c.sheet[1:]) < sheets
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_splits_are_as_sealed_as_the_whole(seed: int) -> None:
    chips = town_beside_fields(9)
    found = assign_splits(chips, SplitSpec(seed=seed))
    assert sealed_of(chips, found.splits) == pytest.approx(0.4)
    for split in HELD:
        assert found.sealed_share[split] == pytest.approx(sealed_of(chips, found.splits, split))
        assert found.sealed_share[split] == pytest.approx(0.4, abs=0.11)


def test_blocks_are_balanced_as_well() -> None:
    """A dense old town in the west: who does not look at the labels gives one split all of it, or none."""
    blind = chips_of(1, 2000, 64, 0)
    chips = [
        Placed(sheet=c.sheet, window=c.window, sealed=0.9 if c.window.col < 700 and c.window.row < 1400 else 0.1)
        for c in blind
    ]
    seeing, unseeing = [], []
    for seed in range(4):
        found = assign_splits(chips, SplitSpec(mode="blocks", gap_px=64, seed=seed))
        seeing.append(worst_share(chips, found.splits))
        same_ground = assign_splits(blind, SplitSpec(mode="blocks", gap_px=64, seed=seed))
        unseeing.append(worst_share(chips, same_ground.splits))
    assert max(seeing) < 0.3
    assert max(unseeing) > 0.5


def worst_share(chips: list[Placed], splits: tuple[str, ...]) -> float:
    """How far the sealed share of a split is off that of the whole, in parts of it."""
    whole = sum(c.sealed for c in chips) / len(chips)
    return max(abs(sealed_of(chips, splits, s) / whole - 1) for s in HELD)


def test_unjudged_pixels_have_no_weight() -> None:
    chips = [
        Placed(sheet="a", window=Window(row=0, col=0, height=50, width=50), sealed=0.2, judged=1.0),
        Placed(sheet="a", window=Window(row=50, col=0, height=50, width=50), sealed=1.0, judged=0.25),
    ]
    found = assign_splits(chips, SplitSpec(named={"a": "train"}))
    assert found.sealed_share == {"train": pytest.approx((0.2 + 0.25) / 1.25)}
    nothing = [Placed(sheet=c.sheet, window=c.window, judged=0.0) for c in chips]
    with pytest.raises(DatasetError, match="no chip is left for 'train'"):
        assign_splits(nothing, SplitSpec(named={"a": "train"}))


# --- areas ---


def box(split: str, col: float, row: float, stop_col: float, stop_row: float) -> Area:
    return Area(split=split, polygon=shapely.box(col, row, stop_col, stop_row))


def test_areas_give_what_is_wholly_inside() -> None:
    chips = chips_of(1, 1000, 50, 0)
    areas = (box("val", 0, 0, 200, 1000), box("test", 725, 0, 1000, 1000))
    found = assign_splits(chips, SplitSpec(mode="areas", areas=areas, gap_px=0))
    assert (found.mode, found.gap_px) == ("areas", 0)
    for chip, split in zip(chips, found.splits, strict=True):
        col = chip.window.col
        # The chips from 700 to 750 stick out of the test area: they do not train.
        expected = "val" if col < 200 else "test" if col >= 750 else "" if col >= 700 else "train"
        assert split == expected
    wide = assign_splits(chips, SplitSpec(mode="areas", areas=areas))
    assert wide.gap_px == 50 + HALO_PX
    assert nearest(chips, wide.splits) >= 50 + HALO_PX
    assert assign_splits(chips, SplitSpec(areas=areas)).mode == "areas"


def test_chips_outside_of_all_areas_are_dropped_where_train_is_named() -> None:
    chips = chips_of(1, 1000, 50, 0)
    areas = (box("train", 0, 0, 300, 1000), box("val", 500, 0, 600, 1000), box("test", 800, 0, 1000, 1000))
    found = assign_splits(chips, SplitSpec(mode="areas", areas=areas))
    counts = {s: found.splits.count(s) for s in ("train", "val", "test", "")}
    assert counts == {"train": 120, "val": 40, "test": 80, "": 160}


def test_areas_of_one_split_are_one_ground_and_edges_may_be_rounded() -> None:
    chips = chips_of(1, 200, 50, 0)
    off = 1e-6
    halves = (
        box("test", off, off, 75, 200 - off),
        box("test", 75, off, 100 + off, 200 + off),
        box("val", 100 - off, 0, 150, 200),
    )
    found = assign_splits(chips, SplitSpec(mode="areas", areas=halves, gap_px=0))
    by_col = {c.window.col: s for c, s in zip(chips, found.splits, strict=True)}
    assert by_col == {0: "test", 50: "test", 100: "val", 150: "train"}


def test_wrong_areas_are_refused_with_numbers() -> None:
    chips = chips_of(1, 1000, 50, 0)
    words = r"area 1 \(test\) and area 2 \(train\) overlap by 1000 px, 10.0% of the smaller one"
    with pytest.raises(DatasetError, match=words):
        SplitSpec(mode="areas", areas=(box("test", 0, 0, 100, 100), box("train", 90, 0, 900, 100)))
    SplitSpec(mode="areas", areas=(box("test", 0, 0, 100, 100), box("test", 90, 0, 900, 100)))
    with pytest.raises(DatasetError, match=r"no polygon to cut by: Self-intersection"):
        Area(split="test", polygon=shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)]))
    with pytest.raises(DatasetError, match=r"no split 'tset'"):
        box("tset", 0, 0, 1, 1)
    small = (box("test", 0, 0, 40, 40),)
    with pytest.raises(DatasetError, match=r"no chip is left for 'test'.*larger areas"):
        assign_splits(chips, SplitSpec(mode="areas", areas=small))
    everything = assign_splits(chips, SplitSpec(areas=(box("test", 0, 0, 1000, 1000),)))
    assert set(everything.splits) == {"test"}


# --- what is refused ---


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"mode": "random"}, "auto, sheet, blocks, areas"),
        ({"named": {"s0": "trian"}}, "train, val, test"),
        ({"gap_px": -1}, "0 or more"),
        ({"block_px": 0}, "0 px"),
        ({"mode": "areas"}, "has no areas"),
        ({"mode": "sheet", "areas": (box("val", 0, 0, 1, 1),)}, "1 areas do not go with 0 named sheets.*'sheet'"),
        ({"named": {"s0": "val"}, "areas": (box("val", 0, 0, 1, 1),)}, "1 areas do not go with 1 named"),
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
    with pytest.raises(ValueError, match=r"0\.\.1"):
        Placed(sheet="s", window=chips[0].window, sealed=1.5)
