"""calibrate as a whole: what the card promises is what is served, the weights stay, test chips are not touched."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.unit.model.tiny import CARD, bundle
from tests.unit.prediction.fakes import grid_of_size, write_sheet

from sealmap.cli.calibrate import calibration_facts
from sealmap.core.confusion import Confusion
from sealmap.core.errors import BundleError, DatasetError, OutputError, SettingsError
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED, Legend
from sealmap.dataset.chipset import Chip, ChipSet
from sealmap.dataset.cuts import ChipSpec
from sealmap.dataset.split import SplitSpec
from sealmap.evaluation.calibration import choose_threshold
from sealmap.files.raster import write_raster
from sealmap.model.bundle import ModelBundle, load_bundle, probabilities
from sealmap.model.card import ModelCard
from sealmap.pipeline import calibrate as module
from sealmap.pipeline.calibrate import Calibrated, CalibrateJob, calibrate, calibrate_on
from sealmap.pipeline.learn import TrainJob, train
from sealmap.pipeline.prepare import Labels, PrepareJob, prepare
from sealmap.prediction.limits import Grounds
from sealmap.prediction.mosaic import classify
from sealmap.prediction.single import predict_array
from sealmap.training.looks import OtherFlight
from sealmap.training.recipes import recipe_named

SIDE = 64
ORIGIN = {"split": "val", "labels": "drawn"}


@dataclass(frozen=True, kw_only=True)
class DrawnChips:
    """Chips in memory whose labels are drawn from what a model says at some temperature."""

    pixels: list[NDArray[Any]]
    labels: list[NDArray[np.uint8]]
    chips: tuple[Chip, ...]
    legend: Legend = SEALED
    bands: tuple[str, ...] = CARD.bands
    gsd_m: float = 0.2
    pixel_scale: float = 255.0
    reads: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, index: int, /) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        self.reads.append(index)
        return self.pixels[index], self.labels[index]


class ColourEngine:
    """Logits are colours: a quick stand-in for a network."""

    def __init__(self, bundle: ModelBundle, _device: str = "auto") -> None:
        self.card = bundle.card

    def probs(self, pixels_NCHW: NDArray[Any], pixel_scale: float) -> NDArray[np.float32]:
        colours = torch.from_numpy(pixels_NCHW.astype(np.float32)) / pixel_scale
        logits = 5 * colours[:, : len(self.card.legend)]
        logits[:, 0] += 0.8
        out: NDArray[np.float32] = probabilities(logits, self.card).numpy()
        return out


def drawn(model: ModelBundle, temperature: float, *, count: int = 12, gsd_m: float = 0.2) -> DrawnChips:
    """count chips in blocks of their own, one row of pixels ignored."""
    engine = ColourEngine(replace(model, card=replace(model.card, temperature=temperature)))
    rng = np.random.default_rng(7)
    pixels: list[NDArray[Any]] = []
    labels = []
    for _ in range(count):
        # Large patches of colour, so that a resampled picture does not turn grey.
        coarse = rng.integers(0, 256, (4, SIDE // 8, SIDE // 8), np.uint8)
        pixels.append(np.kron(coarse, np.ones((1, 8, 8), np.uint8)))
        probs = predict_array(pixels[-1], gsd_m, engine, 255.0)
        label = (rng.random((1, SIDE, SIDE)) > probs.cumsum(axis=0)[:-1]).sum(axis=0).astype(np.uint8)
        label[0] = IGNORE
        labels.append(label)
    chips = tuple(
        Chip(name=f"c{i}", split="val", sheet="s", row=1024 * (i // 2), col=1024 * (i % 2), shares={})
        for i in range(count)
    )
    return DrawnChips(pixels=pixels, labels=labels, chips=chips, legend=model.card.legend, gsd_m=gsd_m)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> ModelBundle:
    """Three classes by colour; temperature 1.3 and threshold 0.45 as ``CARD`` has them."""
    monkeypatch.setattr(module, "engine_for", ColourEngine)
    return ModelBundle(card=replace(CARD, legend=ROOF_PAVED), weights={})


def served(found: ModelCard, model: ModelBundle, chips: DrawnChips) -> Confusion:
    """Counts of the classes that a map would get."""
    engine, total = ColourEngine(replace(model, card=found)), Confusion.zero(chips.legend)
    for pixels, label in zip(chips.pixels, chips.labels, strict=True):
        probs = predict_array(pixels, chips.gsd_m, engine, chips.pixel_scale)
        total += Confusion.of(chips.legend, label, classify(probs, found.legend, found.threshold))
    return total


def on(model: ModelBundle, chips: DrawnChips, aim: str = "iou") -> Calibrated:
    return calibrate_on(model, [chips], aim=aim, origin=ORIGIN)


@pytest.mark.parametrize("aim", ["iou", "zero_bias"])
@pytest.mark.parametrize("gsd_m", [0.2, 0.26])
def test_the_card_promises_what_is_served(model: ModelBundle, aim: str, gsd_m: float) -> None:
    chips = drawn(model, 0.6, gsd_m=gsd_m)
    found = on(model, chips, aim)
    card, promised = found.card, found.card.calibration["after"]
    assert card.temperature == promised["temperature"] != model.card.temperature
    assert card.threshold == promised["threshold"] != model.card.threshold
    scores = served(card, model, chips).scores(ROOF_PAVED.sealed_ids)
    for name in ("iou", "f1", "area_bias"):
        assert scores[name] == pytest.approx(promised[name], abs=1e-5)
    before = served(model.card, model, chips).scores(ROOF_PAVED.sealed_ids)
    assert before["iou"] == pytest.approx(found.card.calibration["before"]["iou"], abs=2e-4)  # 0.45 is no k / 4096
    if aim == "zero_bias":
        assert abs(scores["area_bias"]) < 0.002 < abs(before["area_bias"])
    else:
        assert scores["iou"] >= before["iou"]


def test_the_temperature_of_the_labels_is_found_whatever_the_card_has(model: ModelBundle) -> None:
    chips = drawn(model, 0.6)
    first = on(model, chips)
    assert first.card.temperature == pytest.approx(0.6, rel=0.05)
    assert first.after.ece < 0.02 < first.before.ece
    assert first.after.brier < first.before.brier
    again = on(replace(model, card=first.card), chips)
    assert again.card.temperature == pytest.approx(first.card.temperature, rel=0.002)
    assert again.card.threshold == pytest.approx(first.card.threshold, abs=0.01)


def test_what_the_card_says_of_it(model: ModelBundle) -> None:
    chips = drawn(model, 0.6)
    found = on(model, chips, "zero_bias")
    facts = found.card.calibration
    assert ModelCard.from_json(found.card.to_json()) == found.card
    assert {k: facts[k] for k in ("aim", "split", "labels", "chips", "blocks")} == {
        "aim": "zero_bias", "split": "val", "labels": "drawn", "chips": 12, "blocks": 12,
    }  # fmt: skip
    assert facts["pixels"] == 12 * SIDE * (SIDE - 1)
    assert set(facts["curve"]) == {"threshold", "iou", "f1", "area_bias"}
    assert {len(column) for column in facts["curve"].values()} == {99}
    assert facts["other_half"]["ece"]["temperature"] < facts["other_half"]["ece"]["none"]
    assert any("only 48,384 judged pixels" in w for w in facts["warnings"])
    told = calibration_facts(facts)
    assert told["temperature"] == f"1.300 → {found.card.temperature:.3f}"
    assert "isotonic does not win" in told["other half: ECE / Brier"]
    assert "warning 1" in told
    assert calibration_facts({}) == {}


def test_pixels_of_overlapping_chips_count_once(model: ModelBundle) -> None:
    chips = drawn(model, 0.6, count=2)
    places = [replace(chips.chips[0], col=0), replace(chips.chips[1], col=SIDE // 2)]
    found = on(model, replace(chips, chips=tuple(places)))
    assert found.card.calibration["pixels"] == (SIDE + SIDE // 2) * (SIDE - 1)
    apart = [replace(chips.chips[0], col=0), replace(chips.chips[1], col=SIDE // 2, sheet="t")]
    assert on(model, replace(chips, chips=tuple(apart))).card.calibration["pixels"] == 2 * SIDE * (SIDE - 1)


def test_chips_that_know_sealed_only_calibrate_a_model_of_three_classes(model: ModelBundle) -> None:
    chips = drawn(model, 0.6)
    binary = [np.where(label == IGNORE, IGNORE, label > 0).astype(np.uint8) for label in chips.labels]
    found = on(model, replace(chips, labels=binary, legend=SEALED))
    assert found.card.temperature == pytest.approx(0.6, rel=0.07)
    assert found.card.calibration["after"]["iou"] == pytest.approx(on(model, chips).card.calibration["after"]["iou"])


def test_the_sample_is_bounded_and_the_counts_are_not(model: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    chips = drawn(model, 0.6)
    monkeypatch.setattr(module, "SAMPLE", 6000)
    views = module._views(model.card, [chips])
    sample, tally = module._measure(ColourEngine(model), views, lambda _: None, Grounds(model.card))
    assert 3000 <= len(sample.logits_NK) <= 6000
    assert tally.pixels == 12 * SIDE * (SIDE - 1)
    assert abs(sample.half_N.mean() - 0.5) < 0.05
    assert on(model, chips).card.temperature == pytest.approx(0.6, rel=0.15)


def test_a_model_that_learnt_nothing_keeps_its_temperature(model: ModelBundle) -> None:
    chips = drawn(model, 0.6)
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 2, label.shape).astype(np.uint8) for label in chips.labels]
    found = on(model, replace(chips, labels=noise, legend=SEALED))
    assert found.card.temperature == model.card.temperature
    assert any("ran into its bounds" in w and "stays 1.3" in w for w in found.warnings)
    assert len(set(chips.reads)) == 12  # and once only, since nothing changed
    assert len(chips.reads) == 12


def test_a_threshold_that_does_not_carry_over_is_told(model: ModelBundle) -> None:
    chips = drawn(model, 0.6)
    rng = np.random.default_rng(2)
    fewer = [
        np.where((rng.random(label.shape) < 0.3 * (i < 6)) & (label < IGNORE), 0, label).astype(np.uint8)
        for i, label in enumerate(chips.labels)
    ]
    found = on(model, replace(chips, labels=fewer), "zero_bias")
    assert any("a threshold without bias on one half of the blocks has" in w for w in found.warnings)
    assert not any("a threshold" in w for w in on(model, chips, "zero_bias").warnings)


def test_a_temperature_that_makes_the_other_half_worse_is_not_applied(model: ModelBundle) -> None:
    """One half of the ground wants it sharper, the other flatter: what suits both parts is nobody's temperature."""
    cold, hot = drawn(model, 0.4), drawn(model, 4.0)
    chips = replace(cold, labels=[*cold.labels[:6], *hot.labels[6:]])
    found = on(model, chips)
    assert found.halves is not None
    assert found.halves.temperature_loses
    assert found.card.temperature == found.card.calibration["after"]["temperature"] == model.card.temperature == 1.3
    assert any("makes the other half worse" in w and w.endswith("so it stays 1.3") for w in found.warnings)
    scores = served(found.card, model, chips).scores(ROOF_PAVED.sealed_ids)
    assert scores["iou"] == pytest.approx(found.card.calibration["after"]["iou"], abs=1e-5)
    biases = []
    for half, other in ((slice(6), slice(6, None)), (slice(6, None), slice(6))):
        there = replace(chips, **{name: getattr(chips, name)[other] for name in ("pixels", "labels", "chips")})
        here = replace(chips, **{name: getattr(chips, name)[half] for name in ("pixels", "labels", "chips")})
        aimed = replace(model.card, threshold=on_as_it_is(model, there))
        biases.append(served(aimed, model, here).scores(ROOF_PAVED.sealed_ids)["area_bias"])
    assert found.halves.area_bias == pytest.approx(biases, abs=0.01)


