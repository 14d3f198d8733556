"""The guard by the command line: refused is refused, nothing is left; forced is forced, and every product says so.

A stand-in for the network answers by brightness, so that a map costs nothing; one case goes through a real process.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from tests.unit.model.tiny import bundle
from tests.unit.prediction.fakes import grid_of_size, write_sheet
from tests.unit.prediction.scenes import ByBrightness

from sealmap.cli.main import main
from sealmap.core.grid import Window

Capture = pytest.CaptureFixture[str]
RGB = ("red", "green", "blue")
SIDE = 1280


@dataclass(frozen=True)
class World:
    """Folders of sheets: ``rgb`` as they should be, ``bgr`` with red and blue in each other's place."""

    root: Path

    @property
    def out(self) -> Path:
        return self.root / "out"


@pytest.fixture(scope="module")
def world(town: Any, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The invented town and, north of it, its reflection: enough ground to be sure of colours."""
    root = tmp_path_factory.mktemp("guard")
    bundle(root / "m.sealmap", bands=RGB, temperature=1.0, threshold=0.5, statistics={}, patch=256)
    halves = []
    for path in sorted(town.sheets):
        with rasterio.open(path) as dataset:
            halves.append(dataset.read([1, 2, 3]))
    half = np.concatenate(halves, axis=2)
    picture = np.concatenate([half[:, ::-1], half], axis=1)
    assert picture.shape == (3, SIDE, SIDE)
    whole = grid_of_size(SIDE, SIDE)
    for name, order in (("rgb", slice(None)), ("bgr", slice(None, None, -1))):
        (root / name).mkdir()
        for i, place in enumerate(("north", "south")):
            window = Window(row=SIDE // 2 * i, col=0, height=SIDE // 2, width=SIDE)
            part = np.ascontiguousarray(picture[order, window.row : window.stop_row])
            write_sheet(root / name / f"{place}.tif", part, whole.subgrid(window))
    (root / "elsewhere").mkdir()
    name = "dop20rgb_33_364_5619_1_sn_2024.tif"
    write_sheet(root / "elsewhere" / name, picture[:, :64, :64].copy(), grid_of_size(64, 64))
    (root / "job.toml").write_text(
        '[input]\northophotos = ["bgr"]\n[model]\nbundle = "m.sealmap"\n[output]\nfolder = "out"\n', encoding="utf-8"
    )
    return World(root)


@pytest.fixture
def here(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The current folder; what a test leaves in ``out`` is taken away."""
    monkeypatch.chdir(world.root)
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "0")  # as after the restart that the command gives itself
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("sealmap.model.engines.engine_for", ByBrightness)
    yield world
    shutil.rmtree(world.out, ignore_errors=True)


