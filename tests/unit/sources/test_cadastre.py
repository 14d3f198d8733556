from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio
import pytest
import shapely
from pyproj import CRS

from sealmap.core.errors import GridError, InputError, SettingsError
from sealmap.files.vector import write_layer
from sealmap.sources.cadastre import ParcelCounts, polygons_of, read_cadastre, read_parcels

UTM32 = CRS.from_epsg(25832)
BOUNDS = (350_000.0, 5_700_000.0, 350_100.0, 5_700_100.0)


def square(x: float, y: float, side: float = 10.0) -> shapely.Polygon:
    """A square near the corner of BOUNDS."""
    return shapely.box(BOUNDS[0] + x, BOUNDS[1] + y, BOUNDS[0] + x + side, BOUNDS[1] + y + side)


def frame(columns: dict[str, list[Any]], geometry: list[Any], crs: Any = UTM32) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=geometry, crs=crs)


def buildings(**more: Any) -> gpd.GeoDataFrame:
    columns: dict[str, list[Any]] = {
        "oid": ["DENW1", "DENW2"],
        "aktualit": [date(2020, 1, 2), date(2024, 5, 6)],
        "gebnutzbez": ["Gebäude", "Sonstiges Bauwerk"],
        "funktion": ["Wohnhaus", "Überdachung"],
    }
    return frame(columns | more, [square(0, 0), square(20, 0)])


def uses() -> gpd.GeoDataFrame:
    columns: dict[str, list[Any]] = {
        "oid": ["N1"],
        "nutzart": ["Straßenverkehr"],
        "bez": [None],
        "name": [None],
    }
    columns["aktualit"] = ["2024-04-22Z"]
    return frame(columns, [square(0, 20, 30)])


def gpkg(path: Path, **layers: gpd.GeoDataFrame) -> Path:
    for i, (name, layer) in enumerate(layers.items()):
        write_layer(path, name, layer, append=i > 0)
    return path


@pytest.mark.parametrize("building", ["GebauedeBauwerk", "gebaeudebauwerk"])
def test_alkis_is_read_with_both_layers(tmp_path: Path, building: str) -> None:
    path = gpkg(tmp_path / "a.gpkg", Flurstueck=uses(), **{building: buildings()}, Nutzung=uses())
    found = read_cadastre(path, crs=UTM32, bounds=BOUNDS)
    shapes = found.shapes
    assert found.layers == (building, "Nutzung")
    assert shapes.source == ("building", "building", "use")
    assert shapes.klass == ("Gebäude", "Sonstiges Bauwerk", "Straßenverkehr")
    assert shapes.function == ("Wohnhaus", "Überdachung", "")
    assert shapes.updated == (date(2020, 1, 2), date(2024, 5, 6), date(2024, 4, 22))
    assert shapes.oid == ("DENW1", "DENW2", "N1")
    assert (found.repaired, found.dropped, found.duplicates) == (0, 0, 0)
    assert shapely.equals(shapes.geometry[0], square(0, 0))


def test_use_by_parcel_serves_where_use_is_missing(tmp_path: Path) -> None:
    both = gpkg(tmp_path / "a.gpkg", NutzungFlurstueck=uses(), Nutzung=uses())
    assert read_cadastre(both, crs=UTM32, bounds=BOUNDS).layers == ("Nutzung",)
    only = gpkg(tmp_path / "b.gpkg", NutzungFlurstueck=uses(), Other=uses())
    assert read_cadastre(only, crs=UTM32, bounds=BOUNDS).layers == ("NutzungFlurstueck",)


def test_a_shape_that_came_twice_is_taken_once_the_newest(tmp_path: Path) -> None:
    twice = pd.concat([buildings(), buildings(funktion=["neu", "neu"], aktualit=[date(2023, 1, 1)] * 2)])
    path = gpkg(tmp_path / "a.gpkg", GebauedeBauwerk=gpd.GeoDataFrame(twice, crs=UTM32))
    found = read_cadastre(path, crs=UTM32, bounds=BOUNDS)
    assert found.duplicates == 2
    assert sorted(zip(found.shapes.oid, found.shapes.function, strict=True)) == [
        ("DENW1", "neu"),
        ("DENW2", "Überdachung"),
    ]


