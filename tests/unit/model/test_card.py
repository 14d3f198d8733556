"""The card: what travels with the weights, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.model.tiny import CARD

from sealmap.core.errors import BundleError
from sealmap.core.legend import ROOF_PAVED
from sealmap.model.card import FORMAT, ONNX, ModelCard


def test_a_card_comes_back_from_json_as_it_was() -> None:
    card = replace(CARD, legend=ROOF_PAVED, weights_sha256="ab" * 32, gsd_m=0.1, gsd_range_m=(0.05, 0.3))
    assert ModelCard.from_json(card.to_json()) == card
    assert ModelCard.from_json(CARD.to_json()) == CARD
    assert json.loads(card.to_json())["activation"] == "softmax"
    assert "Straße" in card.to_json()


def test_every_field_of_the_card_is_in_its_json() -> None:
    stored = json.loads(CARD.to_json())
    assert set(stored) == {*ModelCard.__dataclass_fields__, "format", "activation"}
    for key in stored.keys() - {"calibration", "isotonic", "limits", "output"}:
        lacking = {k: v for k, v in stored.items() if k != key}
        with pytest.raises(BundleError, match=f"damaged.*{key}"):
            ModelCard.from_json(json.dumps(lacking))


def test_a_card_of_before_there_was_calibration_is_read() -> None:
    stored = json.loads(CARD.to_json())
    assert stored.pop("calibration") == {}
    assert stored.pop("isotonic") == []
    assert stored.pop("limits") == {}
    assert stored.pop("output") == "logits"  # which is what every network of ours gives
    assert ModelCard.from_json(json.dumps(stored)) == CARD


def test_how_it_was_calibrated_travels_along() -> None:
    facts = {"aim": "zero_bias", "after": {"ece": 0.01}, "curve": {"threshold": [0.25, 0.5]}, "warnings": []}
    card = replace(CARD, calibration=facts)
    assert ModelCard.from_json(card.to_json()) == card


def test_isotonic_knots_travel_along_and_need_the_new_format() -> None:
    card = replace(CARD, isotonic=((0.0, 0.01), (0.3, 0.2), (1.0, 0.99)))
    assert ModelCard.from_json(card.to_json()) == card
    assert json.loads(card.to_json())["format"] == 2
    assert json.loads(CARD.to_json())["format"] == 1  # which older programs read, and serve as it is meant


def test_what_a_graph_gives_travels_along_and_needs_the_newest_format() -> None:
    card = replace(CARD, architecture=ONNX, output="double_sigmoid")
    assert ModelCard.from_json(card.to_json()) == card
    assert json.loads(card.to_json())["format"] == FORMAT == 3


@pytest.mark.parametrize("change", [{"output": "sigmoid"}, {"architecture": ONNX, "output": "tanh"}])
def test_a_network_of_ours_gives_logits_and_a_graph_what_we_know(change: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match=f"cannot give '{change['output']}'"):
        replace(CARD, **change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"calibration": 3}, "damaged"),
        ({"format": FORMAT + 1}, f"format {FORMAT + 1}, this version reads formats up to {FORMAT}"),
        ({"format": 0}, "format 0"),
        ({"isotonic": [[0, 1]]}, "from 0 to 1"),
        ({"isotonic": [0.5]}, "damaged"),
        ({"activation": "sigmoid"}, "activation 'sigmoid'"),
        ({"mean": ["x"]}, "damaged"),
        ({"gsd_range_m": [0.1]}, "damaged"),
        ({"legend": {"name": "x"}}, "damaged"),
        ({"legend": None}, "damaged"),
    ],
)
def test_foreign_cards_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BundleError, match=words):
        ModelCard.from_json(json.dumps(json.loads(CARD.to_json()) | change))


@pytest.mark.parametrize("text", ["", "[]", "null", "{"])
def test_no_card_at_all_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match=r"damaged.* → fetch"):
        ModelCard.from_json(text)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": (0.5,)},
        {"bands": (), "mean": (), "std": ()},
        {"std": (0.1, 0.1, 0.1, 0.0)},
        {"mean": (0.1, 0.1, 0.1, float("nan"))},
        {"gsd_m": 0.0},
        {"temperature": 0.0},
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"patch": 100},
        {"patch": 0},
        {"halo": -1},
        {"isotonic": ((0.0, 0.2), (0.5, 0.1), (1.0, 0.9))},
        {"isotonic": ((0.0, 0.2), (0.0, 0.3), (1.0, 0.9))},
        {"isotonic": ((0.1, 0.2), (1.0, 0.9))},
        {"isotonic": ((0.0, 0.2), (1.0, 1.1))},
        {"isotonic": ((0.0, 0.2), (0.5, float("nan")), (1.0, 0.9))},
    ],
)
def test_impossible_cards_cannot_be_made(change: dict[str, Any]) -> None:
    with pytest.raises(BundleError):
        replace(CARD, **change)


def test_a_sheet_that_fits_is_accepted() -> None:
    CARD.check_raster("a", ("nir", "blue", "green", "red", "more"), 0.2)
    CARD.check_raster("a", CARD.bands, 0.08)
    CARD.check_raster("a", CARD.bands, 0.5)


def test_missing_bands_are_named() -> None:
    with pytest.raises(BundleError) as error:
        CARD.check_raster("sheet_7", ("red", "green", "blue"), 0.2)
    assert str(error.value) == (
        "the model takes 4 bands (red, green, blue, nir); sheet_7 has 3 (red, green, blue), so nir is missing"
        " → use sheets with these bands or a model trained without them"
    )


@pytest.mark.parametrize("gsd", [0.05, 0.07, 0.6, 2.0])
def test_another_pixel_size_is_refused_with_the_command_that_helps(gsd: float) -> None:
    with pytest.raises(BundleError) as error:
        CARD.check_raster("sheet_7", CARD.bands, gsd)
    assert f"sheet_7 has {gsd:g} m pixels; the model was trained for 0.08 to 0.5 m" in error.value.problem
    assert "gdalwarp -tr 0.2 0.2 -r average IN OUT.tif" in error.value.remedy
