"""Grid: north-up, square metres, one lattice, or a refusal that names the remedy."""

from __future__ import annotations

import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS

from sealmap.core.errors import GridError
from sealmap.core.grid import Grid, Window, union_grid

UTM = CRS.from_epsg(25832)


def grid(
    *,
    height: int = 100,
    width: int = 200,
    x: float = 500_000,
    y: float = 5_600_000,
    gsd: float = 0.2,
    crs: CRS = UTM,
) -> Grid:
    return Grid(height=height, width=width, transform=Affine(gsd, 0, x, 0, -gsd, y), crs=crs)


def test_measures() -> None:
    g = grid()
    assert g.gsd_m == 0.2
    assert g.pixel_area_m2 == pytest.approx(0.04)
    assert g.window == Window(row=0, col=0, height=100, width=200)
    assert g.bounds == pytest.approx((500_000, 5_599_980, 500_040, 5_600_000))


@pytest.mark.parametrize(
    ("transform", "says"),
    [
        (Affine(0.2, 0.01, 0, 0.01, -0.2, 0), "not north-up"),
        (Affine(0, 0.2, 0, 0.2, 0, 0), "not north-up"),
        (Affine(0.2, 0, 0, 0, 0.2, 0), "not north-up"),
        (Affine(-0.2, 0, 0, 0, -0.2, 0), "not north-up"),
        (Affine(0.2, 0, 0, 0, -0.3, 0), "not square"),
        (Affine(float("nan"), 0, 0, 0, -0.3, 0), "not square"),
    ],
)
def test_refuses_a_transform_that_is_not_north_up_and_square(transform: Affine, says: str) -> None:
    with pytest.raises(GridError, match=says) as caught:
        Grid(height=1, width=1, transform=transform, crs=UTM)
    assert "gdalwarp" in caught.value.remedy


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("EPSG:4326", "no metres"),
        ("EPSG:4258", "no metres"),
        ("EPSG:4978", "no metres"),
        ("EPSG:2263", "US survey foot"),
    ],
)
def test_refuses_degrees_and_feet(code: str, says: str) -> None:
    with pytest.raises(GridError, match=says) as caught:
        grid(crs=CRS.from_user_input(code))
    assert "gdalwarp -t_srs" in caught.value.remedy


@pytest.mark.parametrize(
    "code",
    ["EPSG:25832", "EPSG:25833", "EPSG:31467", "EPSG:3301", "EPSG:4647", "EPSG:2056", "EPSG:25832+7837"],
)
def test_takes_metres(code: str) -> None:
    assert grid(crs=CRS.from_user_input(code)).gsd_m == 0.2


@pytest.mark.parametrize(("height", "width"), [(0, 1), (1, 0)])
def test_refuses_to_be_empty(height: int, width: int) -> None:
    with pytest.raises(GridError, match="empty"):
        grid(height=height, width=width)


def test_takes_a_world_file_that_rounds() -> None:
    transform = Affine(0.2, 0, 0, 0, -0.200000001, 0)
    assert Grid(height=1, width=1, transform=transform, crs=UTM).gsd_m == 0.2


@given(st.integers(-5000, 5000), st.integers(-5000, 5000), st.integers(1, 50), st.integers(1, 50))
def test_offset_of_finds_a_subgrid_again(row: int, col: int, height: int, width: int) -> None:
    g = grid()
    part = g.subgrid(Window(row=row, col=col, height=height, width=width))
    assert g.offset_of(part) == (row, col)
    assert part.offset_of(g) == (-row, -col)


@pytest.mark.parametrize(
    ("other", "says", "remedy"),
    [
        (grid(crs=CRS.from_epsg(25833)), "CRS differs", "-t_srs EPSG:25832"),
        (grid(gsd=0.1), "pixel sizes differ: 0.2 m and 0.1 m", "-tr 0.2 0.2"),
        (grid(x=500_000.1), "shifted by -?0.500 columns, -?0.000 rows", "-tap"),
        (grid(y=5_600_000.05), "shifted by -?0.000 columns, -?0.250 rows", "-tap"),
    ],
)
def test_offset_of_refuses_another_lattice(other: Grid, says: str, remedy: str) -> None:
    with pytest.raises(GridError, match=says) as caught:
        grid().offset_of(other)
    assert remedy in caught.value.remedy


def test_offset_of_forgives_the_last_digits_of_a_world_file() -> None:
    assert grid().offset_of(grid(x=500_000.2005, y=5_599_999.6)) == (2, 1)


def test_union_grid_covers_all_sheets() -> None:
    west, east = grid(), grid(x=500_040, y=5_600_010)
    union = union_grid([west, east])
    assert (union.height, union.width) == (150, 400)
    assert union.bounds == pytest.approx((500_000, 5_599_980, 500_080, 5_600_010))
    assert union.offset_of(west) == (50, 0)
    assert union.offset_of(east) == (0, 200)
    assert union_grid([east, west]).bounds == pytest.approx(union.bounds)
    assert union_grid([west]) == west


def test_union_grid_refuses_sheets_of_two_lattices() -> None:
    with pytest.raises(GridError, match="pixel sizes differ"):
        union_grid([grid(), grid(gsd=0.5)])


@given(st.integers(0, 99), st.integers(0, 199), st.integers(1, 300), st.integers(1, 300))
def test_window_over_is_the_inverse_of_bounds(row: int, col: int, height: int, width: int) -> None:
    g = grid()
    window = Window(row=row, col=col, height=height, width=width)
    assert g.window_over(g.subgrid(window).bounds) == window.intersect(g.window)


def test_window_over_takes_pixels_that_are_touched() -> None:
    x, y = 500_000, 5_600_000
    assert grid().window_over((x + 0.3, y - 0.9, x + 0.5, y - 0.3)) == Window(row=1, col=1, height=4, width=2)


def test_window_over_elsewhere_is_none() -> None:
    assert grid().window_over((0, 0, 10, 10)) is None
    x, y = 500_000, 5_600_000
    assert grid().window_over((x - 5, y - 5, x, y)) is None
