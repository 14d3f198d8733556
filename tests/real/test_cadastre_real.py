"""Cadastres as authorities deliver them: a parcel of NAS, a plan in GML, a whole Swiss survey."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pyproj import CRS

from sealmap.core.errors import InputError
from sealmap.files.vector import list_layers, read_layer
from sealmap.sources.cadastre import read_cadastre, read_parcels

UTM32 = CRS.from_epsg(25832)
LV95 = CRS.from_epsg(2056)
SO2549 = (2611205.0, 1233214.0, 2612044.0, 1234773.0)


def test_a_parcel_of_nas(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "flurstueck.gml"
    shutil.copy(shared_data / "nas_snippet" / "flurstueckrequired.gml", path)
    parcels = read_parcels(path, crs=UTM32, bounds=(338_000.0, 5_706_000.0, 339_000.0, 5_707_000.0))
    assert len(parcels) == 1
    assert parcels["parcel_id"].tolist() == ["05329001100085______"]
    assert parcels["official_area_m2"].tolist() == [684.0]
    assert parcels.crs == UTM32
    assert parcels.geometry.area.iloc[0] == pytest.approx(684.0, abs=1.0)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    frame = read_layer(path)
    assert frame["land"].tolist() == ["05"]
    assert frame["anlass"].tolist() == ["010400"]


def test_a_file_of_parcels_is_no_cadastre_to_learn_from(shared_data: Path) -> None:
    path = shared_data / "nas_snippet" / "flurstueckrequired.gml"
    with pytest.raises(InputError, match=r"no building or use layer .* its layers: AX_Flurstueck"):
        read_cadastre(path, crs=UTM32, bounds=(338_131.0, 5_706_237.0, 338_161.0, 5_706_279.0))


def test_parcels_elsewhere_are_refused(shared_data: Path) -> None:
    path = shared_data / "nas_snippet" / "flurstueckrequired.gml"
    with pytest.raises(InputError, match=r"x 338131-338162, y 5706237-5706280\) do not overlap .*x 350000-350100"):
        read_parcels(path, crs=UTM32, bounds=(350_000.0, 5_700_000.0, 350_100.0, 5_700_100.0))


def test_plans_in_gml_have_layers_too(shared_data: Path) -> None:
    path = shared_data / "nas_snippet" / "1251 Baerl.gml"
    assert {"BP_Plan", "BP_BauGrenze", "BP_GruenFlaeche"} <= set(list_layers(path))
    frame = read_layer(path, "BP_GruenFlaeche")
    assert len(frame) == 3
    assert frame.crs == UTM32
    assert (frame.area > 0).all()


def test_a_swiss_survey_by_its_own_fields(shared_data: Path) -> None:
    """INTERLIS has other words: the user says which field is what."""
    path = shared_data / "cadastre_so2549" / "cadastre.gpkg"
    fields = {"class": "sealed", "function": "art", "id": "tid"}
    found = read_cadastre(path, crs=LV95, bounds=SO2549, layer="landcover_bodenbedeckung", fields=fields)
    assert (found.kind, len(found.shapes)) == ("layer", 126)
    assert set(found.shapes.klass) == {"0", "1"}
    assert "Gebaeude" in found.shapes.function
    assert (found.dropped, found.duplicates, found.broken_texts) == (0, 0, 0)
    sealed = sum(g.area for g, k in zip(found.shapes.geometry, found.shapes.klass, strict=True) if k == "1")
    assert sealed == pytest.approx(35_057, rel=1e-3)
    with pytest.raises(InputError, match=r"no field 'arte'.*did you mean 'art'"):
        read_cadastre(path, crs=LV95, bounds=SO2549, layer="landcover_bodenbedeckung", fields={"class": "arte"})


def test_swiss_parcels(shared_data: Path) -> None:
    parcels = read_parcels(shared_data / "cadastre_so2549" / "cadastre.gpkg", crs=LV95, bounds=SO2549)
    assert len(parcels) == 34
    assert parcels.attrs["counts"].layers == ("parcels_liegenschaften",)
