"""NAS: types, codes and lives of objects."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pyproj import CRS

from sealmap.core.errors import InputError
from sealmap.dataset.rules import load_rules
from sealmap.sources.cadastre import Cadastre, read_cadastre, read_parcels
from sealmap.sources.nas import object_types

UTM32 = CRS.from_epsg(25832)
BOUNDS = (350_000.0, 5_700_000.0, 350_100.0, 5_700_100.0)
SQUARE = "350010.000 5700010.000 350020.000 5700010.000 350020.000 5700020.000 350010.000 5700010.000"


def thing(kind: str, oid: str, attributes: str = "", *, life: str = "", place: str = "") -> str:
    place = place or (
        f'<gml:Polygon srsName="urn:adv:crs:ETRS89_UTM32"><gml:exterior><gml:LinearRing><gml:posList>{SQUARE}'
        "</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon>"
    )
    return (
        f'<gml:featureMember><{kind} gml:id="{oid}"><lebenszeitintervall><AA_Lebenszeitintervall>'
        f"<beginnt>2014-02-14T11:31:00Z</beginnt>{life}</AA_Lebenszeitintervall></lebenszeitintervall>"
        f"<position>{place}</position>{attributes}</{kind}></gml:featureMember>\n"
    )


def nas(path: Path, *things: str) -> Path:
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><AX_Bestandsdatenauszug xmlns:gml="http://www.opengis.net/gml/3.2"'
        ' xmlns="http://www.adv-online.de/namespaces/adv/gid/6.0" xmlns:wfs="http://www.opengis.net/wfs"><enthaelt>'
        f"<wfs:FeatureCollection>{''.join(things)}</wfs:FeatureCollection></enthaelt></AX_Bestandsdatenauszug>",
        encoding="utf-8",
    )
    return path


def read(tmp_path: Path, *things: str) -> Cadastre:
    return read_cadastre(nas(tmp_path / "a.xml", *things), crs=UTM32, bounds=BOUNDS)


def test_codes_are_told_in_the_words_of_the_simplified_alkis(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        thing("AX_Gebaeude", "DENW000000000001", "<gebaeudefunktion>1010</gebaeudefunktion>"),
        thing("AX_Turm", "DENW000000000002", "<bauwerksfunktion>1002</bauwerksfunktion>" * 2),
        thing("AX_Weg", "DENW000000000003", "<funktion>5220</funktion>"),
        thing("AX_Heide", "DENW000000000004"),
        thing("AX_Flugverkehr", "DENW000000000005", "<funktion>5501</funktion><art>5520</art>"),
    )
    s = found.shapes
    assert list(zip(s.oid, s.source, s.klass, s.function, strict=True)) == [
        ("DENW000000000001", "building", "Gebäude", "Wohnhaus"),
        ("DENW000000000002", "building", "Turm", "Kirchturm, Glockenturm"),
        ("DENW000000000003", "use", "Weg", "Fußweg"),
        ("DENW000000000004", "use", "Heide", ""),
        ("DENW000000000005", "use", "Flugverkehr", "Verkehrslandeplatz"),
    ]
    assert set(s.updated) == {date(2014, 2, 14)}
    assert found.kind == "NAS"


@pytest.mark.parametrize(
    ("code", "function"),
    [("1010", "Wohnhaus (unterirdisch)"), ("2465", "Tiefgarage"), ("", "(unterirdisch)")],
)
def test_what_lies_below_the_ground_says_so(tmp_path: Path, code: str, function: str) -> None:
    attributes = f"<gebaeudefunktion>{code}</gebaeudefunktion><lageZurErdoberflaeche>1200</lageZurErdoberflaeche>"
    found = read(tmp_path, thing("AX_Gebaeude", "DENW000000000001", attributes)).shapes
    assert found.function == (function,)
    rule = load_rules("alkis_nrw").match("building", "Gebäude", function)
    assert rule is not None
    assert rule.label == "ignore"


def test_what_stands_on_stilts_does_not(tmp_path: Path) -> None:
    attributes = "<gebaeudefunktion>1010</gebaeudefunktion><lageZurErdoberflaeche>1400</lageZurErdoberflaeche>"
    assert read(tmp_path, thing("AX_Gebaeude", "a", attributes)).shapes.function == ("Wohnhaus",)


def test_codes_that_no_table_has_stay_and_are_listed(tmp_path: Path) -> None:
    one = "<gebaeudefunktion>7777</gebaeudefunktion>"
    found = read(tmp_path, *[thing("AX_Gebaeude", f"a{i}", one) for i in range(2)], thing("AX_Weg", "b"))
    assert found.shapes.function == ("7777", "7777", "")
    assert found.unknown_codes == ("AX_Gebaeude 7777 (2)",)


def test_what_has_ended_is_left_out_and_counted(tmp_path: Path) -> None:
    ended = "<endet>2020-01-01T00:00:00Z</endet>"
    key = "<flurstueckskennzeichen>05329001100085______</flurstueckskennzeichen>"
    path = nas(
        tmp_path / "a.xml",
        thing("AX_Weg", "a"),
        thing("AX_Weg", "b", life=ended),
        thing("AX_Flurstueck", "c", key),
        thing("AX_Flurstueck", "d", key, life=ended),
    )
    found = read_cadastre(path, crs=UTM32, bounds=BOUNDS)
    assert (found.shapes.oid, found.historic) == (("a",), 1)
    parcels = read_parcels(path, crs=UTM32)
    assert parcels["parcel_id"].tolist() == ["05329001100085______"]
    assert parcels.attrs["counts"].historic == 1
    assert parcels.attrs["counts"].kind == "NAS"


def test_versions_have_the_id_of_their_object(tmp_path: Path) -> None:
    found = read(tmp_path, thing("AX_Weg", "DENW21AL100077H620140214T113100Z"))
    assert found.shapes.oid == ("DENW21AL100077H6",)


def test_points_and_lines_are_dropped_and_counted(tmp_path: Path) -> None:
    point = '<gml:Point srsName="urn:adv:crs:ETRS89_UTM32"><gml:pos>350010 5700010</gml:pos></gml:Point>'
    line = (
        '<gml:Curve srsName="urn:adv:crs:ETRS89_UTM32"><gml:segments><gml:LineStringSegment><gml:posList>350010 5700010'
        " 350020 5700010</gml:posList></gml:LineStringSegment></gml:segments></gml:Curve>"
    )
    kind = "AX_SonstigesBauwerkOderSonstigeEinrichtung"
    found = read(tmp_path, thing(kind, "a", place=point), thing(kind, "b", place=line), thing(kind, "c"))
    assert (found.shapes.oid, found.dropped, found.repaired) == (("c",), 2, 0)


def test_objects_in_many_files_are_one_cadastre(tmp_path: Path) -> None:
    nas(tmp_path / "1.xml", thing("AX_Weg", "a"), thing("AX_Wald", "b"))
    nas(tmp_path / "2.xml", thing("AX_Weg", "a"), thing("AX_Gebaeude", "c"))
    found = read_cadastre(tmp_path, crs=UTM32, bounds=BOUNDS)
    assert sorted(found.shapes.oid) == ["a", "b", "c"]
    assert found.duplicates == 1


def test_an_update_is_no_cadastre(tmp_path: Path) -> None:
    path = tmp_path / "nba.xml"
    path.write_text(
        '<AX_NutzerbezogeneBestandsdatenaktualisierung_NBA xmlns:wfs="http://www.opengis.net/wfs"'
        ' xmlns:gml="http://www.opengis.net/gml/3.2"><geaenderteObjekte><wfs:Transaction><wfs:Delete/></wfs:Transaction>'
        "</geaenderteObjekte></AX_NutzerbezogeneBestandsdatenaktualisierung_NBA>"
    )
    with pytest.raises(InputError, match=r"holds no objects → give the cadastre itself, no update"):
        read_cadastre(path, crs=UTM32, bounds=BOUNDS)


def test_other_objects_do_not_disturb(tmp_path: Path) -> None:
    """Points in other CRSs, owners and places without geometry are in every delivery."""
    height = '<gml:Point srsName="urn:adv:crs:DE_DHHN2016_NH"><gml:pos>48.1</gml:pos></gml:Point>'
    found = read(
        tmp_path, thing("AX_PunktortAU", "p", place=height), thing("AX_Person", "q", place=" "), thing("AX_Weg", "a")
    )
    assert found.layers == ("AX_Weg",)


def test_the_tables_of_codes_are_whole() -> None:
    types = object_types()
    assert len(types) == 38
    assert len({t.kennung for t in types.values()}) == 38
    for kind in types.values():
        assert (kind.source == "building") == (kind.kennung[0] in "35")
        assert bool(kind.attributes) == bool(kind.codes)
        assert all(len(code) == 4 and code.isdigit() and text == text.strip() for code, text in kind.codes.items())


def test_every_type_has_a_rule() -> None:
    table = load_rules("alkis_nrw")
    without = {t.klass for t in object_types().values() if table.match(t.source, t.klass, "") is None}
    assert without == set()
