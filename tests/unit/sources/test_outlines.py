"""Hausumringe: with codes, with nothing, and in the CRS in which NRW publishes them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
import shapely
from pyproj import CRS

from sealmap.sources.cadastre import read_cadastre
from sealmap.sources.outlines import are_outlines

UTM32 = CRS.from_epsg(25832)
BOUNDS = (350_000.0, 5_700_000.0, 350_100.0, 5_700_100.0)


def outlines(path: Path, columns: dict[str, list[Any]], epsg: int = 25832) -> Path:
    x, y, _, _ = BOUNDS
    shapes = [shapely.box(x + 20 * i, y, x + 20 * i + 10, y + 10) for i in range(len(next(iter(columns.values()))))]
    pyogrio.write_dataframe(gpd.GeoDataFrame(columns, geometry=shapes, crs=UTM32).to_crs(epsg), path)
    return path


def test_codes_tell_class_and_function(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {
        "AGS": ["05314000"] * 4,
        "OI": ["a", "b", "c", "d"],
        "GFK": ["31001_1010", "51009_1610", "31001_7777", None],
        "AKTUALITAE": ["2020-05-04"] * 4,
    }
    found = read_cadastre(outlines(tmp_path / "hu_shp.shp", columns), crs=UTM32, bounds=BOUNDS)
    s = found.shapes
    assert (found.kind, set(s.source)) == ("Hausumringe", {"building"})
    assert s.klass == ("Gebäude", "Sonstiges Bauwerk", "Gebäude", "Gebäude")
    assert s.function == ("Wohnhaus", "Überdachung", "7777", "")
    assert (s.oid, set(s.updated)) == (("a", "b", "c", "d"), {date(2020, 5, 4)})
    assert found.unknown_codes == ("31001_7777 (1)",)


def test_old_ones_know_their_municipality_only(tmp_path: Path) -> None:
    path = outlines(tmp_path / "hu_shp.shp", {"AGS": ["05314000", "05314000"]}, epsg=4647)
    found = read_cadastre(path, crs=UTM32, bounds=BOUNDS)
    assert found.kind == "Hausumringe"
    assert found.shapes.klass == ("Gebäude", "Gebäude")
    assert shapely.area(found.shapes.geometry).tolist() == pytest.approx([100.0, 100.0], rel=1e-6)


@pytest.mark.parametrize(("layer", "fields"), [("2025_hu_shp", ["AGS"]), ("hu_de", ["foo"]), ("houses", ["OI", "GFK"])])
def test_outlines_are_known_by_name_or_fields(layer: str, fields: list[str]) -> None:
    assert are_outlines(layer, fields)


@pytest.mark.parametrize(("layer", "fields"), [("houses", ["GFK"]), ("baeume_thu", ["art"])])
def test_other_layers_are_no_outlines(layer: str, fields: list[str]) -> None:
    assert not are_outlines(layer, fields)


def test_buildings_with_codes_only_are_read_like_outlines(tmp_path: Path) -> None:
    path = outlines(tmp_path / "gebaeudeBauwerke.shp", {"oid": ["a"], "gfkzshh": ["31001_2463"]})
    found = read_cadastre(path, crs=UTM32, bounds=BOUNDS).shapes
    assert (found.klass, found.function) == (("Gebäude",), ("Garage",))
