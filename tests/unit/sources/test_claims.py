"""What a sheet's name says is held against where the file puts it; names that say nothing contradict nothing."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from sealmap.core.finding import Finding
from sealmap.core.grid import Grid
from sealmap.sources.claims import georeference
from sealmap.testing.model import TownSpec
from sealmap.testing.town import sheet_bounds, sheet_name

NRW = "dop20rgbi_32_364_5620_1_nw_2025"


def grid(
    west: float = 364_000, south: float = 5_620_000, *, size: float = 1000, gsd: float = 0.2, crs: int | str = 25832
) -> Grid:
    side = round(size / gsd)
    return Grid(
        height=side, width=side, transform=Affine(gsd, 0, west, 0, -gsd, south + side * gsd),
        crs=CRS.from_user_input(crs),
    )  # fmt: skip


def refused(found: Finding, words: str) -> None:
    assert found.verdict == "refusal", found
    assert words in found.cause
    assert "gdal_edit.py" in found.remedy
    assert found.where


@pytest.mark.parametrize(
    ("name", "there"),
    [
        (NRW, grid()),
        (f"{NRW}.jp2", grid()),
        ("dop20rgb_32_364_5620_2_he_2023", grid(size=2000)),
        ("dop20rgb_33_364_5620_2_sn_2023", grid(size=2000, crs=25833)),
        ("idop10rgbi_32_364_5620_1_nw", grid(gsd=0.1)),
        ("32364_5620", grid(gsd=0.4)),
        ("dop_33250-5888", grid(250_000, 5_888_000, crs=25833)),
        (NRW, grid(crs=32632)),
        (NRW, grid(364_400, 5_620_200, size=300)),  # a part of the sheet
    ],
)
def test_a_sheet_where_its_name_says_is_ok(name: str, there: Grid) -> None:
    found = georeference(name, there)
    assert (found.verdict, found.where) == ("ok", ""), found
    assert found.figures["gsd_m"] == there.gsd_m
    assert (found.figures["west"], found.figures["south"]) == tuple(round(v) for v in there.bounds[:2])


@pytest.mark.parametrize("name", ["", "sheet", "mosaic_2024", "N47_E011", "dop20rgbi_32_364_5620", "364_5620"])
@given(east=st.integers(300_000, 700_000), north=st.integers(5_250_000, 6_000_000))
@settings(max_examples=10)
def test_names_that_say_nothing_contradict_nothing(name: str, east: int, north: int) -> None:
    assert georeference(name, grid(east, north)).verdict == "ok"


def test_another_zone_is_refused() -> None:
    refused(georeference(NRW, grid(crs=25833)), "the name says UTM zone 32, the file ETRS89 / UTM zone 33N")
    refused(georeference(NRW.replace("_32_", "_33_"), grid()), "the name says UTM zone 33")


@pytest.mark.parametrize(
    ("west", "south"), [(365_000, 5_620_000), (364_000, 5_619_000), (363_999, 5_620_000), (364_000, 5_620_001), (0, 0)]
)
def test_another_place_is_refused(west: float, south: float) -> None:
    refused(georeference(NRW, grid(west, south)), "a wrong place")


@pytest.mark.parametrize(("shift", "verdict"), [(0.4, "ok"), (-0.4, "ok"), (0.6, "refusal"), (-0.6, "refusal")])
def test_two_pixels_are_no_contradiction(shift: float, verdict: str) -> None:
    assert georeference(NRW, grid(364_000 + shift)).verdict == verdict
    assert georeference(NRW, grid(south=5_620_000 + shift)).verdict == verdict


def test_a_sheet_larger_than_its_name_says_is_refused() -> None:
    refused(georeference(NRW, grid(size=2000)), "364000, 5620000 and 1 km")
    assert georeference(NRW.replace("_1_nw", "_2_nw"), grid(size=2000)).verdict == "ok"


def test_pixels_of_another_size_over_the_same_ground_are_warned_of() -> None:
    found = georeference(NRW, grid(gsd=0.4))
    assert (found.verdict, found.where) == ("warning", NRW)
    assert "pixels of 0.2 m, the file 0.4 m" in found.cause
    assert georeference(NRW, grid(gsd=0.2036)).verdict == "ok"
    assert georeference(NRW, grid(364_000, size=990, gsd=0.205)).verdict == "warning"


def test_a_wrong_pixel_size_that_throws_a_sheet_over_its_edge_is_refused_as_that() -> None:
    stretched = Grid(
        height=5000, width=5000, transform=Affine(0.4, 0, 364_000, 0, -0.4, 5_621_000), crs=CRS.from_epsg(25832)
    )
    refused(georeference(NRW, stretched), "a wrong pixel size")


def test_a_sheet_far_from_where_its_crs_is_used_is_warned_of() -> None:
    for there in (grid(0, 0), grid(364_000, 0), grid(3_000_000, 5_620_000)):
        found = georeference("sheet", there)
        assert found.verdict == "warning"
        assert "outside the area" in found.cause
        assert found.where == "sheet"
    assert georeference("sheet", grid(80_000, 5_620_000)).verdict == "warning"  # 3° east, in a zone that begins at 6°
    assert georeference("sheet", grid(230_000, 5_620_000)).verdict == "ok"  # 5.2°, a little beyond


def test_a_crs_that_does_not_say_where_it_is_used_is_believed() -> None:
    own = "+proj=tmerc +lat_0=50 +lon_0=7 +k=1 +x_0=0 +y_0=0 +ellps=GRS80 +units=m +no_defs"
    assert georeference("sheet", grid(0, 0, crs=own)).verdict == "ok"
    assert georeference(NRW, grid(0, 0, crs=own)).verdict == "ok"  # a local grid has no zone to contradict


# --- the invented town ---


@pytest.mark.parametrize("sheet_m", [250.0, 500.0, 1000.0, 2000.0, 128.0, 300.0, 600.0, 750.0])
def test_sheets_of_the_invented_town_lie_where_their_names_say(sheet_m: float) -> None:
    """Those that reach over the edge of a kilometre, too: such a name tells the corner, not the size."""
    gsd = 0.2
    spec = TownSpec(seed=1, width_m=2000, height_m=max(300.0, sheet_m), sheet_m=sheet_m, gsd_m=gsd)
    for bounds in sheet_bounds(spec):
        west, south, east, north = bounds
        there = Grid(
            height=round((north - south) / gsd), width=round((east - west) / gsd),
            transform=Affine(gsd, 0, west, 0, -gsd, north), crs=CRS.from_epsg(25832),
        )  # fmt: skip
        found = georeference(sheet_name(spec, bounds), there)
        assert found.verdict == "ok", found


def test_a_sheet_below_a_kilometre_in_another_one_is_refused() -> None:
    name = "dop20rgbi_32_364_5620_1_nw_2025_x000_y250"
    assert georeference(name, grid(364_000, 5_620_250, size=250)).verdict == "ok"
    refused(georeference(name, grid(365_000, 5_620_250, size=250)), "a wrong place")
    refused(georeference(name, grid(364_000, 5_621_250, size=250)), "a wrong place")


def test_figures_are_plain_numbers() -> None:
    figures = georeference(NRW, grid()).figures
    assert figures == {"crs": "ETRS89 / UTM zone 32N", "gsd_m": 0.2, "west": 364_000, "south": 5_620_000}
    assert not any(isinstance(v, np.generic) for v in figures.values())
