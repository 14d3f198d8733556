"""Vector files: layers by name, GeoPackages that old QGIS opens."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
from shapely import MultiPolygon, box

from sealmap.core.errors import GridError, InputError, OutputError
from sealmap.files.vector import list_layers, read_layer, split_layer, write_layer


@pytest.fixture
def parcels() -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(
        {"number": ["1/2", "3"]}, geometry=[box(0, 0, 10, 10), box(10, 0, 30, 10)], crs="EPSG:25832"
    )


@pytest.mark.parametrize(
    ("text", "path", "layer"),
    [
        ("parcels.gpkg", "parcels.gpkg", None),
        ("parcels.gpkg:lots", "parcels.gpkg", "lots"),
        ("/a/b.gpkg:lots", "/a/b.gpkg", "lots"),
        ("C:/a/b.gpkg", "C:/a/b.gpkg", None),
        (r"C:\a\b.gpkg", r"C:\a\b.gpkg", None),
        ("C:b.gpkg", "C:b.gpkg", None),
        ("C:/a/b.gpkg:lots", "C:/a/b.gpkg", "lots"),
        (r"C:\a\b.gpkg:lots", r"C:\a\b.gpkg", "lots"),
        ("https://host/b.gpkg", "https://host/b.gpkg", None),
    ],
)
def test_split_layer(text: str, path: str, layer: str | None) -> None:
    assert split_layer(text) == (Path(path), layer)


def test_split_layer_prefers_files_that_are_there(tmp_path: Path) -> None:
    plain, odd = tmp_path / "a.gpkg", tmp_path / "2024:a.gpkg"
    plain.touch()
    odd.touch()
    assert split_layer(str(odd)) == (odd, None)
    assert split_layer(f"{odd}:lots") == (odd, "lots")
    assert split_layer(f"{plain}:ave:Flurstueck") == (plain, "ave:Flurstueck")


def test_a_geopackage_comes_back(tmp_path: Path, parcels: gpd.GeoDataFrame) -> None:
    path = tmp_path / "town.gpkg"
    write_layer(path, "parcels", parcels, append=False)
    write_layer(path, "again", parcels.iloc[:1], append=True)
    assert list_layers(path) == ["parcels", "again"]
    found = read_layer(path, "parcels")
    assert found["number"].tolist() == ["1/2", "3"]
    assert found.crs == parcels.crs
    assert found.area.tolist() == [100, 200]
    assert len(read_layer(path, "parcels", bbox=(15, 1, 16, 2))) == 1


def test_a_geopackage_is_of_version_1_3(tmp_path: Path, parcels: gpd.GeoDataFrame) -> None:
    path = tmp_path / "town.gpkg"
    write_layer(path, "parcels", parcels, append=False)
    write_layer(path, "more", parcels, append=True)
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA user_version").fetchone() == (10300,)
    database.close()


def test_one_multipolygon_makes_the_layer_multi(tmp_path: Path, parcels: gpd.GeoDataFrame) -> None:
    path = tmp_path / "town.gpkg"
    parcels.loc[0, "geometry"] = MultiPolygon([box(0, 0, 1, 1), box(5, 5, 6, 6)])
    write_layer(path, "parcels", parcels, append=False)
    assert pyogrio.read_info(path)["geometry_type"] == "MultiPolygon"
    assert read_layer(path).geom_type.tolist() == ["MultiPolygon"] * 2


def test_no_features_are_a_layer_too(tmp_path: Path, parcels: gpd.GeoDataFrame) -> None:
    path = tmp_path / "town.gpkg"
    write_layer(path, "parcels", parcels.iloc[:0], append=False)
    assert len(read_layer(path, "parcels")) == 0
    assert pyogrio.read_info(path)["geometry_type"] == "Polygon"


def test_the_only_layer_needs_no_name(tmp_path: Path, parcels: gpd.GeoDataFrame) -> None:
    path = tmp_path / "town.gpkg"
    write_layer(path, "parcels", parcels, append=False)
    assert len(read_layer(path)) == 2
    write_layer(path, "more", parcels, append=True)
    with pytest.raises(InputError, match="2 layers: parcels, more") as caught:
        read_layer(path)
    assert "town.gpkg:LAYER" in caught.value.remedy
    with pytest.raises(InputError, match="no layer 'x'") as caught:
        read_layer(path, "x")
    assert "parcels, more" in caught.value.remedy


def test_what_is_no_vector_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_layer(tmp_path / "none.gpkg")
    for name, content in (("text.gpkg", "not a database"), ("empty.gpkg", ""), ("text.geojson", "{")):
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match=name) as caught:
            read_layer(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_table_without_geometry_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.gpkg"
    pyogrio.write_dataframe(pd.DataFrame({"a": [1]}), path, layer="t", driver="GPKG")
    with pytest.raises(InputError, match="no geometry"):
        read_layer(path)


def test_a_layer_without_crs_is_refused(tmp_path: Path, parcels: gpd.GeoDataFrame) -> None:
    path = tmp_path / "plain.shp"
    with pytest.warns(UserWarning, match="crs"):
        pyogrio.write_dataframe(parcels.set_crs(None, allow_override=True), path)
    with pytest.raises(GridError, match="no CRS") as caught:
        read_layer(path)
    assert "ogr2ogr -a_srs" in caught.value.remedy


def test_a_place_that_does_not_exist_is_an_output_error(tmp_path: Path, parcels: gpd.GeoDataFrame) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_layer(tmp_path / "none" / "x.gpkg", "parcels", parcels, append=False)
