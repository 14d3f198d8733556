"""Boundary IoU against a count of distances pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit.evaluation.ground import random_classes

from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED, Legend
from sealmap.evaluation.boundary import LEAST_JUDGED, WIDTH_PX, BoundaryCounts, band


def brute(
    legend: Legend, truth: NDArray[np.uint8], pred: NDArray[np.uint8], counted: NDArray[np.bool_]
) -> dict[str, list[int]]:
    """Every pixel, every neighbour."""
    groups: dict[str, tuple[int, ...]] = {"sealed": legend.sealed_ids}
    groups |= {c.key: (c.id,) for c in legend.classes if c.key != "sealed"}
    found = {key: [0, 0] for key in groups}
    height, width = truth.shape
    for r in range(height):
        for c in range(width):
            near = [(r + i, c + j) for i in range(-WIDTH_PX, WIDTH_PX + 1) for j in range(-WIDTH_PX, WIDTH_PX + 1)]
            inside = all(0 <= i < height and 0 <= j < width for i, j in near)
            if not counted[r, c] or not inside or any(IGNORE in (truth[p], pred[p]) for p in near):
                continue
            for key, ids in groups.items():
                on = [bool(m[r, c] in ids and any(m[p] not in ids for p in near)) for m in (truth, pred)]
                found[key][0] += all(on)
                found[key][1] += any(on)
    return found


@given(st.integers(0, 999), st.sampled_from([SEALED, ROOF_PAVED]))
@settings(max_examples=15)
def test_the_bands_are_those_of_a_naive_count(seed: int, legend: Legend) -> None:
    truth = random_classes(seed, legend, (21, 24), ignored=0.004)
    pred = np.roll(truth, seed % 4, axis=1)
    counted = np.random.default_rng(seed).random(truth.shape) < 0.8
    found = BoundaryCounts.of(legend, truth, pred, counted)
    expected = brute(legend, truth, pred, counted)
    assert found.counts_U2.tolist() == list(expected.values())
    assert list(found.iou()) == list(expected)


def square(size: int, low: int, high: int) -> NDArray[np.uint8]:
    out = np.zeros((size, size), np.uint8)
    out[low:high, low:high] = 1
    return out


def test_a_square_one_pixel_aside_is_known_by_hand() -> None:
    """20 × 20 pixels have a band of 20² − 14² = 204, three pixels wide."""
    truth, pred = square(40, 10, 30), np.roll(square(40, 10, 30), 1, axis=1)
    found = BoundaryCounts.of(SEALED, truth, pred, np.ones((40, 40), np.bool_))
    assert [int(band(m.astype(np.bool_)).sum()) for m in (truth, pred)] == [204, 204]
    both = 2 * 3 * 19 + 2 * (3 - 1) * (20 - 6)  # two rows of three over 19 common columns, two sides of two
    assert found.counts_U2[0].tolist() == [both, 408 - both]
    assert found.iou()["sealed"] == pytest.approx(both / (408 - both))


def test_equal_masks_have_one_and_apart_masks_zero() -> None:
    here = square(40, 10, 20)
    everywhere = np.ones(here.shape, np.bool_)
    assert BoundaryCounts.of(SEALED, here, here, everywhere).iou() == {"sealed": 1.0, "background": 1.0}
    assert BoundaryCounts.of(SEALED, here, square(40, 22, 32), everywhere).iou()["sealed"] == 0.0
    none = np.zeros_like(here)
    assert math.isnan(BoundaryCounts.of(SEALED, none, none, everywhere).iou()["sealed"])


def test_what_is_near_the_unknown_is_not_judged() -> None:
    truth = square(40, 10, 30)
    truth[15, 10] = IGNORE  # on the contour
    found = BoundaryCounts.of(SEALED, truth, square(40, 10, 30), np.ones((40, 40), np.bool_))
    lost = 7 * 3 + 1  # rows 12..18 of the band's columns 10..12, and of column 13 the row 12
    assert found.counts_U2[0].tolist() == [204 - lost, 204 - lost]


@given(st.integers(0, 999), st.integers(4, 40), st.integers(4, 40))
@settings(max_examples=30)
def test_windows_with_a_margin_add_up(seed: int, rows: int, cols: int) -> None:
    truth = np.pad(random_classes(seed, ROOF_PAVED, (44, 44), 0.003), WIDTH_PX, constant_values=IGNORE)
    pred = np.roll(truth, 1, axis=0)
    everywhere = np.ones(truth.shape, np.bool_)
    total = BoundaryCounts.zero(ROOF_PAVED)
    for top in range(0, 44, rows):
        for left in range(0, 44, cols):
            part = slice(top, top + rows + 2 * WIDTH_PX), slice(left, left + cols + 2 * WIDTH_PX)
            counted = np.zeros(truth[part].shape, np.bool_)
            counted[WIDTH_PX:-WIDTH_PX, WIDTH_PX:-WIDTH_PX] = True
            total += BoundaryCounts.of(ROOF_PAVED, truth[part], pred[part], counted)
    whole = BoundaryCounts.of(ROOF_PAVED, truth, pred, everywhere)
    assert total.counts_U2.tolist() == whole.counts_U2.tolist()
    assert total.outline_U2.tolist() == whole.outline_U2.tolist()


def ringed(ring: int) -> NDArray[np.uint8]:
    """A square of 20 × 20 pixels whose labels leave ``ring`` pixels open on each side of its edge."""
    truth = square(60, 20, 40)
    edge = square(60, 20 - ring, 40 + ring) - square(60, 20 + ring, 40 - ring)
    truth[edge == 1] = IGNORE
    return truth


@pytest.mark.parametrize("ring", [1, 2, 4])
def test_labels_that_ignore_the_surroundings_of_edges_have_no_boundary_iou(ring: int) -> None:
    """A perfect map, and one with a false blob: neither can be told from the other by outlines that nobody judged."""
    truth, perfect = ringed(ring), square(60, 20, 40)
    blob = perfect.copy()
    blob[5:10, 5:10] = 1
    everywhere = np.ones(truth.shape, np.bool_)
    for pred in (perfect, blob):
        found = BoundaryCounts.of(SEALED, truth, pred, everywhere)
        assert found.judged()["sealed"] == 0
        assert math.isnan(found.iou()["sealed"])
    known = BoundaryCounts.of(SEALED, perfect, blob, everywhere)
    assert known.judged()["sealed"] == 1
    assert known.iou()["sealed"] == pytest.approx(204 / (204 + 25))


@pytest.mark.parametrize(("rows", "score"), [(8, 1.0), (15, math.nan)])
def test_boundary_iou_is_given_where_half_of_the_true_outline_is_judged(rows: int, score: float) -> None:
    truth, pred = square(60, 20, 40), square(60, 20, 40)
    truth[20 : 20 + rows, 17:43] = np.where(truth[20 : 20 + rows, 17:43] == 1, 1, IGNORE)
    found = BoundaryCounts.of(SEALED, truth, pred, np.ones(truth.shape, np.bool_))
    assert math.isnan(score) == (found.judged()["sealed"] < LEAST_JUDGED)
    assert found.iou()["sealed"] == pytest.approx(score, nan_ok=True)


def test_the_edge_of_all_ground_is_no_outline() -> None:
    truth = np.zeros((40, 40), np.uint8)
    truth[:, 20:] = 1
    found = BoundaryCounts.of(SEALED, truth, truth, np.ones(truth.shape, np.bool_))
    assert found.judged() == {"sealed": 1, "background": 1}
    assert found.outline_U2[0].tolist() == [3 * 34, 3 * 34]


def test_inventions_where_nothing_is_true_have_no_iou_but_zero() -> None:
    nothing = np.zeros((40, 40), np.uint8)
    found = BoundaryCounts.of(SEALED, nothing, square(40, 10, 30), np.ones((40, 40), np.bool_))
    assert math.isnan(found.judged()["sealed"])
    assert found.iou()["sealed"] == 0


def test_counts_that_are_none_are_refused() -> None:
    good, bad = np.array([[1, 2], [0, 0]], np.int64), np.array([[2, 1], [0, 0]], np.int64)
    with pytest.raises(ValueError, match="none of both and any"):
        BoundaryCounts(legend=SEALED, counts_U2=bad, outline_U2=good)
    with pytest.raises(ValueError, match="none of judged and all"):
        BoundaryCounts(legend=SEALED, counts_U2=good, outline_U2=bad)
    with pytest.raises(ValueError, match="different legends"):
        BoundaryCounts.zero(SEALED) + BoundaryCounts.zero(ROOF_PAVED)
