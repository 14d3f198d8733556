"""Checks of probabilities: what an activation too many, a dead network or a small halo look like, and what does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.prediction.fakes import CARD
from tests.unit.prediction.scenes import binary, everywhere, said, served_by, told, two_sided

from sealmap.core.finding import Finding
from sealmap.core.legend import ROOF_PAVED
from sealmap.model.card import ModelCard
from sealmap.prediction.checks_output import (
    OUTPUT_CHECKS,
    activation,
    certainty,
    checkerboard,
    constant,
    overlaps,
    sealed_share,
    values,
)
from sealmap.prediction.facts import ATOMS, OutputFacts, output_facts

THREE = replace(CARD, legend=ROOF_PAVED)
COUNT = 6000
TEMPERATURES = (0.6, 1.0, 1.3, 2.5)


def sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x_KN: NDArray[Any]) -> NDArray[Any]:
    e = np.exp(x_KN - x_KN.max(axis=0))
    return np.asarray(e / e.sum(axis=0))


def sure(seed: int = 1, classes: int = 1) -> NDArray[Any]:
    """Logits of a network that is sure of most pixels, and torn over some."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random((classes, COUNT)) < 0.95, rng.choice([-14.0, 14.0], (classes, COUNT)),
                    rng.normal(0, 1, (classes, COUNT)))  # fmt: skip


def one_of_three(seed: int = 1) -> NDArray[Any]:
    """Logits of three classes, one of which is far ahead of the others nearly everywhere."""
    rng = np.random.default_rng(seed)
    found = rng.normal(0, 1, (3, COUNT))
    found[rng.integers(0, 3, COUNT), np.arange(COUNT)] += np.where(rng.random(COUNT) < 0.95, 20, 0)
    return found


def of(check: Callable[[OutputFacts, ModelCard], Finding], **facts: Any) -> Finding:
    """What a check says of facts, some of which are given."""
    return check(OutputFacts(**{"pixels": 10_000, **facts}), CARD)


def at(*places: float) -> NDArray[np.int64]:
    """Atoms: a thousand pixels at each of these probabilities."""
    found = np.zeros(ATOMS, np.int64)
    for place in places:
        found[int(place * ATOMS)] += 1000
    return found


# --- activation ---


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_sigmoid_too_many_is_a_double_activation_whatever_the_temperature(temperature: float) -> None:
    card = replace(CARD, temperature=temperature)
    found = activation(told(two_sided(sigmoid(sure()[0])), card), card)
    assert found.verdict == "refusal"
    assert found.cause.startswith("double activation")
    assert "between 0.500 and 0.731" in found.cause
    assert found.figures["p from"] == pytest.approx(0.5, abs=1e-3)
    assert found.figures["p to"] == pytest.approx(0.731, abs=1e-3)
    assert found.figures["share at 0.500"] + found.figures["share at 0.731"] > 0.9
    assert min(found.figures["share at 0.500"], found.figures["share at 0.731"]) > 0.4
    assert "--activation auto" in found.remedy


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_softmax_too_many_over_two_classes_is_a_double_activation(temperature: float) -> None:
    card = replace(CARD, temperature=temperature)
    found = activation(told(softmax(two_sided(sure()[0])), card), card)
    assert found.verdict == "refusal"
    assert found.cause.startswith("double activation")
    assert "between 0.269 and 0.731" in found.cause
    assert found.figures["share at 0.269"] + found.figures["share at 0.731"] > 0.9


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_softmax_too_many_over_three_classes_is_a_double_activation(temperature: float) -> None:
    card = replace(THREE, temperature=temperature)
    found = activation(told(softmax(one_of_three()), card), card)
    assert found.verdict == "refusal"
    assert found.cause.startswith("double activation"), found.cause


def test_the_ends_of_three_classes_are_told() -> None:
    found = activation(told(softmax(one_of_three()), THREE), THREE)
    # Of 1/(e+2) and e/(e+2), two and one parts: p of both sealed classes together.
    assert {"share at 0.424", "share at 0.788"} <= set(found.figures)
    assert found.figures["share at 0.424"] == pytest.approx(1 / 3, abs=0.06)
    assert found.figures["share at 0.788"] == pytest.approx(2 / 3, abs=0.06)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("spread", [1.0, 4.0, 14.0])
def test_a_network_without_an_activation_is_ok(spread: float, temperature: float) -> None:
    card = replace(CARD, temperature=temperature)
    logits = np.random.default_rng(1).normal(0, spread, COUNT)
    assert activation(told(two_sided(logits), card), card).verdict == "ok"
    three = replace(THREE, temperature=temperature)
    assert activation(told(np.random.default_rng(1).normal(0, spread, (3, COUNT)), three), three).verdict == "ok"


def test_one_pixel_outside_the_ends_shows_that_nothing_is_squeezed() -> None:
    logits = sigmoid(sure()[0])
    logits[0] = 1.1
    assert activation(told(two_sided(logits)), CARD).verdict == "ok"
    logits[0] = 1.01
    assert activation(told(two_sided(logits)), CARD).verdict == "refusal"


