"""A whole Swiss municipality: burning its land cover gives the area that the survey gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS

from sealmap.core.grid import Grid, Window
from sealmap.core.legend import SEALED
from sealmap.dataset.burn import Burner
from sealmap.dataset.rules import apply_rules, load_rules
from sealmap.sources.cadastre import read_cadastre, read_parcels

SEALED_M2, WHOLE_M2 = 35_057, 950_415
LV95 = CRS.from_epsg(2056)


@pytest.fixture
def cadastre_file(shared_data: Path) -> Path:
    return shared_data / "cadastre_so2549" / "cadastre.gpkg"


def _grid(bounds: tuple[float, float, float, float], gsd: float) -> Grid:
    x0, y0, x1, y1 = bounds
    return Grid(
        height=int((y1 - y0) / gsd) + 2,
        width=int((x1 - x0) / gsd) + 2,
        transform=Affine(gsd, 0, x0 - gsd / 2, 0, -gsd, y1 + gsd / 2),
        crs=LV95,
    )


def test_burned_area_is_the_surveyed_area(cadastre_file: Path) -> None:
    table = load_rules("generic")
    bounds = (2611205.0, 1233214.0, 2612044.0, 1234773.0)
    cadastre = read_cadastre(
        cadastre_file, crs=LV95, bounds=bounds, layer="landcover_bodenbedeckung", fields=table.fields
    )
    labels = apply_rules(table, cadastre.shapes)
    assert len(cadastre.shapes) == 126
    assert labels.unknown == ()
    grid = _grid(bounds, 0.2)
    burner = Burner.on(labels, SEALED, grid)
    counts = np.zeros(256, np.int64)
    for row in range(0, grid.height, 1024):
        strip = Window(row=row, col=0, height=min(1024, grid.height - row), width=grid.width)
        counts += np.bincount(burner.burn(strip).label_HW.ravel(), minlength=256)
    sealed, unsealed = counts[1] * grid.pixel_area_m2, counts[0] * grid.pixel_area_m2
    assert sealed == pytest.approx(SEALED_M2, rel=1e-3)
    assert sealed + unsealed == pytest.approx(WHOLE_M2, rel=1e-3)


def test_parcels_carry_official_areas(cadastre_file: Path) -> None:
    parcels = read_parcels(cadastre_file, layer="parcels_liegenschaften", crs=LV95)
    assert len(parcels) == 34
    assert parcels["parcel_id"].is_unique
    assert parcels["parcel_id"].str.startswith("CH").all()  # the federal id, not the local number
    assert (parcels.geometry.area / parcels["official_area_m2"] - 1).abs().max() < 0.01
    assert read_parcels(cadastre_file, crs=LV95).equals(parcels)
