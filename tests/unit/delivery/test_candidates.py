from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import CRS
from tests.unit.delivery.labelpages import candidate, full

from sealmap.core.errors import OutputError
from sealmap.delivery.candidates import KIND_COLORS, disagreements_style, write_candidates
from sealmap.delivery.label_texts import KINDS, words
from sealmap.delivery.texts import LANGUAGES, Language
from sealmap.files.vector import list_layers, read_layer

UTM32 = CRS.from_epsg(25832)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def test_places_come_back_in_their_order(tmp_path: Path) -> None:
    path, places = tmp_path / "d.gpkg", full().candidates
    write_candidates(path, places, UTM32, language="de", overwrite=False)
    assert set(list_layers(path)) == {"disagreements", "layer_styles"}
    frame = read_layer(path, "disagreements")
    assert list(frame.columns) == ["kind", "sheet", "class", "oid", "area_m2", "geometry"]
    assert frame["kind"].tolist() == [p.kind for p in places]
    assert frame["oid"].tolist() == [p.oid for p in places]
    assert frame["area_m2"].tolist() == [round(p.area_m2, 1) for p in places]
    assert shapely.equals(frame.geometry.to_numpy(), [p.polygon for p in places]).all()
    assert frame.crs.to_epsg() == 25832


def test_the_file_is_a_geopackage_1_3_with_one_default_style(tmp_path: Path) -> None:
    path = tmp_path / "d.gpkg"
    write_candidates(path, full().candidates, UTM32, language="de", overwrite=False)
    assert rows(path, "PRAGMA user_version") == [(10300,)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert dict(rows(path, "SELECT table_name, data_type FROM gpkg_contents"))["layer_styles"] == "attributes"
    found = rows(path, "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles")
    assert [row[:3] for row in found] == [("disagreements", "geom", 1)]
    assert 'attr="kind"' in found[0][3]


def test_no_disagreement_is_an_answer_too(tmp_path: Path) -> None:
    path = tmp_path / "d.gpkg"
    write_candidates(path, (), UTM32, language="en", overwrite=False)
    frame = read_layer(path, "disagreements")
    assert len(frame) == 0
    assert {"kind", "sheet", "class", "oid", "area_m2"} < set(frame.columns)
    kinds = dict(rows(path, "SELECT name, type FROM pragma_table_info('disagreements')"))
    assert kinds["kind"].startswith("TEXT")
    assert kinds["area_m2"] == "REAL"
    assert rows(path, "SELECT geometry_type_name FROM gpkg_geometry_columns") == [("POLYGON",)]


def test_places_in_several_parts_are_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "d.gpkg"
    two = shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(2, 0, 3, 1)])
    write_candidates(
        path, [candidate("roof_green", 0), candidate("roof_green", 1, polygon=two)], UTM32, language="en",
        overwrite=False,
    )  # fmt: skip
    frame = read_layer(path, "disagreements")
    assert frame.geometry.iloc[1].equals(two)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_style_names_kinds_and_fields(language: Language) -> None:
    style = disagreements_style(language)
    assert [(e.value, e.label) for e in style.entries] == [(k, words(f"kind.{k}", language)) for k in KINDS]
    assert [e.outline for e in style.entries] == [(*KIND_COLORS[k], 255) for k in KINDS]
    qml = style.qml()
    for field in ("kind", "sheet", "class", "oid", "area_m2"):
        assert f'field="{field}"' in qml
        assert words(f"field.{field}", language) in qml
    assert len({e.label for e in style.entries}) == len(KINDS)


def test_an_existing_file_stays_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "d.gpkg"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        write_candidates(path, (), UTM32, language="de", overwrite=False)
    assert path.read_text() == "mine"
    write_candidates(path, (), UTM32, language="de", overwrite=True)
    assert "disagreements" in list_layers(path)
    assert not list(tmp_path.glob(".*part*"))


def test_what_is_no_place_is_refused() -> None:
    with pytest.raises(ValueError, match="'water'"):
        candidate("water", 0)
    with pytest.raises(ValueError, match="-1"):
        candidate("roof_green", 0, area_m2=-1.0)
    with pytest.raises(ValueError, match="not Point"):
        candidate("roof_green", 0, polygon=shapely.Point(0, 0))
    with pytest.raises(ValueError, match=r"\(4, 4\)"):
        candidate("roof_green", 0, picture_HWC=np.zeros((4, 4), np.uint8))
