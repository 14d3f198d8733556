"""Scores against what one would count by hand."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sealmap.core.errors import DatasetError
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED, Legend
from sealmap.evaluation.pictures import INVENTED, MISSED, MIXED, RIGHT, UNKNOWN, choose, errors, panel
from sealmap.evaluation.scores import Window, evaluate_windows, score_chips, to_json


@dataclass(frozen=True)
class Place:
    name: str
    sheet: str
    row: int
    col: int


@dataclass
class Sheets:
    """Chips cut from whole sheets of truth; the pixels hold what the model is going to say."""

    legend: Legend
    truth: dict[str, NDArray[np.uint8]]
    said: dict[str, NDArray[np.uint8]]
    chips: list[Place] = field(default_factory=list)
    side: int = 24

    def __len__(self) -> int:
        return len(self.chips)

    def read(self, index: int, /) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        c = self.chips[index]
        here = slice(c.row, c.row + self.side), slice(c.col, c.col + self.side)
        return self.said[c.sheet][here][None].repeat(3, axis=0), self.truth[c.sheet][here]


def sheets(seed: int, legend: Legend, names: str = "ab", size: int = 80, side: int = 24) -> Sheets:
    rng = np.random.default_rng(seed)
    classes = np.array([*range(len(legend)), IGNORE], np.uint8)
    truth = {n: rng.choice(classes, (size, size)) for n in names}
    said = {}
    for n in names:
        other = rng.choice(classes[:-1], (size, size))
        said[n] = np.where((rng.random((size, size)) < 0.7) & (truth[n] != IGNORE), truth[n], other).astype(np.uint8)
    return Sheets(legend, truth, said, side=side)


def say(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    out: NDArray[np.uint8] = pixels[0]
    return out


def naive(truth: NDArray[Any], said: NDArray[Any], legend: Legend) -> dict[str, float]:
    judged = truth != IGNORE
    t, p = legend.sealed_HW(truth)[judged], legend.sealed_HW(said)[judged]
    tp, fp, fn = (t & p).sum(), (~t & p).sum(), (t & ~p).sum()
    return {
        "iou": tp / (tp + fp + fn), "f1": 2 * tp / (2 * tp + fp + fn), "precision": tp / (tp + fp),
        "recall": tp / (tp + fn), "area_bias": p.sum() / t.sum() - 1,
    }  # fmt: skip


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
    found = evaluate_windows(score_chips(chips, say), pixel_area_m2=0.04)
    truth = np.concatenate([chips.truth[n][covered[n]] for n in "ab"])
    said = np.concatenate([chips.said[n][covered[n]] for n in "ab"])
    expected = np.zeros((len(legend), len(legend)), int)
    for t, p in zip(truth[truth != IGNORE], said[truth != IGNORE], strict=True):
        expected[t, p] += 1
    np.testing.assert_array_equal(found.total.counts_KK, expected)


def tiled(seed: int = 1, legend: Legend = ROOF_PAVED, names: str = "abcd") -> Sheets:
    chips = sheets(seed, legend, names, size=96)
    chips.chips = [Place(f"{n}{r}{c}", n, r, c) for n in names for r in range(0, 96, 24) for c in range(0, 96, 24)]
    return chips


def test_scores_are_what_one_counts_by_hand() -> None:
    chips = tiled()
    found = evaluate_windows(score_chips(chips, say), pixel_area_m2=0.04)
    truth, said = (np.concatenate([d[n] for n in "abcd"]) for d in (chips.truth, chips.said))
    for name, value in naive(truth, said, ROOF_PAVED).items():
        assert found.scores["sealed"][name].value == pytest.approx(value), name
    judged = truth != IGNORE
    assert found.accuracy == pytest.approx((truth == said)[judged].mean())
    roof = (truth == 1)[judged], (said == 1)[judged]
    assert found.scores["roof"]["iou"].value == pytest.approx((roof[0] & roof[1]).sum() / (roof[0] | roof[1]).sum())
    by_sheet = {n: naive(chips.truth[n], chips.said[n], ROOF_PAVED)["iou"] for n in "abcd"}
    for n, counts in found.by_sheet.items():
        assert counts.scores((1, 2))["iou"] == pytest.approx(by_sheet[n])
    plain = to_json(found)
    assert plain["sealed_m2"]["truth"] == pytest.approx(np.isin(truth, (1, 2)).sum() * 0.04, abs=0.06)
    assert plain["sealed_m2"]["predicted"] == pytest.approx(np.isin(said, (1, 2))[judged].sum() * 0.04, abs=0.06)


def test_intervals_hold_the_value_and_come_back_with_the_seed() -> None:
    windows = score_chips(tiled(), say)
    found, again = (evaluate_windows(windows, pixel_area_m2=1, seed=s) for s in (1, 1))
    assert found.blocks == 4
    assert found.scores == again.scores
    for row in found.scores.values():
        for i in row.values():
            assert i.low <= i.value <= i.high
            assert i.low < i.high


def test_blocks_that_differ_widen_the_interval() -> None:
    alike = tiled()
    unlike = tiled()
    unlike.said["a"] = np.zeros_like(unlike.said["a"])
    width = [
        (i := evaluate_windows(score_chips(c, say), pixel_area_m2=1).scores["sealed"]["iou"]).high - i.low
        for c in (alike, unlike)
    ]
    assert width[1] > 5 * width[0]


def test_two_blocks_have_no_interval() -> None:
    found = evaluate_windows(score_chips(tiled(names="ab"), say), pixel_area_m2=1)
    i = found.scores["sealed"]["iou"]
    assert math.isfinite(i.value)
    assert math.isnan(i.low)
    assert math.isnan(i.high)


@pytest.mark.parametrize("names", ["a", "abcd"])
@pytest.mark.parametrize("value", [0, 1, None])
def test_json_has_no_nan(names: str, value: int | None) -> None:
    chips = tiled(names=names)
    if value is not None:  # nothing sealed, or no paving: scores that are undefined
        chips.truth = {n: np.full_like(t, value) for n, t in chips.truth.items()}
        chips.said = dict(chips.truth)
    found = evaluate_windows(score_chips(chips, say), pixel_area_m2=1)
    text = json.dumps(to_json(found), allow_nan=False)
    back = json.loads(text)
    assert back["legend"] == "roof_paved"
    assert back["pixels"] == found.total.pixels
    assert np.array(back["confusion"]["truth_by_prediction"]).sum() == back["pixels"]


def test_chips_without_labels_are_refused() -> None:
    chips = tiled(names="a")
    chips.truth["a"][:] = IGNORE
    with pytest.raises(DatasetError, match="no pixel of these chips has a label →"):
        score_chips(chips, say)


# --- pictures ---


def test_the_worst_windows_are_shown() -> None:
    chips = tiled()
    chips.said["a"][:24, :24] = np.where(chips.truth["a"][:24, :24] == 0, 1, 0)
    windows = score_chips(chips, say)
    shown = choose(windows, 6)
    assert len(shown) == 6
    assert shown[0].name == "a00"
    assert len({w.name for w in shown}) == 6
    assert len(choose(windows[:2], 24)) == 2


def test_errors_have_their_colours() -> None:
    truth = np.array([[0, 1, 0, 1, 1, IGNORE]], np.uint8)
    said = np.array([[0, 0, 1, 2, 1, 1]], np.uint8)
    found = [tuple(v) for v in errors(truth, said, ROOF_PAVED)[0].tolist()]
    assert found == [RIGHT, MISSED, INVENTED, MIXED, RIGHT, UNKNOWN]


def test_a_panel_is_four_pictures_wide() -> None:
    window: Window = score_chips(tiled(), say)[0]
    assert panel(window, 255.0).shape == (24, 96, 3)
