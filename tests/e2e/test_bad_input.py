"""Refuse at the door: one line with the remedy, exit code 1, nothing left behind (DESIGN law 7).

The entry point of the command is called here in this process, since a start costs seconds; two cases go
through a real process to show that it is the same.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from tests.unit.model.tiny import bundle

from sealmap.cli.main import main
from sealmap.core.legend import SEALED
from sealmap.files.tags import legend_tags

Capture = pytest.CaptureFixture[str]


@dataclass(frozen=True)
class World:
    """Files, good and bad. ``out``: where results would go."""

    root: Path
    town: Any

    @property
    def out(self) -> Path:
        return self.root / "out"


def write(path: Path, bands: int = 4, **more: Any) -> None:
    pixels = np.random.default_rng(1).integers(1, 256, (bands, 64, 64), np.uint8)
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": bands, "height": 64, "width": 64,
        "crs": "EPSG:25832", "transform": Affine(0.2, 0, 364_000, 0, -0.2, 5_620_000),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile | more) as dataset:
        dataset.write(pixels)


@pytest.fixture(scope="module")
def made(town: Any, tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("bad")
    bundle(root / "m.sealmap")
    sheet = town.sheets[0].read_bytes()
    (root / "short.jp2").write_bytes(sheet[: len(sheet) // 2])
    (root / "text.jp2").write_text("This is a letter about an orthophoto, not one.\n" * 50)
    (root / "text.tif").write_text("This is a letter about an orthophoto, not one.\n" * 50)
    (root / "empty.tif").touch()
    (root / "text.sealmap").write_text("no model\n" * 50)
    (root / "folder").mkdir()
    write(root / "good.tif")
    write(root / "rgb.tif", bands=3)
    write(root / "lonlat.tif", crs="EPSG:4326", transform=Affine(2e-6, 0, 7, 0, -2e-6, 50.7))
    write(root / "feet.tif", crs="EPSG:2263")
    write(root / "coarse.tif", transform=Affine(2.0, 0, 364_000, 0, -2.0, 5_620_000))
    write(root / "away.tif", crs="EPSG:25833")
    with rasterio.open(
        root / "classes.tif", "w", driver="GTiff", dtype="uint8", count=1, height=64, width=64, nodata=255,
        crs="EPSG:25832", transform=Affine(0.2, 0, 364_000, 0, -0.2, 5_620_000),
    ) as dataset:  # fmt: skip
        dataset.write(np.zeros((1, 64, 64), np.uint8))
        dataset.update_tags(**legend_tags(SEALED))
    far = gpd.GeoDataFrame({"flstkennz": ["05"]}, geometry=[shapely.box(0, 0, 9, 9)], crs="EPSG:25832")
    pyogrio.write_dataframe(far, root / "far.gpkg", layer="parcels")
    (root / "typo.toml").write_text('[input]\northophotoes = ["a"]\n')
    (root / "job.toml").write_text(
        '[input]\northophotos = ["good.tif"]\nparcels = "far.gpkg"\n'
        '[model]\nbundle = "m.sealmap"\n[output]\nfolder = "out"\n'
    )
    return World(root, town)


MODEL = ("--model", "m.sealmap")
OUT = ("--out", "out")

CASES: list[tuple[tuple[str, ...], str]] = [
    (("predict", "none.tif", *MODEL, *OUT), "none.tif does not exist → check the path"),
    (("predict", "short.jp2", *MODEL, *OUT), "cut short"),
    (("predict", "text.jp2", *MODEL, *OUT), "named JPEG 2000 but is none"),
    (("predict", "text.tif", *MODEL, *OUT), "no raster that can be read"),
    (("predict", "empty.tif", *MODEL, *OUT), "is empty (0 bytes)"),
    (("predict", "folder", *MODEL, *OUT), "holds no orthophoto"),
    (("predict", "lonlat.tif", *MODEL, *OUT), "has no metres → reproject with: gdalwarp"),
    (("predict", "feet.tif", *MODEL, *OUT), "not in metres → reproject with: gdalwarp"),
    (("predict", "good.tif", "away.tif", *MODEL, *OUT), "the CRS differs"),
    (("predict", "rgb.tif", *MODEL, *OUT), "so nir is missing"),
    (("predict", "coarse.tif", *MODEL, *OUT), "2 m pixels; the model was trained for 0.08 to 0.5 m"),
    (("predict", "good.tif", "--model", "none.sealmap", *OUT), "none.sealmap does not exist"),
    (("predict", "good.tif", "--model", "text.sealmap", *OUT), "no sealmap bundle"),
    (("predict", "good.tif", "--model", "folder", *OUT), "folder"),
    (("predict", "good.tif", *MODEL, *OUT, "--device", "gpu"), "no device 'gpu' → use one of"),
    (("parcels", "classes.tif", "--parcels", "far.gpkg", "--out", "out/p.gpkg"), "none of 1 parcels meets the map"),
    (
        ("parcels", "classes.tif", "--parcels", "far.gpkg:lots", "--out", "out/p.gpkg"),
        "no layer 'lots' → it has: parcels",
    ),
    (("parcels", "classes.tif", "--parcels", "none.gpkg", "--out", "out/p.gpkg"), "none.gpkg does not exist"),
    (("parcels", "good.tif", "--parcels", "far.gpkg", "--out", "out/p.gpkg"), "no class raster: 4 bands"),
    (("parcels", "classes.tif", "--parcels", "far.gpkg", "--out", "out/p.shp"), "no name for a GeoPackage"),
    (("vectorize", "good.tif", "--out", "out/v.gpkg"), "no class raster: 4 bands"),
    (("vectorize", "none.tif", "--out", "out/v.gpkg"), "does not exist"),
    (("prepare", "good.tif", *OUT), "labels come from a cadastre or from labels drawn by hand"),
    (("prepare", "good.tif", "--cadastre", "far.gpkg:lots", *OUT), "no layer 'lots'"),
    (("prepare", "good.tif", "--truth", "classes.tif", "--legend", "grass", *OUT), "no legend 'grass'"),
    (("prepare", "good.tif", "--truth", "classes.tif", "--bands", "red,tir", *OUT), "band tir missing"),
    (("train", "folder", "--out", "out/m.sealmap", "--recipe", "tiny"), "no chip folder"),
    (("train", "folder", "--out", "out/m.sealmap", "--recipe", "huge"), "no recipe 'huge'"),
    (("train", "folder", "--out", "out/m.sealmap", "--set", "step=3"), "did you mean 'steps'?"),
    (("evaluate", "m.sealmap", "folder", *OUT), "no chip folder"),
    (("run", "none.toml"), "none.toml does not exist"),
    (("run", "typo.toml"), "did you mean 'orthophotos'?"),
    (("run", "job.toml"), "none of 1 parcels meets"),
    (("info", "none.tif"), "none.tif does not exist"),
    (("info", "short.jp2"), "cut short"),
    (("info", "text.sealmap"), "no sealmap bundle"),
]


@pytest.fixture
def here(made: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "0")  # as after the restart that the command gives itself
    return made


def call(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sealmap", *args])
    with pytest.raises(SystemExit) as end:
        main()
    return int(str(end.value.code))


def one_line(text: str, words: str) -> None:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("sealmap: ")
    assert words in lines[0]
    assert " → " in lines[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("args", "words"), CASES, ids=lambda v: " ".join(v)[:60] if isinstance(v, tuple) else "")
def test_bad_input_is_one_line_with_a_remedy(
    here: World, monkeypatch: pytest.MonkeyPatch, capfd: Capture, args: tuple[str, ...], words: str
) -> None:
    before = sorted(here.root.rglob("*"))
    code = call(monkeypatch, *args)
    said = capfd.readouterr()
    assert code == 1, said.err
    one_line(said.err, words)
    assert said.out == ""
    left = [p for p in sorted(here.root.rglob("*")) if p not in before and p.is_file()]
    assert left == []


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (("predict", "good.tif", *MODEL, *OUT), "out/classes.tif"),
        (("predict", "good.tif", *MODEL, *OUT), "out/run.json"),
        (("vectorize", "classes.tif", "--out", "out/v.gpkg"), "out/v.gpkg"),
        (("parcels", "classes.tif", "--parcels", "far.gpkg", "--out", "out/p.gpkg"), "out/p.csv"),
        (("prepare", "good.tif", "--truth", "classes.tif", *OUT), "out/anything"),
        (("train", "folder", "--out", "out/m.sealmap"), "out/m.sealmap"),
        (("evaluate", "m.sealmap", "folder", *OUT), "out/anything"),
        (("run", "job.toml"), "out/report.html"),
        (("demo", *OUT), "out/anything"),
    ],
)
def test_existing_results_are_refused_before_any_work(
    here: World, monkeypatch: pytest.MonkeyPatch, capfd: Capture, args: tuple[str, ...], name: str
) -> None:
    path = here.root / name
    path.parent.mkdir(exist_ok=True)
    assert list(path.parent.iterdir()) == []
    path.write_text("mine")
    try:
        code = call(monkeypatch, *args)
        err = capfd.readouterr().err
        assert code == 1, err
        one_line(err, "exists already → choose another --out or add --overwrite")
        assert path.read_text() == "mine"
        assert list(here.out.iterdir()) == [path]
    finally:
        for left in here.out.iterdir():
            left.unlink()
        here.out.rmdir()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("predict", "short.jp2", *MODEL, *OUT), "cut short"),
        (("info", "none.tif"), "none.tif does not exist → check the path"),
    ],
)
def test_a_real_process_says_the_same(made: World, args: tuple[str, ...], words: str) -> None:
    command = [sys.executable, "-m", "sealmap", *args]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=made.root)
    assert done.returncode == 1
    assert done.stdout == ""
    one_line(done.stderr, words)


def test_a_wrong_option_is_a_usage_error(here: World, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    assert call(monkeypatch, "train", "folder", "--out", "m2.sealmap", "--set", "steps") == 2
    err = capfd.readouterr().err
    assert "'steps' is not KEY=VALUE" in err
    assert "Traceback" not in err
