from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from sealmap.core.errors import SettingsError
from sealmap.core.legend import ROOF_PAVED, SEALED
from sealmap.dataset.rules import apply_rules, label_ids, load_rules, normalise, parse_rules, rule_table_names

RULE = '[[rule]]\nclass = "a"\nlabel = "paved"\npriority = 1\n'


@pytest.mark.parametrize(
    ("source", "klass", "function", "label", "veto"),
    [
        ("building", "Gebäude", "Wohnhaus", "roof", False),
        ("building", "Gebäude", "Tiefgarage", "ignore", False),
        ("building", "Sonstiges Bauwerk", "Überdachung", "roof", False),
        ("building", "Sonstiges Bauwerk", "Mauer", "ignore", False),
        ("building", "Bauteil", "Auskragende Geschosse", "ignore", False),
        ("use", "Straßenverkehr", "", "paved", True),
        ("use", "STRASSENVERKEHR", "Straße", "paved", True),
        ("use", "Straßenverkehr", "Verkehrsbegleitfläche Straße", "ignore", False),
        ("use", "Platz", "Parkplatz", "paved", True),
        ("use", "Platz", "Festplatz", "ignore", False),
        ("use", "Platz", "", "ignore", False),
        ("use", "Weg", "Fußweg", "paved", True),
        ("use", "Weg", "Rad- und Fußweg", "paved", True),
        ("use", "Weg", "Hauptwirtschaftsweg", "ignore", False),
        ("use", "Weg", "", "ignore", False),
        ("use", "Bahnverkehr", "", "ignore", False),
        ("use", "Wohnbaufläche", "", "ignore", True),
        ("use", "Sport-, Freizeit- und Erholungsfläche", "Grünanlage", "ignore", False),
        ("use", "Landwirtschaft", "Ackerland", "unsealed", False),
        ("use", "Landwirtschaft", "Gartenland", "ignore", False),
        ("use", "Gehölz", "", "unsealed", False),
        ("use", "Fließgewässer", "Bach", "unsealed", False),
    ],
)
def test_alkis_classes(source: str, klass: str, function: str, label: str, veto: bool) -> None:  # noqa: FBT001
    rule = load_rules("alkis_nrw").match(source, klass, function)
    assert rule is not None
    assert (rule.label, rule.vegetation_veto) == (label, veto)


def test_shipped_tables_load_and_say_only_what_they_may() -> None:
    assert rule_table_names() == ("alkis_nrw", "dm01_ch", "generic", "manual", "outlines_only")
    defaults = [load_rules(n).default for n in rule_table_names()]
    assert defaults == ["ignore", "ignore", "ignore", "ignore", "unsealed"]
    assert load_rules("generic").fields == {"class": "sealed"}
    assert (load_rules("dm01_ch").layer, load_rules("dm01_ch").fields) == ("landcover_bodenbedeckung", {"class": "art"})


def test_text_is_compared_without_case_umlauts_and_spaces() -> None:
    assert normalise("  STRAẞE  Süd ") == normalise("strasse sued")
    assert normalise("Fla\u0308che") == "flaeche"  # a decomposed ä, as some drivers give it


