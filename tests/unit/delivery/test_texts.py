from __future__ import annotations

import math
import re
from importlib.resources import files
from typing import Any, cast

import pytest

from sealmap.core.errors import SettingsError
from sealmap.core.legend import ROOF_PAVED
from sealmap.delivery import texts


def test_every_text_is_there_in_both_languages() -> None:
    for key, pair in texts._TEXTS.items():
        assert len(pair) == len(texts.LANGUAGES), key
        assert all(words.strip() for words in pair), key


def test_the_report_asks_for_texts_that_there_are() -> None:
    template = (files("sealmap.delivery") / "templates" / "report.html.j2").read_text(encoding="utf-8")
    for key in re.findall(r't\("(\w+)"\)', template):
        assert texts.text(f"report.{key}", "de")


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(SettingsError, match="'fr'"):
        texts.text("field.class", cast("Any", "fr"))


def test_columns_have_names_for_readers() -> None:
    assert texts.alias("parcel_id", ROOF_PAVED, "de") == "Flurstückskennzeichen"
    assert texts.alias("roof_m2", ROOF_PAVED, "de") == "Hochbau (Dach) [m²]"
    assert texts.alias("paved_m2", ROOF_PAVED, "en") == "Paved [m²]"
    assert texts.alias("anything", ROOF_PAVED, "en") == "anything"


def test_numbers_are_written_as_the_language_does() -> None:
    assert texts.number(1234567.89, "de", 1) == "1.234.567,9"
    assert texts.number(1234567.89, "en", 1) == "1,234,567.9"
    assert texts.number(math.nan, "de") == "–"
