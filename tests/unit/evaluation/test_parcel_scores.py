"""Scores per parcel against what one computes by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sealmap.core.errors import DatasetError
from sealmap.evaluation.parcel_scores import ParcelAreas, parcels_to_json, score_parcels


def parcels(*rows: tuple[float, float, float, float], per_block: int = 1) -> ParcelAreas:
    """Rows of (area, truth, predicted, unknown), so many to a block."""
    area, truth, predicted, unknown = (np.array(column, float) for column in zip(*rows, strict=True))
    names = tuple(f"p{i}" for i in range(len(rows)))
    return ParcelAreas(
        parcel_id=names, block=tuple(f"b{i // per_block}" for i in range(len(rows))),
        area_N=area, truth_N=truth, predicted_N=predicted, unknown_N=unknown,
    )  # fmt: skip


FOUR = parcels((100, 50, 54, 0), (400, 100, 110, 0), (800, 200, 230, 0), (6000, 0, 6, 0))
"""Errors +4, +10, +30, +6: within 5 m² the first, within 10 % the first two, neither the others."""


def test_scores_by_hand() -> None:
    found = score_parcels(FOUR)
    value = {name: i.value for name, i in found.whole.scores.items()}
    assert value == pytest.approx(
        {
            "area_bias": 50 / 350,
            "bias_m2": 12.5,
            "mae_m2": 12.5,
            "rmse_m2": math.sqrt((16 + 100 + 900 + 36) / 4),
            "within_5_m2": 0.25,
            "within_10_percent": 0.5,
            "within_either": 0.5,
        }
    )
    assert [(g.low_m2, g.high_m2, g.parcels) for g in found.by_size] == [
        (0, 200, 1),
        (200, 500, 1),
        (500, 1000, 1),
        (5000, math.inf, 1),
    ]
    assert found.by_size[2].scores["bias_m2"].value == 30
    assert math.isnan(found.by_size[3].scores["area_bias"].value)


def test_errors_of_both_signs_cancel_in_the_bias_only() -> None:
    found = score_parcels(parcels((100, 50, 60, 0), (100, 50, 40, 0))).whole.scores
    assert (found["area_bias"].value, found["bias_m2"].value) == (0, 0)
    assert (found["mae_m2"].value, found["rmse_m2"].value) == (10, 10)


def test_a_map_that_is_the_truth_has_no_error() -> None:
    found = score_parcels(parcels(*[(100.0 * i, 10.0 * i, 10.0 * i, 0.0) for i in range(1, 20)])).whole.scores
    assert {name: (i.value, i.low, i.high) for name, i in found.items() if "within" not in name} == dict.fromkeys(
        ("area_bias", "bias_m2", "mae_m2", "rmse_m2"), (0, 0, 0)
    )
    assert all(found[n].value == found[n].low == 1 for n in ("within_5_m2", "within_10_percent", "within_either"))


def test_parcels_that_are_not_known_are_left_out_and_counted() -> None:
    found = score_parcels(parcels((100, 50, 50, 5), (100, 50, 0, 5.1), (100, 0, 0, 100)))
    assert (found.whole.parcels, found.left_out) == (1, 2)
    assert found.judged.parcel_id == ("p0",)
    assert found.whole.scores["bias_m2"].value == 0
    with pytest.raises(DatasetError, match="none of 1 parcels has truth on 95%"):
        score_parcels(parcels((100, 0, 0, 100)))


def test_rounding_of_counts_is_no_error() -> None:
    found = score_parcels(parcels((100, 50, 55.0004, 0), (100, 100, 110.0004, 0), (100, 0, 0.0004, 0)))
    assert found.whole.scores["within_5_m2"].value == pytest.approx(2 / 3)
    assert found.whole.scores["within_10_percent"].value == pytest.approx(1.0)


def test_intervals_are_over_blocks() -> None:
    """Parcels of a block that err alike are one finding, not thirty."""
    rng = np.random.default_rng(1)
    rows = [(1000.0, 300.0, 300.0 + e, 0.0) for e in rng.normal(5, 20, 40).repeat(30)]
    together, apart = (score_parcels(parcels(*rows, per_block=n)).whole for n in (30, 1))
    assert (together.parcels, together.blocks, apart.blocks) == (1200, 40, 1200)
    widths = [(i := g.scores["bias_m2"]).high - i.low for g in (together, apart)]
    assert widths[0] == pytest.approx(2 * 2.02 * 20 / math.sqrt(40), rel=0.25)
    assert widths[0] > 4 * widths[1]


def test_two_blocks_have_no_interval_however_many_their_parcels() -> None:
    rows = [(1000.0, 300.0, 310.0 + i, 0.0) for i in range(40)]
    i = score_parcels(parcels(*rows, per_block=20)).whole.scores["bias_m2"]
    assert i.value == pytest.approx(29.5)
    assert math.isnan(i.low)


def test_no_interval_takes_away_more_than_there_is() -> None:
    rows = [(100.0, 50.0, p, 0.0) for p in (0.0, 50.0, 0.0)]
    scores = score_parcels(parcels(*rows)).whole.scores
    assert (scores["area_bias"].low, scores["bias_m2"].low) == (-1, -50)
    assert scores["mae_m2"].low == scores["rmse_m2"].low == 0
    assert (scores["within_5_m2"].low, scores["within_5_m2"].high) == (0, 1)


def test_errors_in_percent_are_signed_and_empty_where_nothing_is_true() -> None:
    found = parcels((100, 50, 40, 0), (100, 50, 60, 0), (100, 0, 9, 0), (100, 1e-7, 9, 0)).error_percent_N
    assert found[:2].tolist() == [-20, 20]
    assert np.isnan(found[2:]).all()


def test_json_has_no_nan_nor_infinity() -> None:
    found = json.loads(json.dumps(parcels_to_json(score_parcels(FOUR)), allow_nan=False))
    assert found["parcels"] == 4
    assert found["by_size"][-1]["below_m2"] is None
    assert found["scores"]["area_bias"]["value"] == pytest.approx(50 / 350, abs=1e-5)


def test_columns_of_different_length_are_refused() -> None:
    one = np.ones(1)
    with pytest.raises(ValueError, match="a block and one area of each kind"):
        ParcelAreas(parcel_id=("a", "b"), block=("x", "x"), area_N=one, truth_N=one, predicted_N=one, unknown_N=one)