def test_the_first_rule_wins() -> None:
    table = parse_rules(RULE + '[[rule]]\nclass = "*"\nlabel = "unsealed"\npriority = 1', "t")
    found = [table.match("use", k, "") for k in ("A", "b")]
    assert [r.label for r in found if r] == ["paved", "unsealed"]


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        (RULE + "vegetation_vetoo = true", "vegetation_vetoo", "vegetation_veto"),
        ("defalt = 'ignore'\n" + RULE, "defalt", "default"),
        (RULE.replace("paved", "grey"), "grey", "roof"),
        ("default = 'nothing'\n" + RULE, "nothing", "ignore"),
        ("name = 'x'", "no rules", "[[rule]]"),
        ("= 3", "no TOML", ""),
        ('[fields]\nklass = "art"\n' + RULE, "klass", "class"),
        ('fields = "art"\n' + RULE, "no section", "[fields]"),
        ('[[rule]]\nlabel = "paved"', "no priority", "both"),
    ],
)
def test_wrong_tables_are_refused(text: str, problem: str, remedy: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_rules(text, "mine")
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_a_table_that_is_not_there_names_those_that_are(tmp_path: Any) -> None:
    with pytest.raises(SettingsError, match="alkis_nrw, dm01_ch, generic, manual, outlines_only"):
        load_rules("alkis")
    own = tmp_path / "own.toml"
    own.write_text(RULE)
    assert load_rules(str(own)).name == "own"


def test_unknown_classes_are_listed_and_ignored_above_known_ones(fakes: Any) -> None:
    g = fakes.grid_of_size(50, 50)
    box = fakes.box_px(g, 0, 0, 40, 40)
    labels = apply_rules(
        load_rules("alkis_nrw"),
        fakes.shapes_of(
            (box, "use", "Marsbasis", "Kuppel"), (box, "use", "Wald", ""), (box, "use", "Marsbasis", "Kuppel")
        ),
    )
    assert [(u.klass, u.function, u.shapes) for u in labels.unknown] == [("Marsbasis", "Kuppel", 2)]
    assert labels.label.tolist() == ["ignore", "unsealed", "ignore"]
    assert labels.priority[0] >= labels.priority[1]


def test_labels_carry_class_id_and_day_of_change(fakes: Any) -> None:
    box = fakes.box_px(fakes.grid_of_size(20, 20), 0, 0, 20, 20)
    shapes = fakes.shapes_of((box, "use", "Weg", "Fußweg"), (box, "use", "", ""), updated=date(2024, 5, 2))
    labels = apply_rules(load_rules("alkis_nrw"), shapes)
    assert labels.text.tolist() == ["Weg / Fußweg", "(no class)"]
    assert labels.known.tolist() == [True, False]
    assert labels.oid.tolist() == ["oid0", "oid1"]
    assert labels.changed.tolist() == [date(2024, 5, 2).toordinal()] * 2
    assert labels.newer == "ignore"
    kept = apply_rules(load_rules("outlines_only"), shapes)  # it trusts what is newer: the day is no matter
    assert kept.changed.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("art", "label", "veto"),
    [
        ("Gebaeude", "roof", False),
        ("befestigt.Strasse_Weg", "paved", True),
        ("befestigt.uebrige_befestigte", "paved", True),
        ("befestigt.Wasserbecken", "ignore", False),
        ("befestigt.Bahn", "ignore", False),
        ("humusiert.Gartenanlage", "unsealed", False),
        ("bestockt.geschlossener_Wald", "unsealed", False),
        ("Gewaesser.fliessendes", "unsealed", False),
        ("vegetationslos.Abbau_Deponie", "ignore", False),
    ],
)
def test_swiss_classes(art: str, label: str, veto: bool) -> None:  # noqa: FBT001
    rule = load_rules("dm01_ch").match("layer", art, "")
    assert rule is not None
    assert (rule.label, rule.vegetation_veto) == (label, veto)


def test_buffers_erode_and_what_vanishes_is_counted(fakes: Any) -> None:
    g = fakes.grid_of_size(200, 200)  # 0.2 m
    shapes = fakes.shapes_of(
        (fakes.box_px(g, 0, 0, 100, 100), "use", "Wald", ""),
        (fakes.box_px(g, 0, 100, 15, 15), "use", "Wald", ""),
    )
    labels = apply_rules(load_rules("alkis_nrw"), shapes)
    assert (len(labels), labels.eroded) == (1, 1)  # 3 m less 2 m on each side is nothing
    assert labels.geometry[0].area == pytest.approx(16.0**2)
    assert shapes.geometry[0].area == pytest.approx(20.0**2)  # the input is left alone


def test_labels_fit_legends() -> None:
    assert label_ids(SEALED) == {"unsealed": 0, "ignore": 255, "roof": 1, "paved": 1, "sealed": 1}
    assert label_ids(ROOF_PAVED) == {"unsealed": 0, "ignore": 255, "roof": 1, "paved": 2}
