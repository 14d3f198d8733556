"""Text in the wrong encoding, open rings, folders and zips."""

from __future__ import annotations

import shutil
import sqlite3
import struct
import zipfile
from pathlib import Path

import geopandas as gpd
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import box

from sealmap.core.errors import InputError
from sealmap.files.texts import decode_broken, repair_texts
from sealmap.files.vector import list_layers, open_vector, read_layer, split_layer, write_layer

TEXTS = ["Straßenverkehr", "Platz", "Gewässer"]


@pytest.fixture
def frame() -> gpd.GeoDataFrame:
    shapes = [box(x, 0, x + 10, 10) for x in (0, 20, 40)]
    return gpd.GeoDataFrame({"nutzart": TEXTS, "flaeche": [1, 2, 3]}, geometry=shapes, crs="EPSG:25832")


def shapefile(path: Path, frame: gpd.GeoDataFrame, encoding: str) -> Path:
    pyogrio.write_dataframe(frame, path, encoding=encoding)
    return path


def replace_bytes(path: Path, old: bytes, new: bytes) -> None:
    assert len(old) == len(new)
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


@pytest.mark.parametrize(
    ("encoding", "cpg", "ldid"),
    [
        ("UTF-8", "UTF-8", 0),
        ("UTF-8", "utf8\n", 0),
        ("UTF-8", "65001", 0x57),
        ("UTF-8", None, 0),
        ("UTF-8", None, 0x57),  # says Western, is not
        ("UTF-8", "ISO-8859-1", 0),
        ("ISO-8859-1", "ISO-8859-1", 0),
        ("CP1252", "ANSI 1252", 0),
        ("CP1252", None, 0),
        ("CP1252", None, 0x57),
        ("CP850", "CP850", 0),
        ("CP850", None, 0x02),
    ],
)
def test_shapefiles_are_read_whatever_they_say_of_their_text(
    tmp_path: Path, frame: gpd.GeoDataFrame, encoding: str, cpg: str | None, ldid: int
) -> None:
    path = shapefile(tmp_path / "a[1].shp", frame, encoding)
    path.with_suffix(".cpg").unlink()
    if cpg is not None:
        path.with_suffix(".CPG").write_text(cpg)
    dbf = bytearray(path.with_suffix(".dbf").read_bytes())
    dbf[29] = ldid
    path.with_suffix(".dbf").write_bytes(dbf)
    with open_vector(path) as source:
        table = source.read("a[1]")
    assert table.frame["nutzart"].tolist() == TEXTS
    assert table.frame["flaeche"].tolist() == [1, 2, 3]
    assert table.broken_texts == 0


def test_a_letter_that_was_cut_is_dropped_and_counted(tmp_path: Path, frame: gpd.GeoDataFrame) -> None:
    path = shapefile(tmp_path / "a.shp", frame, "UTF-8")
    replace_bytes(path.with_suffix(".dbf"), "Stra\u00dfenverkehr".encode(), b"Stra\xc3          ")
    for says_so in (True, False):  # another value tells that it is UTF-8
        if not says_so:
            path.with_suffix(".cpg").unlink()
        with open_vector(path) as source:
            table = source.read("a")
        assert table.frame["nutzart"].tolist() == ["Stra", "Platz", "Gewässer"]
        assert table.broken_texts == 1


def test_other_bytes_in_utf8_are_windows_1252(tmp_path: Path, frame: gpd.GeoDataFrame) -> None:
    path = shapefile(tmp_path / "a.shp", frame, "UTF-8")
    replace_bytes(path.with_suffix(".dbf"), "Gew\u00e4sser".encode(), b"Gew\xe4sser ")
    with open_vector(path) as source:
        table = source.read("a")
    assert table.frame["nutzart"].tolist() == TEXTS
    assert table.broken_texts == 1


def test_a_geopackage_with_broken_text(tmp_path: Path, frame: gpd.GeoDataFrame) -> None:
    path = tmp_path / "a.gpkg"
    write_layer(path, "a", frame, append=False)
    with sqlite3.connect(path) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE a SET nutzart = CAST(X'476577E473736572' AS TEXT) WHERE flaeche = 3")
    database.close()
    with open_vector(path) as source:
        table = source.read("a")
    assert table.frame["nutzart"].tolist() == TEXTS
    assert table.broken_texts == 1


@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12), max_size=5))
def test_utf8_comes_back_as_it_was(texts: list[str]) -> None:
    raw = [t.encode().decode("latin-1") for t in texts]
    frame = gpd.GeoDataFrame({"a": raw, "ä".encode().decode("latin-1"): raw}, geometry=[shapely.Point()] * len(raw))
    found, broken = repair_texts(frame, is_utf8=True)
    assert found["a"].tolist() == texts
    assert found["ä"].tolist() == texts
    assert broken == 0


@given(value=st.binary(max_size=20))
def test_no_bytes_are_an_error(value: bytes) -> None:
    assert isinstance(decode_broken(value), str)
    frame = gpd.GeoDataFrame({"a": [value.decode("latin-1")]}, geometry=[shapely.Point()])
    for is_utf8 in (True, False):
        found, broken = repair_texts(frame.copy(), is_utf8=is_utf8)
        assert isinstance(found["a"].iloc[0], str)
        assert broken in (0, 1)


