from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from sealmap.core.errors import InputError
from sealmap.sources.dop import DopSheet, Flight, flights_of, read_dop_metadata, sheet_from_name

DAY = date(2024, 4, 6)
NRW_HEADER = (
    "Kachelname;Erfassungsmethode;Aktualitaet;Bildflugnummer;Kamera_Sensor;Bodenpixelgroesse;Spektralkanaele;"
    "Koordinatenreferenzsystem_Lage;Koordinatenreferenzsystem_Hoehe;Bezugsflaeche;Koordinatenursprung_East;"
    "Koordinatenursprung_North;Anzahl_Spalten;Anzahl_Zeilen;Farbtiefe;Standardabweichung;Dateiformat;Hintergrund;"
    "Quelldatenqualitaet;Kompression;Komprimierung;Belaubungszustand;Bemerkungen"
)
NRW_PREAMBLE = (
    "Metadaten der Digitalen Orthophotos",
    "Land;Nordrhein-Westfalen",
    "Eigentuemer;Bezirksregierung Köln",
    "Stand;2025-01-23",
    "Version Regelwerk;V4.0",
)


def year(number: int) -> Flight:
    return Flight(first=date(number, 1, 1), last=date(number, 12, 31))


def nrw_row(name: str, flown: str) -> str:
    return (
        f"{name};0;{flown};1427/24 Paderborn;DMCIII-27532_DMCIII;10;RGBI;25832;7837;bDOM;478000;5740000;10000;10000;"
        "8;20;JPEG2000;0;1;1;GDAL_JP2ECW, 90;1;keine"
    )


def written(path: Path, *lines: str, encoding: str = "utf-8", end: str = "\n") -> Path:
    path.write_bytes(end.join([*lines, ""]).encode(encoding))
    return path


