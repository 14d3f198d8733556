from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyogrio
import pytest
from tests.unit.delivery.smallmap import SmallMap

from sealmap.core.errors import OutputError
from sealmap.core.legend import ROOF_PAVED
from sealmap.delivery.geopackage import Package, write_csv, write_geopackage
from sealmap.files.vector import list_layers, read_layer


def package(small: SmallMap, **other: object) -> Package:
    parts: dict[str, object] = {"parcels": small.parcels, "sheets": small.sheets, "language": "de"} | other
    return Package(surfaces=small.surfaces, record=small.record, legend=ROOF_PAVED, **parts)  # type: ignore[arg-type]


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_layers_come_back_as_they_were(small: SmallMap) -> None:
    path = small.folder / "out.gpkg"
    write_geopackage(path, package(small))
    assert set(list_layers(path)) == {"sealed_surfaces", "parcels", "sheets", "run_record", "layer_styles"}
    surfaces, parcels = read_layer(path, "sealed_surfaces"), read_layer(path, "parcels")
    assert surfaces["class"].tolist() == ["paved", "roof", "roof"]
    assert surfaces.geometry.geom_equals(small.surfaces.geometry).all()
    assert surfaces.crs.to_epsg() == 25832
    assert parcels["parcel_id"].tolist() == small.parcels["parcel_id"].tolist()
    assert parcels["sealed_m2"].tolist() == small.parcels["sealed_m2"].tolist()
    assert parcels["official_area_m2"].isna().tolist() == [False, True, False, False]


def test_the_file_is_a_geopackage_1_3(small: SmallMap) -> None:
    path = small.folder / "out.gpkg"
    write_geopackage(path, package(small))
    assert rows(path, "PRAGMA user_version") == [(10300,)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    kinds = dict(rows(path, "SELECT table_name, data_type FROM gpkg_contents"))
    assert kinds["run_record"] == kinds["layer_styles"] == "attributes"
    assert pyogrio.read_info(path, layer="run_record")["features"] > 5


def test_the_record_is_in_the_file(small: SmallMap) -> None:
    path = small.folder / "out.gpkg"
    write_geopackage(path, package(small))
    found = dict(rows(path, "SELECT key, value FROM run_record"))
    assert found["inputs.0.sha256"] == "ab" * 32
    assert found["settings.clean.open_m"] == "0.4"
    assert found["settings.bands"] == "[1, 2, 3]"
    assert found["started"] == "2024-05-06T07:08:09Z"


def test_each_layer_has_one_default_style_with_its_fields(small: SmallMap) -> None:
    path = small.folder / "out.gpkg"
    write_geopackage(path, package(small))
    query = "SELECT f_table_name, styleQML, useAsDefault, f_geometry_column FROM layer_styles"
    styles = {str(row[0]): row[1:] for row in rows(path, query)}
    assert set(styles) == {"sealed_surfaces", "parcels", "sheets"}
    assert all(row[1:] == (1, "geom") for row in styles.values())
    qml = str(styles["parcels"][0])
    assert 'attr="sealed_share"' in qml
    assert qml.count("<range ") == 5
    assert 'field="roof_m2" index="4" name="Hochbau (Dach) [m²]"' in qml
    assert "204,51,51," in str(styles["sealed_surfaces"][0])


def test_layers_that_are_not_given_are_left_out(small: SmallMap) -> None:
    path = small.folder / "out.gpkg"
    write_geopackage(path, package(small, parcels=None, sheets=None))
    assert set(list_layers(path)) == {"sealed_surfaces", "run_record", "layer_styles"}


def test_an_existing_file_stays_unless_told(small: SmallMap) -> None:
    path = small.folder / "out.gpkg"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        write_geopackage(path, package(small))
    assert path.read_text() == "mine"
    write_geopackage(path, package(small), overwrite=True)
    assert "parcels" in list_layers(path)
    assert not list(small.folder.glob(".*part*"))


def test_the_csv_keeps_ids_as_text_and_unknown_empty(small: SmallMap) -> None:
    path = small.folder / "parcels.csv"
    write_csv(path, small.parcels)
    data = path.read_bytes()
    assert not data.startswith(b"\xef\xbb\xbf")
    lines = data.decode("utf-8").split("\r\n")
    assert lines[0].startswith('"parcel_id","area_m2","official_area_m2","sealed_m2"')
    assert lines[1] == '"05123400100012",192.0,191.0,48.0,48.0,0.0,144.0,0.0,0.2502'
    assert lines[2].split(",")[2] == ""
    assert lines[4].endswith(",10.0,")
    assert len(lines) == 6
