"""Labels by hand from the command line: a template, drawn in, and checked. The command runs in this process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
import shapely
from shapely import affinity

from sealmap.cli.main import main

X, Y = 364_000, 5_620_000


@dataclass(frozen=True)
class Desk:
    """Runs ``sealmap`` where the labels are drawn, on the sheets of a town (256 m × 128 m from X, Y)."""

    root: Path
    town: Any
    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]

    def run(self, *args: object) -> tuple[int, str, str]:
        """Exit code and what was said."""
        self.patch.setattr(sys, "argv", ["sealmap", "labels", *map(str, args)])
        with pytest.raises(SystemExit) as end:
            main()
        said = self.capture.readouterr()
        return int(str(end.value.code or 0)), said.out, said.err

    @property
    def sheets(self) -> tuple[object, ...]:
        return tuple(word for sheet in self.town.sheets for word in ("--like", sheet))

    @property
    def file(self) -> Path:
        return self.root / "labels.gpkg"

    def new(self) -> None:
        code, _, err = self.run("new", self.file, *self.sheets, "--language", "de")
        assert code == 0, err

    def draw(self, **polygons: Any) -> None:
        """Add polygons in metres from (X, Y); a name's last letters after '_' are no class: roof_2 is a roof."""
        shapes = [None if p is None else affinity.translate(p, X, Y) for p in polygons.values()]
        classes = [name.partition("_")[0] or None for name in polygons]
        frame = gpd.GeoDataFrame({"class": classes}, geometry=shapes, crs="EPSG:25832")
        pyogrio.write_dataframe(frame, self.file, layer="labels", driver="GPKG", append=True, geometry_type="Polygon")


@pytest.fixture
def desk(tmp_path: Path, town: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, town, monkeypatch, capfd)


def box(x0: float, y0: float, x1: float, y1: float) -> shapely.Polygon:
    return shapely.box(x0, y0, x1, y1)


# --- new ---


def test_new_leaves_a_package_and_a_project(desk: Desk) -> None:
    code, out, err = desk.run("new", desk.file, *desk.sheets, "--json")
    assert code == 0, err
    said = json.loads(out)
    assert said["orthophotos"] == len(desk.town.sheets) == 2
    assert said["open in QGIS"] == str(desk.root / "labels.qgz")
    assert sorted(p.name for p in desk.root.iterdir()) == ["labels.gpkg", "labels.qgz"]
    layers = {str(name) for name, _ in pyogrio.list_layers(desk.file)}
    assert layers == {"labels", "areas", "layer_styles"}
    assert pyogrio.read_info(desk.file, layer="labels")["crs"] == "EPSG:25832"


def test_new_does_without_an_orthophoto(desk: Desk) -> None:
    code, out, err = desk.run("new", desk.file, "--crs", "EPSG:25833")
    assert code == 0, err
    assert "ETRS89 / UTM zone 33N" in out
    assert pyogrio.read_info(desk.file, layer="areas")["crs"] == "EPSG:25833"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "give either --like ORTHOPHOTO or --crs"),
        (("--crs", "EPSG:25832", "--like", "none.tif"), "give either --like ORTHOPHOTO or --crs"),
        (("--crs", "EPSG:1"), "no CRS 'EPSG:1' → give a code such as EPSG:25832"),
        (("--crs", "EPSG:4326"), "the CRS 'WGS 84' has no metres"),
        (("--crs", "EPSG:2263"), "has no metres"),
        (("--like", "none.tif"), "none.tif does not exist"),
    ],
)
def test_new_refuses_what_it_cannot_place(desk: Desk, args: tuple[str, ...], words: str) -> None:
    code, out, err = desk.run("new", desk.file, *args)
    assert (code, out) == (1, "")
    assert err.startswith("sealmap: ")
    assert words in err
    assert list(desk.root.iterdir()) == []


def test_an_empty_template_is_replaced_only_when_told(desk: Desk) -> None:
    desk.new()
    code, _, err = desk.run("new", desk.file, "--crs", "EPSG:25833")
    assert code == 1
    assert "exists already" in err
    code, _, err = desk.run("new", desk.file, "--crs", "EPSG:25833", "--overwrite")
    assert code == 0, err
    assert pyogrio.read_info(desk.file, layer="labels")["crs"] == "EPSG:25833"


