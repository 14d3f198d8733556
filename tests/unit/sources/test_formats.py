"""One town in each format that towns get: all of them read to the same shapes and the same parcels."""

from __future__ import annotations

import math
import shutil
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import geopandas as gpd
import pytest
import shapely
from pyproj import CRS

from sealmap.core.errors import InputError
from sealmap.dataset.rules import load_rules
from sealmap.files.vector import open_vector
from sealmap.sources.cadastre import Cadastre, ParcelCounts, kind_of_layer, read_cadastre, read_parcels
from sealmap.sources.formats import layers_with_classes
from sealmap.testing.cadastre import CadastreKind, write_cadastre
from sealmap.testing.cadastre_files import write_cut_shapefiles
from sealmap.testing.cadastre_tables import draw_tables
from sealmap.testing.model import Scene, TownSpec
from sealmap.testing.nas import RoundObject, write_round_objects
from sealmap.testing.samples import every_use
from sealmap.testing.scene import plan_town

UTM32 = CRS.from_epsg(25832)
SPEC = TownSpec(seed=3, width_m=256.0, height_m=256.0, cadastre_lag=0.1)
NAMES = {"gml": "a.gml", "nas6": "a.xml", "nas7": "a.xml", "shapefile": "folder", "hausumringe": "folder"}
KINDS: tuple[CadastreKind, ...] = get_args(CadastreKind)
MILLIMETRES = 0.002
"""GML and NAS have whole millimetres: an outline may move by half of one, and does."""

Row = tuple[str, str, str, object]


@dataclass(frozen=True, kw_only=True)
class Town:
    """A scene and where its cadastre lies in each kind."""

    spec: TownSpec
    bounds: tuple[float, float, float, float]
    paths: dict[CadastreKind, Path]

    def read(self, kind: CadastreKind) -> Cadastre:
        return read_cadastre(self.paths[kind], crs=UTM32, bounds=self.bounds)

    def parcels(self, kind: CadastreKind) -> gpd.GeoDataFrame:
        return read_parcels(self.paths[kind], crs=UTM32, bounds=self.bounds)