@pytest.mark.parametrize("gsd_m", [0.2, 0.26])
def test_isotonic_regression_is_served_where_it_wins(model: ModelBundle, gsd_m: float) -> None:
    """A third of what is sealed in truth is not in the labels, at any probability: no temperature says so."""
    chips = drawn(model, 1.3, gsd_m=gsd_m)
    rng = np.random.default_rng(3)
    fewer = [np.where((rng.random(x.shape) < 0.4) & (x < IGNORE), 0, x).astype(np.uint8) for x in chips.labels]
    chips = replace(chips, labels=fewer)
    found = on(model, chips, "zero_bias")
    assert found.halves is not None
    assert found.halves.best == "isotonic"
    assert found.halves.brier["isotonic"] < found.halves.brier["temperature"]
    assert found.card.isotonic
    assert found.after.ece < 0.01 < found.before.ece
    scores = served(found.card, model, chips).scores(ROOF_PAVED.sealed_ids)
    for name in ("iou", "f1", "area_bias"):
        assert scores[name] == pytest.approx(found.card.calibration["after"][name], abs=1e-5)
    told = calibration_facts(found.card.calibration)
    assert told["isotonic"] == f"none → a curve of {len(found.card.isotonic)} knots"
    assert "isotonic wins" in told["other half: ECE / Brier"]
    again = on(replace(model, card=found.card), chips, "zero_bias")
    assert again.before.brier == pytest.approx(found.after.brier, abs=1e-3)
    assert again.card.threshold == pytest.approx(found.card.threshold, abs=0.02)


