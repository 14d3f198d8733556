"""Which activation values speak of, and what contradicts what was said of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sealmap.core.errors import BundleError, SettingsError
from sealmap.model.card import OUTPUTS
from sealmap.model.detect import Decision, decide, evidence, judge
from sealmap.model.outputs import to_logits


def sigmoid(v: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-v)))


def softmax(v: NDArray[Any]) -> NDArray[Any]:
    e = np.exp(v - v.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


FORWARD: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "logits": lambda z: z,
    "sigmoid": sigmoid,
    "softmax": softmax,
    "double_sigmoid": lambda z: sigmoid(sigmoid(z)),
    "double_softmax": lambda z: softmax(softmax(z)),
}


def logits(channels: int, seed: int = 1, spread: float = 3.0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, spread, (2, channels, 16, 16))


def outputs(name: str, channels: int, seed: int = 1) -> NDArray[np.float32]:
    return np.asarray(FORWARD[name](logits(channels, seed)), np.float32)


CASES = [(name, k) for name in OUTPUTS for k in (1, 2, 3) if k > 1 or "softmax" not in name]


@pytest.mark.parametrize(("name", "channels"), CASES)
@given(seed=st.integers(0, 10**6))
def test_what_a_graph_gives_is_told_from_its_values(name: str, channels: int, seed: int) -> None:
    assert judge(evidence([outputs(name, channels, seed)])) == name


@pytest.mark.parametrize(("name", "channels"), CASES)
def test_logits_come_back(name: str, channels: int) -> None:
    z = np.clip(logits(channels, spread=2), -5, 5)
    found = softmax(to_logits(np.asarray(FORWARD[name](z), np.float32), name).astype(np.float64))
    wanted = softmax(np.concatenate([0 * z, z], axis=1) if channels == 1 else z)
    np.testing.assert_allclose(found, wanted, atol=1e-4 if "double" in name else 1e-6)


@pytest.mark.parametrize("name", OUTPUTS)
def test_certain_pixels_stay_finite(name: str) -> None:
    sure = np.array([0.0, 1.0, 0.5, 0.731059], np.float32).reshape(2, 2, 1, 1)
    assert np.isfinite(to_logits(sure, name)).all()


@pytest.mark.parametrize(("name", "channels"), [c for c in CASES if "double" not in c[0]])
def test_single_activations_are_taken_as_found_or_as_declared(name: str, channels: int) -> None:
    e = evidence([outputs(name, channels)])
    assert decide("auto", e, None).output == decide(name, e, name).output == name
    assert f"{e.low:.4g} to {e.high:.4g}" in decide("auto", e, None).how


@pytest.mark.parametrize(("name", "low", "high"), [("double_sigmoid", "0.500", "0.731"),
                                                   ("double_softmax", "0.269", "0.731")])  # fmt: skip
def test_a_double_activation_is_refused_by_name_and_with_the_repair(name: str, low: str, high: str) -> None:
    e = evidence([outputs(name, 2)])
    with pytest.raises(BundleError, match=rf"double activation.*{low} and {high}.* → .*--activation {name}"):
        decide("auto", e, None)
    with pytest.raises(BundleError, match="double activation"):
        decide("auto", e, name)
    single = name.removeprefix("double_")
    with pytest.raises(BundleError, match=rf"declared {single}.*double activation.*{low}"):
        decide(single, e, None)
    assert decide(name, e, None).output == name
    assert decide(single, e, None, force=True).output == single


def test_nodes_that_show_a_single_sigmoid_make_a_narrow_range_hesitation() -> None:
    e = evidence([np.asarray(sigmoid(np.random.default_rng(1).uniform(0.1, 0.9, (1, 1, 8, 8))), np.float32)])
    assert judge(e) == "double_sigmoid"
    assert decide("auto", e, "sigmoid").output == "sigmoid"


@pytest.mark.parametrize(
    ("declared", "really", "words"),
    [
        ("logits", "sigmoid", r"declared logits.*e-\d+ to .*0\.500 for 0 and 0\.731 for 1"),
        ("logits", "softmax", "probabilities already"),
        ("sigmoid", "logits", r"declared sigmoid.*-\d.* to \d.*they are logits"),
        ("softmax", "logits", "they are logits"),
        ("softmax", "sigmoid", "look like sigmoid"),
        ("sigmoid", "softmax", "look like softmax"),
        ("double_sigmoid", "sigmoid", "look like sigmoid"),
    ],
)
def test_contradictions_are_refused_with_numbers_and_may_be_forced(declared: str, really: str, words: str) -> None:
    e = evidence([outputs(really, 3)])
    with pytest.raises(BundleError, match=rf"(?s){words}.* → use --activation {really}"):
        decide(declared, e, None)
    forced = decide(declared, e, None, force=True)
    assert forced.output == declared
    assert "declared" in forced.forced[0]
    assert really in forced.forced[0]


def test_values_against_nodes_are_refused_unless_declared() -> None:
    e = evidence([outputs("sigmoid", 2)])
    with pytest.raises(BundleError, match="looks like sigmoid, but its last nodes say logits → say which"):
        decide("auto", e, "logits", force=True)
    assert isinstance(decide("sigmoid", e, "logits"), Decision)


def test_two_sigmoids_that_add_up_to_one_are_read_as_a_softmax() -> None:
    z = logits(1)
    e = evidence([np.asarray(sigmoid(np.concatenate([-z, z], axis=1)), np.float32)])
    assert decide("auto", e, "sigmoid").output == "softmax"


def test_a_sigmoid_over_a_softmax_is_not_taken_for_two_sigmoids() -> None:
    e = evidence([np.asarray(sigmoid(softmax(logits(3))), np.float32)])
    with pytest.raises(BundleError, match="a sigmoid over a softmax"):
        decide("double_sigmoid", e, None)


def test_what_is_no_number_or_never_changes_is_refused() -> None:
    broken = outputs("logits", 2)
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(BundleError, match=r"0\.1% of the values on 2 probe windows are NaN"):
        evidence([broken])
    with pytest.raises(BundleError, match=r"gives 1 everywhere.*softmax over one channel"):
        evidence([np.ones((2, 1, 8, 8), np.float32)])
    with pytest.raises(BundleError, match="gives 0 everywhere"):
        evidence([np.zeros((2, 2, 8, 8), np.float32)])


def test_unknown_activations_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"no activation 'tanh' → use one of: auto, logits"):
        decide("tanh", evidence([outputs("logits", 2)]), None)
