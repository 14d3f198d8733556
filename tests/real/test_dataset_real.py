"""A whole Swiss municipality: burning its land cover gives the area that the survey gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS

from sealmap.core.grid import Grid, Window
from sealmap.core.legend import ROOF_PAVED, SEALED
from sealmap.dataset.burn import Burner
from sealmap.dataset.cuts import ChipSpec
from sealmap.dataset.rules import apply_rules, load_rules
from sealmap.dataset.split import SplitSpec
from sealmap.pipeline.prepare import Labels, PrepareJob, prepare
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


def test_the_swiss_table_knows_every_class_of_a_municipality(cadastre_file: Path) -> None:
    table = load_rules("dm01_ch")
    bounds = (2611205.0, 1233214.0, 2612044.0, 1234773.0)
    cadastre = read_cadastre(cadastre_file, crs=LV95, bounds=bounds, layer=table.layer, fields=table.fields)
    labels = apply_rules(table, cadastre.shapes)
    assert labels.unknown == ()
    assert set(labels.label.tolist()) == {"roof", "paved", "unsealed", "ignore"}  # ignore: basins
    burner = Burner.on(labels, ROOF_PAVED, grid := _grid(bounds, 0.5))
    label = burner.burn(grid.window).label_HW
    roof = (label == 1).sum() * grid.pixel_area_m2
    assert 0.5 * 5252 < roof < 5252  # of 5,252 m² of buildings, the ring of 0.4 m is left open
    assert (label == 0).sum() > 10 * (label == 2).sum()


OWN_TABLE = """
name = "own"
[fields]
class = "class"
[[rule]]
class = "ignore"
label = "ignore"
priority = 30
[[rule]]
class = "roof"
label = "roof"
priority = 20
[[rule]]
class = "paved"
label = "paved"
priority = 10
"""


def test_any_layer_with_a_table_of_ones_own_becomes_the_same_labels(shared_data: Path, tmp_path: Path) -> None:
    """Flanders' truth is there as polygons and as a raster: burning the one must give the other."""
    folder = shared_data / "flanders"
    rules = tmp_path / "own.toml"
    rules.write_text('default = "unsealed"\n' + OWN_TABLE, encoding="utf-8")
    job = PrepareJob(
        orthos=[folder / "ortho.tif"],
        out=tmp_path / "chips",
        labels=Labels(cadastre=str(folder / "truth.gpkg"), rules=str(rules), legend="roof_paved"),
        spec=ChipSpec(patch=256, overlap=0, split=SplitSpec(mode="blocks", gap_px=0)),
    )
    made = prepare(job)
    with rasterio.open(folder / "truth.tif") as dataset:
        truth, transform = dataset.read(1), dataset.transform
    same = pixels = 0
    for i in range(len(made.chips)):
        label, grid = made.chips.read(i)[1], made.chips.grid(i)
        col, row = (round(v) for v in ~transform @ (grid.bounds[0], grid.bounds[3]))
        part = truth[row : row + 256, col : col + 256]
        same += (label[: part.shape[0], : part.shape[1]] == part).sum()
        pixels += part.size
    assert pixels > 1_000_000
    assert same / pixels > 0.999
    assert sum(s.area_m2 for s in made.prepared.sheets) == pytest.approx(1152 * 1152 * 0.25)