def on_as_it_is(model: ModelBundle, chips: DrawnChips) -> float:
    """The threshold for the best IoU at the temperature that the card has."""
    views = module._views(model.card, [chips])
    tally = module._tally(ColourEngine(model), views, lambda _: None, Grounds(model.card))
    return choose_threshold(tally.curve(), "iou")


def test_little_ground_is_told_with_numbers(model: ModelBundle) -> None:
    chips = drawn(model, 0.6, count=1)
    found = on(model, chips)
    assert found.halves is None
    assert [w.split(";")[0].split(":")[0] for w in found.warnings] == [
        "only 4,032 judged pixels",
        "only 1 block(s) of 1024 pixels",
        "what the calibration is worth on other ground was not measured",
    ]


def test_one_sided_labels_are_refused(model: ModelBundle) -> None:
    chips = drawn(model, 0.6, count=2)
    nothing = [np.zeros_like(label) for label in chips.labels]
    with pytest.raises(DatasetError, match="of 8,192 judged pixels 0% is sealed: nothing to calibrate on"):
        on(model, replace(chips, labels=nothing))


def test_a_network_that_is_not_finite_is_refused(model: ModelBundle) -> None:
    chips = drawn(model, 0.6, count=2)
    broken = [pixels.astype(np.float32) for pixels in chips.pixels]
    broken[1][0, 5:7] = np.nan
    with pytest.raises(BundleError, match="not finite at 128 of 4,032 pixels of chip c1"):
        on(model, replace(chips, pixels=broken))


