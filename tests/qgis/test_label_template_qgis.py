"""A real QGIS opens the template for labels: the form is right, polygons go in, and the picture shows them."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.qgis.test_qgis_opens import PYTHON, QGIS, environment
from tests.unit.delivery.smallmap import GRID, make

from sealmap.delivery.label_template import CLASSES, write_label_template
from sealmap.delivery.qgis import LabelProject, write_label_project

pytestmark = pytest.mark.skipif(
    not QGIS.exists(),
    reason=f"QGIS MISSING: no {QGIS}; apt-get install python3-qgis qgis-providers qgis",
)

LABELS, AREAS = "Trainingsflächen", "Gebiete: Training, Validierung, Test"
LEFT, TOP = GRID.bounds[0], GRID.bounds[3]

Box = tuple[float, float, float, float]
DRAWN: tuple[tuple[str, dict[str, str], Box], ...] = (
    (LABELS, {"class": "roof", "editor": "M. Muster"}, (4, 4, 12, 10)),  # first of all, and yet on top
    (LABELS, {"class": "unsealed"}, (2, 2, 30, 22)),
    (LABELS, {"class": "paved"}, (10, 4, 20, 10)),
    (LABELS, {}, (22, 14, 28, 20)),
    (AREAS, {"split": "test"}, (1, 1, 31, 23)),
    (AREAS, {}, (5, 5, 6, 6)),
)
"""Layer, values, and (left, top, right, bottom) in metres from the upper left corner of the image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """What QGIS says, what lies in the package afterwards, and the picture (row, column, colour)."""

    said: dict[str, Any]
    picture: NDArray[np.float64]
    package: Path

    def at(self, x_m: float, y_m: float) -> NDArray[np.float64]:
        """Mean colour at a place, in metres from the upper left corner."""
        height, width = self.picture.shape[:2]
        # the extent is as wide as the picture; above and below there is nothing
        scale = width / (GRID.bounds[2] - LEFT)
        row = round(height / 2 + (y_m - (TOP - GRID.bounds[1]) / 2) * scale)
        col = round(x_m * scale)
        return np.asarray(self.picture[row - 3 : row + 4, col - 3 : col + 4].mean(axis=(0, 1)))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """A template made in one folder, moved to another, and drawn in there."""
    first = tmp_path_factory.mktemp("made") / "here"
    first.mkdir()
    small = make(first)
    write_label_template(first / "labels.gpkg", GRID.crs, language="de")
    project = LabelProject(
        package=first / "labels.gpkg", crs=GRID.crs, extent=GRID.bounds, orthophotos=(small.orthophoto,), language="de"
    )
    write_label_project(first / "labels.qgz", project)
    folder = first.parent / "moved"
    shutil.move(first, folder)
    polygons = [
        (layer, values, [(LEFT + x, TOP - y) for x, y in ((b[0], b[1]), (b[2], b[1]), (b[2], b[3]), (b[0], b[3]))])
        for layer, values, b in DRAWN
    ]
    todo, picture, result = folder / "todo.json", folder / "r.png", folder / "r.json"
    todo.write_text(json.dumps(polygons), encoding="utf-8")
    script = Path(__file__).with_name("draw_labels.py")
    command = [PYTHON, str(script), str(folder / "labels.qgz"), str(todo), str(picture), str(result)]
    done = subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=120, check=False)
    assert result.exists(), done.stderr
    with Image.open(picture) as image:
        pixels = np.asarray(image.convert("RGB"), float)
    return Drawn(said=json.loads(result.read_text(encoding="utf-8")), picture=pixels, package=folder / "labels.gpkg")


def test_the_project_opens_without_a_word(drawn: Drawn) -> None:
    said = drawn.said
    assert said["read"]
    assert (said["title"], said["crs"]) == ("Trainingsflächen zeichnen", "EPSG:25832")
    assert list(said["layers"]) == [LABELS, AREAS, "ortho"]
    assert all(layer == {"valid": True, "crs": "EPSG:25832"} for layer in said["layers"].values())
    assert said["snapping"]
    assert not said["overlaps_are_cut"]
    assert said["errors"] == []
    assert said["messages"] == []


def test_the_form_offers_german_words_and_stores_english_keys(drawn: Drawn) -> None:
    form = drawn.said["forms"][LABELS]
    assert {name: field["editor"] for name, field in form.items()} == {
        "fid": "Hidden", "class": "ValueMap", "note": "TextEdit", "editor": "TextEdit", "date": "DateTime",
    }  # fmt: skip
    assert [value for _, value in form["class"]["lines"]] == list(CLASSES)
    assert form["class"]["lines"][0] == ["Dach", "roof"]
    assert form["class"]["alias"] == "Klasse"
    assert form["date"]["type"] == "Date"
    assert form["editor"]["reuse"]
    assert drawn.said["legend"][LABELS][0] == "Dach"
    split = drawn.said["forms"][AREAS]["split"]
    assert split["lines"] == [["Training", "train"], ["Validierung", "val"], ["Test", "test"]]


def test_the_form_is_in_the_package_too(drawn: Drawn) -> None:
    assert drawn.said["alone"] == {"labels": drawn.said["forms"][LABELS], "areas": drawn.said["forms"][AREAS]}


def test_a_polygon_without_a_class_is_not_taken(drawn: Drawn) -> None:
    taken = [not why for why in drawn.said["refused"]]
    assert taken == [True, True, True, False, True, False]
    assert "Eine Klasse wählen" in drawn.said["refused"][3][0]
    assert "Eine Verwendung wählen" in drawn.said["refused"][5][0]
    assert drawn.said["saved"] == [True, True]


def test_what_was_drawn_is_in_the_file(drawn: Drawn) -> None:
    table = pyogrio.read_dataframe(drawn.package, layer="labels")
    assert table["class"].tolist() == ["roof", "unsealed", "paved"]
    assert table["editor"].tolist()[0] == "M. Muster"
    assert table.geometry.area.tolist() == pytest.approx([48, 560, 60])
    today = dt.datetime.now(tz=dt.UTC).date()
    assert all(abs((day.date() - today).days) <= 1 for day in table["date"])
    assert pyogrio.read_dataframe(drawn.package, layer="areas")["split"].tolist() == ["test"]


def test_the_picture_shows_the_class_that_wins_and_the_photo_below(drawn: Drawn) -> None:
    meadow = np.array([90, 120, 70])
    frame, roof, paved, both = drawn.at(26, 18), drawn.at(7, 7), drawn.at(18, 7), drawn.at(11, 7)
    assert drawn.at(1.5, 12) == pytest.approx(meadow, abs=15)  # beyond the frame: the photo
    assert frame == pytest.approx(meadow + 50 / 255 * (np.array([60, 170, 60]) - meadow), abs=15)
    assert roof[0] > roof[1] + 40
    assert abs(paved - paved.mean()).max() < 25
    assert both[0] > both[1] + 20  # roof over paving, though drawn before it
