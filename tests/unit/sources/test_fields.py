from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealmap.core.text import plain
from sealmap.sources.fields import AREA, CLASS, FUNCTION, PARCEL_ID, UPDATED, date_of, find_field, number_of
from sealmap.sources.fields import text_of as text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (date(2024, 4, 22), date(2024, 4, 22)),
        (datetime(2024, 4, 22, 23, 59, tzinfo=UTC), date(2024, 4, 22)),
        (pd.Timestamp("2024-04-22T08:00:00Z"), date(2024, 4, 22)),
        (np.datetime64("2024-04-22"), date(2024, 4, 22)),
        ("2024-04-22Z", date(2024, 4, 22)),
        ("2014-02-14T11:31:00Z", date(2014, 2, 14)),
        ("20240422", date(2024, 4, 22)),
        (20240422.0, date(2024, 4, 22)),
        ("22.04.2024", date(2024, 4, 22)),
        ("2024-13-01", None),
        ("2024", None),
        ("", None),
        (None, None),
        (pd.NaT, None),
    ],
)
def test_dates(value: Any, expected: date | None) -> None:
    assert date_of(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        (np.nan, ""),
        (7.0, "7"),
        (7.5, "7.5"),
        (np.int64(7), "7"),
        (True, "1"),
        ("  Weg ", "Weg"),
        (np.array(["1001", "1002"]), "1001"),
        ([], ""),
        (unicodedata.normalize("NFD", "Straßenfläche"), "Straßenfläche"),
    ],
)
def test_values_as_text(value: Any, expected: str) -> None:
    assert text(value) == expected


@pytest.mark.parametrize(("value", "expected"), [("684.00", 684.0), ("684,5", 684.5), (12, 12.0)])
def test_numbers(value: Any, expected: float) -> None:
    assert number_of(value) == expected
    assert np.isnan(number_of("rund 100"))
    assert np.isnan(number_of(None))


@given(st.text())
def test_plain_text_is_the_same_however_it_is_written(value: str) -> None:
    assert plain(unicodedata.normalize("NFD", plain(value))) == plain(plain(value))
    assert plain("STRASSE Gewässer") == plain("straße GEWAESSER")


@pytest.mark.parametrize(
    ("fields", "aliases", "found"),
    [
        (["oid", "flaeche", "flstkennz"], PARCEL_ID, "flstkennz"),  # NRW
        (["oid", "flurstnr"], PARCEL_ID, "flurstnr"),  # BB
        (["uuid", "fsko", "afl"], PARCEL_ID, "fsko"),  # Berlin
        (["uuid", "afl"], AREA, "afl"),
        (["FLURSTUECK", "AMTLICHEFL"], PARCEL_ID, "FLURSTUECK"),  # Wuppertal
        (["FLURSTUECK", "AMTLICHEFL"], AREA, "AMTLICHEFL"),
        (["flurstueckskennzeichen", "amtlicheFlaeche", "amtlicheFlaeche_uom"], AREA, "amtlicheFlaeche"),  # NAS
        (["ave:gebnutzbez"], CLASS["building"], "ave:gebnutzbez"),
        (["gebaeudefu"], FUNCTION["building"], "gebaeudefu"),  # gebaeudefunktion in a shapefile
        (["AKTUALITAE"], UPDATED, "AKTUALITAE"),
        (["Name"], CLASS["use"], None),
    ],
)
def test_fields_are_known_by_their_names(fields: list[str], aliases: tuple[str, ...], found: str | None) -> None:
    assert find_field(fields, aliases) == found
