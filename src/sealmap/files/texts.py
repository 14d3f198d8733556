"""Text that is not in the encoding that its file says: shapefiles cut it by bytes, and say nothing or wrong things."""

from __future__ import annotations

import codecs
import re
from glob import escape as glob_escape
from pathlib import Path
from typing import Literal

import geopandas as gpd
import pandas as pd


def decode_broken(value: bytes) -> str:
    """UTF-8 with invalid bytes in between, which are taken as Windows-1252."""
    return value.decode("utf-8", _HANDLER)


_UTF8 = ("UTF8", "65001")
_WESTERN = ("ISO88591", "88591", "LATIN1", "CP1252", "1252", "ANSI1252", "WINDOWS1252")
_LDID_AT = 29
_LDID_WESTERN = (0x03, 0x57, 0x58, 0x59)
_HANDLER = "sealmap.invalid_as_cp1252"


def _invalid_as_cp1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_HANDLER, _invalid_as_cp1252)


def encoding_of_dbf(shp: Path) -> Literal["utf8", "western", "other", ""]:
    """What a shapefile says of its text: by its ``.cpg``, else by the code page in the header of its ``.dbf``."""
    siblings = {p.suffix.lower(): p for p in shp.parent.glob(f"{glob_escape(shp.stem)}.*")}
    if ".cpg" in siblings:
        said = re.sub(r"[^0-9A-Z]", "", siblings[".cpg"].read_text("ascii", "replace").upper())
        return "utf8" if said in _UTF8 else "western" if said in (*_WESTERN, "") else "other"
    if ".dbf" not in siblings:
        return ""
    with siblings[".dbf"].open("rb") as stream:
        ldid = stream.read(_LDID_AT + 1)[_LDID_AT:]
    return "" if ldid in (b"", b"\0") else "western" if ldid[0] in _LDID_WESTERN else "other"


def repair_texts(frame: gpd.GeoDataFrame, *, is_utf8: bool) -> tuple[gpd.GeoDataFrame, int]:
    """Text that was read byte by byte (each byte one letter) as the text that was meant; how many values were broken.

    ``is_utf8``: the file says so. Where it does not, text is taken as UTF-8 if some value beyond ASCII is valid UTF-8
    (hardly any is by chance), else as Windows-1252. In UTF-8, a letter that was cut at the end of a field is dropped
    and other invalid bytes are taken as Windows-1252: these values are the broken ones.
    """
    names = {name: _decode(name.encode("latin-1"), utf8=True)[0] for name in map(str, frame.columns)}
    frame = frame.rename(columns={name: new for name, new in names.items() if name != new})
    texts = {c: _bytes(frame[c]) for c in frame.columns if c != frame.geometry.name and _is_text(frame[c])}
    utf8 = is_utf8 or any(_is_utf8(v) for values in texts.values() for v in values if v is not None)
    broken = 0
    for column, values in texts.items():
        if all(v is None or v.isascii() for v in values):
            continue
        decoded = [None if v is None else _decode(v, utf8=utf8) for v in values]
        frame[column] = [None if d is None else d[0] for d in decoded]
        broken += sum(d is not None and d[1] for d in decoded)
    return frame, broken


def _is_text(column: pd.Series) -> bool:
    return bool(pd.api.types.is_string_dtype(column) or pd.api.types.is_object_dtype(column))


def _bytes(column: pd.Series) -> list[bytes | None]:
    return [v.encode("latin-1") if isinstance(v, str) else None for v in column]


def _is_utf8(value: bytes) -> bool:
    if value.isascii():
        return False
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decode(value: bytes, *, utf8: bool) -> tuple[str, bool]:
    """The text, and whether it was broken."""
    if not utf8:
        try:
            return value.decode("cp1252"), False
        except UnicodeDecodeError:
            return value.decode("cp1252", "replace"), True
    try:
        return value.decode(), False
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return decode_broken(value[: error.start]), True
        return decode_broken(value), True
