"""A real QGIS opens what we write: every layer valid, styles and names loaded, the picture right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.unit.delivery.smallmap import make

from sealmap.core.legend import ROOF_PAVED
from sealmap.delivery.geopackage import Package, write_geopackage
from sealmap.delivery.qgis import Project, write_project
from sealmap.delivery.styles import write_raster_styles

QGIS = Path("/usr/bin/qgis_process.bin")
PYTHON = "/usr/bin/python3"

pytestmark = pytest.mark.skipif(
    not QGIS.exists(),
    reason=f"QGIS MISSING: no {QGIS}; apt-get install python3-qgis qgis-providers qgis",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """What QGIS says of the project, and its picture (row, column, colour)."""

    said: dict[str, Any]
    picture: NDArray[np.float64]
    folder: Path

    def layer(self, name: str) -> dict[str, Any]:
        (found,) = [x for x in self.said["layers"] if x["name"] == name]
        return dict(found)


def environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "LANG", "HOME"}}
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    return kept | {"QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(runtime)}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """A project made in one folder, moved to another, and opened there."""
    first = tmp_path_factory.mktemp("made") / "here"
    first.mkdir()
    small = make(first)
    package = Package(
        surfaces=small.surfaces, record=small.record, legend=ROOF_PAVED, parcels=small.parcels,
        sheets=small.sheets, language="de",
    )  # fmt: skip
    gpkg = first / "sealmap.gpkg"
    write_geopackage(gpkg, package)
    write_raster_styles(small.classes, small.probability, ROOF_PAVED, "de", overwrite=False)
    project = Project(
        package=gpkg, classes=small.classes, probability=small.probability,
        orthophotos=(small.orthophoto,), language="de",
    )  # fmt: skip
    write_project(first / "sealmap.qgz", project)
    folder = first.parent / "moved"
    shutil.move(first, folder)
    script, result, picture = Path(__file__).with_name("open_project.py"), folder / "r.json", folder / "r.png"
    command = [PYTHON, str(script), str(folder / "sealmap.qgz"), str(picture), str(result)]
    done = subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=120, check=False)
    assert result.exists(), done.stderr
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB"), float)
    return Opened(said=json.loads(result.read_text(encoding="utf-8")), picture=pixels, folder=folder)


def test_every_layer_is_valid_after_the_folder_was_moved(opened: Opened) -> None:
    assert opened.said["read"]
    assert opened.said["title"] == "Versiegelungskarte"
    assert opened.said["crs"] == "EPSG:25832"
    assert [x["name"] for x in opened.said["layers"]] == [
        "Flurstücke: Versiegelungsgrad", "Versiegelte Flächen", "Bildkacheln", "Protokoll",
        "Klassen (Raster)", "Wahrscheinlichkeit versiegelt (Raster)", "ortho",
    ]  # fmt: skip
    assert all(x["valid"] for x in opened.said["layers"])
    assert {x["crs"] for x in opened.said["layers"] if x["name"] != "Protokoll"} == {"EPSG:25832"}
    assert opened.said["errors"] == []
    assert opened.said["messages"] == []


def test_layers_hold_what_was_written(opened: Opened) -> None:
    assert opened.layer("Flurstücke: Versiegelungsgrad")["features"] == 4
    assert opened.layer("Versiegelte Flächen")["features"] == 3
    assert opened.layer("Protokoll")["features"] > 5


def test_styles_and_names_load_in_the_project(opened: Opened) -> None:
    parcels, surfaces = opened.layer("Flurstücke: Versiegelungsgrad"), opened.layer("Versiegelte Flächen")
    assert parcels["renderer"] == "graduatedSymbol"
    assert parcels["legend"] == ["0–20 %", "20–40 %", "40–60 %", "60–80 %", "80–100 %"]
    assert parcels["aliases"]["sealed_share"] == "Versiegelungsgrad (0–1)"
    assert surfaces["renderer"] == "categorizedSymbol"
    assert surfaces["legend"] == ["Hochbau (Dach)", "Tiefbau (Belag)"]
    assert opened.layer("Wahrscheinlichkeit versiegelt (Raster)")["renderer"] == "singlebandpseudocolor"
    assert opened.layer("ortho")["renderer"] == "multibandcolor"


def test_styles_and_names_load_without_the_project(opened: Opened) -> None:
    alone = opened.said["alone"]
    assert alone["parcels"]["renderer"] == "graduatedSymbol"
    assert alone["parcels"]["aliases"]["parcel_id"] == "Flurstückskennzeichen"
    assert alone["parcels"]["aliases"]["roof_m2"] == "Hochbau (Dach) [m²]"
    assert alone["sealed_surfaces"]["legend"] == ["Hochbau (Dach)", "Tiefbau (Belag)"]
    assert alone["classes"]["renderer"] == "paletted"
    assert alone["classes"]["legend"] == ["Unversiegelt", "Hochbau (Dach)", "Tiefbau (Belag)"]
    assert alone["classes"]["colors"][1] == "#cc3333"
    assert alone["probability"]["renderer"] == "singlebandpseudocolor"


def test_the_picture_is_the_map(opened: Opened) -> None:
    height, width = opened.picture.shape[:2]
    assert (height, width) == (480, 640)

    def at(x_m: float, y_m: float) -> NDArray[np.float64]:
        row, col = round(y_m / 24 * height), round(x_m / 32 * width)
        return np.asarray(opened.picture[row - 3 : row + 4, col - 3 : col + 4].mean(axis=(0, 1)))

    roof, paved, meadow, parcel = at(8, 7), at(18, 12), at(26, 12), at(2, 2)
    assert roof[0] > roof[2] + 50  # red
    assert meadow == pytest.approx([90, 120, 70], abs=15)  # beyond the parcels: the photo as it is
    assert parcel == pytest.approx(0.73 * np.array([90, 120, 70]) + 0.27 * np.array([166, 217, 106]), abs=15)
    assert paved == pytest.approx(0.73 * np.array([122, 122, 122]) + 0.27 * np.array([215, 25, 28]), abs=20)


def test_processing_reads_our_layers(opened: Opened) -> None:
    out = opened.folder / "zonal.gpkg"
    command = [
        str(QGIS), "run", "native:zonalstatisticsfb",
        f"--INPUT={opened.folder}/sealmap.gpkg|layername=parcels",
        f"--INPUT_RASTER={opened.folder}/classes.tif", "--RASTER_BAND=1", "--COLUMN_PREFIX=v_",
        "--STATISTICS=0", f"--OUTPUT={out}",
    ]  # fmt: skip
    done = subprocess.run(
        command, env=environment(opened.folder), capture_output=True, text=True, timeout=120, check=False
    )
    assert out.exists(), done.stdout + done.stderr