def test_broken_shapes_are_repaired_and_lines_dropped_and_both_counted() -> None:
    bow = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    spike = shapely.Polygon([(0, 0), (4, 0), (4, 4), (0, 4), (0, 0), (-3, 0), (0, 0)])
    line = shapely.LineString([(0, 0), (1, 1)])
    high = shapely.Polygon([(0, 0, 9), (1, 0, 9), (1, 1, 9)])
    found, repaired = polygons_of(pd.array([bow, spike, line, high, None], dtype=object).to_numpy())
    assert repaired == 2
    assert shapely.area(found).tolist() == pytest.approx([2.0, 16.0, 0.0, 0.5, 0.0])
    assert shapely.is_valid(found).all()
    assert not shapely.has_z(found).any()
    assert [g.geom_type for g in found[:2]] == ["MultiPolygon", "Polygon"]


def test_counts_of_repairs_reach_the_value(tmp_path: Path) -> None:
    bow = shapely.Polygon([square(0, 0).exterior.coords[i] for i in (0, 2, 1, 3)])
    layer = frame({"oid": ["1", "2"], "nutzart": ["Wald", "Wald"]}, [bow, square(50, 50)])
    found = read_cadastre(gpkg(tmp_path / "a.gpkg", Nutzung=layer), crs=UTM32, bounds=BOUNDS)
    assert (found.repaired, found.dropped, len(found.shapes)) == (1, 0, 2)


def test_another_crs_is_brought_to_that_of_the_orthophoto(tmp_path: Path) -> None:
    path = gpkg(tmp_path / "a.gpkg", GebauedeBauwerk=buildings().to_crs(4258))
    found = read_cadastre(path, crs=UTM32, bounds=BOUNDS).shapes
    assert shapely.hausdorff_distance(found.geometry[0], square(0, 0)) < 0.001


def test_only_shapes_near_the_orthophoto_are_read(tmp_path: Path) -> None:
    layer = frame({"nutzart": ["a", "b", "c"]}, [square(0, 0), square(105, 0), square(500, 0)])
    found = read_cadastre(gpkg(tmp_path / "a.gpkg", Nutzung=layer), crs=UTM32, bounds=BOUNDS)
    assert found.shapes.klass == ("a", "b")  # b may reach in with its ring


def test_a_cadastre_of_elsewhere_is_refused_with_both_extents(tmp_path: Path) -> None:
    path = gpkg(tmp_path / "a.gpkg", GebauedeBauwerk=buildings())
    away = tuple(v + 10_000 for v in BOUNDS)
    with pytest.raises(InputError) as caught:
        read_cadastre(path, crs=UTM32, bounds=(away[0], away[1], away[2], away[3]))
    assert "x 350000-350030, y 5700000-5700010" in caught.value.problem
    assert "x 360000-360100, y 5710000-5710100" in caught.value.problem


def test_any_layer_is_classed_by_the_field_named(tmp_path: Path) -> None:
    layer = frame({"Sealed": [1, 0], "keep": [True, False], "part": [1.0, 0.5]}, [square(0, 0), square(20, 0)])
    path = gpkg(tmp_path / "a.gpkg", cover=layer, other=layer)
    found = read_cadastre(path, crs=UTM32, bounds=BOUNDS, layer="cover", fields={"class": "sealed"})
    assert (found.shapes.source, found.shapes.klass) == (("layer", "layer"), ("1", "0"))
    keep = read_cadastre(path, crs=UTM32, bounds=BOUNDS, layer="cover", fields={"class": "keep"})
    assert keep.shapes.klass == ("1", "0")
    part = read_cadastre(path, crs=UTM32, bounds=BOUNDS, layer="cover", fields={"class": "part"})
    assert part.shapes.klass == ("1", "0.5")
    with pytest.raises(InputError, match=r"no field 'seald'; it has: Sealed, keep, part → did you mean 'Sealed'"):
        read_cadastre(path, crs=UTM32, bounds=BOUNDS, layer="cover", fields={"class": "seald"})
    with pytest.raises(InputError, match=r"no building or use layer.*cover, other"):
        read_cadastre(path, crs=UTM32, bounds=BOUNDS)