# --- names ---


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("dop10rgbi_32_280_5652_1_nw_2023", ("dop", 0.1, "rgbi", 32, 280, 5652, 1, "nw", year(2023))),
        ("idop20rgbi_32_404_5757_1_nw_2025", ("idop", 0.2, "rgbi", 32, 404, 5757, 1, "nw", year(2025))),
        ("dop10rgbi_32288_5736_1_nw_2015", ("dop", 0.1, "rgbi", 32, 288, 5736, 1, "nw", year(2015))),
        ("dop10rgb_32_288_5736_1_nw_2010", ("dop", 0.1, "rgb", 32, 288, 5736, 1, "nw", year(2010))),
        ("dop20cir_32_288_5736_1_nw_2010", ("dop", 0.2, "cir", 32, 288, 5736, 1, "nw", year(2010))),
        ("dop20rgb_32_362_5604_2_rp_2023", ("dop", 0.2, "rgb", 32, 362, 5604, 2, "rp", year(2023))),
        (
            "dop20rgbi_32_564_5720_2_ni_2025-03-08",
            ("dop", 0.2, "rgbi", 32, 564, 5720, 2, "ni", Flight.on(date(2025, 3, 8))),
        ),
        ("dop20rgbi_32_704_5708_2_st_2022", ("dop", 0.2, "rgbi", 32, 704, 5708, 2, "st", year(2022))),
        ("dop20rgb_32_500_5300_2_bw", ("dop", 0.2, "rgb", 32, 500, 5300, 2, "bw", None)),
        ("dop20rgb_32_500_5300_1_bw_2021", ("dop", 0.2, "rgb", 32, 500, 5300, 1, "bw", year(2021))),
        ("dop20rgbi_32_600_5600_1_th_2020", ("dop", 0.2, "rgbi", 32, 600, 5600, 1, "th", year(2020))),
        ("32679_5392", ("dop", None, "rgb", 32, 679, 5392, 1, "by", None)),
        ("32679_5392_2023", ("dop", None, "rgb", 32, 679, 5392, 1, "by", year(2023))),
        ("dop_33250-5888", ("dop", None, "rgbi", 33, 250, 5888, 1, "bb", None)),
        ("dop20rgbi_32_364_5620_1_nw_2025_x000_y250", ("dop", 0.2, "rgbi", 32, 364, 5620, 1, "nw", year(2025))),
        ("DOP10RGBI_32_280_5652_1_NW_2023", ("dop", 0.1, "rgbi", 32, 280, 5652, 1, "nw", year(2023))),
    ],
)
@pytest.mark.parametrize("extension", ["", ".jp2", ".TIF", ".tiff", ".zip"])
def test_names_of_the_states(name: str, said: tuple[object, ...], extension: str) -> None:
    found = sheet_from_name(name + extension)
    assert found is not None
    keys = ("product", "gsd_m", "channels", "zone", "east_km", "north_km", "size_km", "land", "flown")
    assert found == DopSheet(**dict(zip(keys, said, strict=True)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    [
        "", "ortho", "dop", "tile_12", "dop20rgbi", "dop20rgbi_32_28_5652_1_nw_2023", "dop20rgbi_31_280_5652_1_nw_2023",
        "xdop20rgbi_32_280_5652_1_nw_2023", "dop20rgbi_32_280_5652_1_nw_2023_copy", "33679_5392", "32679-5392",
        "dop_32250-5888", "dop20rgbi_32_280_5652_1_nw_2023.jp2.aux.xml", "dop20rgbi_32_280_5652_1_nw_2023\n",
        "dop20rgbi_32_٢٨٠_5652_1_nw_2023",
    ],
)  # fmt: skip
def test_other_names_say_nothing(name: str) -> None:
    assert sheet_from_name(name) is None


@pytest.mark.parametrize("flown", ["9999", "0000", "1024", "2025-13-08", "2025-02-30"])
def test_a_name_with_no_date_is_a_name(flown: str) -> None:
    found = sheet_from_name(f"dop20rgbi_32_564_5720_2_ni_{flown}")
    assert found is not None
    assert (found.east_km, found.flown) == (564, None)


# --- flights ---


@pytest.mark.parametrize(
    ("text", "flight"),
    [
        ("2024", year(2024)),
        ("2024-04-06", Flight.on(DAY)),
        (" 2024-04-06 ", Flight.on(DAY)),
        ("06.04.2024", Flight.on(DAY)),
        ("6.4.2024", Flight.on(DAY)),
        ("", None),
        ("  ", None),
        ("9999", None),
        ("9999-12-31", None),
        ("31.12.9999", None),
    ],
)
def test_dates_of_flights(text: str, flight: Flight | None) -> None:
    assert Flight.of(text) == flight


@pytest.mark.parametrize(
    "text", ["24", "2024-4-6", "2024-02-30", "06/04/2024", "unbekannt", "1024-04-06", "20240406", "٢٠٢٤", "9999-99"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=rf"'{text}' is no date of a flight \(1900 to 2099\) → write 2024-04-06"):
        Flight.of(text)


def test_a_year_is_from_its_first_day_to_its_last() -> None:
    assert Flight.of("2024-04-06") == Flight(first=DAY, last=DAY)
    whole = Flight.of("2024")
    assert whole is not None
    assert (whole.first, whole.last, whole.exact) == (date(2024, 1, 1), date(2024, 12, 31), False)
    assert Flight.on(DAY).exact
    # A garage built in March 2024 may be missing in a picture of that year: it counts as newer.
    assert date(2024, 3, 1) > whole.first
    with pytest.raises(ValueError, match="cannot end"):
        Flight(first=DAY, last=date(2024, 4, 5))


# --- metadata ---


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_table_of_north_rhine_westphalia(tmp_path: Path, encoding: str, end: str) -> None:
    path = written(
        tmp_path / "dop_nw.csv",
        *NRW_PREAMBLE,
        NRW_HEADER,
        nrw_row("dop10rgbi_32_478_5740_1_nw_2024", "2024-04-06"),
        nrw_row("dop10rgbi_32_479_5740_1_nw_2023.jp2", "2023-05-04"),
        nrw_row("dop10rgbi_32_480_5740_1_nw_2010", "2010"),
        encoding=encoding,
        end=end,
    )
    assert read_dop_metadata(path) == {
        "dop10rgbi_32_478_5740_1_nw_2024": Flight.on(DAY),
        "dop10rgbi_32_479_5740_1_nw_2023": Flight.on(date(2023, 5, 4)),
        "dop10rgbi_32_480_5740_1_nw_2010": year(2010),
    }


@pytest.mark.parametrize("preamble", range(8))
def test_the_header_is_found_wherever_it_is(tmp_path: Path, preamble: int) -> None:
    lines = ["Stand;2025-01-23"] * preamble
    path = written(tmp_path / "m.csv", *lines, NRW_HEADER, nrw_row("a", "2024-04-06"))
    assert read_dop_metadata(path) == {"a": Flight.on(DAY)}


@pytest.mark.parametrize(
    "lines",
    [
        ("sheet,date", "a.tif,2024-04-06"),
        ("Date,Sheet", "2024-04-06,a"),
        ("Kachel;Bildflugdatum", "a;06.04.2024"),
        ("kachelname;Aktualität", "a;2024-04-06"),
        ('"id","sheet","flight_date"', '"7","a","2024-04-06"'),
        ("sheet;date", "", "a;2024-04-06", ";", "  "),
    ],
)
def test_plain_tables(tmp_path: Path, lines: tuple[str, ...]) -> None:
    for encoding in ("utf-8", "cp1252"):
        assert read_dop_metadata(written(tmp_path / "m.csv", *lines, encoding=encoding)) == {"a": Flight.on(DAY)}


def test_unknown_dates_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "m.csv", "sheet,date", "a,9999-12-31", "b,", "c,9999", "d,2024")
    assert read_dop_metadata(path) == {"d": year(2024)}


def test_a_sheet_that_was_flown_twice(tmp_path: Path) -> None:
    path = written(tmp_path / "m.csv", "sheet,date", "a,2024-04-06", "a.jp2,2024-03-01", "a,9999", "b,2024-04-06")
    found = read_dop_metadata(path)
    assert found == {"a": Flight(first=date(2024, 3, 1), last=DAY), "b": Flight.on(DAY)}
    assert not found["a"].exact


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("b;0;gestern", r"line 4: 'gestern' is no date of a flight.*→ write"),
        ("b;0;2024-02-30", "line 4: '2024-02-30' is no date"),
        ("b", "line 4: 1 fields, sheet and date are to be in fields 1 and 3"),
        (";0;2024-04-06", "line 4: 3 fields"),
        ('"b;0;2024-04-06', "line 4: 1 fields"),
    ],
)
def test_bad_rows_are_refused_with_their_line(tmp_path: Path, row: str, words: str) -> None:
    path = written(tmp_path / "m.csv", "Metadaten", "Kachelname;Methode;Aktualitaet", "a;0;2024-04-06", row)
    with pytest.raises(InputError, match=rf"m\.csv, {words}"):
        read_dop_metadata(path)


