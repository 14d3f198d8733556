from __future__ import annotations

import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import geopandas as gpd
import pyogrio
import pytest
import shapely
from pyproj import CRS
from tests.unit.delivery.smallmap import GRID, SmallMap

from sealmap.core.errors import InputError, OutputError
from sealmap.dataset.rules import LABELS, load_rules
from sealmap.dataset.split import SPLITS as USES
from sealmap.delivery import label_template
from sealmap.delivery.label_template import CLASSES, SPLITS, areas_style, labels_style, write_label_template
from sealmap.delivery.qgis import LabelProject, write_label_project
from sealmap.delivery.texts import Language

UTM = CRS.from_epsg(25832)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "labels.gpkg"
    write_label_template(path, UTM, language="de")
    return path


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def root_of(qml: str) -> ET.Element:
    return ET.fromstring(qml)  # noqa: S314 our own text


def choices(qml: str, field: str) -> list[tuple[str | None, str | None]]:
    """The drop-down of a field: (what is shown, what is stored)."""
    lines = root_of(qml).findall(f"fieldConfiguration/field[@name='{field}']/editWidget[@type='ValueMap']//Option")
    return [(o.get("name"), o.get("value")) for o in lines if o.get("type") == "QString"]


# --- the file ---


def test_the_file_is_an_empty_geopackage_1_3(template: Path) -> None:
    assert rows(template, "PRAGMA user_version") == [(10300,)]
    assert rows(template, "PRAGMA integrity_check") == [("ok",)]
    assert rows(template, "PRAGMA foreign_key_check") == []
    assert rows(template, "SELECT table_name, data_type FROM gpkg_contents ORDER BY 1") == [
        ("areas", "features"), ("labels", "features"), ("layer_styles", "attributes"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "fields"),
    [
        ("labels", {"class": "OFTString", "note": "OFTString", "editor": "OFTString", "date": "OFTDate"}),
        ("areas", {"split": "OFTString", "note": "OFTString"}),
    ],
)
def test_layers_have_the_fields_and_the_crs(template: Path, layer: str, fields: dict[str, str]) -> None:
    info = pyogrio.read_info(template, layer=layer)
    assert dict(zip(info["fields"], info["ogr_types"], strict=True)) == fields
    assert (info["features"], info["geometry_type"], info["crs"]) == (0, "Polygon", "EPSG:25832")


def test_features_go_in_and_come_out(template: Path) -> None:
    drawn = gpd.GeoDataFrame({"class": ["roof"]}, geometry=[shapely.box(0, 0, 4, 5)], crs=UTM)
    pyogrio.write_dataframe(drawn, template, layer="labels", driver="GPKG", append=True)
    back = pyogrio.read_dataframe(template, layer="labels", bbox=(1, 1, 2, 2))
    assert back["class"].tolist() == ["roof"]
    assert back.geometry.area.tolist() == [20]
    assert pyogrio.read_dataframe(template, layer="labels", bbox=(6, 6, 7, 7)).empty


def test_each_layer_has_a_default_style(template: Path) -> None:
    found = rows(template, "SELECT f_table_name, useAsDefault, f_geometry_column, styleQML FROM layer_styles")
    assert [row[:3] for row in found] == [("labels", 1, "geom"), ("areas", 1, "geom")]
    assert [row[3] for row in found] == [labels_style("de").qml(), areas_style("de").qml()]


def test_an_existing_file_stays_unless_told(template: Path) -> None:
    before = template.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_label_template(template, UTM)
    assert template.read_bytes() == before
    write_label_template(template, CRS.from_epsg(25833), overwrite=True)
    assert pyogrio.read_info(template, layer="labels")["crs"] == "EPSG:25833"
    assert [p.name for p in template.parent.iterdir()] == ["labels.gpkg"]


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels\.shp is no name for a GeoPackage"):
        write_label_template(tmp_path / "labels.shp", UTM)
    assert list(tmp_path.iterdir()) == []


# --- the style ---


def test_the_drop_downs_hold_what_training_understands() -> None:
    assert set(CLASSES) == set(LABELS)
    assert SPLITS == USES
    table = load_rules("manual")
    assert table.layer == label_template.LABELS_LAYER
    assert table.fields["class"] == label_template.LABEL_FIELDS[0][0]


