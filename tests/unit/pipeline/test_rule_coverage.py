"""What the readers say and what the rules know must be the same words."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from sealmap.dataset.rules import load_rules


def texts_of(table: str) -> list[tuple[str, str]]:
    """(class, function) of all that a NAS file may hold."""
    text = (resources.files("sealmap.sources") / "code_tables" / f"{table}.toml").read_text(encoding="utf-8")
    kinds = [kind for kind in tomllib.loads(text).values() if "class" in kind]
    return [(kind["class"], function) for kind in kinds for function in ("", *kind.get("codes", {}).values())]


@pytest.mark.parametrize(("table", "source"), [("uses", "use"), ("buildings", "building")])
def test_every_class_of_a_nas_file_has_a_rule(table: str, source: str) -> None:
    rules = load_rules("alkis_nrw")
    texts = texts_of(table)
    assert len(texts) > 100
    assert [(k, f) for k, f in texts if rules.match(source, k, f) is None] == []


@pytest.mark.parametrize(
    ("source", "klass", "function", "label"),
    [
        ("building", "Gebäude", "Wohnhaus", "roof"),
        ("building", "Gebäude", "Garage (unterirdisch)", "ignore"),
        ("building", "Bauteil", "Tiefgarage", "ignore"),
        ("building", "Sonstiges Bauwerk", "Überdachung", "roof"),
        ("use", "Straßenverkehr", "Begleitfläche Straßenverkehr", "ignore"),  # as GeoInfoDok 7.1 words it
        ("use", "Straßenverkehr", "Fußgängerzone", "paved"),
        ("use", "Weg", "Fußweg", "paved"),
        ("use", "Landwirtschaft", "Gartenbauland", "ignore"),
        ("use", "Landwirtschaft", "Ackerland", "unsealed"),
        ("use", "Meer", "", "unsealed"),
    ],
)
def test_words_that_decide(source: str, klass: str, function: str, label: str) -> None:
    rule = load_rules("alkis_nrw").match(source, klass, function)
    assert rule is not None
    assert rule.label == label