def test_files_that_are_no_such_table_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no header with a sheet and a date in its first 2 lines; it begins with 'a,b'"
    ):
        read_dop_metadata(written(tmp_path / "a.csv", "a,b", "1,2"))
    with pytest.raises(InputError, match="first 0 lines"):
        read_dop_metadata(written(tmp_path / "b.csv", end=""))
    for raw in (b"\x81\x8d\xff", "sheet,date\na,2024".encode("utf-16"), b"PK\x03\x04\x00\x00"):
        (tmp_path / "c.csv").write_bytes(raw)
        with pytest.raises(InputError, match="neither UTF-8 nor Windows-1252"):
            read_dop_metadata(tmp_path / "c.csv")
    with pytest.raises(InputError, match=r"cannot be read: No such file"):
        read_dop_metadata(tmp_path / "d.csv")


# --- who says it ---

NAMED, PLAIN = "dop20rgbi_32_364_5620_1_nw_2025", "ortho"


def test_the_day_given_holds_for_all() -> None:
    table = {NAMED: Flight.on(date(2023, 1, 1))}
    assert flights_of([NAMED, PLAIN], table, DAY) == {NAMED: Flight.on(DAY), PLAIN: Flight.on(DAY)}


def test_metadata_know_more_than_names_and_names_more_than_nothing() -> None:
    assert flights_of([NAMED, PLAIN], None, None) == {NAMED: year(2025)}
    table = {NAMED: Flight.on(date(2025, 3, 1)), "other": Flight.on(DAY)}
    assert flights_of([NAMED, PLAIN], table, None) == {NAMED: Flight.on(date(2025, 3, 1))}
    assert flights_of([PLAIN], {PLAIN: Flight.on(DAY)}, None) == {PLAIN: Flight.on(DAY)}


def test_extension_and_case_do_not_matter() -> None:
    table = {f"{PLAIN}.JP2": Flight.on(DAY)}
    assert flights_of(["Ortho", "ORTHO.tif"], table, None) == {"Ortho": Flight.on(DAY), "ORTHO.tif": Flight.on(DAY)}
