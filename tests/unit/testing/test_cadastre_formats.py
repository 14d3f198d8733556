from __future__ import annotations

import datetime as dt
import math
import shutil
import struct
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree as ET

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Point, Polygon, box

from sealmap.testing.alkis_codes import BUILDINGS, USES
from sealmap.testing.cadastre import CadastreKind, write_cadastre
from sealmap.testing.cadastre_files import DBF_WIDTH, write_cut_shapefiles
from sealmap.testing.cadastre_tables import draw_tables
from sealmap.testing.gml import GML, GmlStyle, RingForm, SurfaceForm, write_surface, xml_file
from sealmap.testing.model import Parcel, Scene, TownSpec
from sealmap.testing.nas import NasVersion, write_round_objects
from sealmap.testing.samples import every_use
from sealmap.testing.town import plan_town

SPEC = TownSpec(seed=2, width_m=192.0, height_m=128.0, cadastre_lag=0.1)
KINDS: tuple[CadastreKind, ...] = get_args(CadastreKind)
NAMES = {"shapefile": "shp", "hausumringe": "hu", "gml": "wfs.gml", "nas6": "nas6.xml", "nas7": "nas7.xml"}
LAYERS = ("Flurstueck", "GebaeudeBauwerk", "Nutzung", "NutzungFlurstueck")
Tables = dict[str, gpd.GeoDataFrame]


class Files:
    """One cadastre in each kind: where it lies, and what is read from it (once: a NAS file has many layers)."""

    def __init__(self, out: Path, scene: Scene) -> None:
        self.paths: dict[str, Path] = {
            kind: write_cadastre(out / NAMES.get(kind, f"{kind}.gpkg"), scene, SPEC, kind=kind) for kind in KINDS
        }
        self._read: dict[str, Tables] = {}

    def tables(self, kind: str) -> Tables:
        """Layers by name, spelled well, NAS classes put together again."""
        if kind not in self._read:
            found = read(self.paths[kind])
            self._read[kind] = as_simplified(found) if kind.startswith("nas") else found
        return self._read[kind]