@pytest.mark.parametrize(("spread", "verdict"), [(1.02, "refusal"), (1.03, "ok")])
def test_squeezed_is_up_to_one_unit_of_logits(spread: float, verdict: str) -> None:
    facts = {"atoms": at(0.5, 0.731), "spread": spread, "squares": 3000.0, "logits": 5000.0}
    assert of(activation, **facts).verdict == verdict


@pytest.mark.parametrize(
    ("middle", "begins"), [(0, "double activation"), (1, "double activation"), (2, "the network hardly decides")]
)
def test_squeezed_and_not_at_the_ends_is_a_network_that_hardly_decides(middle: int, begins: str) -> None:
    atoms = at(0.5, 0.731) + middle * at(0.6) + (middle > 1) * at(0.65)
    found = of(activation, atoms=atoms, spread=1.0, squares=3000.0, logits=5000.0)
    assert found.verdict == "refusal"
    assert found.cause.startswith(begins)


def test_a_hesitant_network_is_not_called_doubly_activated() -> None:
    logits = np.random.default_rng(1).uniform(-0.4, 0.4, COUNT)
    found = activation(told(two_sided(logits)), CARD)
    assert found.verdict == "refusal"
    assert found.cause.startswith("the network hardly decides")


def test_an_answer_that_never_changes_is_left_to_the_next_check() -> None:
    facts = told(two_sided(np.full(COUNT, 0.5)))
    assert activation(facts, CARD).verdict == "ok"
    assert constant(facts, CARD).verdict == "refusal"


def test_nothing_is_said_of_an_activation_without_probabilities() -> None:
    assert activation(OutputFacts(), CARD).to_json() == {"check": "activation", "verdict": "ok"}


# --- values, constant ---


def test_a_single_value_that_is_none_is_refused() -> None:
    assert of(values).verdict == "ok"
    found = of(values, broken=1)
    assert found.verdict == "refusal"
    assert found.figures == {"not within 0..1": 0.0001}


@pytest.mark.parametrize("value", [np.nan, np.inf, -2.0, 14.0])
def test_logits_and_nan_in_the_place_of_probabilities_are_refused(value: float) -> None:
    probs = said(two_sided(sure()[0]))
    probs[:, :, :80] = value
    facts = output_facts(probs, everywhere(probs), served_by(CARD))
    found = values(facts, CARD)
    assert found.verdict == "refusal"
    assert found.figures["not within 0..1"] == pytest.approx(10 / COUNT, abs=1e-5)


def test_nan_throughout_is_refused_as_what_it_is() -> None:
    facts = output_facts(np.full((2, 64, 64), np.nan, np.float32), np.ones((64, 64), np.bool_), served_by(CARD))
    assert values(facts, CARD).verdict == "refusal"
    assert "100.0%" in values(facts, CARD).cause


def test_findings_can_be_written_down_where_some_probabilities_are_nan() -> None:
    probs = np.tile(said(two_sided(np.random.default_rng(1).normal(0, 4, COUNT))), (1, 4, 1))
    probs[:, 8, 8] = np.nan
    facts = output_facts(probs, everywhere(probs), served_by(CARD))
    found = [check(facts, CARD) for check in OUTPUT_CHECKS]
    assert [f.check for f in found if f.verdict != "ok"] == ["values"]
    json.dumps([f.to_json() for f in found], allow_nan=False)


@pytest.mark.parametrize(("sealed", "side"), [(0.3, "unsealed"), (0.9, "sealed"), (0.0, "unsealed"), (1.0, "sealed")])
def test_the_same_answer_everywhere_is_refused_with_its_side(sealed: float, side: str) -> None:
    probs = binary(np.full((64, 64), sealed))
    found = constant(output_facts(probs, everywhere(probs), served_by(CARD)), CARD)
    assert found.verdict == "refusal"
    assert f"({side})" in found.cause


@pytest.mark.parametrize(("deviation", "verdict"), [(0.049, "refusal"), (0.051, "ok")])
def test_a_logit_that_hardly_moves_is_constant(deviation: float, verdict: str) -> None:
    found = of(constant, logits=20_000.0, squares=10_000 * (4 + deviation**2))
    assert found.verdict == verdict
    assert found.figures["deviation of the logit"] == deviation


@pytest.mark.parametrize(("certain", "verdict"), [(0, "ok"), (9000, "ok"), (9001, "refusal")])
def test_nothing_but_0_and_1_is_saturated(certain: int, verdict: str) -> None:
    found = of(constant, squares=90_000.0, certain=certain)
    assert found.verdict == verdict
    if verdict == "refusal":
        assert "0 or 1 to six digits" in found.cause


def test_logits_a_hundred_times_too_large_are_saturated_and_sure_ones_are_not() -> None:
    healthy = np.random.default_rng(1).normal(0, 6, COUNT)
    assert constant(told(two_sided(healthy)), CARD).verdict == "ok"
    assert constant(told(two_sided(255 * healthy)), CARD).verdict == "refusal"