def test_a_use_layer_without_classes_is_refused(tmp_path: Path) -> None:
    path = gpkg(tmp_path / "a.gpkg", Nutzung=frame({"foo": ["x"]}, [square(0, 0)]))
    with pytest.raises(InputError, match=r"none of the fields nutzart.*it has: foo"):
        read_cadastre(path, crs=UTM32, bounds=BOUNDS)


def test_parcels_of_alkis(tmp_path: Path) -> None:
    layer = frame(
        {
            "oid": ["a", "b"],
            "flaeche": [101.0, None],
            "flstkennz": ["05297001600193______", "052970016001940002__"],
        },
        [square(0, 0), square(20, 0)],
    )
    path = gpkg(tmp_path / "a.gpkg", Nutzung=uses(), NutzungFlurstueck=uses(), Flurstueck=layer)
    found = read_parcels(path, crs=UTM32)
    assert list(found.columns) == ["parcel_id", "official_area_m2", "geometry"]
    assert found["parcel_id"].tolist() == ["05297001600193______", "052970016001940002__"]
    assert found["official_area_m2"].iloc[0] == 101.0
    assert pd.isna(found["official_area_m2"].iloc[1])
    assert found.crs == UTM32


def test_rows_of_one_parcel_are_joined(tmp_path: Path) -> None:
    layer = frame(
        {"flstkennz": ["1", "2", "1", "2"], "flaeche": [200, 100, 200, 100]},
        [square(0, 0), square(50, 0), square(20, 0), square(50, 0)],
    )
    found = read_parcels(gpkg(tmp_path / "a.gpkg", Flurstueck=layer), crs=UTM32).set_index("parcel_id")
    assert found.geometry.area.to_dict() == pytest.approx({"1": 200.0, "2": 100.0})
    assert found["official_area_m2"].to_dict() == {"1": 200.0, "2": 100.0}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"EGRID": ["CH1", "CH2"], "nummer": [24, 31]}, ["CH1", "CH2"]),
        ({"egrid": ["CH1", None], "nummer": [24, 31]}, ["24", "31"]),
        ({"gml_id": ["x", "y"], "foo": [1, 1]}, ["x", "y"]),
        ({"id": [7.0, 8.0]}, ["7", "8"]),
    ],
)
def test_the_id_field_is_found(tmp_path: Path, columns: dict[str, Any], expected: list[str]) -> None:
    path = gpkg(tmp_path / "a.gpkg", parcels=frame(columns, [square(0, 0), square(20, 0)]))
    assert read_parcels(path, crs=UTM32)["parcel_id"].tolist() == expected


def test_the_id_field_can_be_named_and_is_checked(tmp_path: Path) -> None:
    layer = frame({"strasse": ["A", "B"], "lot": ["1", None]}, [square(0, 0), square(20, 0)])
    path = gpkg(tmp_path / "a.gpkg", parcels=layer)
    assert read_parcels(path, crs=UTM32, id_field="STRASSE")["parcel_id"].tolist() == ["A", "B"]
    with pytest.raises(InputError, match=r"known to name a parcel; it has: strasse, lot → name one with --id-field"):
        read_parcels(path, crs=UTM32)
    with pytest.raises(InputError, match="1 of 2 parcels have no 'lot'"):
        read_parcels(path, crs=UTM32, id_field="lot")
    with pytest.raises(InputError, match="no field 'strase'"):
        read_parcels(path, crs=UTM32, id_field="strase")


def test_a_file_without_a_parcel_layer_lists_its_layers(tmp_path: Path) -> None:
    path = gpkg(tmp_path / "a.gpkg", Nutzung=uses(), Wege=uses())
    with pytest.raises(InputError, match=r"its layers: Nutzung, Wege"):
        read_parcels(path, crs=UTM32)
    single = gpkg(tmp_path / "b.gpkg", lots=frame({"id": [1]}, [square(0, 0)]))
    assert len(read_parcels(single, crs=UTM32)) == 1


# --- the user's own fields ---