def test_values_are_the_same_in_both_languages_and_labels_are_not() -> None:
    german, english = choices(labels_style("de").qml(), "class"), choices(labels_style("en").qml(), "class")
    assert [value for _, value in german] == [value for _, value in english] == list(CLASSES)
    assert german[0][0] == "Dach"
    assert english[0][0] == "Roof"
    assert not {label for label, _ in german} & {label for label, _ in english}
    assert [value for _, value in choices(areas_style("de").qml(), "split")] == list(SPLITS)


@pytest.mark.parametrize("language", ["de", "en"])
def test_a_class_is_required_and_the_date_is_filled_in(language: Language) -> None:
    root = root_of(labels_style(language).qml())
    (constraint,) = root.findall("constraints/constraint")
    assert (constraint.get("field"), constraint.get("notnull_strength")) == ("class", "1")
    (message,) = root.findall("constraintExpressions/constraint")
    assert message.get("exp") == "\"class\" <> ''"
    assert message.get("desc") in ("Eine Klasse wählen", "Choose a class")
    (default,) = root.findall("defaults/default")
    assert (default.get("field"), default.get("expression")) == ("date", "to_date(now())")
    hidden = [
        f.get("name") for f in root.findall("fieldConfiguration/field") if f.find("*[@type='Hidden']") is not None
    ]
    assert hidden == ["fid"]


def test_each_class_shows_the_photo_through_and_the_winner_is_on_top() -> None:
    style = labels_style("en")
    assert [e.value for e in style.entries] == [*CLASSES, ""]
    assert all(0 < e.fill[3] < 255 for e in style.entries)
    fills = {e.value: e.fill[:3] for e in style.entries}
    assert (fills["roof"], fills["paved"]) == ((204, 51, 51), (120, 120, 120))
    assert len(set(fills.values())) == len(fills)
    table = load_rules("manual")
    rules = {key: table.match("layer", key, "") for key in CLASSES}
    priority = {key: rule.priority for key, rule in rules.items() if rule is not None}
    drawn = sorted(CLASSES, key=lambda key: next(e.level for e in style.entries if e.value == key))
    assert [priority[key] for key in drawn] == sorted(priority.values())
    root = root_of(style.qml())
    assert root.find("renderer-v2[@symbollevels='1']") is not None
    hatched = root.findall("renderer-v2/symbols/symbol/layer/prop[@k='style'][@v='b_diagonal']")
    assert len(hatched) == 1


def test_areas_are_outlines_in_their_own_colour() -> None:
    style = areas_style("en")
    assert {e.fill[3] for e in style.entries if e.value} == {0}
    outlines = root_of(style.qml()).findall("renderer-v2/symbols/symbol/layer/prop[@k='outline_color']")
    assert len({e.get("v") for e in outlines}) == len(SPLITS) + 1


# --- the project ---


def test_the_project_shows_labels_above_the_photo(small: SmallMap) -> None:
    package, path = small.folder / "labels.gpkg", small.folder / "labels.qgz"
    write_label_template(package, GRID.crs)
    project = LabelProject(package=package, crs=GRID.crs, extent=GRID.bounds, orthophotos=(small.orthophoto,))
    write_label_project(path, project)
    with zipfile.ZipFile(path) as archive:
        root = root_of(archive.read("labels.qgs").decode("utf-8"))
    names = [e.get("name") for e in root.iter("layer-tree-layer")]
    assert names == ["Labels", "Areas: training, validation, test", "ortho"]
    sources = [e.text for e in root.iter("datasource")]
    assert sources == ["./labels.gpkg|layername=labels", "./labels.gpkg|layername=areas", "./ortho.tif"]
    extent = [float(e.text or "nan") for e in root.iterfind("mapcanvas/extent/*")]
    assert extent == pytest.approx(GRID.bounds)
    assert root.find("snapping-settings[@enabled='1']") is not None
    assert root.findtext("properties/Digitizing/AvoidIntersectionsMode") == "0"
    with pytest.raises(OutputError, match="exists already"):
        write_label_project(path, project)