def test_open_rings_are_closed_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.gml"
    rings = {"open": "0 0 10 0 10 10 0 10", "closed": "0 0 10 0 10 10 0 10 0 0", "nothing": "0 0"}
    members = "".join(
        f'<gml:featureMember><a gml:id="{name}"><g><gml:Polygon srsName="EPSG:25832"><gml:exterior><gml:LinearRing>'
        f"<gml:posList>{ring}</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon></g></a></gml:featureMember>"
        for name, ring in rings.items()
    )
    path.write_text(
        f'<gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml/3.2">{members}</gml:FeatureCollection>'
    )
    with open_vector(path) as source:
        table = source.read("a")
    assert table.closed == 1
    assert table.frame.geometry.area.fillna(0).tolist() == [100.0, 100.0, 0.0]


def test_a_folder_and_a_zip_read_as_one_source(tmp_path: Path, frame: gpd.GeoDataFrame) -> None:
    folder = tmp_path / "delivery"
    (folder / "inner").mkdir(parents=True)
    shapefile(folder / "Nutzung.shp", frame, "UTF-8")
    shapefile(folder / "inner" / "Flurst\u00fcck.shp", frame, "UTF-8")
    (folder / "Nutzung.shp.xml").write_text('<?xml version="1.0"?><metadata xmlns:gml="http://www.opengis.net/gml"/>')
    (folder / "readme.txt").write_text("nothing")
    archive = Path(shutil.make_archive(str(tmp_path / "a"), "zip", folder))
    for path in (folder, archive):
        assert sorted(list_layers(path)) == ["Flurstück", "Nutzung"]
        assert read_layer(path, "Nutzung")["nutzart"].tolist() == TEXTS
    assert split_layer(f"{folder}:Nutzung") == (folder, "Nutzung")
    assert split_layer(f"{archive}:Nutzung") == (archive, "Nutzung")


def test_parts_of_one_layer_are_read_together(tmp_path: Path, frame: gpd.GeoDataFrame) -> None:
    write_layer(tmp_path / "a.gpkg", "Nutzung", frame, append=False)
    write_layer(tmp_path / "b.gpkg", "Nutzung", frame.assign(bez="x").to_crs(25833), append=False)
    with open_vector(tmp_path) as source:
        assert source.layers == ["Nutzung"]
        assert source.fields("Nutzung") == ["nutzart", "flaeche", "bez"]
        assert len(source.extents("Nutzung")) == 2
        table = source.read("Nutzung", bbox=(-1.0, -1.0, 11.0, 11.0))
        assert table.frame.crs == frame.crs
        assert table.frame["nutzart"].tolist() == ["Straßenverkehr"] * 2
        assert table.frame.area.tolist() == pytest.approx([100.0, 100.0], rel=1e-3)
        assert source.one_per_file(["Nutzung"]) == ["Nutzung"]


def test_the_first_layer_of_each_file(tmp_path: Path, frame: gpd.GeoDataFrame) -> None:
    for name, layers in (("a", ("one", "two")), ("b", ("three",))):
        for i, layer in enumerate(layers):
            write_layer(tmp_path / f"{name}.gpkg", layer, frame, append=i > 0)
    with open_vector(tmp_path) as source:
        assert source.one_per_file(["two", "one", "three"]) == ["two", "three"]


def test_zips_that_cannot_be_read(tmp_path: Path) -> None:
    broken = tmp_path / "a.zip"
    broken.write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(InputError, match="no whole zip"):
        list_layers(broken)
    empty = tmp_path / "b.zip"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(InputError, match="holds no layer"):
        list_layers(empty)
    outside = tmp_path / "in" / "c.zip"
    outside.parent.mkdir()
    with zipfile.ZipFile(outside, "w") as archive:
        archive.writestr("../../evil.shp", "x")
    with pytest.raises(InputError):
        list_layers(outside)
    assert not (tmp_path / "evil.shp").exists()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no layer"):
        list_layers(tmp_path)


def test_arcs_of_a_geopackage_are_fine_chords(tmp_path: Path, frame: gpd.GeoDataFrame) -> None:
    """A CURVEPOLYGON as OGC writes it: the circle of radius 100 about (0, 0)."""
    path = tmp_path / "a.gpkg"
    write_layer(path, "a", frame.iloc[:1], append=False)
    # Circular string: (100 0, -100 0, 100 0) is a full circle for OGR.
    points = [(100.0, 0.0), (-100.0, 0.0), (100.0, 0.0)]
    ring = struct.pack("<BII", 1, 8, 3) + b"".join(struct.pack("<dd", *p) for p in points)
    blob = b"GP\x00\x01" + struct.pack("<i", 25832) + struct.pack("<BII", 1, 10, 1) + ring
    with sqlite3.connect(path) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE a SET geom = ?", (blob,))
        database.execute("UPDATE gpkg_geometry_columns SET geometry_type_name = 'GEOMETRY'")
    database.close()
    shape = read_layer(path).geometry.iloc[0]
    assert shape.geom_type == "Polygon"
    assert shape.area == pytest.approx(3.14159265 * 100**2, rel=1e-4)