def test_fields_of_any_layer_can_be_named(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {
        "art": ["Weg", "Dach"],
        "Detail": ["Kies", ""],
        "Aenderung": ["04.05.2020", None],
        "nr": [7, 8],
    }
    path = gpkg(tmp_path / "a.gpkg", cover=frame(columns, [square(0, 0), square(20, 0)]))
    mapping = {"class": "ART", "function": "detail", "updated": "\u00c4nderung", "id": "nr"}
    found = read_cadastre(path, crs=UTM32, bounds=BOUNDS, fields=mapping)
    shapes = found.shapes
    assert (found.kind, shapes.source) == ("layer", ("layer", "layer"))
    assert (shapes.klass, shapes.function) == (("Weg", "Dach"), ("Kies", ""))
    assert (shapes.updated, shapes.oid) == ((date(2020, 5, 4), None), ("7", "8"))


def test_named_fields_are_checked(tmp_path: Path) -> None:
    path = gpkg(tmp_path / "a.gpkg", cover=frame({"art": ["Weg"]}, [square(0, 0)]))
    with pytest.raises(SettingsError, match=r"class, function, updated, id, not for 'klass' → did you mean 'class'"):
        read_cadastre(path, crs=UTM32, bounds=BOUNDS, fields={"klass": "art"})
    with pytest.raises(InputError, match=r"no field 'arrt'; it has: art → did you mean 'art'"):
        read_cadastre(path, crs=UTM32, bounds=BOUNDS, fields={"class": "arrt"})


def test_named_fields_go_over_known_ones(tmp_path: Path) -> None:
    path = gpkg(tmp_path / "a.gpkg", GebauedeBauwerk=buildings(name=["A", "B"]))
    found = read_cadastre(path, crs=UTM32, bounds=BOUNDS, fields={"function": "name"}).shapes
    assert found.function == ("A", "B")
    assert found.klass == ("Geb\u00e4ude", "Sonstiges Bauwerk")


def test_names_cut_to_ten_letters_are_known(tmp_path: Path) -> None:
    layer = frame({"flurstueck": ["x1"], "AMTLICHEFL": ["684,50"]}, [square(0, 0)])
    found = read_parcels(gpkg(tmp_path / "a.gpkg", Flurstueck=layer), crs=UTM32)
    assert found["parcel_id"].tolist() == ["x1"]
    assert found["official_area_m2"].tolist() == [684.5]


# --- objects in many rows ---


def test_parts_of_one_object_stay(tmp_path: Path) -> None:
    layer = frame({"oid": ["1", "1", "1"], "nutzart": ["Wald"] * 3}, [square(0, 0), square(50, 0), square(1, 0)])
    found = read_cadastre(gpkg(tmp_path / "a.gpkg", Nutzung=layer), crs=UTM32, bounds=BOUNDS)
    assert found.duplicates == 1
    assert [g.bounds[0] - BOUNDS[0] for g in found.shapes.geometry] == [0.0, 50.0]


# --- a bad cadastre: an error with a name, or a count ---


def test_no_crs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "Nutzung.shp"
    with pytest.warns(UserWarning, match="crs"):
        pyogrio.write_dataframe(uses().set_crs(None, allow_override=True), path)
    for read in (lambda: read_cadastre(path, crs=UTM32, bounds=BOUNDS), lambda: read_parcels(path, crs=UTM32)):
        with pytest.raises(GridError, match=r"Nutzung has no CRS → .*ogr2ogr -a_srs"):
            read()


def test_an_empty_cadastre_is_refused_and_an_empty_layer_told(tmp_path: Path) -> None:
    empty = gpkg(tmp_path / "a.gpkg", GebauedeBauwerk=buildings().iloc[:0], Nutzung=uses().iloc[:0])
    with pytest.raises(InputError, match="holds no shapes in GebauedeBauwerk, Nutzung"):
        read_cadastre(empty, crs=UTM32, bounds=BOUNDS)
    half = gpkg(tmp_path / "b.gpkg", GebauedeBauwerk=buildings(), Nutzung=uses().iloc[:0])
    assert read_cadastre(half, crs=UTM32, bounds=BOUNDS).empty == ("Nutzung",)
    with pytest.raises(InputError, match="holds no parcels"):
        read_parcels(gpkg(tmp_path / "c.gpkg", Flurstueck=uses().iloc[:0]), crs=UTM32)


def test_a_class_field_with_nothing_in_it_is_refused(tmp_path: Path) -> None:
    path = gpkg(tmp_path / "a.gpkg", Nutzung=frame({"nutzart": [None, ""]}, [square(0, 0), square(20, 0)]))
    with pytest.raises(InputError, match="has nothing in 'nutzart'"):
        read_cadastre(path, crs=UTM32, bounds=BOUNDS)


def test_shapes_without_area_are_dropped_and_counted(tmp_path: Path) -> None:
    spike = shapely.Polygon([(BOUNDS[0], BOUNDS[1]), (BOUNDS[0] + 5, BOUNDS[1]), (BOUNDS[0] + 2, BOUNDS[1])])
    layer = frame({"nutzart": ["Wald", "Weg"]}, [spike, square(50, 50)])
    found = read_cadastre(gpkg(tmp_path / "a.gpkg", Nutzung=layer), crs=UTM32, bounds=BOUNDS)
    assert (found.repaired, found.dropped, found.shapes.klass) == (1, 1, ("Weg",))


def test_heights_are_dropped(tmp_path: Path) -> None:
    layer = frame({"nutzart": ["Wald"]}, [shapely.force_3d(square(0, 0), 48.0)])
    pyogrio.write_dataframe(layer, tmp_path / "a.gpkg", layer="Nutzung")
    found = read_cadastre(tmp_path / "a.gpkg", crs=UTM32, bounds=BOUNDS).shapes
    assert not shapely.has_z(found.geometry).any()
    assert shapely.equals(found.geometry[0], square(0, 0))


@pytest.mark.parametrize("epsg", [25832, 2056, 2193])
def test_a_cadastre_elsewhere_on_earth_is_refused(tmp_path: Path, epsg: int) -> None:
    away = frame({"nutzart": ["Wald"]}, [shapely.box(1_570_000, 5_180_000, 1_570_100, 5_180_100)], crs=epsg)
    path = gpkg(tmp_path / "a.gpkg", Nutzung=away, Flurstueck=away.assign(id=["1"]))
    with pytest.raises(InputError, match=r"the cadastre a\.gpkg \(.*\) does not overlap the orthophoto \(x 350000-"):
        read_cadastre(path, crs=UTM32, bounds=BOUNDS)
    with pytest.raises(InputError, match=r"the parcels a\.gpkg \(.*\) do not overlap the orthophoto \(x 350000-"):
        read_parcels(path, crs=UTM32, bounds=BOUNDS)
    assert len(read_parcels(path, crs=UTM32)) == 1


def test_parcels_that_reach_the_orthophoto_are_all_read(tmp_path: Path) -> None:
    layer = frame({"id": ["near", "far"]}, [square(0, 0), square(5000, 0)])
    found = read_parcels(gpkg(tmp_path / "a.gpkg", Flurstueck=layer), crs=UTM32, bounds=BOUNDS)
    assert found["parcel_id"].tolist() == ["near", "far"]


def test_dates_and_areas_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    layer = frame({"nutzart": ["Wald", "Weg", "Weg"], "aktualit": ["bald", None, "2024-02-30"]}, [square(0, 0)] * 3)
    found = read_cadastre(gpkg(tmp_path / "a.gpkg", Nutzung=layer), crs=UTM32, bounds=BOUNDS)
    assert (found.unread_dates, found.shapes.updated) == (2, (None, None, None))
    lots = frame({"id": ["1", "2"], "flaeche": ["rund 100", None]}, [square(0, 0), square(20, 0)])
    parcels = read_parcels(gpkg(tmp_path / "b.gpkg", Flurstueck=lots), crs=UTM32)
    assert parcels["official_area_m2"].isna().all()
    assert parcels.attrs["counts"].unread_areas == 1


def test_what_was_done_to_parcels_is_told(tmp_path: Path) -> None:
    bow = shapely.Polygon([square(0, 0).exterior.coords[i] for i in (0, 2, 1, 3)])
    line = shapely.LineString([(BOUNDS[0], BOUNDS[1]), (BOUNDS[2], BOUNDS[3])])
    layer = frame({"id": ["1", "2", "3", "3"]}, [bow, line, square(50, 0), square(60, 0)])
    pyogrio.write_dataframe(layer, tmp_path / "a.gpkg", layer="Flurstueck")
    found = read_parcels(tmp_path / "a.gpkg", crs=UTM32)
    assert found["parcel_id"].tolist() == ["1", "3"]
    assert found.attrs["counts"] == ParcelCounts(
        kind="ALKIS vereinfacht", layers=("Flurstueck",), repaired=1, dropped=1, joined=1
    )