def call(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sealmap", *args])
    with pytest.raises(SystemExit) as end:
        main()
    return int(str(end.value.code or 0))


def strict(text: str) -> dict[str, Any]:
    """One JSON object and nothing else, without NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


PREDICT = ("--model", "m.sealmap", "--out", "out", "--device", "cpu")
MAPS = ("classes.tif", "probability.tif")


def test_a_map_of_sheets_as_they_should_be_is_made_and_tells_so(
    here: World, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    code = call(monkeypatch, "predict", "rgb", *PREDICT)
    said = capfd.readouterr()
    assert code == 0, said.err
    assert "the guard" not in said.err
    assert "checks ok (georeference, normalisation, pixel scale, band order" in said.err
    record = json.loads((here.out / "run.json").read_text(encoding="utf-8"))
    told = record["figures"]["guard"]
    assert (told["verdict"], told["forced"]) == ("ok", False)
    assert record["seconds"]["guard"] < record["seconds"]["predict"]
    for name in MAPS:
        with rasterio.open(here.out / name) as dataset:
            assert dataset.tags()["SEALMAP_GUARD"] == told["told"] == f"ok: {len(told['findings'])} checks"
    assert told["told"] in said.out


@pytest.mark.parametrize("verb", [("predict", "bgr", *PREDICT), ("run", "job.toml")])
def test_bgr_is_refused_with_a_table_and_nothing_is_left(
    here: World, monkeypatch: pytest.MonkeyPatch, capfd: Capture, verb: tuple[str, ...]
) -> None:
    code = call(monkeypatch, *verb)
    said = capfd.readouterr()
    assert code == 1
    assert said.out == ""
    assert "the guard" in said.err
    assert "red before blue" in said.err
    assert "BGR" in said.err
    last = said.err.strip().splitlines()[-1]
    assert last.startswith("sealmap: the map is refused, band order: red and blue seem to have changed places")
    assert " → put them right: gdal_translate -b 3 -b 2 -b 1" in last
    assert last.endswith("To make it all the same: --force")
    assert list(here.out.rglob("*")) == []
    assert "Traceback" not in said.err


def test_a_refused_map_does_not_replace_the_one_that_is_there(
    here: World, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    here.out.mkdir()
    for name in MAPS:
        (here.out / name).write_text("mine")
    assert call(monkeypatch, "predict", "bgr", *PREDICT, "--overwrite") == 1
    assert {p.name: p.read_text() for p in here.out.iterdir()} == dict.fromkeys(MAPS, "mine")


def test_a_forced_map_is_made_and_record_and_tags_say_so(
    here: World, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    code = call(monkeypatch, "predict", "bgr", *PREDICT, "--force")
    said = capfd.readouterr()
    assert code == 0, said.err
    assert "red before blue" in said.err  # the table is printed all the same
    assert "FORCED against the guard's refusal" in said.out
    told = json.loads((here.out / "run.json").read_text(encoding="utf-8"))["figures"]["guard"]
    assert (told["verdict"], told["forced"]) == ("refusal", True)
    assert told["findings"][0]["verdict"] == "refusal"
    assert "band order" in [f["check"] for f in told["findings"] if f["verdict"] == "refusal"]
    for name in MAPS:
        with rasterio.open(here.out / name) as dataset:
            assert dataset.tags()["SEALMAP_GUARD"] == told["told"]
            assert dataset.tags()["SEALMAP_GUARD"].startswith("FORCED against the guard's refusal: ")


def test_machines_are_told_of_a_refusal_as_json(here: World, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    assert call(monkeypatch, "predict", "bgr", *PREDICT, "--json") == 1
    said = capfd.readouterr()
    found = strict(said.out)
    assert found["refused"].startswith("the map is refused, band order")
    (mine,) = (f for f in found["findings"] if f["check"] == "band order")
    assert mine["verdict"] == "refusal"
    assert mine["figures"]["red before blue"] < -0.5
    assert mine["remedy"]
    assert len(said.err.strip().splitlines()) == 1


def test_the_doctor_says_the_same_and_makes_no_map(
    here: World, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    before = sorted(here.root.rglob("*"))
    look = ("--windows", "20", "--device", "cpu")
    assert call(monkeypatch, "doctor", "m.sealmap", "bgr", *look) == 1
    said = capfd.readouterr()
    assert "red before blue" in said.err
    assert "verdict  refusal" in said.out
    assert call(monkeypatch, "doctor", "m.sealmap", "bgr", *look, "--json") == 1
    found = strict(capfd.readouterr().out)
    assert (found["verdict"], found["sheets"], found["windows"]) == ("refusal", 2, 20)
    assert found["findings"][0]["verdict"] == "refusal"
    assert "band order" in [f["check"] for f in found["findings"] if f["verdict"] == "refusal"]
    assert call(monkeypatch, "doctor", "m.sealmap", "rgb", *look) == 0
    assert "verdict  ok" in capfd.readouterr().out
    assert sorted(here.root.rglob("*")) == before


def test_a_real_process_refuses_a_wrong_zone_at_the_door(world: World) -> None:
    command = [sys.executable, "-m", "sealmap", "predict", "elsewhere", *PREDICT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=world.root, timeout=200)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "the guard" in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert "georeference on dop20rgb_33_364_5619_1_sn_2024: the name says UTM zone 33" in last
    assert not world.out.exists()
