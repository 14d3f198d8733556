"""Who trains and who judges: whole sheets, blocks or areas with a gap between, never chips one by one (law 9).

The order of work: settle what the user named; draw the rest as whole sheets or blocks, many times; drop chips that
straddle two splits or lie too near to a stricter one; keep the draw whose splits are most like the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import shapely
from numpy.typing import NDArray

from sealmap.core.errors import DatasetError
from sealmap.core.grid import Window
from sealmap.dataset import draws, gaps
from sealmap.dataset.gaps import NONE, TEST, TRAIN, VAL

SPLITS = ("train", "val", "test")
MODES = ("auto", "sheet", "blocks", "areas")

HALO_PX = 128
"""Part of the default gap beside the patch: ground that a run reads around what it keeps, twice the recipes' 64."""

_FREE = -1
_NAMES = ("", *SPLITS)
"""By code, see ``gaps``."""

_ROOM = 0.5
"""In 'auto' mode a gap has room where it leaves each split at least this share of its judged pixels."""

_ROUNDING_PX = 0.01
"""Areas come from map coordinates: by so much a chip may stick out of one."""

_OVERLAP_PX = 1.0
"""Areas of different splits may share so many pixels: their common edge is rounded, too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Area:
    """Ground that the user gives to one split. polygon: in pixels (col, row) of the mosaic's grid."""

    split: str
    polygon: shapely.Polygon | shapely.MultiPolygon

    def __post_init__(self) -> None:
        _require_splits([self.split])
        if not self.polygon.is_valid or self.polygon.area <= 0:
            raise DatasetError(
                f"an area for '{self.split}' ({self.polygon.area:.0f} px) is no polygon to cut by:"
                f" {shapely.is_valid_reason(self.polygon)}",
                remedy="repair it, in QGIS with 'Fix geometries'",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitSpec:
    """How to split.

    mode: 'sheet' draws whole sheets. 'blocks' draws squares of a lattice over the mosaic. 'areas' takes the areas
    given. 'auto' takes areas where there are any, sheets where there are three or more, otherwise blocks; with
    two sheets the last one (by name) is the test and the other gives train and validation as blocks.
    named: sheet → split as the user wants it; the other sheets share what is left. Not together with areas.
    gap_px: distance between chips of different splits, in all modes. None takes patch + HALO_PX; 'auto' then
    takes the widest of patch + HALO_PX, patch, patch // 2 and 0 that leaves each split half of its pixels.
    block_px: side of a block, at least the patch. None aims at 36 blocks on the ground to be drawn, two patches
    wide or more (one patch where there would be fewer than 6), that divide the longer side of the mosaic evenly.
    areas: a chip wholly inside takes the area's split, one partly inside is dropped, one outside of all is for
    train, or dropped where an area for train is given.
    """

    mode: str = "auto"
    seed: int = 0
    named: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    gap_px: int | None = None
    block_px: int | None = None
    areas: tuple[Area, ...] = ()

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise DatasetError(f"no split mode '{self.mode}'", remedy=f"use one of: {', '.join(MODES)}")
        _require_splits(self.named.values())
        if self.gap_px is not None and self.gap_px < 0:
            raise DatasetError(f"the gap of the split is {self.gap_px} px", remedy="use 0 or more")
        if self.block_px is not None and self.block_px < 1:
            raise DatasetError(f"the blocks of the split are {self.block_px} px", remedy="use the patch or more")
        if self.mode == "areas" and not self.areas:
            raise DatasetError("the split mode 'areas' has no areas", remedy="give areas for val and test")
        if self.areas and (self.named or self.mode not in ("auto", "areas")):
            raise DatasetError(
                f"{len(self.areas)} areas do not go with {len(self.named)} named sheets and the mode '{self.mode}'",
                remedy="use the split mode 'areas' and name no sheets, or leave the areas out",
            )
        _refuse_common_ground(self.areas)


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """Where a chip lies: its sheet, and its pixels inside that sheet as a window of the mosaic.

    judged: share of its pixels that have a label (not IGNORE), sealed: share of sealed pixels among these; both
    0..1, of the labels before the image is looked at.
    """

    sheet: str
    window: Window
    sealed: float = 0.0
    judged: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.sealed <= 1 and 0 <= self.judged <= 1):
            raise ValueError(f"shares of a chip are 0..1, got sealed {self.sealed} and judged {self.judged}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """splits[i]: 'train', 'val', 'test', or '' for a chip dropped since it lies in a gap. mode, gap_px: as done.

    sealed_share: split → share of sealed pixels among its judged ones (0..1), for the splits that have chips.
    """

    splits: tuple[str, ...]
    mode: str
    gap_px: int
    sealed_share: Mapping[str, float]

    @property
    def dropped(self) -> int:
        """Number of chips that no split has."""
        return self.splits.count("")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Table:
    """N chips in an order of their own. edges_N4: row, col, stop row, stop col. judged_N, sealed_N: pixels."""

    sheet_N: NDArray[np.str_]
    edges_N4: NDArray[np.int64]
    judged_N: NDArray[np.float64]
    sealed_N: NDArray[np.float64]

    @property
    def patch(self) -> int:
        return int((self.edges_N4[:, 2:] - self.edges_N4[:, :2]).max())


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Plan:
    """What is settled, and what is to be drawn.

    settled_N: code of each chip, or _FREE. units: of the free chips, in their order. held: codes to be drawn.
    planned: codes that must get chips.
    """

    mode: str
    settled_N: NDArray[np.int64]
    units: draws.Units | None = None
    held: tuple[int, ...] = ()
    planned: tuple[int, ...]

    @property
    def free_N(self) -> NDArray[np.bool_]:
        return np.equal(self.settled_N, _FREE)


def assign_splits(chips: Sequence[Placed], spec: SplitSpec) -> Assignment:
    """A split for each chip. The same chips and spec give the same answer, in whatever order the chips come.

    Two chips of different splits are ``gap_px`` or more apart, along rows or along columns. Of up to 200 draws the
    one is taken whose splits are nearest to the whole in their sealed share, and to 15 % for validation and test
    each in their judged pixels, those lost to gaps counted as missing.

    Raises DatasetError where the sheets are too few or too small for it: a split that is planned is never empty.
    """
    if not chips:
        raise DatasetError("there are no chips to split", remedy="give at least one sheet")
    order = sorted(range(len(chips)), key=lambda i: _key(chips[i]))
    table = _table([chips[i] for i in order])
    plan = _plan(table, spec)
    candidates = _candidates(table, plan, spec.seed)
    tried = _gaps(table.patch, spec)
    for gap in tried:
        codes = _best(table, plan, candidates, gap, room=_ROOM if gap > tried[-1] else 0.0)
        if codes is not None:
            break
    else:
        raise _no_room(table, plan, candidates[0], tried[-1], spec)
    splits = [""] * len(chips)
    for i, code in zip(order, codes.tolist(), strict=True):
        splits[i] = _NAMES[code]
    shares = {_NAMES[code]: share for code, share in _sealed_shares(table, codes).items() if code != NONE}
    return Assignment(splits=tuple(splits), mode=plan.mode, gap_px=gap, sealed_share=MappingProxyType(shares))


def _require_splits(names: Iterable[str]) -> None:
    wrong = [s for s in names if s not in SPLITS]
    if wrong:
        raise DatasetError(f"no split '{wrong[0]}'", remedy=f"use one of: {', '.join(SPLITS)}")


def _refuse_common_ground(areas: Sequence[Area]) -> None:
    for i, one in enumerate(areas):
        for j, other in enumerate(areas[:i]):
            common = one.polygon.intersection(other.polygon).area if one.split != other.split else 0.0
            if common > _OVERLAP_PX:
                raise DatasetError(
                    f"area {j + 1} ({other.split}) and area {i + 1} ({one.split}) overlap by {common:.0f} px,"
                    f" {common / min(one.polygon.area, other.polygon.area):.1%} of the smaller one",
                    remedy="draw areas of different splits apart",
                )


def _key(chip: Placed) -> tuple[str | float, ...]:
    w = chip.window
    return chip.sheet, w.row, w.col, w.height, w.width, chip.sealed, chip.judged


def _table(chips: Sequence[Placed]) -> _Table:
    judged = np.array([c.judged * c.window.pixels for c in chips], np.float64)
    windows = [c.window for c in chips]
    return _Table(
        sheet_N=np.array([c.sheet for c in chips]),
        edges_N4=np.array([(w.row, w.col, w.stop_row, w.stop_col) for w in windows], np.int64),
        judged_N=judged,
        sealed_N=judged * np.array([c.sealed for c in chips]),
    )


def _plan(table: _Table, spec: SplitSpec) -> _Plan:
    if spec.areas:
        return _plan_of_areas(table, spec.areas)
    sheets = [str(s) for s in np.unique(table.sheet_N)]
    unknown = sorted(set(spec.named) - set(sheets))
    if unknown:
        raise DatasetError(f"no sheet '{unknown[0]}'", remedy=f"sheets are: {', '.join(sheets)}")
    named = dict(spec.named)
    wanted = [s for s in ("val", "test") if s not in named.values()]
    free = [s for s in sheets if s not in named]
    kind = "blocks"
    if not free or not wanted:
        kind = ""
    elif spec.mode == "auto" and len(sheets) == len(free) == 2:
        kind, named, wanted = "sheet+blocks", {free[1]: "test"}, ["val"]
    elif spec.mode == "sheet" and len(free) <= len(wanted):
        raise DatasetError(
            f"{len(free)} sheets cannot be split by sheet into train and {' and '.join(wanted)}",
            remedy="give more sheets, or use the split mode 'blocks' or 'auto'",
        )
    elif spec.mode == "sheet" or (spec.mode == "auto" and len(free) > len(wanted)):
        kind = "sheet"
    settled = np.array([_NAMES.index(named[s]) if s in named else _FREE for s in table.sheet_N.tolist()])
    planned = {*settled[settled != _FREE].tolist(), *(_NAMES.index(s) for s in wanted if free)}
    return _Plan(
        mode="+".join(dict.fromkeys(["named", kind])).strip("+") if spec.named else kind,
        settled_N=settled,
        units=_units(table, settled == _FREE, kind, spec.block_px) if free else None,
        held=tuple(_NAMES.index(s) for s in wanted) if free else (),
        planned=tuple(sorted(planned | ({TRAIN} if free else set()))),
    )


def _units(table: _Table, free_N: NDArray[np.bool_], kind: str, block: int | None) -> draws.Units:
    """Sheets or blocks of the free chips. Raises DatasetError where a block cannot hold a chip."""
    sheets, edges = table.sheet_N[free_N], table.edges_N4[free_N]
    if "blocks" not in kind:
        return draws.sheets_of(sheets, edges)
    if block is not None and block < table.patch:
        raise DatasetError(
            f"blocks of {block} px hold no chip of {table.patch} px",
            remedy=f"use blocks of at least {table.patch} px, better {2 * table.patch}, or a smaller --patch",
        )
    return draws.blocks_of(edges, block or draws.default_block(sheets, edges))


def _plan_of_areas(table: _Table, areas: Sequence[Area]) -> _Plan:
    row, col, stop_row, stop_col = table.edges_N4.T
    s = _ROUNDING_PX
    boxes = shapely.box(col + s, row + s, stop_col - s, stop_row - s)
    given = {code: [a.polygon for a in areas if a.split == _NAMES[code]] for code in (TRAIN, VAL, TEST)}
    everything = shapely.union_all([a.polygon for a in areas])
    shapely.prepare(everything)
    settled = np.full(len(boxes), NONE)
    if not given[TRAIN]:
        settled[~shapely.intersects(everything, boxes)] = TRAIN
    for code, polygons in given.items():
        ground = shapely.union_all(polygons)
        shapely.prepare(ground)
        settled[shapely.contains(ground, boxes)] = code
    planned = {code for code, polygons in given.items() if polygons} | ({TRAIN} & set(settled.tolist()))
    return _Plan(mode="areas", settled_N=settled, planned=tuple(sorted(planned)))


def _candidates(table: _Table, plan: _Plan, seed: int) -> list[NDArray[np.int64]]:
    """Codes of all chips, for each draw; chips that straddle units of different splits have none."""
    units = plan.units
    if units is None:
        return [plan.settled_N]
    count = len(units.centre_U2)
    if count <= len(plan.held):
        raise DatasetError(
            f"{count} blocks cannot be split into train and {' and '.join(_NAMES[h] for h in plan.held)}:"
            f" {int(plan.free_N.sum())} chips of {table.patch} px lie too close",
            remedy="give more sheets, a smaller --patch or smaller blocks, or name sheets for each split",
        )
    weights = np.repeat(table.judged_N[plan.free_N] / 4, 4)
    weight_U = np.bincount(units.at_N4.ravel(), weights=weights, minlength=count).astype(np.float64)
    meaning = np.array([TRAIN, *plan.held])
    found = []
    for draw in draws.draws_of(units, weight_U, len(plan.held), seed):
        corner_N4 = meaning[draw][units.at_N4]
        codes = plan.settled_N.copy()
        codes[plan.free_N] = np.where((corner_N4 == corner_N4[:, :1]).all(axis=1), corner_N4[:, 0], NONE)
        found.append(codes)
    return found


def _gaps(patch: int, spec: SplitSpec) -> tuple[int, ...]:
    """Gaps to try, widest first: small sheets have no room for a whole patch.

    Only 'auto' gives way, and the dataset's record says how far; without a gap chips still never overlap.
    """
    if spec.gap_px is not None:
        return (spec.gap_px,)
    if spec.mode != "auto":
        return (patch + HALO_PX,)
    return patch + HALO_PX, patch, patch // 2, 0


def _best(
    table: _Table, plan: _Plan, candidates: Sequence[NDArray[np.int64]], gap: int, *, room: float
) -> NDArray[np.int64] | None:
    """The candidate with the best score, its gaps emptied; None where none leaves each split enough."""
    pairs = _near(table, plan, gap)
    best, best_score = None, np.inf
    planned = list(plan.planned)
    for placed in candidates:
        kept = gaps.emptied(placed, pairs)
        before = np.bincount(placed, weights=table.judged_N, minlength=4)[planned]
        after = np.bincount(kept, weights=table.judged_N, minlength=4)[planned]
        if (after <= 0).any() or (after < room * before).any():
            continue
        score = _score(table, plan, kept)
        if score < best_score:
            best, best_score = kept, score
    return best


def _near(table: _Table, plan: _Plan, gap: int) -> NDArray[np.int64]:
    """(2, pairs): chips that are too near and that a draw may part; most pairs lie within one sheet or block."""
    home = -1 - plan.settled_N
    if plan.units is not None:
        home[plan.free_N] = plan.units.home_N
    return gaps.near_pairs(table.edges_N4, home, gap)


def _sealed_shares(table: _Table, codes_N: NDArray[np.int64]) -> dict[int, float]:
    """Code → sealed share of the judged pixels, for codes with any."""
    judged = np.bincount(codes_N, weights=table.judged_N, minlength=4)
    sealed = np.bincount(codes_N, weights=table.sealed_N, minlength=4)
    return {code: float(sealed[code] / judged[code]) for code in range(4) if judged[code] > 0}


def _score(table: _Table, plan: _Plan, kept_N: NDArray[np.int64]) -> float:
    """0 is best: by what part of its aim each split misses its sealed share and its size, squared and summed."""
    whole = table.sealed_N.sum() / table.judged_N.sum()
    shares = _sealed_shares(table, kept_N)
    off = [shares[code] / whole - 1 for code in plan.planned if whole > 0]
    if plan.held:
        free = plan.free_N
        sizes = np.bincount(kept_N[free], weights=table.judged_N[free], minlength=4) / table.judged_N[free].sum()
        aims = dict.fromkeys(plan.held, draws.HELD_OUT_SHARE) | {TRAIN: 1 - draws.HELD_OUT_SHARE * len(plan.held)}
        off += [sizes[code] / aim - 1 for code, aim in aims.items()]
    return float(np.square(off).sum())


def _no_room(table: _Table, plan: _Plan, placed_N: NDArray[np.int64], gap: int, spec: SplitSpec) -> DatasetError:
    kept = gaps.emptied(placed_N, _near(table, plan, gap))
    left = np.bincount(kept, weights=table.judged_N, minlength=4)
    empty = _NAMES[next(code for code in plan.planned if left[code] <= 0)]
    given = "larger areas" if spec.areas else "more sheets"
    loosen = ", a smaller gap" if gap else ""
    loosen += " or the split mode 'auto'" if gap and spec.gap_px is None else ""
    named = "" if spec.areas else ", or name sheets for each split"
    return DatasetError(
        f"no chip is left for '{empty}': of {len(kept)} chips of {table.patch} px,"
        f" {int((kept == NONE).sum())} are dropped for gaps of {gap} px between train, val and test",
        remedy=f"give {given}, a smaller --patch{loosen}{named}",
    )
