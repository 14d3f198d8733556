"""sealmap import, from the command line on: a foreign file becomes a bundle that maps, and says how it was read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.unit.model.foreign_models import Activating, conv_file, scripted
from tests.unit.model.tiny import CARD, ENCODER, network
from typer.testing import CliRunner

from sealmap.cli.main import app
from sealmap.core.errors import BundleError, OutputError, SettingsError
from sealmap.core.legend import ROOF_PAVED
from sealmap.model.bundle import load_bundle, probabilities
from sealmap.model.card import read_card
from sealmap.model.engines import engine_for
from sealmap.model.foreign import logits_of
from sealmap.pipeline.imports import Imported, ImportJob, import_model
from sealmap.pipeline.maps import predict

FOUR: dict[str, Any] = {"bands": CARD.bands, "mean": CARD.mean, "std": CARD.std}
UNIT: dict[str, Any] = {"mean": (0.5,), "std": (0.25,)}


def imported(model: Path, **how: Any) -> Imported:
    return import_model(ImportJob(model=model, out=model.with_suffix(".sealmap"), gsd_m=0.2, **how))


def probs_of(done: Imported, pixels: Any) -> Any:
    return engine_for(load_bundle(done.bundle), "cpu").probs(pixels, 255.0)


def pixels(bands: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (2, bands, 64, 64), np.uint8)


def test_a_state_dict_maps_as_the_network_it_is_of(tmp_path: Path) -> None:
    net = network(spread=0.2)
    torch.save({"state_dict": net.state_dict()}, tmp_path / "m.pt")
    done = imported(tmp_path / "m.pt", architecture="unet", encoder=ENCODER, **FOUR)
    assert (done.kind, done.activation, done.card.output) == ("weights", "logits", "logits")
    assert "nothing to detect" in done.how
    x = (pixels(4).astype(np.float32) / 255 - np.array(CARD.mean, np.float32)[:, None, None]) / np.array(
        CARD.std, np.float32
    )[:, None, None]
    wanted = probabilities(torch.from_numpy(logits_of(net, x)), done.card).numpy()
    np.testing.assert_allclose(probs_of(done, pixels(4)), wanted, atol=1e-5)
    entry = read_card(done.bundle).training["imported"]
    assert entry["file"] == "m.pt"
    assert len(entry["sha256"]) == 64
    assert entry["versions"]["torch"]
    assert str(tmp_path) not in done.card.to_json()


@pytest.mark.parametrize(("activations", "name"), [((), "logits"), (("sigmoid",), "sigmoid"), (("softmax",), "softmax"),
                                                   (("sigmoid", "sigmoid"), "double_sigmoid")])  # fmt: skip
def test_torchscript_becomes_a_network_without_its_activations(
    tmp_path: Path, activations: tuple[str, ...], name: str
) -> None:
    scripted(tmp_path / "s.pt", Activating(network(), *activations))
    how = {"architecture": "unet", "encoder": ENCODER, **FOUR}
    with pytest.raises(BundleError, match=r"a program: .* → add --trust"):
        imported(tmp_path / "s.pt", **how)
    done = imported(tmp_path / "s.pt", trust=True, **how)
    assert (done.kind, done.activation, done.card.output) == ("torchscript", name, "logits")
    assert "proved" in done.how
    assert any("0.405" in note for note in done.notes) == (name == "double_sigmoid")
    weights = load_bundle(done.bundle).weights
    assert all(torch.equal(weights[key], w) for key, w in network().state_dict().items())
    if name == "sigmoid":
        with pytest.raises(BundleError, match="declared logits, but proved: the program gives sigmoid"):
            imported(tmp_path / "s.pt", trust=True, activation="logits", overwrite=True, **how)
        forced = imported(tmp_path / "s.pt", trust=True, activation="logits", force=True, overwrite=True, **how)
        assert forced.card.training["forced"] == [forced.notes[0]]


@pytest.mark.parametrize(("activations", "name", "channels"), [
    ((), "logits", 1), (("Sigmoid",), "sigmoid", 1), (("Sigmoid",), "sigmoid", 2), (("Softmax",), "softmax", 2),
])  # fmt: skip
def test_a_graphs_activation_is_found_and_kept_in_the_card(
    tmp_path: Path, activations: tuple[str, ...], name: str, channels: int
) -> None:
    file = conv_file(tmp_path / "m.onnx", activations, channels=channels)
    done = imported(file, **UNIT)
    assert (done.kind, done.activation, read_card(done.bundle).output) == ("onnx", name, name)
    assert "found from its values: " in done.how
    plain = conv_file(tmp_path / "p.onnx", (), channels=channels)
    np.testing.assert_allclose(probs_of(done, pixels(3)), probs_of(imported(plain, **UNIT), pixels(3)), atol=1e-4)


def test_a_graph_that_activates_twice_is_refused_and_can_be_repaired(tmp_path: Path) -> None:
    file = conv_file(tmp_path / "m.onnx", ("Sigmoid", "Sigmoid"))
    with pytest.raises(BundleError, match=r"double activation.*0\.500 and 0\.731.*--activation double_sigmoid"):
        imported(file, **UNIT)
    assert not (tmp_path / "m.sealmap").exists()
    with pytest.raises(BundleError, match=r"declared sigmoid.*double activation"):
        imported(file, activation="sigmoid", **UNIT)
    done = imported(file, activation="double_sigmoid", **UNIT)
    single = imported(conv_file(tmp_path / "s.onnx", ("Sigmoid",)), **UNIT)
    np.testing.assert_allclose(probs_of(done, pixels(3)), probs_of(single, pixels(3)), atol=1e-4)
    assert "0.405" in done.notes[0]
    forced = imported(file, activation="sigmoid", force=True, overwrite=True, **UNIT)
    assert "double_sigmoid" in forced.card.training["forced"][0]


def test_what_a_graph_gives_that_is_no_number_is_refused_even_with_force(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"100\.0% of the values on 6 probe windows are NaN"):
        imported(conv_file(tmp_path / "m.onnx", bias=float("nan")), activation="logits", force=True, **UNIT)


def test_real_sheets_are_asked_too_and_an_imported_graph_maps_them(tmp_path: Path, town: Any) -> None:
    file = conv_file(tmp_path / "m.onnx", ("Softmax",), channels=3, side=96)
    names = ("roof", "paved", "background")
    done = imported(file, legend="roof_paved", classes=names, probe=list(town.sheets), patch=64, **UNIT)
    assert done.card.legend == ROOF_PAVED
    assert done.card.halo == 12
    assert "on 14 windows" in done.how
    mapped = predict(town.sheets, tmp_path / "map", model=done.bundle)
    assert mapped.card.weights_sha256 == done.card.weights_sha256


def test_defaults_are_taken_where_they_are_known_and_asked_for_where_not(tmp_path: Path) -> None:
    from sealmap.model.network import build_network

    torch.save(build_network("unet", "resnet18", bands=3, classes=1).state_dict(), tmp_path / "m.pt")
    done = imported(tmp_path / "m.pt", architecture="unet", encoder="resnet18")
    assert done.card.bands == ("red", "green", "blue")
    assert done.card.mean == (0.485, 0.456, 0.406)
    assert done.card.gsd_range_m == pytest.approx((0.08, 0.5))
    assert "ImageNet" in done.notes[0]
    file = conv_file(tmp_path / "g.onnx")
    with pytest.raises(SettingsError, match=r"0 means and 0 deviations for 3 bands.* → .*--mean 0 --std 1 "):
        imported(file)
    four = conv_file(tmp_path / "four.onnx", bands=4)
    with pytest.raises(SettingsError, match=r"takes 4 bands, 0 are named.* → .*red,green,blue,nir"):
        imported(four, **UNIT)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"legend": "roof_paved"}, "gives 2 classes, named are background, roof, paved"),
        ({"classes": ("background", "roof")}, "legend 'sealed' has background, sealed"),
        ({"bands": ("red", "red", "blue")}, "3 are named"),
        ({"gsd_range_m": (0.3, 0.5)}, "not in the range"),
        ({"mean": (0.5, 0.5)}, "2 means"),
        ({"activation": "tanh"}, "no activation 'tanh'"),
    ],
)
def test_what_does_not_fit_the_graph_is_refused(tmp_path: Path, how: dict[str, Any], words: str) -> None:
    file = conv_file(tmp_path / "m.onnx", channels=2)
    with pytest.raises(SettingsError, match=f"{words}.* → "):
        imported(file, **UNIT | how)
    assert not (tmp_path / "m.sealmap").exists()


def test_the_verb_says_what_was_found_and_what_comes_next(tmp_path: Path) -> None:
    file = conv_file(tmp_path / "m.onnx", ("Sigmoid",))
    args = ["import", str(file), "--out", str(tmp_path / "m.sealmap"), "--gsd-m", "0.1", "--mean", "0", "--std", "1"]
    said = CliRunner().invoke(app, [*args, "--json"])
    assert said.exit_code == 0, said.output
    facts = json.loads(said.stdout)
    assert facts["activation"] == "sigmoid"
    assert "sealmap calibrate" in facts["next"]
    again = CliRunner().invoke(app, args)
    assert isinstance(again.exception, OutputError)
    shown = CliRunner().invoke(app, [*args, "--overwrite"]).stdout
    assert "next: calibrate it" in shown
    assert CliRunner().invoke(app, [*args, "--overwrite", "--mean", "a"]).exit_code == 2
