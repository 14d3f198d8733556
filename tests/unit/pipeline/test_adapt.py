"""sealmap adapt on the town: a new bundle that says what it was adapted to, wherever it goes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.unit.model.tiny import CARD, bundle
from typer.testing import CliRunner

from sealmap.cli.main import app
from sealmap.core.errors import BundleError, OutputError, SettingsError
from sealmap.core.legend import ROOF_PAVED
from sealmap.delivery.adaptation_page import SampleView, strip
from sealmap.model.bundle import load_bundle
from sealmap.model.card import BandStatistics, read_card
from sealmap.pipeline.adapt import AdaptedModel, AdaptSpec, adapt, adaptation_of, told
from sealmap.pipeline.inspect import inspect
from sealmap.pipeline.maps import Serving, predict

SPEC = AdaptSpec(windows=12, batch=4, seed=5, device="cpu")
FLAT = BandStatistics(mean=0.5, std=0.3, histogram=(1 / 64,) * 64)


@pytest.fixture(scope="module")
def done(town: Any, tmp_path_factory: pytest.TempPathFactory) -> AdaptedModel:
    folder = tmp_path_factory.mktemp("adapt")
    bundle(
        folder / "m.sealmap", half=True, legend=ROOF_PAVED, calibration={"aim": "zero_bias"},
        statistics={"red": FLAT, "nir": FLAT},
    )  # fmt: skip
    return adapt(folder / "m.sealmap", town.sheets, folder / "a.sealmap", spec=SPEC)


def test_the_new_card_says_what_it_was_adapted_to(done: AdaptedModel, town: Any) -> None:
    card = read_card(done.bundle)
    assert card == done.card
    entry = adaptation_of(card)
    assert entry is not None
    assert entry["sheets"] == [p.stem for p in town.sheets]
    assert (entry["windows"], entry["batch"], entry["mix"], entry["seed"]) == (12, 4, 1.0, 5)
    assert entry["source"] == "m.sealmap"
    assert entry["source_weights_sha256"] == read_card(done.bundle.with_name("m.sealmap")).weights_sha256
    assert len(entry["inputs_sha256"]) == 64
    assert "taken over" in entry["calibration"]
    assert card.calibration == {"aim": "zero_bias", "before_adaptation": True}
    assert (card.temperature, card.threshold) == (CARD.temperature, CARD.threshold)
    assert card.training["Straße"] == "ß → ✓"  # the training is still told
    assert str(done.bundle.parent) not in card.to_json()  # paths are private


def test_only_statistics_differ_from_the_source(done: AdaptedModel) -> None:
    old, new = (load_bundle(done.bundle.with_name(n)).weights for n in ("m.sealmap", "a.sealmap"))
    changed = {n.rpartition(".")[2] for n, w in new.items() if not torch.equal(w, old[n])}
    assert changed == {"running_mean", "running_var"}
    assert all(w.dtype == old[n].dtype for n, w in new.items())


def test_the_report_has_the_figures_and_pictures(done: AdaptedModel) -> None:
    assert sorted(p.name for p in done.folder.iterdir()) == ["adaptation.html", "adaptation.json"]
    found = json.loads((done.folder / "adaptation.json").read_text(encoding="utf-8"))
    assert found["adaptation"] == done.card.training["adaptation"]
    assert found["before"]["mean_sealed"] == done.before.mean_sealed != done.after.mean_sealed
    assert found["distance_to_training"]["green"] is None
    assert 0.01 < found["distance_to_training"]["red"] < 0.5
    assert found["layers"][0]["mean"] >= found["layers"][-1]["mean"] > 0
    assert any("Only 12 windows" in line for line in found["warnings"])
    html = (done.folder / "adaptation.html").read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") == 6
    assert f"{done.after.mean_sealed:.1%}" in html
    assert "not known" in html
    assert f"{100 * (done.after.sealed_share - done.before.sealed_share):+.1f} points" in html


def test_pictures_show_photo_before_after_and_change() -> None:
    photo = np.full((600, 600, 3), 90, np.uint8)
    before, after = np.zeros((600, 600), np.float32), np.zeros((600, 600), np.float32)
    after[:, :300] = 1
    seen = strip(SampleView(photo_HWC=photo, before_HW=before, after_HW=after))
    assert seen.shape == (288, 4 * 288, 3)
    parts = np.split(seen, 4, axis=1)
    assert (parts[0] == 90).all()
    np.testing.assert_array_equal(parts[1][:, 200:280], parts[2][:, 200:280])
    assert parts[2][50, 50].tolist() != parts[1][50, 50].tolist()
    red, green, blue = (int(v) for v in parts[3][50, 50])
    assert red > green
    assert red > blue
    assert (parts[3][:, 150:] == 255).all()


def test_the_figures_are_those_of_the_bundle_that_was_written(done: AdaptedModel, town: Any) -> None:
    from sealmap.model.engines import TorchEngine
    from sealmap.prediction.certainty import judge
    from sealmap.prediction.sample import sample_flight
    from sealmap.sources.orthophoto import open_mosaic

    engine = TorchEngine(load_bundle(done.bundle), "cpu")
    with open_mosaic(town.sheets) as mosaic:
        sample = sample_flight(mosaic, engine.card, count=12, seed=5)
    assert judge(engine, sample.pixels_NCHW, sample.pixel_scale).certainty == done.after


def test_it_is_repeatable(done: AdaptedModel, town: Any, tmp_path: Path) -> None:
    source = done.bundle.with_name("m.sealmap")
    again = adapt(source, town.sheets, tmp_path / "b.sealmap", spec=SPEC)
    assert again.card.weights_sha256 == done.card.weights_sha256


def test_info_and_the_record_of_a_map_tell_of_it(done: AdaptedModel, town: Any, tmp_path: Path) -> None:
    assert inspect(done.bundle)["training"]["adaptation"]["sheets"] == [p.stem for p in town.sheets]
    predict(town.sheets[:1], tmp_path / "map", model=done.bundle, serving=Serving(device="cpu"))
    record = json.loads((tmp_path / "map" / "run.json").read_text(encoding="utf-8"))
    assert record["model"]["training"]["adaptation"] == done.card.training["adaptation"]


def test_one_line_for_people(done: AdaptedModel, town: Any) -> None:
    line = told(done.card)
    assert f"was adapted to {', '.join(p.stem for p in town.sheets)} on 20" in line
    assert f"threshold {CARD.threshold:g} are older" in line
    assert told(replace(done.card, calibration={})).endswith("are older than that")
    assert "older" not in told(replace(done.card, calibration={"aim": "iou"}))  # calibrated again since
    assert told(CARD) == ""
    named = {**done.card.training["adaptation"], "sheets": list("abcde"), "date": "2026-05-04T10:00", "mix": 0.5}
    card = replace(done.card, training={"adaptation": named})
    assert told(card).startswith("the model was adapted to a, b, c and 2 more on 2026-05-04 (mix 0.5); its temp")
    assert told(card, "de") == (
        "das Modell wurde am 2026-05-04 an a, b, c und 2 weitere angepasst (Anteil 0.5);"
        f" seine Temperatur {CARD.temperature:g} und Schwelle {CARD.threshold:g} sind älter"
    )
    assert adaptation_of(CARD) is None


def test_an_adapted_bundle_is_not_adapted_again(done: AdaptedModel, town: Any, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"adapted already.*adapt the bundle it was made from: m\.sealmap"):
        adapt(done.bundle, town.sheets, tmp_path / "b.sealmap")


def test_an_adapted_bundle_is_not_matched_too(done: AdaptedModel, town: Any, tmp_path: Path) -> None:
    """Pixels of the training's brightness under the flight's statistics: the light would be corrected twice."""
    serving = Serving(device="cpu", match=True)
    with pytest.raises(BundleError, match=r"correct the light twice → leave matching out, or use m\.sealmap, which"):
        predict(town.sheets, tmp_path / "map", model=done.bundle, serving=serving)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_nothing_is_written_over(done: AdaptedModel, town: Any, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a\.sealmap exists already"):
        adapt(tmp_path / "none.sealmap", town.sheets, done.bundle)
    with pytest.raises(BundleError, match="does not exist"):
        adapt(tmp_path / "none.sealmap", town.sheets, tmp_path / "b.sealmap")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wish", [{"windows": 1}, {"batch": 1}, {"mix": 0.0}, {"mix": 1.5}, {"mix": float("nan")}])
def test_impossible_wishes_are_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        AdaptSpec(**wish)


def test_the_command_line_says_before_and_after(done: AdaptedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def stand_in(*given: Any, **more: Any) -> AdaptedModel:
        asked.append((*given, more["spec"]))
        return done

    monkeypatch.setattr("sealmap.pipeline.adapt.adapt", stand_in)
    common = ["adapt", "shipped", "a.jp2", "b.jp2", "--out", "x.sealmap"]
    said = CliRunner().invoke(
        app, [*common, "--windows", "12", "--batch", "4", "--seed", "5", "--mix", "0.5", "--json"]
    )
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    assert found["before"]["mean_sealed"] == done.before.mean_sealed
    assert found["after"]["entropy"] == done.after.entropy
    assert found["weights_sha256"] == done.card.weights_sha256
    said = CliRunner().invoke(app, common)
    assert said.exit_code == 0, said.output
    assert "No labels were used" in said.stdout
    assert "warning: Only 12 windows" in said.stdout
    sheets, out = [Path("a.jp2"), Path("b.jp2")], Path("x.sealmap")
    assert asked == [
        (None, sheets, out, AdaptSpec(windows=12, batch=4, mix=0.5, seed=5)),
        (None, sheets, out, AdaptSpec()),
    ]
