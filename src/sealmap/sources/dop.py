"""Orthophotos of the German states (DOP): what a sheet's name says, and when it was flown.

A name is a hint and never required: the georeference in the file decides where a sheet lies (DOMAIN §1.3).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sealmap.core.errors import InputError

_EXTENSION = r"(?:\.(?:jp2|j2k|tiff?|vrt|zip))?"
_ADV = (
    r"(?P<product>i?dop)(?P<gsd>\d{2})(?P<channels>rgbi|rgb|cir)_(?P<zone>3[23])_?(?P<east>\d{3})_(?P<north>\d{4})"
    r"_(?P<size>\d)_(?P<land>[a-z]{2})(?:_(?P<flown>\d{4}(?:-\d{2}-\d{2})?))?(?:_x\d{3}_y\d{3})?"
)
"""All states but two. In 2015 North Rhine-Westphalia left out the _ after the zone; Lower Saxony names the day; the
invented town has sheets below 1 km and names their offset."""

_BAVARIA = r"(?P<zone>32)(?P<east>\d{3})_(?P<north>\d{4})(?:_(?P<flown>\d{4}))?"
_BRANDENBURG = r"(?P<product>dop)_(?P<zone>33)(?P<east>\d{3})-(?P<north>\d{4})"
_NAMES = tuple(re.compile(p + _EXTENSION, re.IGNORECASE | re.ASCII) for p in (_ADV, _BAVARIA, _BRANDENBURG))
_KNOWN: tuple[dict[str, str], ...] = (
    {},
    {"land": "by", "channels": "rgb"},
    {"land": "bb", "channels": "rgbi"},
)
"""What the short names of Bavaria and Brandenburg leave out, and their products have; a sheet is 1 km wide."""

_SHEET = ("kachelname", "kachel", "kachelnummer", "sheet", "tile", "blatt", "blattname", "dateiname", "datei", "name")
_DATE = (
    "aktualitaet", "aktualität", "bildflugdatum", "flugdatum", "befliegungsdatum", "befliegung", "datum",
    "date", "flight", "flight_date", "flown", "acquired",
)  # fmt: skip
_HEADER_WITHIN = 50
"""The header is looked for in so many lines."""

_UNKNOWN_YEAR = 9999
_YEARS = range(1900, 2100)
_DAY = re.compile(r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})|(?P<gd>\d{1,2})\.(?P<gm>\d{1,2})\.(?P<gy>\d{4})", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flight:
    """When a sheet was flown: on a day (first == last), or between two days, such as within a year.

    What changed in the cadastre after the flight cannot be seen in the picture. Compare with ``first``: of a
    flight known by its year only, an object that changed within that year counts as newer, although it may be
    older. That costs a few labels; the other way round the model would learn roofs that were not built yet.
    """

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(f"a flight cannot end on {self.last} and begin on {self.first}")

    @property
    def exact(self) -> bool:
        """Whether the day is known."""
        return self.first == self.last

    @staticmethod
    def on(day: date) -> Flight:
        """The flight of one day."""
        return Flight(first=day, last=day)

    @staticmethod
    def of(text: str) -> Flight | None:
        """A flight from '2024', '2024-04-06' or '06.04.2024'; None for '' and for the year 9999 (AdV: unknown).

        Raises InputError for anything else, and for years outside 1900-2099.
        """
        given = text.strip()
        if not given or re.fullmatch(rf"{_UNKNOWN_YEAR}(-\d\d-\d\d)?|\d\d?\.\d\d?\.{_UNKNOWN_YEAR}", given):
            return None
        flight = _parsed(given)
        if flight is None or flight.first.year not in _YEARS:
            raise InputError(
                f"'{text}' is no date of a flight ({_YEARS[0]} to {_YEARS[-1]})",
                remedy="write 2024-04-06, 06.04.2024 or 2024, and 9999 where it is unknown",
            )
        return flight


@dataclass(frozen=True, kw_only=True, slots=True)
class DopSheet:
    """What the name of a sheet says.

    product: 'dop', or 'idop' (flown every year, North Rhine-Westphalia). gsd_m: pixel size in metres, None where
    the name does not say. channels: 'rgbi', 'rgb' or 'cir'. zone: of UTM. east_km, north_km: the lower left
    corner, of the kilometre that a sheet lies in. land: state, two small letters. flown: None where not said.
    """

    product: str
    gsd_m: float | None
    channels: str
    zone: int
    east_km: int
    north_km: int
    size_km: int
    land: str
    flown: Flight | None


def sheet_from_name(stem: str) -> DopSheet | None:
    """What a file name (with or without extension) says, None where it is of no known pattern."""
    for pattern, known in zip(_NAMES, _KNOWN, strict=True):
        match = pattern.fullmatch(stem)
        if match is None:
            continue
        said = known | {k: v.lower() for k, v in match.groupdict().items() if v is not None}
        return DopSheet(
            product=said.get("product", "dop"),
            gsd_m=int(said["gsd"]) / 100 if "gsd" in said else None,
            channels=said["channels"],
            zone=int(said["zone"]),
            east_km=int(said["east"]),
            north_km=int(said["north"]),
            size_km=int(said.get("size", "1")),
            land=said["land"],
            flown=_flown(said.get("flown", "")),
        )
    return None


def read_dop_metadata(path: Path) -> Mapping[str, Flight]:
    """Sheet (as in the file, without extension) → flight, from a table of text with a header.

    Reads ``dop_nw.csv`` of North Rhine-Westphalia (Kachelname, Aktualitaet, after some lines about the product),
    and any table that has a column for the sheet and one for the date, with ``;`` or ``,`` between. Sheets whose
    date is empty or of the year 9999 are left out: unknown. A sheet that comes twice was flown on both days.

    Raises InputError where the file cannot be read or has no such header, and, with the line, for a bad row.
    """
    lines = list(io.StringIO(_text(path), newline=""))
    header, delimiter = _header(path, lines)
    names = _cells(lines[header], delimiter)
    sheet_at, date_at = (next(i for i, n in enumerate(names) if n in aliases) for aliases in (_SHEET, _DATE))
    found: dict[str, Flight] = {}
    for line, row in _rows(lines, header, delimiter):
        if len(row) <= max(sheet_at, date_at) or not row[sheet_at].strip():
            raise InputError(
                f"{path.name}, line {line}: {len(row)} fields, sheet and date are to be in fields {sheet_at + 1}"
                f" and {date_at + 1}",
                remedy="repair or delete the line",
            )
        try:
            flight = Flight.of(row[date_at])
        except InputError as error:
            raise InputError(f"{path.name}, line {line}: {error.problem}", remedy=error.remedy) from None
        if flight is not None:
            name = _without_extension(row[sheet_at])
            known = found.get(name, flight)
            found[name] = Flight(first=min(known.first, flight.first), last=max(known.last, flight.last))
    return found


def told_in(metadata: Mapping[str, Flight], sheets: Sequence[str]) -> dict[str, Flight]:
    """The sheets that metadata speak of; neither case nor extension matters."""
    by_name = {_without_extension(name).casefold(): flight for name, flight in metadata.items()}
    keys = {sheet: _without_extension(sheet).casefold() for sheet in sheets}
    return {sheet: by_name[key] for sheet, key in keys.items() if key in by_name}


def flights_of(sheets: Sequence[str], metadata: Mapping[str, Flight] | None, given: date | None) -> dict[str, Flight]:
    """Sheet → its flight: the day given for all, else what the metadata says, else the name.

    ``sheets`` are names with or without extension; case does not matter. Sheets of which nothing is known are
    left out.
    """
    told = told_in(metadata or {}, sheets)
    found: dict[str, Flight] = {}
    for sheet in sheets:
        named = sheet_from_name(sheet)
        flight = told.get(sheet, named.flown if named else None)
        if given is not None:
            flight = Flight.on(given)
        if flight is not None:
            found[sheet] = flight
    return found


def _parsed(text: str) -> Flight | None:
    """A day or a year; None for what is neither."""
    found = _DAY.fullmatch(text)
    try:
        if found is not None:
            return Flight.on(date(*(int(found[k] or found[f"g{k}"]) for k in "ymd")))
        whole = re.fullmatch(r"\d{4}", text, re.ASCII)
        return Flight(first=date(int(text), 1, 1), last=date(int(text), 12, 31)) if whole else None
    except ValueError:
        return None


def _flown(text: str) -> Flight | None:
    """The flight in a name; None where the figures are no date: a name is never an error."""
    try:
        return Flight.of(text)
    except InputError:
        return None


def _without_extension(name: str) -> str:
    return re.sub(rf"{_EXTENSION}$", "", name.strip(), flags=re.IGNORECASE)


def _text(path: Path) -> str:
    """The file as text: UTF-8, or else the code page of Windows, which Excel writes."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", remedy="check the path") from error
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:  # UTF-16 and archives have them
            return text
    raise InputError(f"{path.name} is no text: neither UTF-8 nor Windows-1252", remedy="save it as CSV in UTF-8")


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip().casefold() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _header(path: Path, lines: Sequence[str]) -> tuple[int, str]:
    """The line of the header (from 0), and what stands between its fields: found, since preambles differ."""
    for number, line in enumerate(lines[:_HEADER_WITHIN]):
        for delimiter in ";,":
            cells = set(_cells(line, delimiter))
            if cells & set(_SHEET) and cells & set(_DATE):
                return number, delimiter
    first = lines[0].strip()[:80] if lines else ""
    raise InputError(
        f"{path.name} has no header with a sheet and a date in its first {min(len(lines), _HEADER_WITHIN)} lines;"
        f" it begins with '{first}'",
        remedy="name the columns 'sheet' and 'date' (or 'Kachelname' and 'Aktualitaet'), with ; or , between",
    )


def _rows(lines: Sequence[str], header: int, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line from 1, fields) of each row below the header; empty lines are passed over."""
    # Each line for itself: a quotation mark left open would swallow all that follows.
    for number, line in enumerate(lines[header + 1 :], header + 2):
        row = next(csv.reader([line], delimiter=delimiter), [])
        if any(cell.strip() for cell in row):
            yield number, row
