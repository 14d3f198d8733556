from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from sealmap.testing.town import (
    SEASONS,
    Camera,
    Scene,
    Season,
    TownFiles,
    TownSpec,
    plan_town,
    render_window,
    sheet_name,
    write_town,
)

SPEC = TownSpec(seed=3, width_m=160.0, height_m=128.0, sheet_m=80.0)
EAST, NORTH = SPEC.origin
WHOLE = (EAST, NORTH, EAST + SPEC.width_m, NORTH + SPEC.height_m)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return plan_town(SPEC)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TownFiles:
    return write_town(tmp_path_factory.mktemp("town"), SPEC)


def test_same_seed_same_bytes(scene: Scene) -> None:
    part = (EAST, NORTH, EAST + 80, NORTH + 80)
    first = render_window(scene, SPEC, part)
    again = render_window(plan_town(SPEC), SPEC, part)
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert first.truth.tobytes() == again.truth.tobytes()
    other = replace(SPEC, seed=4)
    assert first.pixels.tobytes() != render_window(plan_town(other), other, part).pixels.tobytes()


def test_windows_agree_with_the_whole(scene: Scene) -> None:
    whole = render_window(scene, SPEC, WHOLE)
    # Offsets of odd pixel counts, so that no internal block can line up by chance.
    west, south = EAST + 37.4, NORTH + 21.2
    part = render_window(scene, SPEC, (west, south, west + 60.2, south + 47.0))
    row, col = round((NORTH + SPEC.height_m - south - 47.0) / 0.2), round(37.4 / 0.2)
    height, width = part.truth.shape
    assert (height, width) == (235, 301)
    assert np.array_equal(part.pixels, whole.pixels[:, row : row + height, col : col + width])
    assert np.array_equal(part.truth, whole.truth[row : row + height, col : col + width])


@pytest.mark.parametrize("season", SEASONS)
def test_truth_is_the_same_in_every_season_and_light(scene: Scene, season: Season) -> None:
    spec = replace(SPEC, season=season, sun_azimuth_deg=210.0, camera=Camera(haze=0.2, gamma=0.8, saturation=1.3))
    bounds = (EAST, NORTH, EAST + 60, NORTH + 60)
    drawn, plain = render_window(scene, spec, bounds), render_window(scene, SPEC, bounds)
    assert np.array_equal(drawn.truth, plain.truth)
    assert not np.array_equal(drawn.pixels, plain.pixels)


@pytest.mark.parametrize("gsd", [0.1, 0.2, 0.5])
def test_shapes_and_classes(scene: Scene, gsd: float) -> None:
    spec = replace(SPEC, gsd_m=gsd, rgbi=False)
    drawn = render_window(scene, spec, (EAST + 20, NORTH + 20, EAST + 60, NORTH + 70))
    assert drawn.pixels.shape == (3, round(50 / gsd), round(40 / gsd))
    assert drawn.pixels.dtype == drawn.truth.dtype == np.uint8
    assert set(np.unique(drawn.truth)) <= {0, 1, 2}


def test_truth_has_the_area_of_the_roofs(scene: Scene) -> None:
    drawn = render_window(scene, SPEC, WHOLE)
    town = shapely.box(0, 0, SPEC.width_m, SPEC.height_m)
    roofs = shapely.union_all([b.roof for b in scene.buildings]).intersection(town).area
    assert (drawn.truth == 1).sum() * 0.04 == pytest.approx(roofs, rel=0.01)
    assert set(np.unique(drawn.truth)) == {0, 1, 2}


def test_vegetation_is_bright_and_paving_dark_in_near_infrared(scene: Scene) -> None:
    drawn = render_window(scene, replace(SPEC, season="summer"), WHOLE)
    red, nir = drawn.pixels[0].astype(float), drawn.pixels[3].astype(float)
    index = (nir - red) / (nir + red + 1)
    assert np.median(index[drawn.truth == 0]) > 0.2 + np.median(index[drawn.truth == 2])


def test_names() -> None:
    whole = replace(SPEC, sheet_m=1000.0)
    assert sheet_name(whole, WHOLE) == "dop20rgbi_32_364_5620_1_nw_2025"
    assert sheet_name(replace(whole, gsd_m=0.1, rgbi=False), WHOLE) == "dop10rgb_32_364_5620_1_nw_2025"
    at = (EAST, NORTH + 250, EAST + 250, NORTH + 500)
    assert sheet_name(replace(SPEC, sheet_m=250.0), at) == "dop20rgbi_32_364_5620_1_nw_2025_x000_y250"


