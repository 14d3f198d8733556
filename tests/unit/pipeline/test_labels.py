from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from sealmap.dataset.rules import LABELS, load_rules, rule_table_names
from sealmap.pipeline.labels import RULES, _overlaps, _sums

SIDE = 16
PAINTED = (("unsealed",), ("paved", "sealed"), ("roof",), ("ignore",))
"""Labels from the bottom to the top."""


@st.composite
def boxes(draw: st.DrawFn) -> dict[str, list[tuple[int, int, int, int]]]:
    """Some boxes of each label on whole metres, now and then beyond the image of SIDE × SIDE metres."""
    edge = st.integers(-4, SIDE + 4)
    side = st.integers(1, 9)
    box = st.tuples(edge, edge, side, side).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
    return {label: draw(st.lists(box, max_size=3)) for label in LABELS}


def painted(drawn: list[tuple[int, int, int, int]]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """True where the image is covered, one pixel per square metre."""
    found = np.zeros((SIDE, SIDE), np.bool_)
    for x0, y0, x1, y1 in drawn:
        found[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = True
    return found


@given(drawn=boxes())
def test_square_metres_are_those_that_painting_leaves(drawn: dict[str, list[tuple[int, int, int, int]]]) -> None:
    shapes = {label: [shapely.box(*b) for b in found] for label, found in drawn.items()}
    sums = {s.label: s for s in _sums(shapes, shapely.box(0, 0, SIDE, SIDE))}
    covered = np.zeros((SIDE, SIDE), np.bool_)
    for level in reversed(PAINTED):
        masks = [painted(drawn[label]) for label in level]
        for label, mask in zip(level, masks, strict=True):
            assert sums[label].area_m2 == pytest.approx((mask & ~covered).sum(), abs=1e-6)
            assert sums[label].polygons == len(drawn[label])
        covered |= np.any(masks, axis=0)


@given(drawn=boxes())
def test_overlaps_are_counted_once_per_pair(drawn: dict[str, list[tuple[int, int, int, int]]]) -> None:
    inside = {label: [b for b in found if min(b) >= 0 and max(b) <= SIDE] for label, found in drawn.items()}
    found = {o.labels: o.area_m2 for o in _overlaps({k: [shapely.box(*b) for b in v] for k, v in inside.items()})}
    for one, other in (("roof", "paved"), ("roof", "sealed"), ("paved", "sealed")):
        both = painted(inside[one]) & painted(inside[other])
        assert found.get((one, other), 0.0) == pytest.approx(both.sum(), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("roof", "roof"), ("Dach", "roof"), ("paved", "paved"), ("befestigt", "paved"), ("sealed", "sealed"),
        ("Versiegelt", "sealed"), ("unsealed", "unsealed"), ("unversiegelt", "unsealed"), ("ignore", "ignore"),
        ("unbekannt", "ignore"),
    ],
)  # fmt: skip
def test_words_mean_labels_in_both_languages(text: str, label: str) -> None:
    rule = load_rules(RULES).match("layer", text, "")
    assert rule is not None
    assert rule.label == label
    assert (rule.buffer_m, rule.edge_ignore_m, rule.vegetation_veto) == (0, 0, False)


@pytest.mark.parametrize("text", ["", "dahc", "roofs", "Dach und Hof"])
def test_other_words_mean_nothing(text: str) -> None:
    assert load_rules(RULES).match("layer", text, "") is None


def test_what_was_drawn_lies_above_every_cadastre_and_in_the_order_of_drawing() -> None:
    table = load_rules(RULES)
    level = {rule.label: rule.priority for rule in table.rules}
    assert level["unsealed"] < level["paved"] == level["sealed"] < level["roof"] < level["ignore"]
    cadastre = [rule.priority for name in rule_table_names() if name != RULES for rule in load_rules(name).rules]
    assert max(cadastre) < min(level.values())
    assert table.newer_than_flight is None