def test_drawn_polygons_are_not_replaced_even_when_told(desk: Desk) -> None:
    desk.new()
    desk.draw(roof=box(10, 10, 20, 20))
    before = desk.file.read_bytes()
    code, _, err = desk.run("new", desk.file, *desk.sheets, "--overwrite")
    assert code == 1
    assert "holds 1 drawn polygon" in err
    assert desk.file.read_bytes() == before


# --- check ---


def test_check_counts_what_wins(desk: Desk) -> None:
    desk.new()
    desk.draw(
        unsealed=box(0, 0, 40, 40), roof=box(5, 5, 15, 15), paved=box(10, 10, 30, 20), ignore=box(12, 12, 14, 14),
        Dach=box(100, 100, 110, 110),
    )  # fmt: skip
    code, out, err = desk.run("check", desk.file, *desk.sheets, "--json")
    assert code == 0, err
    said = json.loads(out)
    assert {k: (v["polygons"], v["m2"]) for k, v in said["classes"].items()} == {
        "roof": (2, 196.0), "paved": (1, 175.0), "sealed": (0, 0.0), "unsealed": (1, 1325.0), "ignore": (1, 4.0),
    }  # fmt: skip
    assert said["overlaps_m2"] == {"roof and paved": 25.0}
    assert said["beyond_the_image_m2"] == 0
    assert said["problems"] == []


@pytest.mark.parametrize(
    ("name", "polygon", "words"),
    [
        ("_none", box(10, 10, 20, 20), "364015.0,5620015.0  the polygon of 100.0 m² has no class"),
        ("dahc", box(10, 10, 20, 20), "has the class 'dahc', which is none of roof, paved, sealed, unsealed, ignore"),
        ("roof_bow", shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)]), "not valid: Self-intersection"),
        ("roof_far", box(900, 10, 910, 20), "lies outside the orthophoto"),
        ("roof_void", None, "has no geometry"),
    ],
    ids=lambda v: v if isinstance(v, str) and " " not in v else "",
)
def test_check_names_what_training_would_ignore(desk: Desk, name: str, polygon: Any, words: str) -> None:
    desk.new()
    desk.draw(**{"paved": box(50, 50, 60, 60), name: polygon})
    code, out, err = desk.run("check", desk.file, *desk.sheets)
    assert code == 1, err
    assert err == ""
    assert words in out
    assert "paved          1 polygons       100.0 m²" in out


def test_a_frame_that_runs_out_of_the_picture_is_no_fault(desk: Desk) -> None:
    desk.new()
    desk.draw(unsealed=box(-10, 0, 10, 10))
    code, out, _ = desk.run("check", desk.file, *desk.sheets)
    assert code == 0
    assert "100.0 m² lie beyond the orthophoto" in out
    assert "unsealed       1 polygons       100.0 m²" in out


def test_check_takes_labels_from_elsewhere(desk: Desk) -> None:
    frame = gpd.GeoDataFrame({"Class": ["befestigt"]}, geometry=[box(X, Y, X + 20, Y + 10)], crs="EPSG:25832")
    pyogrio.write_dataframe(frame.to_crs(25833), desk.root / "yards.gpkg", layer="yards")
    code, out, err = desk.run("check", desk.root / "yards.gpkg", *desk.sheets, "--json")
    assert code == 0, err
    assert json.loads(out)["classes"]["paved"]["m2"] == pytest.approx(200, abs=0.2)


def test_check_refuses_what_holds_no_labels(desk: Desk) -> None:
    desk.new()
    code, out, err = desk.run("check", desk.file, *desk.sheets)
    assert (code, out) == (1, "")
    assert "labels.gpkg:labels holds no polygons → draw some in QGIS" in err
    code, _, err = desk.run("check", desk.town.cadastre, *desk.sheets)
    assert code == 1
    assert "has no layer 'labels'" in err
    code, _, err = desk.run("check", f"{desk.town.cadastre}:Flurstueck", *desk.sheets)
    assert code == 1
    assert "has no field 'class'" in err


# --- help ---


@pytest.mark.parametrize("verb", ["new", "check"])
def test_help_is_quick_since_it_loads_nothing_heavy(verb: str) -> None:
    code = (
        "import sys\nfrom sealmap.cli.main import app\n"
        f"try:\n    app(['labels', '{verb}', '--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'geopandas', 'rasterio', 'cv2', 'pyproj'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"
    assert "--json" in done.stdout


def test_help_says_how_to_draw(desk: Desk) -> None:
    _, out, _ = desk.run("new", "--help")
    assert "A frame of class 'unsealed' around a plot" in out
    assert "ignore > roof > paved, sealed > unsealed" in out
