"""Objects by size: by hand, and against another labelling of the whole."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.unit.evaluation.ground import random_classes

from sealmap.core.confusion import Confusion
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED, Legend
from sealmap.evaluation.objects import LIMITS_M2, SIZES, Objects, ObjectTally, SizeCounts


def border(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    out = np.zeros(shape, np.bool_)
    out[0], out[-1], out[:, 0], out[:, -1] = True, True, True, True
    return out


def counted(
    legend: Legend, truth: NDArray[np.uint8], pred: NDArray[np.uint8], cuts: list[int], pixel_area: float = 1.0
) -> Objects:
    """Rows given in strips that end at ``cuts``."""
    tally = ObjectTally(legend, pixel_area)
    for top, bottom in zip([0, *cuts], [*cuts, len(truth)], strict=True):
        tally.add(truth[top:bottom], pred[top:bottom], border(truth.shape)[top:bottom])
    return tally.close()


def oracle(mask: NDArray[np.bool_], hit: NDArray[np.bool_], pixel_area: float) -> dict[str, list[int]]:
    """Number, found, pixels and hits per size, from scipy's labels of the whole."""
    labels, count = scipy.ndimage.label(mask)
    found = {size: [0, 0, 0, 0] for size in SIZES}
    for i in range(1, count + 1):
        here = labels == i
        pixels, hits = int(here.sum()), int((here & hit).sum())
        size = SIZES[sum(pixels * pixel_area >= limit for limit in LIMITS_M2)]
        if (here & border(mask.shape)).any() and size != "from_500":
            size = "cut"
        found[size] = [a + b for a, b in zip(found[size], [1, hits > pixels / 2, pixels, hits], strict=True)]
    return found


def plain(counts: SizeCounts) -> dict[str, list[int]]:
    columns = (counts.number_S, counts.found_S, counts.area_S, counts.hit_S)
    return {size: [int(c[i]) for c in columns] for i, size in enumerate(SIZES)}


@given(
    st.integers(0, 999), st.sampled_from([SEALED, ROOF_PAVED]), st.lists(st.integers(1, 59), max_size=8, unique=True)
)
@settings(max_examples=40)
def test_strips_of_any_height_count_as_another_labelling_of_the_whole(
    seed: int, legend: Legend, cuts: list[int]
) -> None:
    truth = random_classes(seed, legend, (60, 50))
    pred = random_classes(seed + 1, legend, (60, 50), ignored=0.02)
    found = counted(legend, truth, pred, sorted(cuts), pixel_area=2.0)
    judged = (truth != IGNORE) & (pred != IGNORE)
    sealed, said = legend.sealed_HW(truth) & judged, legend.sealed_HW(pred)
    assert plain(found.kinds["sealed"]) == oracle(sealed, said, 2.0)
    none = np.zeros_like(said)
    assert plain(found.false) == oracle(judged & ~legend.sealed_HW(truth) & said, none, 2.0)
    if legend is ROOF_PAVED:
        assert plain(found.kinds["roof"]) == oracle((truth == 1) & judged, pred == 1, 2.0)
    _, fp, fn, _ = Confusion.of(legend, truth, pred).binary(legend.sealed_ids)
    assert found.false.area_S.sum() == fp
    assert (found.kinds["sealed"].area_S - found.kinds["sealed"].hit_S).sum() == fn


def test_sizes_by_hand() -> None:
    """Of 1 m² pixels: 19, 20 and 100 pixels inside, 12 at the edge; found is what is more than half there."""
    truth = np.zeros((40, 40), np.uint8)
    truth[2, 2:21] = 1  # 19: nothing of it
    truth[4, 2:22] = 1  # 20: just half of it
    truth[10:20, 10:20] = 1  # 100: 51 of it
    truth[30:34, 0:3] = 1  # 12 at the edge: all
    pred = np.zeros_like(truth)
    pred[4, 2:12] = 1
    pred[10:15, 10:20] = 1
    pred[15, 10] = 1
    pred[30:34, 0:3] = 1
    pred[36, 30:35] = 1  # 5 m² of nothing
    found = counted(SEALED, truth, pred, [])
    assert plain(found.kinds["sealed"]) == {
        "below_20": [1, 0, 19, 0],
        "20_to_100": [1, 0, 20, 10],
        "100_to_500": [1, 1, 100, 51],
        "from_500": [0, 0, 0, 0],
        "cut": [1, 1, 12, 12],
    }
    assert plain(found.false)["below_20"] == [1, 0, 5, 0]
    assert "roof" not in found.kinds


def test_what_is_cut_but_large_already_is_large() -> None:
    truth = np.ones((30, 30), np.uint8)
    assert plain(counted(SEALED, truth, truth, [7]).kinds["sealed"])["from_500"] == [1, 1, 900, 900]


def test_diagonal_neighbours_are_two_objects() -> None:
    truth = np.zeros((6, 6), np.uint8)
    truth[2, 2] = truth[3, 3] = 1
    assert plain(counted(SEALED, truth, truth, [3]).kinds["sealed"])["below_20"] == [2, 2, 2, 2]


def test_a_u_is_one_object_though_its_arms_come_first() -> None:
    truth = np.zeros((12, 12), np.uint8)
    truth[2:9, 2] = truth[2:9, 8] = truth[8, 2:9] = 1
    for cuts in ([], [4], [3, 5, 8]):
        assert plain(counted(SEALED, truth, truth, cuts).kinds["sealed"])["20_to_100"][0] == 0
        assert plain(counted(SEALED, truth, truth, cuts).kinds["sealed"])["below_20"] == [1, 1, 19, 19]


def test_objects_add_up() -> None:
    truth = np.zeros((12, 12), np.uint8)
    truth[2:4, 2:4] = 1
    once = counted(ROOF_PAVED, truth, truth, [])
    twice = once + once
    assert plain(twice.kinds["roof"])["below_20"] == [2, 2, 8, 8]
    with pytest.raises(KeyError):
        counted(ROOF_PAVED, truth, truth, []) + counted(SEALED, truth, truth, [])
