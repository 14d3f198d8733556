"""train as a whole: what is refused before hours are spent, what the card says of several sets, what is never lost."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.unit.prediction.fakes import grid_of_size, write_sheet

from sealmap.core.errors import BundleError, DatasetError, InputError, TrainingError
from sealmap.core.legend import SEALED
from sealmap.dataset.chipset import DATASET_FILE, ChipSet
from sealmap.dataset.cuts import ChipSpec
from sealmap.dataset.split import SplitSpec
from sealmap.files.raster import write_raster
from sealmap.model.bundle import load_bundle
from sealmap.model.card import ModelCard
from sealmap.pipeline.evaluate import seen_in_training
from sealmap.pipeline.learn import TrainJob, _two_sided, train
from sealmap.pipeline.prepare import Labels, PrepareJob, prepare
from sealmap.training.recipes import Recipe, recipe_named


def chips(background: float, sealed: float) -> Any:
    found = SimpleNamespace(legend=SEALED, chips=[SimpleNamespace(shares={"background": background, "sealed": sealed})])
    found.select = lambda _split: found
    return found


@pytest.mark.parametrize(("background", "sealed", "side"), [(0.0, 0.4, "unsealed"), (0.9, 0.001, "sealed")])
def test_one_sided_labels_are_refused_before_training(background: float, sealed: float, side: str) -> None:
    with pytest.raises(DatasetError, match=f"is labelled {side}"):
        _two_sided([chips(background, sealed)])


def test_two_sided_labels_may_train() -> None:
    _two_sided([chips(0.2, 0.3), chips(0.0, 0.3)])


def prepared(at: Path, name: str, *, gsd: float = 0.2, light: int = 0, seed: int = 5, width: int = 384) -> Path:
    """Chips of one sheet of four bands, red where it is sealed, in all three splits."""
    rng = np.random.default_rng(seed)
    grid = grid_of_size(128, width, gsd)
    truth = np.kron(rng.integers(0, 2, (8, width // 16)), np.ones((16, 16))).astype(np.uint8)
    pixels = (rng.integers(60, 100, (4, 128, width)) + light).astype(np.uint8)
    pixels[0][truth == 1] += 80
    sheet = write_sheet(at / f"{name}.tif", pixels, grid)
    write_raster(at / f"{name}_truth.tif", truth[None], grid, nodata=255)
    spec = ChipSpec(patch=64, overlap=0, split=SplitSpec(gap_px=0))
    labels = Labels(truth=(at / f"{name}_truth.tif",))
    prepare(PrepareJob(orthos=[sheet], out=at / name, labels=labels, spec=spec))
    return at / name


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dark sheet and a longer, light one, labelled by others."""
    at = tmp_path_factory.mktemp("sets")
    found = prepared(at, "dark"), prepared(at, "light", light=60, seed=6, width=512)
    facts = found[1] / DATASET_FILE
    facts.write_text(
        facts.read_text(encoding="utf-8").replace('"rules": "truth"', '"rules": "drawn"'), encoding="utf-8"
    )
    return found


def tiny(**settings: str) -> Recipe:
    return recipe_named("tiny", {"patch": "32", "steps": "1", "validate_every": "1"} | settings)


