from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely

from sealmap.core.grid import Window
from sealmap.core.legend import IGNORE, ROOF_PAVED
from sealmap.dataset.burn import Cause, Labelling
from sealmap.dataset.chips import prepare_chips
from sealmap.dataset.cuts import ChipSpec
from sealmap.dataset.labellers import CadastreLabeller
from sealmap.dataset.rules import apply_rules, load_rules
from sealmap.dataset.split import SplitSpec
from sealmap.dataset.survey import Look, SheetTally, final_labels

CAUSES = tuple(
    Cause(kind=kind, text=text)
    for kind, text in (
        ("outside", ""), ("edge", ""), ("contradiction", ""), ("roof", "Gebäude"), ("paved", "Straße"),
        ("ignore", "Wohnen"), ("unsealed", "Wald"), ("newer", "Gebäude"),
    )
)  # fmt: skip
OUTSIDE, EDGE, _, ROOF, PAVED, PLOT, WOOD, NEWER = range(8)
VALUE = {OUTSIDE: IGNORE, EDGE: IGNORE, ROOF: 1, PAVED: 2, PLOT: IGNORE, WOOD: 0, NEWER: IGNORE}


def look_at(valid: Any, green: Any, grey: Any = None) -> Look:
    return Look(valid_HW=valid, green_HW=green, grey_HW=np.zeros_like(valid) if grey is None else grey)


def burnt_of(cause: Any, veto_of: tuple[int, ...] = (PAVED, PLOT)) -> Labelling:
    label = np.vectorize(VALUE.__getitem__)(cause).astype(np.uint8)
    return Labelling(label_HW=label, veto_HW=np.isin(cause, veto_of), cause_HW=cause.astype(np.uint16))


def tally_of(cause: Any, look: Look, gsd: float = 1.0) -> Any:
    burnt = burnt_of(cause)
    tally = SheetTally(legend=ROOF_PAVED, causes=CAUSES, gsd_m=gsd)
    height, width = cause.shape
    for row in range(0, height, 8):  # in strips, as sheets come
        part = slice(row, row + 8), slice(None)
        piece, seen = burnt.part(part), look.part(part)
        keep = Window(row=row, col=0, height=piece.label_HW.shape[0], width=width)
        tally.add(keep, piece, final_labels(piece, seen), seen)
    return tally.finish("s", 0.1, np.zeros(4, np.int64), lambda _col, _row, _cause: "")


def test_labels_and_reasons_add_up_to_the_sheet() -> None:
    rng = np.random.default_rng(0)
    cause = rng.choice([OUTSIDE, EDGE, ROOF, PAVED, PLOT, WOOD, NEWER], (24, 30))
    valid, green = rng.random((24, 30)) > 0.1, rng.random((24, 30)) > 0.5
    found = tally_of(cause, look_at(valid, green), gsd=0.2)
    px = 0.04
    assert found.area_m2 == pytest.approx(24 * 30 * px)
    assert sum(found.label_m2.values()) + sum(i.area_m2 for i in found.ignored) == pytest.approx(found.area_m2)
    why = {(i.kind, i.text): i.area_m2 for i in found.ignored}
    seen = cause[valid]
    assert why["nodata", ""] == pytest.approx((~valid).sum() * px)
    assert why["outside", ""] == pytest.approx((seen == OUTSIDE).sum() * px)
    assert why["edge", ""] == pytest.approx((seen == EDGE).sum() * px)
    assert why["newer", "Gebäude"] == pytest.approx((seen == NEWER).sum() * px)
    assert why["vegetation", "Straße"] == pytest.approx(((cause == PAVED) & valid & green).sum() * px)
    assert why["rule", "Wohnen"] == pytest.approx(((cause == PLOT) & valid & ~green).sum() * px)
    assert found.recovered_m2 == pytest.approx(((cause == PLOT) & valid & green).sum() * px)
    assert found.label_m2["roof"] == pytest.approx((seen == ROOF).sum() * px)
    assert found.label_m2["background"] == pytest.approx((seen == WOOD).sum() * px + found.recovered_m2)


def test_a_disagreement_is_one_place_however_the_sheet_is_cut() -> None:
    cause = np.full((40, 40), WOOD)
    cause[4:30, 4:16] = ROOF
    green = np.zeros((40, 40), bool)
    green[6:28, 6:14] = True  # over three strips
    green[33, 20] = True
    grey = np.zeros((40, 40), bool)
    grey[20:30, 25:35] = True
    grey[2:5, 30:33] = True  # 9 m²: too small to be told
    found = tally_of(cause, look_at(np.ones((40, 40), bool), green, grey)).candidates
    assert [(c.kind, c.text, c.area_m2) for c in found] == [
        ("roof_green", "Gebäude", 22 * 8.0),
        ("unsealed_grey", "Wald", 100.0),
    ]
    assert found[0].polygon.equals(shapely.box(6, 6, 14, 28))
    assert found[1].polygon.equals(shapely.box(25, 20, 35, 30))


def test_every_pixel_of_every_sheet_is_counted_once(fakes: Any, tmp_path: Any) -> None:
    """Overlapping chips, padded chips and chips in gaps: the square metres are those of the sheets."""
    mosaic = fakes.row_of_sheets(3, 150)
    mosaic.pixels[:] = 100
    g = mosaic.grid
    shapes = fakes.shapes_of(
        (fakes.box_px(g, 10, 10, 60, g.width - 20), "building", "Gebäude", "Wohnhaus"),
        (fakes.box_px(g, 80, 0, 70, g.width), "use", "Wald", ""),
    )
    labeller = CadastreLabeller.on(apply_rules(load_rules("alkis_nrw"), shapes), ROOF_PAVED, g)
    made = prepare_chips(
        mosaic, labeller, tmp_path / "chips", ChipSpec(patch=64, overlap=16, split=SplitSpec(mode="sheet", gap_px=20))
    )
    assert made.split.dropped > 0
    whole = labeller.label(g.window).label_HW
    px = g.pixel_area_m2
    for i, sheet in enumerate(made.sheets):
        part = whole[:, 150 * i : 150 * (i + 1)]
        assert sheet.area_m2 == pytest.approx(150 * 150 * px)
        assert sheet.label_m2["roof"] == pytest.approx((part == 1).sum() * px)
        assert sheet.label_m2["background"] == pytest.approx((part == 0).sum() * px)
        assert sum(x.area_m2 for x in sheet.ignored) == pytest.approx((part == IGNORE).sum() * px)
    grey_wood = [c for s in made.sheets for c in s.candidates if c.kind == "unsealed_grey"]
    assert len(grey_wood) == 3  # all is grey, the wood of each sheet, too
    assert {c.oid for c in grey_wood} == {"oid1"}
