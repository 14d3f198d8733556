"""Twenty steps of the tiny recipe: equal from run to run, and to the golden file."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import version

import pytest
from tests.unit.training.golden import GOLDEN, PACKAGES, RECIPE, curve

TOLERANCE = 2e-3
"""Relative. Between instruction sets and thread counts of one machine 5e-4 was seen; see golden.py."""


@pytest.fixture(scope="module")
def found() -> dict[str, list[float]]:
    return curve()


def test_the_loss_curve_is_the_golden_one(found: dict[str, list[float]]) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    other = {p: f"{v} → {version(p)}" for p, v in golden["packages"].items() if version(p) != v}
    for key, values in found.items():
        assert values == pytest.approx(golden[key], rel=TOLERANCE), f"{key}; packages that changed: {other}"
    assert set(golden["packages"]) == set(PACKAGES)


def test_the_curve_is_the_same_from_run_to_run(found: dict[str, list[float]]) -> None:
    assert curve() == found


@pytest.mark.parametrize("changed", [{"dice": 0.45}, {"encoder_lr": 1.0}, {"zoom": 1.2}], ids=str)
def test_the_golden_file_sees_a_change(changed: dict[str, float], found: dict[str, list[float]]) -> None:
    other = curve(replace(RECIPE, **changed))  # type: ignore[arg-type]
    assert other["loss"] != pytest.approx(found["loss"], rel=TOLERANCE)
