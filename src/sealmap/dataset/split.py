"""Who trains and who judges: whole sheets, or blocks with a gap, never chips one by one (law 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import shapely

from sealmap.core.errors import DatasetError
from sealmap.core.grid import Window

SPLITS = ("train", "val", "test")
MODES = ("auto", "sheet", "blocks")
_HELD_OUT_SHARE = 0.15


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSpec:
    """How to split.

    mode: 'sheet' gives whole sheets, 'blocks' cuts each sheet into bands with a gap, 'auto' takes sheets
    where there are three or more; with two the last one (by name) is the test and the other gives train and
    validation as blocks.
    named: sheet → split as the user wants it; the other sheets share what is left.
    gap_px: distance between train and held-out chips in block mode; None takes the patch.
    """

    mode: str = "auto"
    seed: int = 0
    named: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    gap_px: int | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise DatasetError(f"no split mode '{self.mode}'", remedy=f"use one of: {', '.join(MODES)}")
        wrong = [s for s in self.named.values() if s not in SPLITS]
        if wrong:
            raise DatasetError(f"no split '{wrong[0]}'", remedy=f"use one of: {', '.join(SPLITS)}")
        if self.gap_px is not None and self.gap_px < 0:
            raise DatasetError(f"the gap of the split is {self.gap_px} px", remedy="use 0 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """Where a chip lies: its sheet, and its pixels inside that sheet as a window of the mosaic."""

    sheet: str
    window: Window


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """splits[i]: 'train', 'val', 'test', or '' for a chip dropped since it lies in a gap. mode, gap_px: as done."""

    splits: tuple[str, ...]
    mode: str
    gap_px: int

    @property
    def dropped(self) -> int:
        """Number of chips that no split has."""
        return self.splits.count("")


def assign_splits(chips: Sequence[Placed], spec: SplitSpec) -> Assignment:
    """A split for each chip. The same chips and spec give the same answer; no two splits overlap.

    Raises DatasetError where the sheets are too few or too small for it.
    """
    sheets = sorted({c.sheet for c in chips})
    if not sheets:
        raise DatasetError("there are no chips to split", remedy="give at least one sheet")
    unknown = sorted(set(spec.named) - set(sheets))
    if unknown:
        raise DatasetError(f"no sheet '{unknown[0]}'", remedy=f"sheets are: {', '.join(sheets)}")
    plan, mode = _plan(sheets, spec)
    for gap in _gaps(chips, spec):
        splits = _assigned(chips, plan, gap, spec.seed)
        if not _empty(splits, plan):
            return Assignment(splits=tuple(splits), mode=mode, gap_px=gap)
    patch = max(max(c.window.height, c.window.width) for c in chips)
    raise DatasetError(
        f"no chip is left for '{_empty(splits, plan)[0]}': of {len(chips)} chips of {patch} px, {splits.count('')}"
        " lie in gaps between train, val and test",
        remedy="give more sheets, a smaller --patch or a smaller gap, or name sheets for each split",
    )


def _assigned(chips: Sequence[Placed], plan: _Plan, gap: int, seed: int) -> list[str]:
    splits = [""] * len(chips)
    for sheet, held in plan.items():
        members = [i for i, c in enumerate(chips) if c.sheet == sheet]
        if isinstance(held, str):
            found = [held] * len(members)
        else:
            found = _bands([chips[i].window for i in members], held, gap, seed)
        for i, split in zip(members, found, strict=True):
            splits[i] = split
    _drop_overlaps(chips, splits)
    return splits


_Plan = dict[str, "str | tuple[str, ...]"]
"""Sheet → its split, or the held-out splits that it gives as bands beside train."""


def _plan(sheets: list[str], spec: SplitSpec) -> tuple[_Plan, str]:
    """What each sheet is for, and the name of the mode."""
    plan: _Plan = dict(spec.named)
    free = [s for s in sheets if s not in plan]
    given = set(spec.named.values())
    if not free:
        return plan, "named"
    if spec.mode == "blocks":
        held = tuple(s for s in ("val", "test") if s not in given) or ("val",)
        return plan | dict.fromkeys(free, held), "blocks"
    wanted = [s for s in ("test", "val") if s not in given]
    if spec.mode == "sheet" and len(free) <= len(wanted):
        raise DatasetError(
            f"{len(free)} sheets cannot be split by sheet into train and {' and '.join(wanted)}",
            remedy="give more sheets, or use the split mode 'blocks' or 'auto'",
        )
    if not spec.named and len(free) == 2 and spec.mode == "auto":
        return {free[0]: ("val",), free[1]: "test"}, "sheet+blocks"
    if len(free) <= len(wanted):  # too few whole sheets: each free sheet gives bands of what is wanted
        return plan | dict.fromkeys(free, tuple(reversed(wanted))), "named+blocks" if given else "blocks"
    order = [free[i] for i in np.random.default_rng(spec.seed).permutation(len(free))]
    count = max(1, round(_HELD_OUT_SHARE * len(free)))
    if len(free) - count * len(wanted) < 1:
        count = 1
    for split in wanted:
        plan |= dict.fromkeys(order[:count], split)
        order = order[count:]
    return plan | dict.fromkeys(order, "train"), "named" if given else "sheet"


def _gaps(chips: Sequence[Placed], spec: SplitSpec) -> tuple[int, ...]:
    """Gaps to try, widest first: small sheets have no room for a whole patch.

    Without a gap chips still never overlap, and the dataset's record says which gap it has.
    """
    if spec.gap_px is not None:
        return (spec.gap_px,)
    patch = max(max(c.window.height, c.window.width) for c in chips)
    return patch, patch // 2, 0


def _bands(windows: list[Window], held: tuple[str, ...], gap: int, seed: int) -> list[str]:
    """Bands across the longer side: held-out splits at its ends, train between, chips in the gaps dropped.

    Ends, since a band in the middle would need two gaps; which end is whose is drawn from the seed.
    """
    rows = max(w.stop_row for w in windows) - min(w.row for w in windows)
    cols = max(w.stop_col for w in windows) - min(w.col for w in windows)
    starts = np.array([w.row if rows > cols else w.col for w in windows])
    stops = np.array([w.stop_row if rows > cols else w.stop_col for w in windows])
    if np.random.default_rng(seed).integers(2):
        starts, stops = -stops, -starts
    places = np.unique(starts)
    count = max(1, round(_HELD_OUT_SHARE * len(places)))
    first = starts <= places[count - 1]
    last = starts >= places[-count] if len(held) > 1 else np.zeros(len(windows), np.bool_)
    edge_first = stops[first].max() + gap
    edge_last = starts[last].min() - gap if last.any() else np.iinfo(np.int64).max
    if len(held) > 1 and stops[first].max() + gap > starts[last].min():
        last[:] = False  # no room for both: _refuse_empty says so
    between = (starts >= edge_first) & (stops <= edge_last)
    splits = np.full(len(windows), "", dtype="<U5")
    splits[between], splits[first] = "train", held[0]
    splits[last] = held[-1]
    return [str(s) for s in splits]


def _drop_overlaps(chips: Sequence[Placed], splits: list[str]) -> None:
    """Drop chips that overlap one of a stricter split: test stays before val, val before train.

    Within a sheet the gap is kept already; here neighbouring sheets that overlap (they should not) are
    caught.
    """
    boxes = [shapely.box(c.window.col, c.window.row, c.window.stop_col, c.window.stop_row) for c in chips]
    for loose, strict in (("val", ("test",)), ("train", ("test", "val"))):
        held = [boxes[i] for i, s in enumerate(splits) if s in strict]
        mine = [i for i, s in enumerate(splits) if s == loose]
        if not held or not mine:
            continue
        mine_boxes = np.array([boxes[i] for i in mine])
        hit, other = shapely.STRtree(held).query(mine_boxes)
        common = shapely.area(shapely.intersection(mine_boxes[hit], np.array(held)[other]))
        for i in set(hit[common > 0].tolist()):
            splits[mine[i]] = ""


def _empty(splits: Sequence[str], plan: _Plan) -> list[str]:
    """Splits that were planned and got no chip."""
    planned = {s for held in plan.values() for s in ((held,) if isinstance(held, str) else ("train", *held))}
    return [s for s in SPLITS if s in planned and s not in splits]