@pytest.fixture(scope="module", params=["town", "every_use"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Files:
    scene = plan_town(SPEC) if request.param == "town" else every_use(SPEC)
    return Files(tmp_path_factory.mktemp(request.param), scene)


def read(path: Path) -> Tables:
    """Every layer by name, spelled well; XML is read by GDAL's GML driver from a copy, since it leaves .gfs files."""
    if path.suffix in (".xml", ".gml"):
        path = Path(shutil.copy(path, path.parent / f"copy_{path.stem}{path.suffix}"))
        path.with_suffix(".gfs").unlink(missing_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GML_FIELDTYPES", "ALWAYS_STRING")
        names = [str(name) for name, _ in pyogrio.list_layers(path)]
        return {n.replace("Gebauede", "Gebaeude"): pyogrio.read_dataframe(path, layer=n) for n in names}


def as_simplified(found: Tables) -> Tables:
    """The classes of NAS put together again, as the layers of the simplified ALKIS."""
    uses = {use.element: name for name, use in USES.items()}
    buildings = {building.element for building in BUILDINGS.values()}
    assert set(found) <= {"AX_Flurstueck", *uses, *buildings}
    tables = {"Flurstueck": [found["AX_Flurstueck"]], "GebaeudeBauwerk": [], "Nutzung": []}
    for element, frame in found.items():
        if element in buildings:
            tables["GebaeudeBauwerk"].append(frame.assign(element=element))
        elif element in uses:
            tables["Nutzung"].append(frame.assign(element=element, nutzart=uses[element]))
    return {name: pd.concat(parts).rename(columns={"gml_id": "oid"}) for name, parts in tables.items()}


def content(path: Path) -> object:
    """What can be compared: the bytes of XML, the rows of others, since GeoPackages note the time."""
    if path.suffix in (".xml", ".gml"):
        return path.read_bytes()
    return {name: table.astype(str).to_numpy().tolist() for name, table in read(path).items()}


def parsed(path: Path) -> ET.Element:
    """The root; raises ParseError where the XML is not well-formed."""
    parser: Any = ET.XMLPullParser(["start"])
    parser.feed(path.read_bytes())
    parser.close()
    _, root = next(iter(parser.read_events()))
    assert isinstance(root, ET.Element)
    return root


def local(tag: str) -> str:
    return tag.rpartition("}")[2]


@pytest.mark.parametrize("kind", ["gpkg_bb", "gpkg_mv", "shapefile", "gml", "nas6", "nas7"])
def test_same_objects_and_shapes_in_every_format(files: Files, kind: str) -> None:
    expected = files.tables("gpkg_nrw")
    tables = files.tables(kind)
    assert set(tables) == set(LAYERS) - ({"NutzungFlurstueck"} if kind.startswith("nas") else set())
    for name, table in tables.items():
        assert len(table) == len(expected[name])
        ours = table.set_index("oid").geometry
        theirs = expected[name].set_index("oid").geometry.loc[ours.index]
        assert ours.index.is_unique
        assert shapely.hausdorff_distance(ours.to_numpy(), theirs.to_numpy()).max() <= 0.002
        assert np.abs(shapely.area(ours.to_numpy()) - shapely.area(theirs.to_numpy())).max() < 0.5
        assert [len(p) for p in map(shapely.get_parts, ours)] == [len(p) for p in map(shapely.get_parts, theirs)]


@pytest.mark.parametrize("kind", ["gpkg_bb", "gpkg_mv", "shapefile", "gml"])
def test_same_texts_in_every_simplified_format(files: Files, kind: str) -> None:
    expected = files.tables("gpkg_nrw")
    tables = files.tables(kind)
    aside = {"gml_id", "identifier", "geometry", "flurstnr", "flaeche", "anzahlgs", "aktualit"}
    for name, table in tables.items():
        theirs = expected[name].set_index("oid").rename(columns={"tntxt": "tntext"} if kind == "gpkg_bb" else {})
        ours = table.set_index("oid").loc[theirs.index]
        fields = set(ours.columns) - aside
        # A service leaves out what is empty.
        assert all((theirs[f].fillna("") == "").all() for f in set(theirs.columns) - aside - fields)
        for field in fields:
            assert ours[field].fillna("").tolist() == theirs[field].fillna("").tolist(), (name, field)
        days = [str(day)[:10] for day in ours["aktualit"]]
        assert days == [str(day)[:10] for day in theirs["aktualit"]]
        assert all(len(field) <= 10 for field in ours.columns if field != "identifier")
    assert tables["Flurstueck"]["flaeche"].astype(float).tolist() == expected["Flurstueck"]["flaeche"].tolist()
    assert any("ß" in text or "ä" in text for text in tables["Nutzung"]["nutzart"])


def test_spelling_of_the_states(files: Files) -> None:
    names = {
        kind: {str(n) for n, _ in pyogrio.list_layers(files.paths[kind])} for kind in KINDS if kind.startswith("gpkg")
    }
    assert "GebauedeBauwerk" in names["gpkg_nrw"] & names["gpkg_bb"]
    assert "GebaeudeBauwerk" in names["gpkg_mv"]
    parcels = {kind: files.tables(kind)["Flurstueck"] for kind in names}
    assert {"tntext", "flurstnr"} <= set(parcels["gpkg_bb"].columns)
    assert "tntxt" not in parcels["gpkg_bb"].columns
    assert parcels["gpkg_bb"]["flurstnr"].tolist() == parcels["gpkg_nrw"]["flstnrzae"].tolist()
    for kind in ("gpkg_bb", "gpkg_mv"):
        assert parcels[kind]["aktualit"].str.fullmatch(r"\d{4}-\d{2}-\d{2}Z").all()
    assert pyogrio.read_info(files.paths["gpkg_nrw"], layer="Flurstueck")["dtypes"][2].startswith("datetime64[D")


@pytest.mark.parametrize("version", ["nas6", "nas7"])
def test_nas_has_the_codes_of_the_texts(files: Files, version: str) -> None:
    expected = {name: t.set_index("oid") for name, t in files.tables("gpkg_nrw").items()}
    tables = {name: t.set_index("oid") for name, t in files.tables(version).items()}
    for oid, row in tables["Nutzung"].iterrows():
        theirs = expected["Nutzung"].loc[oid]
        use = USES[theirs["nutzart"]]
        assert row["element"] == use.element
        code = row.get(use.attribute)
        assert (use.codes[theirs["bez"]] if theirs["bez"] else None) == (code if isinstance(code, str) else None)
    for oid, row in tables["GebaeudeBauwerk"].iterrows():
        kind, _, code = expected["GebaeudeBauwerk"].loc[oid]["gfkzshh"].partition("_")
        assert row["element"] == BUILDINGS[kind].element
        assert row[BUILDINGS[kind].attribute] == code
    for oid, row in tables["Flurstueck"].iterrows():
        theirs = expected["Flurstueck"].loc[oid]
        assert row["flurstueckskennzeichen"] == theirs["flstkennz"]
        assert len(row["flurstueckskennzeichen"]) == 20
        assert row["zaehler"] == theirs["flstnrzae"]
        assert float(row["amtlicheFlaeche"]) == theirs["flaeche"]
        assert row["beginnt"] == f"{theirs['aktualit']:%Y-%m-%d}T08:30:00Z"
        assert dt.date.fromisoformat(row["zeitpunktDerEntstehung"]) < theirs["aktualit"].date()
        assert (row["land"], row["gemarkungsnummer"]) == ("05", "3999")


@pytest.mark.parametrize(
    ("version", "gid", "member"),
    [
        ("nas6", "http://www.adv-online.de/namespaces/adv/gid/6.0", f"{{{GML}}}featureMember"),
        ("nas7", "http://www.adv-online.de/namespaces/adv/gid/7.1", "{http://www.opengis.net/wfs/2.0}member"),
    ],
)
def test_nas_is_built_like_nas(files: Files, version: str, gid: str, member: str) -> None:
    root = parsed(files.paths[version])
    assert root.tag == f"{{{gid}}}AX_Bestandsdatenauszug"
    collection = root.findall(f"{{{gid}}}enthaelt/*")
    assert [local(c.tag) for c in collection] == ["FeatureCollection"]
    members = collection[0].findall(member)
    assert all(len(m) == 1 and m[0].tag.startswith(f"{{{gid}}}AX_") for m in members)
    ids = [e.attrib[f"{{{GML}}}id"] for e in root.iter() if f"{{{GML}}}id" in e.attrib]
    assert len(ids) == len(set(ids))
    assert all(len(m[0].attrib[f"{{{GML}}}id"]) == 16 for m in members)
    positions = [p[0] for p in root.iter(f"{{{gid}}}position")]
    assert len(positions) == len(members)
    assert {p.attrib["srsName"] for p in positions} == {"urn:adv:crs:ETRS89_UTM32"}
    assert {local(p.tag) for p in positions} >= ({"Surface"} if version == "nas6" else {"Surface", "Polygon"})


def test_wfs_answer(files: Files) -> None:
    root = parsed(files.paths["gml"])
    wfs, ave = (
        "http://www.opengis.net/wfs/2.0",
        "http://repository.gdi-de.org/schemas/adv/produkt/alkis-vereinfacht/2.0",
    )
    assert root.tag == f"{{{wfs}}}FeatureCollection"
    members = root.findall(f"{{{wfs}}}member")
    assert int(root.attrib["numberReturned"]) == len(members)
    assert {m[0].tag for m in members} == {f"{{{ave}}}{layer}" for layer in LAYERS}
    shapes = [e[0] for e in root.iter(f"{{{ave}}}geometrie")]
    assert {(s.tag, s.attrib["srsName"]) for s in shapes} == {(f"{{{GML}}}MultiSurface", "urn:ogc:def:crs:EPSG::25832")}
    assert all(t.crs.to_epsg() == 25832 for t in files.tables("gml").values())


def test_outlines_are_of_buildings_only(files: Files) -> None:
    path = files.paths["hausumringe"] / f"{SPEC.year}_hu_shp.shp"
    outlines = pyogrio.read_dataframe(path)
    assert outlines.columns.tolist() == ["AGS", "OI", "GFK", "AKTUALITAE", "geometry"]
    buildings = files.tables("gpkg_nrw")["GebaeudeBauwerk"]
    houses = buildings[buildings["gebnutzbez"] == "Gebäude"]
    assert 0 < len(houses) < len(buildings)
    assert outlines["OI"].tolist() == houses["oid"].tolist()
    assert outlines["GFK"].tolist() == houses["gfkzshh"].tolist()
    assert outlines["AKTUALITAE"].tolist() == houses["aktualit"].tolist()
    assert set(outlines["AGS"]) == {"05399000"}


def test_shapefiles_say_that_they_are_utf8(files: Files) -> None:
    for path in (*files.paths["shapefile"].glob("*.shp"), *files.paths["hausumringe"].glob("*.shp")):
        assert path.with_suffix(".cpg").read_text().strip() == "UTF-8"


def test_cut_texts_end_in_half_an_umlaut(tmp_path: Path) -> None:
    tables = draw_tables(every_use(SPEC), SPEC)
    write_cut_shapefiles(tmp_path, tables)
    data = (tmp_path / "Flurstueck.dbf").read_bytes()
    rows, header, size = struct.unpack_from("<IHH", data, 4)
    assert rows == len(tables.parcels)
    for i in range(rows):
        text = data[header + i * size : header + (i + 1) * size][-DBF_WIDTH:]  # tntxt is the last field
        if i % 2:
            assert text.decode().rstrip() == tables.parcels["tntxt"][i]
        else:
            assert text.startswith(tables.parcels["tntxt"][i].encode())
            assert text[-1:] == b"\xc3"
            with pytest.raises(UnicodeDecodeError):
                text.decode()
    kept = pyogrio.read_dataframe(tmp_path / "Flurstueck.shp", columns=["oid"])
    assert kept["oid"].tolist() == tables.parcels["oid"].tolist()


@pytest.mark.parametrize("version", get_args(NasVersion))
@pytest.mark.parametrize("radius", [0.75, 12.5])
def test_round_objects_have_the_area_of_their_arcs(tmp_path: Path, version: NasVersion, radius: float) -> None:
    tower, church = write_round_objects(tmp_path / "arcs.xml", version, at=(400000.0, 5700000.0), radius=radius)
    assert tower.area_m2 == pytest.approx(math.pi * radius**2)
    assert church.area_m2 == pytest.approx((math.pi / 2 + 2) * radius**2)
    root = parsed(tmp_path / "arcs.xml")
    assert [len(list(p.iter(f"{{{GML}}}Arc"))) for p in root.iter(f"{{{GML}}}Surface")] == [2, 1]
    found = read(tmp_path / "arcs.xml")["AX_Gebaeude"].set_index("gml_id")
    for made in (tower, church):
        # The driver puts a vertex every four degrees: 0.08 % are lost.
        assert found.geometry.loc[made.oid].area == pytest.approx(made.area_m2, rel=0.002)
    assert found.geometry.loc[tower.oid].centroid.distance(Point(400000.0, 5700000.0)) < 0.001


def test_texts_are_escaped(tmp_path: Path) -> None:
    street = 'Groß & Söhne <"Nord">'
    scene = Scene(SPEC, (), (), (), every_use(SPEC).buildings, (Parcel(box(0, 0, 9, 9), "Wald", "", street),))
    path = write_cadastre(tmp_path / "wfs.gml", scene, SPEC, kind="gml")
    assert read(path)["Flurstueck"]["lagebeztxt"].tolist() == [f"{street} 1"]


@pytest.mark.parametrize(("use", "text"), [("Weltraum", ""), ("Weg", "Parkplatz")])
def test_a_text_without_a_code_is_refused(tmp_path: Path, use: str, text: str) -> None:
    scene = Scene(SPEC, (), (), (), every_use(SPEC).buildings, (Parcel(box(0, 0, 9, 9), use, text, ""),))
    with pytest.raises(ValueError, match="alkis_codes"):
        write_cadastre(tmp_path / "nas.xml", scene, SPEC, kind="nas6")


@pytest.mark.parametrize("kind", KINDS)
def test_written_again_it_is_the_same(tmp_path: Path, kind: CadastreKind) -> None:
    scene = every_use(SPEC)
    path = write_cadastre(tmp_path / NAMES.get(kind, "a.gpkg"), scene, SPEC, kind=kind)
    first = content(path)
    write_cadastre(path, every_use(replace(SPEC, seed=9)), replace(SPEC, seed=9), kind=kind)
    assert first != content(path)
    write_cadastre(path, scene, SPEC, kind=kind)
    assert first == content(path)


def test_every_use_has_each_use_once() -> None:
    scene = every_use(SPEC)
    pairs = Counter((p.use, p.detail) for p in scene.parcels)
    assert pairs == Counter((use, text) for use, known in USES.items() for text in ("", *known.codes))
    assert all(p.shape.is_valid for p in scene.parcels)
    shapes: list[Any] = [p.shape for p in scene.parcels]
    assert shapely.union_all(shapes).area == pytest.approx(sum(s.area for s in shapes))
    assert any(isinstance(s, MultiPolygon) for s in shapes)
    assert any(len(p.interiors) for s in shapes for p in shapely.get_parts(s))
    assert {b.code.partition("_")[0] for b in scene.buildings} == set(BUILDINGS)


@st.composite
def shapes(draw: st.DrawFn) -> MultiPolygon:
    """One to three blobs apart from each other, with holes, some of them smaller than a millimetre."""
    parts = []
    for i in range(draw(st.integers(1, 3))):
        centre = Point(364000 + 100 * i + draw(st.floats(0, 1)), 5620000 + draw(st.floats(0, 1)))
        outer = centre.buffer(draw(st.floats(2, 30)), quad_segs=draw(st.integers(1, 5)))
        hole = draw(st.sampled_from([0.0, 1e-5, 0.3, 1.0]))
        parts.append(Polygon(outer.exterior, [centre.buffer(hole, quad_segs=2).exterior] if hole else []))
    return MultiPolygon(parts)


@given(
    shape=shapes(),
    surface=st.sampled_from(get_args(SurfaceForm)),
    ring=st.sampled_from(get_args(RingForm)),
    multi=st.booleans(),
)
@settings(max_examples=40)
def test_a_surface_is_the_same_in_every_spelling(
    tmp_path_factory: pytest.TempPathFactory, shape: MultiPolygon, surface: SurfaceForm, ring: RingForm, *, multi: bool
) -> None:
    path = tmp_path_factory.mktemp("surface") / "a.gml"
    style = GmlStyle(srs="urn:ogc:def:crs:EPSG::25832", surface=surface, ring=ring)
    with (
        xml_file(path) as xml,
        xml.element("gml:FeatureCollection", {"xmlns:gml": GML}),
        xml.element("gml:featureMember/Thing/shape"),
    ):
        write_surface(xml, shape, style, "g", multi=multi)
    found = pyogrio.read_dataframe(path).geometry[0]
    # Holes that close in whole millimetres are left out.
    expected = MultiPolygon([Polygon(p.exterior, [h for h in p.interiors if h.length > 0.001]) for p in shape.geoms])
    assert shapely.hausdorff_distance(found, expected) <= 0.001
    assert found.area == pytest.approx(shape.area, abs=0.001 * shape.length)
    assert len(shapely.get_parts(found)) == len(shape.geoms)
