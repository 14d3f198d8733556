"""Evaluation end to end with a small random network: chips, whole sheets, parcels, and what the verb says."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from shapely.geometry import box
from tests.unit.model.tiny import CARD, bundle
from tests.unit.prediction.fakes import grid_of_size, write_sheet

from sealmap.core.errors import BundleError, DatasetError, GridError, OutputError
from sealmap.core.legend import IGNORE, ROOF_PAVED
from sealmap.dataset.cuts import ChipSpec
from sealmap.delivery.texts import Language
from sealmap.files.raster import read_raster, write_raster
from sealmap.model.card import BandStatistics, read_card
from sealmap.pipeline.adapt import AdaptSpec, adapt, told
from sealmap.pipeline.evaluate import Evaluated, Output, evaluate, seen_in_training, sheet_facts
from sealmap.pipeline.evaluate_sheets import SheetJob, evaluate_sheets
from sealmap.pipeline.maps import Serving, predict
from sealmap.pipeline.prepare import Labels, PrepareJob, prepare

HEIGHT, WIDTH = 160, 200
NAMES = ("dop20rgbi_32_364_5619_1_nw_2024", "dop20rgbi_32_364_5619_1_nw_2025")


@dataclass(frozen=True)
class World:
    """Two sheets side by side, a model, its own map as the truth, and plots of 8 m by 8 m."""

    root: Path
    sheets: list[Path]
    model: Path
    truth: Path
    parcels: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(3)
    grid = grid_of_size(HEIGHT, 2 * WIDTH)
    coarse = rng.integers(1, 255, (4, HEIGHT // 20, 2 * WIDTH // 20))
    pixels = coarse.repeat(20, axis=1).repeat(20, axis=2).astype(np.uint8)
    pixels = np.clip(pixels.astype(int) + rng.integers(-20, 20, pixels.shape), 1, 255).astype(np.uint8)
    sheets = []
    for i, name in enumerate(NAMES):
        part = replace(grid_of_size(HEIGHT, WIDTH), transform=grid.transform @ Affine.translation(i * WIDTH, 0))
        sheets.append(write_sheet(root / f"{name}.tif", pixels[:, :, i * WIDTH : (i + 1) * WIDTH], part))
    bundle(root / "first.sealmap", temperature=30.0)
    first = predict(sheets, root / "first", model=root / "first.sealmap", serving=Serving(device="cpu", force=True))
    half = float(np.median(read_raster(first.probability)[0])) / 254
    bundle(root / "m.sealmap", temperature=30.0, threshold=half)  # about one half of the map is sealed
    predict(sheets, root / "map", model=root / "m.sealmap", serving=Serving(device="cpu", force=True))
    x0, y1 = grid.bounds[0], grid.bounds[3]
    plots = [box(x0 + 8 * c, y1 - 8 * r - 8, x0 + 8 * c + 8, y1 - 8 * r) for r in range(4) for c in range(10)]
    frame = gpd.GeoDataFrame({"flstkennz": [f"p{i:02d}" for i in range(40)]}, geometry=plots, crs="EPSG:25832")
    frame.to_file(root / "parcels.gpkg", layer="Flurstueck")
    return World(root, sheets, root / "m.sealmap", root / "map" / "classes.tif", root / "parcels.gpkg")


def on_sheets(world: World, out: Path, **changes: Any) -> Evaluated:
    parcels, serving = f"{world.parcels}:Flurstueck", Serving(device="cpu")
    job = SheetJob(orthos=world.sheets, truths=[world.truth], parcels=parcels, serving=serving)
    return evaluate_sheets(world.model, replace(job, **changes), Output(folder=out))


def test_the_map_of_predict_is_what_is_scored(world: World, tmp_path: Path) -> None:
    """Against its own map as truth a model is perfect: no window, strip, sheet or parcel is off by a pixel."""
    found = on_sheets(world, tmp_path / "out").scores
    sealed = found["scores"]["sealed"]
    assert [sealed[n]["value"] for n in ("iou", "boundary_iou", "accuracy", "area_bias")] == [1, 1, 1, 0]
    assert found["pixels"] == HEIGHT * WIDTH * 2
    assert 0.02 < sealed_share(found) < 0.98, "a map of one class proves nothing"
    assert list(found["by_sheet"]) == list(NAMES)
    parcels = found["parcels"]
    assert (parcels["parcels"], parcels["left_out"]) == (40, 0)
    scores = {name: i["value"] for name, i in parcels["scores"].items()}
    assert scores == {
        "area_bias": 0, "bias_m2": 0, "mae_m2": 0, "rmse_m2": 0,
        "within_5_m2": 1, "within_10_percent": 1, "within_either": 1,
    }  # fmt: skip
    assert found["windows"]["worst"] == []
    assert found["facts"]["flight"] == "2024, 2025"
    curve = found["probabilities"]["curve"]
    nearest = int(np.abs(np.array(curve["thresholds"]) - found["probabilities"]["threshold"]).argmin())
    assert curve["iou"][nearest] == max(curve["iou"])
    page = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert "Reliability of “sealed”" in page
    assert found["facts"]["model"] in page
    left = {p.name for p in (tmp_path / "out").iterdir()}
    assert left == {"scores.json", "evaluation.html", "parcels.csv"}
    assert not [p for p in tmp_path.iterdir() if p.name != "out"]
    written = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert written == found
    rows = (tmp_path / "out" / "parcels.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 41
    assert (
        rows[0]
        == '"parcel_id","area_m2","truth_sealed_m2","map_sealed_m2","error_m2","error_percent","unknown_m2","judged"'
    )
    assert parcels["blocks"] == 2  # a sheet is smaller than a block
    assert parcels["scores"]["bias_m2"]["low"] is None
    assert not {"match", "adapted"} & {k for k, v in found["facts"].items() if v}


def sealed_share(scores: Any) -> float:
    return float(scores["sealed_m2"]["truth"] / scores["judged_m2"])


def test_a_wrong_truth_is_found_to_the_square_metre(world: World, tmp_path: Path) -> None:
    """Truth with a hall that the map lacks, unknown ground, and roofs where the model knows sealed only."""
    values, grid = read_raster(world.truth)
    truth = values.copy()
    truth[0, :40, :40] = 1  # plot p00: 8 m by 8 m, all sealed
    truth[0, 40:80, 80:120] = IGNORE  # plot p12 is not known
    truth[0, 120:, :40] = np.where(truth[0, 120:, :40] == 1, 2, 0)
    write_raster(tmp_path / "truth.tif", truth, grid, nodata=IGNORE)
    found = on_sheets(world, tmp_path / "out", truths=[tmp_path / "truth.tif"]).scores
    missed = 0.04 * float((values[0, :40, :40] == 0).sum())
    assert missed > 1
    assert found["legend"] == "sealed"
    assert set(found["by_class"]) == {"background", "roof", "paved"}
    sealed = found["sealed_m2"]
    assert sealed["truth"] - sealed["both"] == pytest.approx(missed, abs=0.11)
    assert sealed["predicted"] == pytest.approx(sealed["both"], abs=0.11)
    assert found["pixels"] == HEIGHT * WIDTH * 2 - 1600
    assert found["parcels"]["left_out"] == 1
    assert found["parcels"]["scores"]["bias_m2"]["value"] == pytest.approx(-missed / 39, abs=0.01)
    assert len(found["windows"]["worst"]) == 1
    assert found["windows"]["worst"][0]["missed_m2"] == pytest.approx(missed, abs=0.11)
    row = next(r for r in (tmp_path / "out" / "parcels.csv").read_text(encoding="utf-8").splitlines() if '"p00"' in r)
    assert float(row.split(",")[4]) == pytest.approx(-missed, abs=0.06)
    assert float(row.split(",")[5]) == pytest.approx(-100 * missed / 64, abs=0.1)


@pytest.mark.parametrize("language", ["de", "en"])
def test_matching_and_adaptation_are_told(world: World, tmp_path: Path, language: Language) -> None:
    statistics = {band: BandStatistics(mean=0.5, std=0.3, histogram=(1 / 64,) * 64) for band in ("red", "nir")}
    bundle(tmp_path / "m.sealmap", statistics=statistics)
    adapt(tmp_path / "m.sealmap", world.sheets, tmp_path / "a.sealmap", spec=AdaptSpec(windows=4, batch=2))
    job = SheetJob(orthos=world.sheets, truths=[world.truth], serving=Serving(device="cpu", match=True))
    output = Output(folder=tmp_path / "matched", language=language)
    facts = evaluate_sheets(tmp_path / "m.sealmap", job, output).scores["facts"]
    assert facts["match"] == "histogram (red, nir)"
    assert facts["adapted"] == ""
    page = (tmp_path / "matched" / "evaluation.html").read_text(encoding="utf-8")
    assert {"en": "Brightness matched", "de": "Helligkeit an die Trainingsdaten"}[language] in page
    with pytest.raises(BundleError, match=r"correct the light twice → leave matching out, or use m\.sealmap"):
        evaluate_sheets(tmp_path / "a.sealmap", job, replace(output, folder=tmp_path / "twice"))
    assert not (tmp_path / "twice").exists()
    plain = replace(job, serving=Serving(device="cpu", force=True))
    facts = evaluate_sheets(tmp_path / "a.sealmap", plain, replace(output, folder=tmp_path / "out")).scores["facts"]
    assert "match" not in facts
    assert facts["adapted"] == told(read_card(tmp_path / "a.sealmap"), language) != ""
    assert facts["adapted"] in (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")


def test_truth_elsewhere_is_refused_before_any_map_is_made(world: World, tmp_path: Path) -> None:
    values, grid = read_raster(world.truth)
    aside = replace(grid, transform=grid.transform @ Affine.translation(0.5, 0))
    write_raster(tmp_path / "aside.tif", values, aside, nodata=IGNORE)
    with pytest.raises(GridError, match=r"aside.tif: pixels are not aligned"):
        on_sheets(world, tmp_path / "out", truths=[tmp_path / "aside.tif"])
    write_raster(tmp_path / "empty.tif", np.full_like(values, IGNORE), grid, nodata=IGNORE)
    with pytest.raises(DatasetError, match="says nothing on these sheets"):
        on_sheets(world, tmp_path / "out", truths=[tmp_path / "empty.tif"])
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="exists already"):
        on_sheets(world, tmp_path / "out")
    assert {p.name for p in tmp_path.iterdir()} == {"aside.tif", "empty.tif", "out"}


def test_chips_of_the_same_ground(world: World, tmp_path: Path) -> None:
    spec = ChipSpec(patch=64, overlap=16)
    labels = Labels(truth=(world.truth,))
    prepare(PrepareJob(orthos=world.sheets, out=tmp_path / "chips", labels=labels, spec=spec))
    found = evaluate(world.model, tmp_path / "chips", "train", Output(folder=tmp_path / "out", language="de"))
    scores = json.loads((tmp_path / "out" / "scores.json").read_text(encoding="utf-8"))
    assert scores == found.scores
    assert scores["mode"] == "chips"
    assert scores["training"]["split"] == "train"
    assert scores["parcels"] is None
    assert sum(scores["probabilities"]["reliability"]["pixels"]) == scores["pixels"] > 4096
    assert 0.1 < sealed_share(scores) < 0.9
    page = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert "woraus gelernt wird" in page


def test_the_verb_prints_scores_or_json(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sealmap.cli.evaluate import command

    same = {"truth": [world.truth], "parcels": f"{world.parcels}:Flurstueck", "device": "cpu"}
    command(world.model, list(world.sheets), tmp_path / "out", **same)  # type: ignore[arg-type]
    said = capsys.readouterr().out
    assert "sealed        1.000" in said
    assert "40 parcels: area bias +0.0%, mean error 0.0 m², 100% within 5 m²" in said
    command(world.model, list(world.sheets), tmp_path / "out", overwrite=True, as_json=True, **same)  # type: ignore[arg-type]
    assert json.loads(capsys.readouterr().out)["pixels"] == HEIGHT * WIDTH * 2


def test_options_of_whole_sheets_need_a_truth(tmp_path: Path) -> None:
    import typer

    from sealmap.cli.evaluate import command

    with pytest.raises(typer.BadParameter, match="one chip folder"):
        command(Path("m"), [Path("a"), Path("b")], tmp_path / "out")
    with pytest.raises(typer.BadParameter, match="belong to whole sheets"):
        command(Path("m"), [Path("a")], tmp_path / "out", parcels="p.gpkg")
    with pytest.raises(typer.BadParameter, match="only whole sheets are matched: add --truth"):
        command(Path("m"), [Path("a")], tmp_path / "out", match=True)


@pytest.mark.parametrize(
    ("training", "status", "named"),
    [
        ({}, "unknown", []),
        ({"sheets": ["a", "b"]}, "seen", ["b"]),
        ({"sheets": {"train": ["a"], "val": ["c"]}}, "seen", ["c"]),
        ({"sheets": {"train": ["a"], "test": ["b", "c"]}}, "not_seen", []),
    ],
)
def test_the_record_tells_what_was_seen(training: dict[str, Any], status: str, named: list[str]) -> None:
    found = seen_in_training(replace(CARD, training=training), ["b", "c"])
    assert found == {"status": status, "sheets": named}


def test_flights_are_read_from_names() -> None:
    facts = sheet_facts(["dop20rgbi_32_364_5620_1_nw_2025", "dop20rgb_32_364_5620_1_ni_2024-04-06", "plain"])
    assert facts["flight"] == "2024-04-06, 2025"
    assert sheet_facts([f"s{i}" for i in range(9)])["sheets"] == "9: s0, s1, s2, s3, s4, s5, … (+3)"


def test_a_legend_may_be_named(world: World, tmp_path: Path) -> None:
    values, grid = read_raster(world.truth)
    write_raster(tmp_path / "plain.tif", values, grid, nodata=IGNORE)  # no tag: 0 and 1 may be roofs
    found = on_sheets(world, tmp_path / "out", truths=[tmp_path / "plain.tif"], legend="roof_paved", parcels="").scores
    assert set(found["by_class"]) == {c.key for c in ROOF_PAVED.classes}
    assert found["parcels"] is None
    assert not (tmp_path / "out" / "parcels.csv").exists()