# --- shares ---


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(0.0, "warning"), (0.0004, "warning"), (0.0005, "ok"), (0.4, "ok"), (0.985, "ok"), (0.9851, "refusal")],
)
def test_no_town_is_all_sealed_and_hardly_one_not_at_all(share: float, verdict: str) -> None:
    found = of(sealed_share, sealed=round(10_000 * share), ground_m2=30_000.0)
    assert found.verdict == verdict
    assert found.figures == {"sealed": share}


@pytest.mark.parametrize(("ground_m2", "verdict"), [(19_999.0, "ok"), (20_000.0, "refusal")])
def test_a_market_place_may_be_all_sealed(ground_m2: float, verdict: str) -> None:
    assert of(sealed_share, sealed=10_000, ground_m2=ground_m2).verdict == verdict


def test_shares_of_held_out_ground_are_told_and_do_not_judge() -> None:
    card = replace(CARD, limits={"sealed_low": 0.1, "sealed_high": 0.45})
    found = sealed_share(OutputFacts(pixels=100, sealed=80, ground_m2=1e6), card)
    assert found.verdict == "ok"
    assert found.figures == {"sealed": 0.8, "held-out": "0.10 to 0.45"}


@pytest.mark.parametrize(("entropy", "verdict"), [(0.2, "ok"), (0.25, "ok"), (0.2501, "warning")])
def test_a_model_less_sure_than_on_held_out_ground_is_warned_of(entropy: float, verdict: str) -> None:
    facts = OutputFacts(pixels=4, entropy=4 * entropy)
    assert certainty(facts, replace(CARD, limits={"entropy": 0.25})).verdict == verdict
    found = certainty(facts, CARD)
    assert (found.verdict, found.figures) == ("ok", {"entropy": round(entropy, 3)})


# --- seams, checkerboard ---


@pytest.mark.parametrize(
    ("differ", "verdict"), [(0, "ok"), (100, "ok"), (101, "warning"), (250, "warning"), (251, "refusal")]
)
def test_windows_may_disagree_on_a_tenth_of_the_ground(differ: int, verdict: str) -> None:
    found = of(overlaps, overlap=1000, differ=differ, seams=100, across=1.0, inside=1.0)
    assert found.verdict == verdict
    assert found.figures["disagreement"] == differ / 1000


@pytest.mark.parametrize(
    ("across", "inside", "verdict"),
    [
        (0.05, 0.001, "ok"),  # fifty times what is beside them, and nothing that could be seen
        (0.06, 0.001, "warning"),
        (0.08, 0.0101, "ok"),  # steep ground
        (0.15, 0.001, "warning"),
        (0.16, 0.009, "warning"),
        (0.16, 0.007, "refusal"),
        (0.16, 0.0, "refusal"),
    ],
)
def test_steps_at_seams_are_judged_by_their_height_and_by_what_is_beside_them(
    across: float, inside: float, verdict: str
) -> None:
    found = of(overlaps, overlap=1000, differ=0, seams=1000, across=1000 * across, inside=1000 * inside)
    assert found.verdict == verdict
    assert found.figures["step at seams"] == across


def test_one_window_has_no_seams_to_judge() -> None:
    assert of(overlaps).figures == {"windows": "one"}


@pytest.mark.parametrize(
    ("checks", "steps", "verdict"),
    [(0.79, 1, "ok"), (0.8, 1, "warning"), (1, 1, "warning"), (0.0009, 0.0009, "ok"), (0.001, 0.001, "warning")],
)
def test_a_checkerboard_is_judged_by_its_share_of_steps_that_can_be_seen(
    checks: float, steps: float, verdict: str
) -> None:
    assert of(checkerboard, checks=10_000 * checks, steps=10_000 * steps).verdict == verdict


def test_a_checkerboard_is_found_and_noise_or_stripes_are_none() -> None:
    rows, cols = np.indices((128, 128))
    noise = np.random.default_rng(1).random((128, 128))
    for picture, verdict in (((rows + cols) % 2, "warning"), (cols % 2, "ok"), (rows % 2, "ok"), (noise, "ok")):
        probs = binary(0.3 + 0.4 * picture)
        assert checkerboard(output_facts(probs, everywhere(probs), served_by(CARD)), CARD).verdict == verdict


def test_a_healthy_network_passes_every_check() -> None:
    rows, cols = np.indices((640, 640))
    logits = 8 * np.sin(rows / 30) * np.cos(cols / 40) + np.random.default_rng(1).normal(0, 1, (640, 640))
    probs = binary(sigmoid(logits))
    found = [check(output_facts(probs, everywhere(probs), served_by(CARD)), CARD) for check in OUTPUT_CHECKS]
    assert [f.verdict for f in found] == ["ok"] * len(OUTPUT_CHECKS)
    assert len({f.check for f in found}) == len(OUTPUT_CHECKS)