@pytest.fixture(scope="module")
def card(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> ModelCard:
    """Of a model trained on both."""
    job = TrainJob(chips=folders, recipe=tiny(), out=tmp_path_factory.mktemp("model") / "m.sealmap")
    done = train(job)
    assert load_bundle(job.out).card == done.card
    return done.card


def test_the_card_speaks_of_all_sets(folders: tuple[Path, Path], card: ModelCard) -> None:
    sets = [ChipSet.open(folder) for folder in folders]
    assert card.training["sheets"]["train"] == ["dark", "light"]
    assert seen_in_training(card, ["light"])["status"] == "seen"
    for split, count in card.training["chips"].items():
        assert count == sum(s.split_counts()[split] for s in sets)
    assert card.training["labels"] == card.calibration["labels"] == "truth, drawn"


def test_the_statistics_are_those_of_all_sets_drawn_alike(folders: tuple[Path, Path], card: ModelCard) -> None:
    sets = [ChipSet.open(folder) for folder in folders]
    counts = [s.split_counts()["train"] for s in sets]
    assert counts[0] != counts[1]
    for b, band in enumerate(sets[0].bands):
        values, weights = [], []
        for s in (found.select("train") for found in sets):
            pixels = np.concatenate([s.read(i)[0][b].ravel() for i in range(len(s))]) / s.pixel_scale
            values.append(pixels)
            weights.append(np.full(pixels.size, 1 / pixels.size))
        level, weight = np.concatenate(values), np.concatenate(weights) / 2
        mean = float(weight @ level)
        found = card.statistics[band]
        assert found.mean == pytest.approx(mean)
        assert found.std == pytest.approx(math.sqrt(float(weight @ (level - mean) ** 2)))
        bins = np.bincount(np.minimum((level * 64).astype(int), 63), weights=weight, minlength=64)
        np.testing.assert_allclose(found.histogram, bins, atol=1e-12)
    # what is no red, green or blue is normalised by it
    assert (card.mean[3], card.std[3]) == (found.mean, found.std)
    assert card.std[3] > 1.5 * max(s.std[3] for s in sets)


def test_the_card_of_one_set_holds_its_very_figures(folders: tuple[Path, Path], tmp_path: Path) -> None:
    done = train(TrainJob(chips=folders[:1], recipe=tiny(), out=tmp_path / "m.sealmap"))
    s = ChipSet.open(folders[0])
    for b, band in enumerate(s.bands):
        found = done.card.statistics[band]
        assert (found.mean, found.std) == (s.mean[b], s.std[b])
        assert found.histogram == tuple(v / sum(s.histogram[b]) for v in s.histogram[b])
    assert done.card.training["sheets"]["train"] == ["dark"]
    assert done.card.training["labels"] == s.rules


@pytest.mark.parametrize(
    ("gsds", "settings", "told"),
    [
        ((0.1, 0.4), {}, r"has chips of 0.4 m pixels; .* takes 0.04 to 0.25 m → --set gsd_m=… from 0.16 to 0.25"),
        ((0.2,), {"gsd_m": "0.6"}, r"of 0.2 m pixels; .* sees 0.6 m takes 0.24 to 1.5 m → --set gsd_m=… from 0.08 to"),
        ((0.1, 1.0), {}, "→ train on chips whose pixel sizes differ 6.25 times at most"),
    ],
)
def test_chips_that_the_model_would_refuse_are_refused_before_training(
    gsds: tuple[float, ...], settings: dict[str, str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealmap.pipeline.learn.train_network", lambda *_, **__: pytest.fail("it trained"))
    sets = [prepared(tmp_path, f"set{i}", gsd=gsd) for i, gsd in enumerate(gsds)]
    job = TrainJob(chips=sets, recipe=tiny(**settings), out=tmp_path / "m.sealmap")
    with pytest.raises(DatasetError, match=told):
        train(job)
    assert not job.folder.exists()


def test_what_a_bundle_cannot_hold_is_refused_before_training(folders: tuple[Path, Path], tmp_path: Path) -> None:
    job = TrainJob(chips=folders, recipe=tiny(halo="-1"), out=tmp_path / "m.sealmap")
    with pytest.raises(BundleError, match="halo -1"):
        train(job)
    with pytest.raises(TrainingError, match=r"3 class weights, the legend 2 classes"):
        train(replace(job, recipe=tiny(class_weights="1,2,3")))
    assert not job.folder.exists()


def test_weights_are_not_lost_to_a_calibration_that_fails(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise InputError("chip 3 cannot be read", remedy="look at it")

    monkeypatch.setattr("sealmap.pipeline.learn.calibrate_on", refuse)
    done = train(TrainJob(chips=folders, recipe=tiny(), out=tmp_path / "m.sealmap"))
    told = load_bundle(done.bundle).card.calibration["warnings"]
    assert told == ["temperature and threshold were not fitted: chip 3 cannot be read → look at it"]


def test_nor_to_a_figure_that_cannot_be_drawn(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError

    monkeypatch.setattr("sealmap.pipeline.learn.write_calibration_figure", fail)
    job = TrainJob(chips=folders, recipe=tiny(), out=tmp_path / "m.sealmap")
    with pytest.raises(OSError, match=r"^$"):
        train(job)
    assert load_bundle(job.out).card.calibration["aim"] == "iou"


def test_a_run_goes_on_with_its_chips_only(tmp_path: Path) -> None:
    at = tmp_path / "chips"
    at.mkdir()
    job = TrainJob(chips=[prepared(at, "sheet")], recipe=tiny(), out=tmp_path / "m.sealmap")
    first = train(job)
    again = replace(job, resume=True, overwrite=True)
    (at / "sheet").rename(at / "elsewhere")
    assert train(replace(again, chips=[at / "elsewhere"])).history == first.history
    for other in (prepared(at, "sheet", light=1), prepared(tmp_path, "sheet", seed=6)):
        with pytest.raises(TrainingError, match=r"made from other chips \(train set 1, contents: "):
            train(replace(again, chips=[other]))
