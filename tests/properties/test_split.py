"""Held out means held out: whatever the layout, mode and seed, no two splits come nearer than the gap."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import event, given, settings
from hypothesis import strategies as st

from sealmap.core.errors import DatasetError
from sealmap.core.grid import Window
from sealmap.dataset.split import SPLITS, Area, Assignment, Placed, SplitSpec, assign_splits

SIDE = 400


@st.composite
def layouts(draw: st.DrawFn) -> list[Placed]:
    """Sheets of a lattice, some of them shifted into or away from their neighbours; chips cut from left to right."""
    patch = draw(st.sampled_from([40, 50, 64]))
    step = draw(st.integers(patch // 2, patch + 20))
    cells = st.tuples(st.integers(0, 3), st.integers(0, 3))
    found = []
    for row, col in sorted(draw(st.sets(cells, min_size=1, max_size=6))):
        side = draw(st.integers(patch, SIDE))
        shift = draw(st.integers(-40, 40)) if draw(st.booleans()) else 0
        top, left = row * SIDE - shift, col * SIDE + shift
        starts = [*range(0, side - patch, step), side - patch]
        sealed, judged = draw(st.floats(0, 1)), draw(st.floats(0.1, 1))
        found += [
            Placed(
                sheet=f"{row}_{col}",
                window=Window(row=top + r, col=left + c, height=patch, width=patch),
                sealed=sealed * (r + 1) / (side + 1),
                judged=judged,
            )
            for r in starts
            for c in starts
        ]
    return found


@st.composite
def areas(draw: st.DrawFn) -> tuple[Area, ...]:
    """Discs, one for each split that has one, on three different thirds of the layout."""
    thirds = draw(st.permutations([0, 1, 2]))
    count = draw(st.integers(1, 3))
    return tuple(
        Area(split=split, polygon=shapely.Point(530 * third + 265, draw(st.integers(0, 1600))).buffer(255))
        for split, third in zip(draw(st.permutations(SPLITS))[:count], thirds, strict=False)
    )


@st.composite
def specs(draw: st.DrawFn, sheets: list[str]) -> SplitSpec:
    mode = draw(st.sampled_from(["auto", "sheet", "blocks", "areas"]))
    some = st.dictionaries(st.sampled_from(sheets), st.sampled_from(SPLITS), max_size=2)
    return SplitSpec(
        mode=mode,
        seed=draw(st.integers(0, 5)),
        named={} if mode == "areas" else draw(some),
        gap_px=draw(st.one_of(st.none(), st.integers(0, 200))),
        block_px=draw(st.one_of(st.none(), st.integers(64, 400))),
        areas=draw(areas()) if mode == "areas" else (),
    )


def split(chips: list[Placed], spec: SplitSpec) -> Assignment | None:
    try:
        found = assign_splits(chips, spec)
    except DatasetError:
        event(f"refused: {spec.mode}")
        return None
    event(f"{found.mode}: {len(set(found.splits) - {''})} splits")
    return found


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_two_splits_are_nearer_than_the_gap(data: st.DataObject) -> None:
    chips = data.draw(layouts())
    spec = data.draw(specs(sorted({c.sheet for c in chips})))
    found = split(chips, spec)
    if found is None:
        return
    assert len(found.splits) == len(chips)
    assert set(found.splits) <= {"", *SPLITS}
    assert found.gap_px == spec.gap_px or spec.gap_px is None
    kinds = np.array(found.splits)
    boxes = shapely.box(
        *np.array([(c.window.col, c.window.row, c.window.stop_col, c.window.stop_row) for c in chips]).T
    )
    for loose, strict in (("train", "val"), ("train", "test"), ("val", "test")):
        mine, other = boxes[kinds == loose], boxes[kinds == strict]
        if len(mine) and len(other):
            assert shapely.distance(mine[:, None], other).min() >= found.gap_px
            inner = shapely.union_all(mine).intersection(shapely.union_all(other))
            assert inner.area == 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_order_of_chips_decides_nothing(data: st.DataObject) -> None:
    chips = data.draw(layouts())
    spec = data.draw(specs(sorted({c.sheet for c in chips})))
    found = split(chips, spec)
    again = split(chips, spec)
    assert found == again
    order = data.draw(st.permutations(range(len(chips))))
    shuffled = split([chips[i] for i in order], spec)
    if found is None:
        assert shuffled is None
        return
    assert shuffled is not None
    assert shuffled.splits == tuple(found.splits[i] for i in order)
    assert (shuffled.gap_px, shuffled.sealed_share) == (found.gap_px, found.sealed_share)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_a_planned_split_is_never_empty(data: st.DataObject) -> None:
    chips = data.draw(layouts())
    spec = data.draw(specs(sorted({c.sheet for c in chips})))
    found = split(chips, spec)
    if found is None:
        return
    there = set(found.splits) - {""}
    if spec.areas:
        assert there >= {a.split for a in spec.areas}
    elif {c.sheet for c in chips} <= set(spec.named):
        assert there == set(spec.named.values())
    else:
        assert there == set(SPLITS)
    assert set(found.sealed_share) == there
    for name, share in found.sealed_share.items():
        mine = [c for c, s in zip(chips, found.splits, strict=True) if s == name]
        judged = np.array([c.judged * c.window.pixels for c in mine])
        np.testing.assert_allclose(share, np.average([c.sealed for c in mine], weights=judged), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_named_sheets_get_no_other_split(data: st.DataObject) -> None:
    chips = data.draw(layouts())
    spec = data.draw(specs(sorted({c.sheet for c in chips})))
    found = split(chips, spec)
    if found is None:
        return
    for chip, got in zip(chips, found.splits, strict=True):
        if chip.sheet in spec.named:
            assert got in {"", spec.named[chip.sheet]}


@settings(max_examples=60, deadline=None)
@given(layouts(), st.integers(-5000, 5000), st.integers(-5000, 5000))
def test_only_places_beside_each_other_matter(chips: list[Placed], rows: int, cols: int) -> None:
    """A larger mosaic moves all windows; the split stays."""
    moved = [Placed(sheet=c.sheet, window=c.window.shift(rows, cols), sealed=c.sealed, judged=c.judged) for c in chips]
    here, there = split(chips, SplitSpec(mode="blocks")), split(moved, SplitSpec(mode="blocks"))
    assert here == there