def test_sheets_open(files: TownFiles) -> None:
    assert len(files.sheets) == len(files.truths) == len({s.name for s in files.sheets}) == 4
    top = max(rasterio.open(s).bounds.top for s in files.sheets)
    assert top == NORTH + SPEC.height_m
    for sheet, truth in zip(files.sheets, files.truths, strict=True):
        with rasterio.open(sheet) as image, rasterio.open(truth) as label:
            assert image.driver == "JP2OpenJPEG"
            assert image.count == 4
            assert image.crs.to_epsg() == label.crs.to_epsg() == 25832
            assert image.bounds == label.bounds
            assert label.read().max() <= 2
        assert truth.parent.name == "truth"
        assert truth.name == f"{sheet.stem}_truth.tif"


def test_lossy_sheet_stays_near_what_was_drawn(files: TownFiles, scene: Scene) -> None:
    with rasterio.open(files.sheets[0]) as image:
        drawn = render_window(scene, SPEC, tuple(image.bounds))
        assert np.abs(image.read().astype(int) - drawn.pixels).mean() < 3


def test_geotiff_sheets_are_lossless(tmp_path: Path, scene: Scene) -> None:
    spec = replace(SPEC, sheet_m=1000.0)
    town = write_town(tmp_path, spec, driver="GTiff")
    with rasterio.open(town.sheets[0]) as image:
        assert np.array_equal(image.read(), render_window(scene, spec, WHOLE).pixels)


def test_cadastre_layers_and_fields(files: TownFiles) -> None:
    names = {name for name, _ in pyogrio.list_layers(files.cadastre)}
    assert names == {"Flurstueck", "GebauedeBauwerk", "Nutzung", "NutzungFlurstueck"}
    fields = {name: set(pyogrio.read_info(files.cadastre, layer=name)["fields"]) for name in names}
    assert {
        "oid",
        "aktualit",
        "flaeche",
        "flstkennz",
        "gemarkung",
        "flur",
        "flstnrzae",
        "lagebeztxt",
        "tntxt",
    } <= fields["Flurstueck"]
    assert {"oid", "aktualit", "gebnutzbez", "funktion", "gfkzshh", "name", "gmdschl"} <= fields["GebauedeBauwerk"]
    assert {"oid", "aktualit", "nutzart", "bez", "name"} <= fields["Nutzung"]
    assert "flstkennz" in fields["NutzungFlurstueck"]
    info = pyogrio.read_info(files.cadastre, layer="Flurstueck")
    assert info["crs"] == "EPSG:25832"
    assert info["geometry_type"] == "MultiPolygon"
    keys = pyogrio.read_dataframe(files.cadastre, layer="Flurstueck")["flstkennz"]
    assert keys.is_unique
    assert set(keys.str.len()) == {20}


def test_cadastre_knows_dates(files: TownFiles) -> None:
    info = pyogrio.read_info(files.cadastre, layer="GebauedeBauwerk")
    types = dict(zip(info["fields"], info["dtypes"], strict=True))
    assert types["aktualit"].startswith("datetime64[D")


def test_parcels_tile_the_town(files: TownFiles) -> None:
    parcels = pyogrio.read_dataframe(files.cadastre, layer="Flurstueck")
    area = SPEC.width_m * SPEC.height_m
    assert parcels.area.sum() == pytest.approx(area, abs=0.05)
    assert parcels.geometry.union_all().area == pytest.approx(area, abs=0.05)
    assert parcels.is_valid.all()
    assert (parcels["flaeche"] - parcels.area).abs().max() < 0.03 * parcels.area.max() + 1


def test_cadastre_shows_walls_not_roofs(scene: Scene) -> None:
    houses = [b for b in scene.buildings if b.function == "Wohnhaus"]
    assert houses
    assert all(b.walls.area < b.roof.area for b in houses)


def test_lag_leaves_buildings_out(tmp_path: Path) -> None:
    spec = replace(SPEC, width_m=128.0, sheet_m=1000.0, gsd_m=0.5)
    counts = {
        lag: pyogrio.read_info(
            write_town(tmp_path / str(lag), replace(spec, cadastre_lag=lag), driver="GTiff").cadastre,
            layer="GebauedeBauwerk",
        )["features"]
        for lag in (0.0, 1.0)
    }
    assert counts[1.0] < counts[0.0]


def test_nonsense_is_refused(scene: Scene) -> None:
    with pytest.raises(ValueError, match="season"):
        TownSpec(season="spring")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pixel"):
        render_window(scene, SPEC, (EAST, NORTH, EAST, NORTH + 10))


def test_a_field_narrower_than_its_margins_has_no_tramlines() -> None:
    assert plan_town(TownSpec(seed=334, width_m=240.0, height_m=240.0, sheet_m=240.0, season="autumn")).parcels
