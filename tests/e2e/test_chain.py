"""The real command line on the town: every verb once, every result opened by someone else."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyogrio
import pytest
import rasterio

VERBS = ("prepare", "train", "import", "calibrate", "adapt", "doctor", "evaluate", "predict", "vectorize", "parcels",
         "run", "demo", "info")  # fmt: skip


def sealmap(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sealmap", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=400)


def told(*args: object, cwd: Path | None = None) -> dict[str, Any]:
    """The JSON object of a verb that did well, and nothing else on its standard output."""
    done = sealmap(*args, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@dataclass(frozen=True)
class Chain:
    """What the verbs left, and what they said of it."""

    root: Path
    town: Any
    said: dict[str, dict[str, Any]]


JOB = """
[input]
orthophotos = [{sheets}]
parcels = "{parcels}:Flurstueck"
[model]
bundle = "tiny.sealmap"
[output]
folder = "result"
language = "de"
title = "Musterstadt"
"""


@pytest.fixture(scope="module")
def chain(town: Any, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    root = tmp_path_factory.mktemp("chain")
    sheets, layer = list(town.sheets), f"{town.cadastre}:Flurstueck"
    tiny = ("--recipe", "tiny", "--encoder-weights", "none", "--set", "steps=4", "--set", "validate_every=2")
    job = JOB.format(sheets=", ".join(f'"{p}"' for p in sheets), parcels=town.cadastre)
    (root / "job.toml").write_text(job, encoding="utf-8")
    cut = ("--patch", 128, "--overlap", 0)
    said = {
        "prepare": told("prepare", *sheets, "--cadastre", town.cadastre, *cut, "--out", "chips", cwd=root),
        "train": told("train", "chips", "--out", "tiny.sealmap", *tiny, cwd=root),
        "evaluate": told("evaluate", "tiny.sealmap", "chips", "--out", "scores", cwd=root),
        "predict": told("predict", *sheets, "--model", "tiny.sealmap", "--out", "map", cwd=root),
        "vectorize": told("vectorize", "map/classes.tif", "--out", "outlines.gpkg", cwd=root),
        "parcels": told("parcels", "map/classes.tif", "--parcels", layer, "--out", "parcels.gpkg", cwd=root),
        "run": told("run", "job.toml", cwd=root),
        "info": told("info", "chips", "tiny.sealmap", "map/classes.tif", "result/sealmap.gpkg", sheets[0],
                     "--model", "tiny.sealmap", cwd=root),
    }  # fmt: skip
    return Chain(root, town, said)


def test_prepare(chain: Chain) -> None:
    said = chain.said["prepare"]
    assert min(said["chips"].values()) >= 1
    assert said["bands"] == ["red", "green", "blue", "nir"]
    images = sorted((chain.root / "chips" / "images").iterdir())
    assert len(images) == sum(said["chips"].values())
    with rasterio.open(images[0]) as chip:
        assert chip.shape == (128, 128)
        assert chip.crs.to_epsg() == 25832


def test_train(chain: Chain) -> None:
    said = chain.said["train"]
    assert said["steps"] == 4
    assert "random" in said["encoder weights"]
    left = {p.name for p in (chain.root / "tiny_training").iterdir()}
    assert left == {"checkpoint.pt", "metrics.csv", "curve.png", "calibration.png", "tensorboard"}


def test_evaluate(chain: Chain) -> None:
    scores = json.loads((chain.root / "scores" / "scores.json").read_text(encoding="utf-8"))
    assert scores["scores"] == chain.said["evaluate"]["scores"]
    assert 0 <= scores["accuracy"] <= 1
    assert scores["pixels"] > 0
    page = (chain.root / "scores" / "evaluation.html").read_text(encoding="utf-8")
    assert scores["facts"]["model"] in page


def test_predict(chain: Chain) -> None:
    said = chain.said["predict"]
    for name, bands in (("classes", 1), ("probability", 1)):
        with rasterio.open(chain.root / said[name]) as dataset:
            assert (dataset.driver, dataset.count, dataset.shape) == ("GTiff", bands, (640, 1280))
    assert said["mapped_m2"] == 256 * 128
    assert said["unknown_m2"] == 0


def test_vectorize(chain: Chain) -> None:
    layers = {str(name) for name, _ in pyogrio.list_layers(chain.root / "outlines.gpkg")}
    name = next(n for n in layers if n not in {"layer_styles", "run_record"})
    assert (
        chain.said["vectorize"]["polygons"] == pyogrio.read_info(chain.root / "outlines.gpkg", layer=name)["features"]
    )


def test_parcels(chain: Chain) -> None:
    said = chain.said["parcels"]
    table = pyogrio.read_dataframe(chain.root / "parcels.gpkg", layer="parcels")
    assert len(table) == said["parcels"] > 3
    total = table["sealed_m2"] + table["unsealed_m2"] + table["unknown_m2"]
    assert (total - table["area_m2"]).abs().max() < 0.02
    assert said["sealed_m2"] == pytest.approx(table["sealed_m2"].sum(), abs=0.1)
    lines = (chain.root / "parcels.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) == len(table) + 1


def test_run_agrees_with_the_verbs_one_by_one(chain: Chain) -> None:
    folder, said = chain.root / "result", chain.said["run"]
    names = {"sealmap.gpkg", "sealmap.qgz", "report.html", "preview.png", "parcels.csv",
             "classes.tif", "probability.tif", "run.json"}  # fmt: skip
    assert names <= {p.name for p in folder.iterdir()}
    for name in ("classes.tif", "probability.tif"):
        with rasterio.open(folder / name) as a, rasterio.open(chain.root / "map" / name) as b:
            assert (a.read() == b.read()).all()
    assert said["sealed_m2"] == chain.said["predict"]["sealed_m2"]
    assert said["parcels_sealed_m2"] == pytest.approx(chain.said["parcels"]["sealed_m2"], abs=1)
    for name, _ in pyogrio.list_layers(folder / "sealmap.gpkg"):
        pyogrio.read_info(folder / "sealmap.gpkg", layer=name)
    with zipfile.ZipFile(folder / "sealmap.qgz") as project:
        assert any(n.endswith(".qgs") for n in project.namelist())
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "Musterstadt" in report
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert [i["name"] for i in record["inputs"]] == [*(p.name for p in chain.town.sheets), chain.town.cadastre.name]


def test_info(chain: Chain) -> None:
    said = chain.said["info"]
    kinds = [facts["kind"] for facts in said.values()]
    assert kinds == ["chips", "model bundle", "class raster", "vector file", "orthophoto"]
    assert said[str(chain.town.sheets[0])]["fits the model"] == "yes"


def test_nothing_half_written_is_left(chain: Chain) -> None:
    assert not [p for p in chain.root.rglob("*") if ".part" in p.name or p.name.startswith(".")]


def test_people_are_told_too(chain: Chain) -> None:
    done = sealmap("info", "tiny.sealmap", cwd=chain.root)
    assert done.returncode == 0
    assert "kind" in done.stdout
    assert "model bundle" in done.stdout


# --- starting ---


@pytest.mark.parametrize("verb", VERBS)
def test_help_is_quick_since_it_loads_nothing_heavy(verb: str) -> None:
    code = (
        "import sys\nfrom sealmap.cli.main import app\n"
        f"try:\n    app(['{verb}', '--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'timm', 'albumentations', 'matplotlib', 'geopandas', 'rasterio', 'cv2'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"
    assert "Usage:" in done.stdout
    assert "--json" in done.stdout


def test_version_and_help_of_the_whole() -> None:
    from sealmap import __version__

    assert sealmap("--version").stdout.strip() == __version__
    shown = sealmap("--help").stdout
    assert all(verb in shown for verb in VERBS)
    assert sealmap("fly").returncode == 2
