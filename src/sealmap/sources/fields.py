"""Fields of a cadastre by their many names, and their values as text and as dates."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from sealmap.core.errors import InputError, SettingsError
from sealmap.core.text import plain

MAPPED = ("class", "function", "updated", "id")
"""What a user may name fields for."""

CLASS: Mapping[str, tuple[str, ...]] = {
    "building": ("gebnutzbez", "gebnutz", "objektart"),
    "use": ("nutzart", "nutzungsart", "objektart"),
}
FUNCTION: Mapping[str, tuple[str, ...]] = {
    "building": ("funktion", "gebaeudefunktion", "bezgfk", "gfk"),
    "use": ("bez", "bezeich", "bezeichnung", "funktion"),
}
POSITION = ("rellage", "relativelage", "lagezurerdoberflaeche", "lageerdobe", "ofl")
"""Where a building lies to the ground: 'Unter der Erdoberfläche', or 1200."""
UPDATED = ("aktualit", "aktualitaet", "akt", "stand", "beginnt", "beginn")
OID = ("oid", "oi", "objid", "objektid", "gml_id", "gmlid", "uuid", "tid")
PARCEL_ID = (
    "flstkennz", "flurstueckskennzeichen", "flstkey", "fsk", "fsko", "egrid", "egris_egrid", "nummer", "flurstnr",
    "parcel_id", "idflurst", "oid", "gml_id", "gmlid", "uuid", "id", "tid",
)  # fmt: skip
"""Keys of parcels, the best first: what stands in the land register, then the cadastre's own ids."""
AREA = (
    "flaeche", "amtlicheflaeche", "amtlichefl", "afl", "amtlflsfl", "flaechenmass_m2", "flaechenmass",
    "official_area_m2",
)  # fmt: skip
"""Official areas in m²."""

_DBF_NAME = 10
"""Letters that the name of a field keeps in a shapefile."""
_DATES = (
    re.compile(r"(?P<y>\d{4})-?(?P<m>\d{2})-?(?P<d>\d{2})"),  # 2024-04-22Z, 20240422, 2014-02-14T11:31:00Z
    re.compile(r"(?P<d>\d{2})\.(?P<m>\d{2})\.(?P<y>\d{4})"),
)


def find_field(names: Iterable[object], aliases: tuple[str, ...]) -> str | None:
    """The field that goes by one of the aliases, the first alias first; names may be cut to ten letters."""
    by_plain = {plain(str(name)).rpartition(":")[2]: str(name) for name in reversed([str(n) for n in names])}
    for alias in aliases:
        found = by_plain.get(alias) or by_plain.get(alias[:_DBF_NAME])
        if found is not None:
            return found
    return None


def named_field(frame: gpd.GeoDataFrame, field: str, where: str) -> str:
    """The field that the user named; InputError with the nearest one where there is none."""
    found = find_field(field_names(frame), (plain(field),))
    if found is None:
        near = difflib.get_close_matches(field, field_names(frame), n=1)
        raise InputError(
            f"{where} has no field '{field}'; it has: {', '.join(field_names(frame))}",
            remedy=f"did you mean '{near[0]}'?" if near else "name one of these",
        )
    return found


def check_mapping(fields: Mapping[str, str]) -> None:
    """SettingsError where the user's mapping of fields has a key that is none of ours."""
    for key in fields:
        if key not in MAPPED:
            near = difflib.get_close_matches(key, MAPPED, n=1)
            raise SettingsError(
                f"fields of a cadastre are named for {', '.join(MAPPED)}, not for '{key}'",
                remedy=f"did you mean '{near[0]}'?" if near else "leave it out",
            )


def field_names(frame: gpd.GeoDataFrame) -> list[str]:
    """All fields but the geometry."""
    return [str(c) for c in frame.columns if c != frame.geometry.name]


def texts(frame: gpd.GeoDataFrame, field: str | None) -> tuple[str, ...]:
    """A field as text: '' where missing (and everywhere for None), whole numbers without a decimal point."""
    return tuple(text_of(v) for v in frame[field]) if field else ("",) * len(frame)


def text_of(value: Any) -> str:
    """A value as text; of many values (NAS) the first."""
    if isinstance(value, list | tuple | np.ndarray):
        return text_of(value[0]) if len(value) else ""
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return unicodedata.normalize("NFC", str(value)).strip()


def date_of(value: Any) -> date | None:
    """A date from what drivers give: dates, timestamps, '2024-04-22Z', '20240422', '22.04.2024'. None for others."""
    if isinstance(value, datetime):  # a pandas timestamp is one; NaT is not a valid one
        return None if pd.isna(value) else value.date()
    if isinstance(value, date):
        return value
    found = next((m for pattern in _DATES if (m := pattern.match(text_of(value)))), None)
    try:
        return date(int(found["y"]), int(found["m"]), int(found["d"])) if found else None
    except ValueError:
        return None


def number_of(value: Any) -> float:
    """A number, with a decimal point or comma; NaN for others."""
    try:
        return float(text_of(value).replace(",", ".") or "nan")
    except ValueError:
        return float("nan")