def write(folder: Path, scene: Scene, spec: TownSpec) -> Town:
    x, y = spec.origin
    paths = {k: write_cadastre(folder / k / NAMES.get(k, "a.gpkg"), scene, spec, kind=k) for k in KINDS}
    return Town(spec=spec, bounds=(x, y, x + 2000.0, y + 2000.0), paths=paths)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Town:
    return write(tmp_path_factory.mktemp("town"), plan_town(SPEC), SPEC)


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Every use and function text, a courtyard, an island and a parcel in two parts."""
    spec = replace(SPEC, cadastre_lag=0.0)
    return write(tmp_path_factory.mktemp("sample"), every_use(spec), spec)


def rows(found: Cadastre, source: str = "") -> dict[str, Row]:
    s = found.shapes
    columns = zip(s.oid, s.source, s.klass, s.function, s.updated, strict=True)
    return {oid: (src, klass, function, day) for oid, src, klass, function, day in columns if source in ("", src)}


def shapes(found: Cadastre) -> dict[str, Any]:
    return dict(zip(found.shapes.oid, found.shapes.geometry, strict=True))


def assert_same_place(a: Any, b: Any) -> None:
    """The same shape but for an edge that moved by ``MILLIMETRES``."""
    assert a.symmetric_difference(b).area <= MILLIMETRES * max(a.length, b.length)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["planned", "sampled"])
def test_every_format_reads_to_the_same_shapes(name: str, kind: CadastreKind, request: pytest.FixtureRequest) -> None:
    town: Town = request.getfixturevalue(name)
    first, found = town.read("gpkg_nrw"), town.read(kind)
    expected = rows(first)
    if kind == "hausumringe":  # buildings and nothing else
        expected = {oid: row for oid, row in rows(first, "building").items() if row[1] == "Gebäude"}
    assert len(expected) > 3
    assert rows(found) == expected
    there, here = shapes(first), shapes(found)
    for oid in expected:
        assert_same_place(there[oid], here[oid])
    assert found.kind == {"nas6": "NAS", "nas7": "NAS", "hausumringe": "Hausumringe"}.get(kind, "ALKIS vereinfacht")
    lost = (found.dropped, found.duplicates, found.historic, found.broken_texts, found.unread_dates)
    assert lost == (0, 0, 0, 0, 0)
    assert found.unknown_codes == ()


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "hausumringe"])
@pytest.mark.parametrize("name", ["planned", "sampled"])
def test_every_format_reads_to_the_same_parcels(name: str, kind: CadastreKind, request: pytest.FixtureRequest) -> None:
    town: Town = request.getfixturevalue(name)
    first, found = town.parcels("gpkg_nrw"), town.parcels(kind)
    assert sorted(found["parcel_id"]) == sorted(first["parcel_id"])
    assert found["parcel_id"].str.len().eq(20).all()
    both = first.merge(found, on="parcel_id")
    assert both["official_area_m2_x"].equals(both["official_area_m2_y"])
    for a, b in zip(both["geometry_x"], both["geometry_y"], strict=True):
        assert_same_place(a, b)
    counts = found.attrs["counts"]
    assert isinstance(counts, ParcelCounts)
    assert (counts.dropped, counts.joined, counts.broken_texts, counts.unread_areas) == (0, 0, 0, 0)


def test_what_lies_below_the_ground_says_so_in_every_format(sampled: Town) -> None:
    table = load_rules("alkis_nrw")
    for kind in ("gpkg_nrw", "nas6", "nas7"):
        found = sampled.read(kind).shapes
        below = {
            (klass, function)
            for source, klass, function in zip(found.source, found.klass, found.function, strict=True)
            if source == "building" and (rule := table.match(source, klass, function)) and rule.label == "ignore"
        }
        assert ("Gebäude", "Tiefgarage") in below
        assert ("Bauteil", "Tiefgarage") in below
        assert ("Gebäude", "Wohnhaus") not in below


def test_every_text_of_a_cadastre_has_a_rule(sampled: Town) -> None:
    table = load_rules("alkis_nrw")
    unknown = {
        (source, klass)
        for found in (sampled.read("nas6").shapes, sampled.read("nas7").shapes)
        for source, klass, function in zip(found.source, found.klass, found.function, strict=True)
        if table.match(source, klass, function) is None
    }
    assert unknown == set()


@pytest.mark.parametrize("kind", KINDS)
def test_reading_leaves_nothing_behind(planned: Town, kind: CadastreKind, tmp_path: Path) -> None:
    copy = tmp_path / planned.paths[kind].name
    origin = planned.paths[kind]
    (shutil.copytree if origin.is_dir() else shutil.copy)(origin, copy)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    read_cadastre(copy, crs=UTM32, bounds=planned.bounds)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_zip_reads_as_what_is_in_it(planned: Town, kind: CadastreKind, tmp_path: Path) -> None:
    origin = planned.paths[kind]
    folder = origin if origin.is_dir() else origin.parent
    path = Path(shutil.make_archive(str(tmp_path / "a"), "zip", folder))
    assert rows(read_cadastre(path, crs=UTM32, bounds=planned.bounds)) == rows(planned.read(kind))
    assert rows(read_cadastre(folder, crs=UTM32, bounds=planned.bounds)) == rows(planned.read(kind))


def test_packages_of_neighbours_are_one_cadastre(planned: Town, tmp_path: Path) -> None:
    for kind in ("gpkg_nrw", "gpkg_mv"):  # here both have all of the objects
        shutil.copy(planned.paths[kind], tmp_path / f"{kind}.gpkg")
    found = read_cadastre(tmp_path, crs=UTM32, bounds=planned.bounds)
    alone = planned.read("gpkg_nrw")
    assert rows(found) == rows(alone)
    assert found.duplicates == len(alone.shapes)
    parcels = read_parcels(tmp_path, crs=UTM32)
    assert parcels.geometry.area.sum() == pytest.approx(planned.parcels("gpkg_nrw").geometry.area.sum())
    assert parcels.attrs["counts"].joined == len(parcels)


def test_another_crs_gives_the_same_shapes(planned: Town) -> None:
    lv = CRS.from_epsg(25833)
    box = gpd.GeoSeries([shapely.box(*planned.bounds)], crs=UTM32).to_crs(lv).total_bounds
    for kind in ("gpkg_nrw", "nas7"):
        found = read_cadastre(planned.paths[kind], crs=lv, bounds=(box[0], box[1], box[2], box[3]))
        assert rows(found) == rows(planned.read(kind))
        back = gpd.GeoSeries(list(found.shapes.geometry), crs=lv).to_crs(UTM32)
        there = shapes(planned.read(kind))
        for oid, shape in zip(found.shapes.oid, back, strict=True):
            assert_same_place(shape, there[oid])


@pytest.mark.parametrize("version", ["nas6", "nas7"])
def test_arcs_become_chords_that_keep_the_area(tmp_path: Path, version: Any) -> None:
    at, radius = (364000.0, 5620000.0), 12.5
    made: tuple[RoundObject, ...] = write_round_objects(tmp_path / "a.xml", version, at=at, radius=radius)
    found = read_cadastre(tmp_path / "a.xml", crs=UTM32, bounds=(at[0] - 50, at[1] - 50, at[0] + 100, at[1] + 50))
    here = shapes(found)
    assert set(here) == {m.oid for m in made}
    for m in made:
        assert here[m.oid].area == pytest.approx(m.area_m2, rel=2e-4)
        assert here[m.oid].area < m.area_m2  # chords lie inside
    tower = here[made[0].oid]
    sagitta = radius * (1 - math.cos(math.radians(0.5)))  # of chords of 1°
    assert shapely.Point(at).buffer(radius, quad_segs=2000).hausdorff_distance(tower) < sagitta + MILLIMETRES
    assert found.linearised == 2


def test_text_that_a_shapefile_cut_is_counted_and_readable(planned: Town, tmp_path: Path) -> None:
    tables = draw_tables(plan_town(SPEC), SPEC)
    write_cut_shapefiles(tmp_path, tables)
    parcels = read_parcels(tmp_path, crs=UTM32)
    assert parcels.attrs["counts"].broken_texts == (len(parcels) + 1) // 2
    assert sorted(parcels["parcel_id"]) == sorted(planned.parcels("gpkg_nrw")["parcel_id"])
    with open_vector(tmp_path) as source:
        texts = source.read("Flurstueck").frame["tntxt"]
    assert texts.str.contains("�|Ã").sum() == 0
    assert rows(read_cadastre(tmp_path, crs=UTM32, bounds=planned.bounds)) == rows(planned.read("gpkg_nrw"))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("GebauedeBauwerk", "building"),
        ("GebaeudeBauwerk", "building"),
        ("ave:GebaeudeBauwerk", "building"),
        ("gebaeudeBauwerke", "building"),
        ("NUTZUNG", "use"),
        ("05314000_Nutzung", "use"),
        ("NutzungFlurstueck", "use_by_parcel"),
        ("Flurstueck", "parcel"),
        ("Flurstück", "parcel"),
        (unicodedata.normalize("NFD", "Flurstück"), "parcel"),
        ("AX_Flurstueck", "parcel"),
        ("parcels_liegenschaften", "parcel"),
        ("FlurstueckPunkt", "layer"),
        ("VerwaltungsEinheit", "layer"),
    ],
)
def test_layers_are_known_by_the_end_of_their_name(name: str, kind: str) -> None:
    assert kind_of_layer(name) == kind


def test_a_format_is_told_by_what_is_in_the_file(planned: Town, tmp_path: Path) -> None:
    path = tmp_path / "delivery.dat"
    shutil.copy(planned.paths["nas6"], path)
    assert rows(read_cadastre(path, crs=UTM32, bounds=planned.bounds)) == rows(planned.read("nas6"))
    with open_vector(planned.paths["nas7"]) as source:
        assert {w.format.value for w in layers_with_classes(source, None)} == {"NAS"}


def test_one_layer_of_nas_can_be_named(planned: Town) -> None:
    found = read_cadastre(planned.paths["nas7"], crs=UTM32, bounds=planned.bounds, layer="AX_Gebaeude")
    assert set(found.shapes.klass) == {"Gebäude"}
    with pytest.raises(InputError, match="no layer 'AX_Gebaude'"):
        read_cadastre(planned.paths["nas7"], crs=UTM32, bounds=planned.bounds, layer="AX_Gebaude")
