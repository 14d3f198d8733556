"""GML and NAS before GDAL sees them: no litter, no network, nothing lost in silence."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pyogrio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS

from sealmap.core.errors import GridError, InputError
from sealmap.files.gml import crs_of, is_gml, split_gml
from sealmap.files.vector import list_layers, open_vector, read_layer

UTM32 = "urn:ogc:def:crs:EPSG::25832"
OPEN = (
    '<?xml version="1.0" encoding="{encoding}"?>\n<wfs:FeatureCollection xmlns:gml="http://www.opengis.net/gml/3.2"'
    ' xmlns:wfs="http://www.opengis.net/wfs/2.0" xmlns:ave="http://localhost/ave"{more}>\n'
)
CLOSE = "</wfs:FeatureCollection>\n"


def thing(number: int, *, text: str = "Straße", srs: str = UTM32, name: str = "Nutzung", x: int = 0) -> str:
    """One object: a square of 10 m."""
    ring = " ".join(
        f"{350_000 + x + dx}.0 {5_700_000 + dy}.0" for dx, dy in [(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)]
    )
    return (
        f'<wfs:member><ave:{name} gml:id="{name}_{number}"><ave:oid>00{number}</ave:oid>'
        f'<ave:nutzart>{text}</ave:nutzart><ave:geometrie><gml:Polygon srsName="{srs}"><gml:exterior>'
        f"<gml:LinearRing><gml:posList>{ring}</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon></ave:geometrie></ave:{name}></wfs:member>\n"
    )


def gml(path: Path, body: str, *, encoding: str = "UTF-8", more: str = "", close: str = CLOSE) -> Path:
    path.write_bytes((OPEN.format(encoding=encoding, more=more) + body + close).encode(encoding, "surrogateescape"))
    return path


def test_objects_come_with_text_as_text_and_their_crs(tmp_path: Path) -> None:
    path = gml(tmp_path / "a.gml", thing(1) + thing(2, name="Flurstueck") + thing(3))
    assert list_layers(path) == ["Nutzung", "Flurstueck"]
    frame = read_layer(path, "Nutzung")
    assert frame["oid"].tolist() == ["001", "003"]
    assert frame["nutzart"].tolist() == ["Straße"] * 2
    assert frame.crs == CRS.from_epsg(25832)
    assert frame.area.tolist() == [100.0, 100.0]
    assert len(read_layer(path, "ave:Nutzung")) == 2  # as services name it


def test_gfs_are_neither_written_nor_believed(tmp_path: Path) -> None:
    path = gml(tmp_path / "a.gml", thing(1))
    pyogrio.read_dataframe(path)  # GDAL by itself leaves a .gfs
    stale = tmp_path / "a.gfs"
    stale.write_text(stale.read_text().replace("<Type>String</Type>", "<Type>Integer</Type>"))
    assert pyogrio.read_dataframe(path)["oid"].tolist() == [1]  # ... and believes it
    assert read_layer(path)["oid"].tolist() == ["001"]
    stale.unlink()
    read_layer(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.gml"]


def test_scratch_is_gone_and_gdal_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    pyogrio.set_gdal_config_options({"OGR_ARC_STEPSIZE": "3"})
    try:
        with open_vector(gml(tmp_path / "a.gml", thing(1))) as source:
            assert list(scratch.iterdir())
            assert source.layers == ["Nutzung"]
        assert list(scratch.iterdir()) == []
        with pytest.raises(InputError):
            read_layer(gml(tmp_path / "b.gml", thing(1)), "none")
        assert list(scratch.iterdir()) == []
        assert str(pyogrio.get_gdal_config_option("OGR_ARC_STEPSIZE")) == "3"
        assert pyogrio.get_gdal_config_option("GML_FIELDTYPES") is None
    finally:
        pyogrio.set_gdal_config_options({"OGR_ARC_STEPSIZE": None})


def test_schemas_are_not_fetched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/ave.xsd"
        more = f' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://localhost/ave {url}"'
        assert len(read_layer(gml(tmp_path / "a.gml", thing(1), more=more))) == 1
        with pytest.raises(TimeoutError):
            server.accept()


def test_other_files_are_not_pulled_in(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    path = gml(tmp_path / "a.gml", thing(1, text="&x;"))
    entity = f'<!DOCTYPE a [<!ENTITY x SYSTEM "{(tmp_path / "secret.txt").as_uri()}">]>\n'
    path.write_text(path.read_text().replace("<wfs:FeatureCollection", entity + "<wfs:FeatureCollection", 1))
    with pytest.raises(InputError, match="declares a document type"):
        read_layer(path)


@pytest.mark.parametrize(
    "body",
    [thing(1) + thing(2, text="&none;"), thing(1) + thing(2, text="\x03"), thing(1) + thing(2, text="<b>")],
    ids=["entity", "control", "tags"],
)
def test_broken_xml_is_no_empty_layer(tmp_path: Path, body: str) -> None:
    with pytest.raises(InputError, match=r"a\.gml:Nutzung is broken XML"):
        read_layer(gml(tmp_path / "a.gml", body))


@pytest.mark.parametrize("cut", [30, 200, 420])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    path = gml(tmp_path / "a.gml", thing(1) + thing(2))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match=r"a\.gml is cut off after [12] objects → fetch it again"):
        read_layer(path)


def test_text_that_is_no_utf8_is_read_and_counted(tmp_path: Path) -> None:
    latin = "Gewässer".encode("cp1252").decode("utf-8", "surrogateescape")
    path = gml(tmp_path / "a.gml", thing(1) + thing(2, text=latin, x=20) + thing(3, x=40))
    with open_vector(path) as source:
        table = source.read("Nutzung")
        assert table.frame["nutzart"].tolist() == ["Straße", "Gewässer", "Straße"]
        assert table.broken_texts == 1
        assert source.read("Nutzung", bbox=(350_000, 5_700_000, 350_001, 5_700_001)).broken_texts == 0


def test_the_declared_encoding_is_believed(tmp_path: Path) -> None:
    with open_vector(gml(tmp_path / "a.gml", thing(1), encoding="ISO-8859-1")) as source:
        table = source.read("Nutzung")
    assert table.frame["nutzart"].tolist() == ["Straße"]
    assert table.broken_texts == 0


def test_answers_of_services_that_are_no_data(tmp_path: Path) -> None:
    error = tmp_path / "error.gml"
    error.write_text(
        '<?xml version="1.0"?><ows:ExceptionReport xmlns:ows="http://www.opengis.net/ows/1.1"><ows:Exception>'
        "<ows:ExceptionText>\n  TYPENAMES unknown </ows:ExceptionText></ows:Exception></ows:ExceptionReport>"
    )
    with pytest.raises(InputError, match="no data but the error of a service: TYPENAMES unknown"):
        list_layers(error)
    page = tmp_path / "page.gml"
    page.write_text("<html><body>Wartung</body></html>")
    with pytest.raises(InputError, match="no vector file"):
        list_layers(page)
    with pytest.raises(InputError, match="holds no objects"):
        list_layers(gml(tmp_path / "none.gml", "", more=' numberMatched="0" numberReturned="0"'))


def test_half_an_answer_is_refused_unless_in_a_folder(tmp_path: Path) -> None:
    first = gml(tmp_path / "1.gml", thing(1), more=' numberMatched="2" numberReturned="1"')
    with pytest.raises(InputError, match="1 of the 2 objects"):
        list_layers(first)
    gml(tmp_path / "2.gml", thing(2), more=' numberMatched="2" numberReturned="1"')
    assert read_layer(tmp_path, "Nutzung")["oid"].tolist() == ["001", "002"]
    assert len(read_layer(gml(tmp_path / "a.gml", thing(1), more=' numberMatched="unknown"'))) == 1


def test_many_members_in_one_and_collections_in_collections(tmp_path: Path) -> None:
    inner = [thing(i).removeprefix("<wfs:member>").removesuffix("</wfs:member>\n") for i in range(4)]
    body = (
        f"<gml:featureMembers>{inner[0]}\n<!-- <wfs:member><ave:Nutzung> -->{inner[1]}</gml:featureMembers>"
        f"<wfs:member><wfs:FeatureCollection><wfs:member>{inner[2]}</wfs:member></wfs:FeatureCollection></wfs:member>"
        f'<wfs:member xlink:href="#a"/><wfs:member><!-- last -->{inner[3]}</wfs:member><ave:Nothing/>'
    )
    frame = read_layer(gml(tmp_path / "a.gml", body))
    assert frame["oid"].tolist() == ["000", "001", "002", "003"]


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4), order=st.randoms())
def test_no_object_is_lost_or_doubled(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], order: Any) -> None:
    folder = tmp_path_factory.mktemp("split")
    objects = [thing(i, name=f"T{t}") for t, size in enumerate(sizes) for i in range(size)]
    order.shuffle(objects)
    tables = split_gml(gml(folder / "a.gml", "".join(objects)), folder, whole=True)
    assert {t.name: t.objects for t in tables} == {f"T{t}": size for t, size in enumerate(sizes)}
    for table in tables:
        text = table.file.read_text(encoding="utf-8")
        assert [text.count(f'gml:id="{table.name}_{i}"') for i in range(table.objects)] == [1] * table.objects


def test_is_gml_looks_inside(tmp_path: Path) -> None:
    assert is_gml(gml(tmp_path / "a.txt", thing(1)))
    for name, content in (("b.gml", b""), ("c.gml", b"<kml/>"), ("d.gml", b"GPKG opengis.net/gml")):
        (tmp_path / name).write_bytes(content)
        assert not is_gml(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "epsg"),
    [
        ("urn:adv:crs:ETRS89_UTM32", 25832),
        ("urn:adv:crs:ETRS89_UTM33", 25833),
        ("urn:adv:crs:ETRS89_UTM32*DE_DHHN2016_NH", 25832),
        ("urn:ogc:def:crs:EPSG::25832", 25832),
        ("urn:ogc:def:crs:EPSG:6.9:25833", 25833),
        ("http://www.opengis.net/def/crs/EPSG/0/25832", 25832),
        ("http://www.opengis.net/gml/srs/epsg.xml#31466", 31466),
        ("EPSG:2056", 2056),
    ],
)
def test_srs_names(name: str, epsg: int) -> None:
    assert crs_of((name,), "a") == CRS.from_epsg(epsg)


@pytest.mark.parametrize(
    ("names", "match"),
    [
        ((), "a has no CRS"),
        (("urn:adv:crs:DE_DHDN_3GK2",), "is in urn:adv:crs:DE_DHDN_3GK2, which is not a CRS that is known"),
        (("EPSG:999999",), "EPSG:999999"),
        (("EPSG:25832", "EPSG:25833"), "mixes 2 CRSs"),
    ],
)
def test_srs_names_that_are_refused(names: tuple[str, ...], match: str) -> None:
    with pytest.raises(GridError, match=match):
        crs_of(names, "a")


def test_two_names_of_one_crs_are_one(tmp_path: Path) -> None:
    body = thing(1) + thing(2, srs="urn:adv:crs:ETRS89_UTM32", x=20)
    assert read_layer(gml(tmp_path / "a.gml", body)).crs == CRS.from_epsg(25832)
    with pytest.raises(GridError, match="mixes"):
        read_layer(gml(tmp_path / "b.gml", body + thing(3, srs="urn:adv:crs:ETRS89_UTM33")))


def test_degrees_come_east_first(tmp_path: Path) -> None:
    ring = "51.0 7.0 51.0 7.1 51.1 7.1 51.0 7.0"  # the order of EPSG: north first
    body = thing(1, srs="urn:ogc:def:crs:EPSG::4258")
    start, end = body.index("<gml:posList>") + 13, body.index("</gml:posList>")
    frame = read_layer(gml(tmp_path / "a.gml", body[:start] + ring + body[end:]))
    assert frame.total_bounds.tolist() == pytest.approx([7.0, 51.0, 7.1, 51.1])
