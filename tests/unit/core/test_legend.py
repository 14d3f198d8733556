"""Legend: classes in the order of a network's outputs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sealmap.core.errors import SettingsError
from sealmap.core.legend import IGNORE, LEGENDS, ROOF_PAVED, SEALED, Legend, SurfaceClass, legend_named


def surface(number: int, *, sealed: bool) -> SurfaceClass:
    return SurfaceClass(id=number, key=f"c{number}", label_en="C", label_de="K", color=(1, 2, 3), sealed=sealed)


@pytest.mark.parametrize("legend", LEGENDS.values(), ids=LEGENDS.keys())
def test_survives_json(legend: Legend) -> None:
    assert Legend.from_json(json.loads(json.dumps(legend.to_json()))) == legend


@pytest.mark.parametrize("legend", LEGENDS.values(), ids=LEGENDS.keys())
def test_shipped_legends_are_found_by_name(legend: Legend) -> None:
    assert legend_named(legend.name) is legend
    assert {c.key: legend.by_key(c.key) for c in legend.classes} == {c.key: c for c in legend.classes}
    assert len({c.color for c in legend.classes}) == len(legend)


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match="no legend 'water'") as caught:
        legend_named("water")
    assert all(name in caught.value.remedy for name in LEGENDS)


def test_an_unknown_key() -> None:
    with pytest.raises(KeyError, match="water"):
        SEALED.by_key("water")


def test_sealed() -> None:
    class_HW = np.array([[0, 1, 2, IGNORE]], np.uint8)
    assert ROOF_PAVED.sealed_ids == (1, 2)
    assert ROOF_PAVED.sealed_HW(class_HW).tolist() == [[False, True, True, False]]
    assert SEALED.sealed_ids == (1,)


def test_labels_in_two_languages() -> None:
    assert (SEALED.classes[1].label("de"), SEALED.classes[1].label("en")) == ("Versiegelt", "Sealed")


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        ((surface(0, sealed=False),), "at least two"),
        ((surface(0, sealed=False), surface(2, sealed=True)), "ids must be"),
        ((surface(1, sealed=True), surface(0, sealed=False)), "ids must be"),
        ((surface(0, sealed=True), surface(1, sealed=True)), "background"),
        ((surface(0, sealed=False), surface(1, sealed=False)), "some class must be sealed"),
    ],
)
def test_refuses_what_is_no_legend(classes: tuple[SurfaceClass, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Legend(name="x", classes=classes)


@pytest.mark.parametrize("number", [-1, IGNORE])
def test_a_class_may_not_take_the_value_of_ignore(number: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        surface(number, sealed=True)