# --- folders and files ---


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chips of one sheet, red where it is sealed, in all three splits."""
    at = tmp_path_factory.mktemp("chips")
    rng = np.random.default_rng(5)
    grid = grid_of_size(128, 384)
    truth = np.kron(rng.integers(0, 2, (8, 24)), np.ones((16, 16))).astype(np.uint8)
    pixels = rng.integers(60, 100, (4, 128, 384)).astype(np.uint8)
    pixels[0][truth == 1] += 120
    sheet = write_sheet(at / "sheet.tif", pixels, grid)
    write_raster(at / "truth.tif", truth[None], grid, nodata=255)
    spec = ChipSpec(patch=64, overlap=0, split=SplitSpec(gap_px=0))
    prepare(PrepareJob(orthos=[sheet], out=at / "chips", labels=Labels(truth=(at / "truth.tif",)), spec=spec))
    return at / "chips"


def test_a_new_bundle_with_the_same_weights_and_a_figure(folder: Path, tmp_path: Path) -> None:
    old = bundle(tmp_path / "old.sealmap", half=True)
    job = CalibrateJob(model=tmp_path / "old.sealmap", chips=[folder], out=tmp_path / "new.sealmap")
    steps: list[tuple[int, int]] = []
    found = calibrate(job, progress=lambda done, total: steps.append((done, total)))
    new = load_bundle(job.out)
    assert new.card == found.card
    assert new.card.calibration["split"] == "val"
    assert new.card.calibration["labels"] == ChipSet.open(folder).rules
    assert new.card.weights_sha256 == old.card.weights_sha256
    assert all(torch.equal(w, old.weights[n]) for n, w in new.weights.items())
    assert job.figure == tmp_path / "new_calibration.png"
    assert job.figure.stat().st_size > 10_000
    assert steps[-1][0] == steps[-1][1] == 2 * new.card.calibration["chips"]
    with pytest.raises(OutputError, match="exists already"):
        calibrate(job)


SPLIT_SHEETS = {"train": ["sheet"], "val": ["sheet"], "test": ["sheet"]}


@pytest.mark.parametrize(
    ("split", "training", "told"),
    [
        ("train", {}, "the model's record does not tell"),
        ("train", {"sheets": SPLIT_SHEETS, "chips": "own"}, "the model learnt from sheet: unless"),
        ("train", {"sheets": {"train": ["another"]}}, ""),
        ("val", {"sheets": SPLIT_SHEETS, "chips": "own"}, ""),
        ("val", {"sheets": {"train": ["another"], "val": ["sheet"]}}, ""),
        ("val", {"sheets": {"train": ["sheet"], "val": ["another"]}}, "the model learnt from sheet: unless"),
        ("val", {"sheets": SPLIT_SHEETS, "chips": {"train": 99, "val": 9, "test": 9}}, "the model learnt from sheet"),
        ("val", {}, ""),
    ],
)
def test_calibrating_on_what_was_learnt_is_told(
    folder: Path, tmp_path: Path, split: str, training: dict[str, Any], told: str
) -> None:
    if training.get("chips") == "own":
        training = {**training, "chips": ChipSet.open(folder).split_counts()}
    bundle(tmp_path / "old.sealmap", training=training)
    job = CalibrateJob(model=tmp_path / "old.sealmap", chips=[folder], out=tmp_path / "new.sealmap", split=split)
    found = calibrate(job)
    assert list(found.warnings) == load_bundle(job.out).card.calibration["warnings"]
    learnt = [w for w in found.warnings if "learnt from" in w]
    assert len(learnt) == bool(told)
    assert all(told in w for w in learnt)


def test_test_chips_never_calibrate(folder: Path, tmp_path: Path) -> None:
    bundle(tmp_path / "old.sealmap")
    job = CalibrateJob(model=tmp_path / "old.sealmap", chips=[folder], out=tmp_path / "new.sealmap", split="test")
    with pytest.raises(SettingsError, match=r"make the test a part of the training → use --split val"):
        calibrate(job)
    with pytest.raises(SettingsError, match="no aim 'best'"):
        calibrate(replace(job, split="val", aim="best"))
    assert [p.name for p in tmp_path.iterdir()] == ["old.sealmap"]


def test_training_ends_with_a_calibration(folder: Path, tmp_path: Path) -> None:
    recipe = recipe_named("tiny", {"steps": "2", "validate_every": "2"})
    job = TrainJob(chips=[folder], recipe=recipe, out=tmp_path / "m.sealmap", aim="f1")
    done = train(job)
    card = load_bundle(done.bundle).card
    assert card == done.card
    assert card.calibration["aim"] == "f1"
    assert card.calibration["pixels"] > 0
    assert card.threshold == card.calibration["after"]["threshold"]
    assert (job.folder / "calibration.png").exists()


def test_training_is_not_lost_where_nothing_can_be_calibrated(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise DatasetError("of 10 judged pixels 0% is sealed", remedy="more")

    monkeypatch.setattr("sealmap.pipeline.learn.calibrate_on", refuse)
    recipe = recipe_named("tiny", {"steps": "1", "validate_every": "1"})
    done = train(TrainJob(chips=[folder], recipe=recipe, out=tmp_path / "m.sealmap"))
    assert (done.card.temperature, done.card.threshold) == (1.0, 0.5)
    assert done.bundle.exists()
    told = calibration_facts(done.card.calibration)
    assert told == {"warning 1": "temperature and threshold were not fitted: of 10 judged pixels 0% is sealed → more"}


def test_an_unknown_aim_is_refused_before_training(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no aim 'area'"):
        train(TrainJob(chips=[folder], recipe=recipe_named("tiny"), out=tmp_path / "m.sealmap", aim="area"))
    assert not list(tmp_path.iterdir())


def test_looks_are_of_the_same_ground(model: ModelBundle) -> None:
    chips = drawn(model, 0.6)
    alone = on(model, chips)
    looks = [OtherFlight(ground=chips, look=look) for look in range(2)]
    found = calibrate_on(model, [chips, *looks], aim="iou", origin=ORIGIN)
    facts, before = found.card.calibration, alone.card.calibration
    assert facts["pixels"] == 3 * before["pixels"]
    assert facts["blocks"] == before["blocks"]
    assert found.curve.bias.tolist() != alone.curve.bias.tolist()
    # a weak validation does not become a strong one by being looked at again
    few = [w for w in alone.warnings if "judged pixels" in w]
    assert few == [w for w in found.warnings if "judged pixels" in w] != []


def test_a_job_needs_looks_from_0_up(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="-1 looks cannot be had"):
        CalibrateJob(model=None, chips=[tmp_path], out=tmp_path / "m.sealmap", looks=-1)
