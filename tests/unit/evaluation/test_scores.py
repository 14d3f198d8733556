"""Scores against what one would count by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.evaluation.ground import Sheets, say, tiled

from sealmap.core.legend import IGNORE, ROOF_PAVED, Legend
from sealmap.evaluation.bootstrap import BIAS, RESAMPLES, SHARE, draws, interval, widening
from sealmap.evaluation.scores import Evaluation, evaluate_windows, to_json
from sealmap.evaluation.windows import ChipObjects, score_chips


def evaluated(chips: Sheets, *, pixel_area_m2: float = 1.0, seed: int = 1) -> Evaluation:
    return evaluate_windows(score_chips(chips, say, chips.judge), pixel_area_m2=pixel_area_m2, seed=seed)


def naive(truth: NDArray[Any], said: NDArray[Any], legend: Legend) -> dict[str, float]:
    judged = truth != IGNORE
    t, p = legend.sealed_HW(truth)[judged], legend.sealed_HW(said)[judged]
    tp, fp, fn = (t & p).sum(), (~t & p).sum(), (t & ~p).sum()
    return {
        "iou": tp / (tp + fp + fn), "f1": 2 * tp / (2 * tp + fp + fn), "precision": tp / (tp + fp),
        "recall": tp / (tp + fn), "area_bias": p.sum() / t.sum() - 1, "accuracy": (t == p).mean(),
        "area_bias_m2": 0.04 * (int(p.sum()) - int(t.sum())),
    }  # fmt: skip


def test_scores_are_what_one_counts_by_hand() -> None:
    chips = tiled()
    found = evaluated(chips, pixel_area_m2=0.04)
    truth, said = (np.concatenate([d[n] for n in "abcd"]) for d in (chips.truth, chips.said))
    for name, value in naive(truth, said, ROOF_PAVED).items():
        assert found.scores["sealed"][name].value == pytest.approx(value), name
    judged = truth != IGNORE
    assert found.total.counts.accuracy == pytest.approx((truth == said)[judged].mean())
    roof = (truth == 1)[judged], (said == 1)[judged]
    assert found.scores["roof"]["iou"].value == pytest.approx((roof[0] & roof[1]).sum() / (roof[0] | roof[1]).sum())
    for n, part in found.by_sheet.items():
        by_hand = naive(chips.truth[n], chips.said[n], ROOF_PAVED)
        assert part.scores["sealed"]["iou"].value == pytest.approx(by_hand["iou"])
        assert part.scores["sealed"]["area_bias_m2"].value == pytest.approx(by_hand["area_bias_m2"])
    plain = to_json(found)
    assert plain["sealed_m2"]["truth"] == pytest.approx(np.isin(truth, (1, 2)).sum() * 0.04, abs=0.06)
    assert plain["sealed_m2"]["predicted"] == pytest.approx(np.isin(said, (1, 2))[judged].sum() * 0.04, abs=0.06)
    roofs = plain["by_class"]["roof"]
    assert roofs["m2"] == pytest.approx(roof[0].sum() * 0.04, abs=0.06)
    assert roofs["share"] == pytest.approx(np.isin(said, (1, 2))[truth == 1].mean(), abs=1e-5)
    assert plain["judged_m2"] == pytest.approx(judged.sum() * 0.04, abs=0.06)


def test_intervals_hold_the_value_and_come_back_with_the_seed() -> None:
    found, again = (evaluated(tiled(), seed=s) for s in (1, 1))
    assert found.total.blocks == 4
    assert json.dumps(to_json(found)) == json.dumps(to_json(again))
    assert json.dumps(to_json(found)) != json.dumps(to_json(evaluated(tiled(), seed=2)))
    assert "boundary_iou" in found.scores["sealed"]
    for row in found.scores.values():
        for name, i in row.items():
            if name == "boundary_iou":
                continue  # of noise that is unknown here and there no contour is judged
            assert i.low <= i.value <= i.high
            assert i.low < i.high


def test_boundary_iou_has_an_interval_too() -> None:
    chips = tiled()
    for n in "abcd":
        chips.truth[n] = np.kron(np.arange(64).reshape(8, 8) % 3, np.ones((12, 12))).astype(np.uint8)
        chips.said[n] = np.roll(chips.truth[n], 1 + "abcd".index(n) % 3, axis=0)
    i = evaluated(chips).scores["sealed"]["boundary_iou"]
    assert 0 < i.low < i.value < i.high < 1


def test_blocks_that_differ_widen_the_interval() -> None:
    alike = tiled()
    unlike = tiled()
    unlike.said["a"] = np.zeros_like(unlike.said["a"])
    width = [(i := evaluated(c).scores["sealed"]["iou"]).high - i.low for c in (alike, unlike)]
    assert width[1] > 5 * width[0]


def test_two_blocks_have_no_interval() -> None:
    i = evaluated(tiled(names="ab")).scores["sealed"]["iou"]
    assert math.isfinite(i.value)
    assert math.isnan(i.low)
    assert math.isnan(i.high)


def test_a_block_without_labels_is_none() -> None:
    chips = tiled()
    chips.truth["d"][:] = IGNORE
    found = evaluated(chips)
    assert found.total.blocks == 3
    assert to_json(found)["by_sheet"]["d"]["iou"] is None


@pytest.mark.parametrize("names", ["a", "abcd"])
@pytest.mark.parametrize("value", [0, 1, None])
def test_json_has_no_nan(names: str, value: int | None) -> None:
    chips = tiled(names=names)
    if value is not None:  # nothing sealed, or no paving: scores that are undefined
        chips.truth = {n: np.full_like(t, value) for n, t in chips.truth.items()}
        chips.said = dict(chips.truth)
    objects = ChipObjects(ROOF_PAVED, 1.0)
    windows = score_chips(chips, say, chips.judge, observers=[objects])
    found = evaluate_windows(windows, pixel_area_m2=1)
    back = json.loads(json.dumps(to_json(found, objects.found), allow_nan=False))
    assert back["schema"] == 3
    assert set(back["boundary_judged"]) == set(back["scores"])
    assert back["legend"] == "roof_paved"
    assert back["pixels"] == found.total.counts.pixels
    assert np.array(back["confusion"]["truth_by_prediction"]).sum() == back["pixels"]
    false = sum(v["m2"] for v in back["objects"]["false_sealed"].values())
    assert false == pytest.approx(back["sealed_m2"]["predicted"] - back["sealed_m2"]["both"])
    assert set(back["objects"]["truth"]) == {"sealed", "roof"}


# --- intervals ---


def test_the_interval_of_a_mean_is_that_of_statistics() -> None:
    values = np.random.default_rng(1).normal(10, 2, 400)
    found = interval(float(values.mean()), [float(values[d].mean()) for d in draws(len(values), 1)])
    expected = 1.96 * values.std() / 20
    assert found.high - found.value == pytest.approx(expected, rel=0.15)
    assert found.value - found.low == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("units", [3, 4, 10, 30])
def test_of_100_intervals_95_hold_the_truth_however_few_the_blocks(units: int) -> None:
    """Means of normal blocks. Plain percentiles hold it in 75, 81, 91 and 93 of 100 cases."""
    worlds = np.random.default_rng(units).normal(0, 1, (3000, units))
    chosen = np.stack(list(draws(units, 1)))
    held = 0
    for blocks in worlds:
        i = interval(float(blocks.mean()), blocks[chosen].mean(axis=1), units=units)
        held += i.low <= 0 <= i.high
    assert 0.92 <= held / len(worlds) <= 0.98


def test_intervals_are_widened_as_students_and_stay_within_the_score() -> None:
    assert [round(widening(n), 2) for n in (3, 10, 30)] == [2.69, 1.22, 1.06]
    samples = np.linspace(0.8, 1.0, 1000)
    plain, wide = interval(0.9, samples), interval(0.9, samples, units=3)
    assert 0.9 - wide.low == pytest.approx((0.9 - plain.low) * widening(3))
    cut = interval(0.9, samples, units=3, within=SHARE)
    assert (cut.low, cut.high) == (wide.low, 1.0)
    assert interval(-0.5, samples - 1.5, units=3, within=BIAS).low == -1.0


def test_no_interval_leaves_the_range_of_its_score() -> None:
    chips = tiled()
    for n, wrong in zip("abcd", (0, 30, 60, 96), strict=True):
        chips.said[n] = np.where(chips.truth[n] == IGNORE, 0, chips.truth[n])
        chips.said[n][:wrong] = 0
    found = evaluated(chips).scores["sealed"]
    assert found["recall"].high == 1.0
    assert found["area_bias"].low == -1.0
    true_m2 = sum(int(ROOF_PAVED.sealed_HW(t).sum()) for t in chips.truth.values())
    assert found["area_bias_m2"].low == -true_m2
    for name, i in found.items():
        if name not in ("area_bias", "area_bias_m2", "boundary_iou"):
            assert 0 <= i.low <= i.high <= 1, name


def test_scores_that_are_mostly_undefined_have_no_interval() -> None:
    assert math.isnan(interval(1.0, [math.nan] * 600 + [1.0] * 400).low)
    assert interval(1.0, [math.nan] * 400 + [1.0] * 600).low == 1.0
    assert len(list(draws(3, 1))) == RESAMPLES
    assert not list(draws(2, 1))
