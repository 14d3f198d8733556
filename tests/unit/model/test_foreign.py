"""Files of other makers: what they are, the weights in them, and the network that these fit. No pickle is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.unit.model.foreign_models import Activating, scripted
from tests.unit.model.tiny import ENCODER, bundle, network

from sealmap.core.errors import BundleError, SettingsError
from sealmap.model.foreign import (
    fitting,
    for_legend,
    imagenet_statistics,
    kind_of,
    logits_of,
    read_torchscript,
    read_weights,
    rebuild,
)
from sealmap.model.network import build_network
from sealmap.model.probes import probe_windows
from sealmap.model.script import activation_of

X = np.random.default_rng(3).normal(size=(2, 4, 64, 64)).astype(np.float32)


def saved(path: Path, wrap: Callable[[dict[str, Any]], Any] = lambda state: state) -> Path:
    state = wrap(network().state_dict())
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "a.pth"])
@pytest.mark.parametrize("prefix", ["", "model.", "module.model.", "net."])
def test_weights_are_found_under_a_wrappers_names(tmp_path: Path, name: str, prefix: str) -> None:
    path = saved(tmp_path / name, lambda s: {f"{prefix}{k}": v for k, v in s.items()} | {"loss.w": torch.ones(2)})
    assert kind_of(path) == "weights"
    weights = read_weights(path)
    if prefix:
        assert weights.left_out == ("loss.w",)
        assert weights.state.keys() == network().state_dict().keys()


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model"])
def test_a_checkpoints_weights_are_rebuilt_with_identical_outputs(tmp_path: Path, key: str) -> None:
    path = saved(tmp_path / "c.ckpt", lambda s: {key: s, "epoch": 3, "optimizer": {"lr": 0.1}})
    weights = read_weights(path)
    assert fitting(weights, "unet", ENCODER) == [("unet", ENCODER)]
    rebuilt = rebuild(weights, "unet", ENCODER)
    assert (rebuilt.bands, rebuilt.channels) == (4, 2)
    np.testing.assert_array_equal(logits_of(rebuilt.network, X), logits_of(network(), X))


def test_counters_of_batches_may_lack(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", lambda s: {k: v for k, v in s.items() if "num_batches" not in k})
    weights = read_weights(path)
    np.testing.assert_array_equal(
        logits_of(rebuild(weights, *fitting(weights, "unet", ENCODER)[0]).network, X), logits_of(network(), X)
    )


@pytest.mark.parametrize(("architecture", "encoder", "bands"), [("fpn", "resnet18", 3), ("linknet", "mobilenet_v2", 4)])
def test_architecture_and_encoder_are_found_by_names_and_shapes(
    tmp_path: Path, architecture: str, encoder: str, bands: int
) -> None:
    net = build_network(architecture, encoder, bands=bands, classes=1)
    save_file(net.state_dict(), tmp_path / "a.safetensors")
    assert fitting(read_weights(tmp_path / "a.safetensors"), None, None) == [(architecture, encoder)]


def test_weights_that_fit_nothing_are_refused_with_what_is_nearest(tmp_path: Path) -> None:
    weights = read_weights(saved(tmp_path / "a.pt"))
    with pytest.raises(BundleError, match=r"fit no network.*fpn with .* differs in \d+ tensors, such as .*ONNX"):
        fitting(weights, "fpn", ENCODER)
    with pytest.raises(SettingsError, match="no encoder 'resnet35'"):
        fitting(weights, "unet", "resnet35")
    with pytest.raises(SettingsError, match="no architecture 'net'"):
        fitting(weights, "net", ENCODER)
    short = saved(tmp_path / "b.pt", lambda s: {k: v for k, v in s.items() if "blocks.0.conv1" not in k})
    with pytest.raises(BundleError, match=r"such as decoder\.blocks\.0\.conv1.*missing"):
        fitting(read_weights(short), "unet", ENCODER)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"fc.weight": torch.ones(3)}, "1 tensors, but no segmentation_head"),
        ([1, 2], "0 tensors"),
        ({f"{p}.segmentation_head.0.weight": torch.ones(1) for p in "ab"}, "holds 2 networks"),
    ],
)
def test_files_without_one_network_are_refused(tmp_path: Path, state: Any, words: str) -> None:
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(BundleError, match=f"{words}.* → "):
        read_weights(tmp_path / "a.pt")


class Mine:
    """Unpickling me leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("zipped", [{}, {"_use_new_zipfile_serialization": False}])
def test_a_pickled_model_is_refused_and_not_run(tmp_path: Path, zipped: dict[str, Any]) -> None:
    trace, path = tmp_path / "ran", tmp_path / "whole.pt"
    content = {"state_dict": network().state_dict(), "extra": Mine(trace)}
    torch.save(content, path, **zipped)
    with pytest.raises(BundleError, match=r"whole\.pt is a pickle.* → .*torch\.save\(model\.state_dict\(\)"):
        read_weights(path)
    assert not trace.exists()
    torch.save(network(), path)
    with pytest.raises(BundleError, match=r"pickle of more than weights \(segmentation_models_pytorch"):
        read_weights(path)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    (tmp_path / "a.safetensors").write_text("words")
    bundle(tmp_path / "b.sealmap")
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "b.sealmap").read_bytes())
    with pytest.raises(BundleError, match=r"a\.txt is no model"):
        kind_of(tmp_path / "a.txt")
    with pytest.raises(BundleError, match="does not exist"):
        kind_of(tmp_path / "c.pt")
    with pytest.raises(BundleError, match="is a bundle already"):
        kind_of(tmp_path / "b.sealmap")
    with pytest.raises(BundleError, match="is a bundle already"):
        read_weights(tmp_path / "b.safetensors")
    with pytest.raises(BundleError, match="damaged"):
        read_weights(tmp_path / "a.safetensors")


def test_one_channel_gets_a_background_and_classes_their_order(tmp_path: Path) -> None:
    for channels, order in ((1, None), (2, [1, 0])):
        net = build_network("unet", ENCODER, bands=4, classes=channels).eval()
        torch.save(net.state_dict(), tmp_path / "a.pt")
        rebuilt = rebuild(read_weights(tmp_path / "a.pt"), "unet", ENCODER)
        z, found = logits_of(net, X), logits_of(for_legend(rebuilt, order), X)
        wanted = np.concatenate([0 * z, z], axis=1) if channels == 1 else z[:, order]
        np.testing.assert_allclose(found, wanted, atol=1e-5)


# --- TorchScript ---

SCRIPTED = {
    "logits": (),
    "sigmoid": ("sigmoid",),
    "softmax": ("softmax",),
    "double_sigmoid": ("sigmoid", "sigmoid"),
    "double_softmax": ("softmax", "softmax"),
    "sigmoid_of_softmax": ("softmax", "sigmoid"),
}


@pytest.mark.parametrize("name", SCRIPTED)
def test_a_programs_activation_is_proved_by_its_outputs(tmp_path: Path, name: str) -> None:
    path = scripted(tmp_path / "s.pt", Activating(network(), *SCRIPTED[name]))
    assert kind_of(path) == "torchscript"
    program, weights = read_torchscript(path)
    found, apart = activation_of(program, rebuild(weights, "unet", ENCODER), X)
    assert found == name
    assert apart < 1e-5


class Scaling(torch.nn.Module):
    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.net = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.net(x / 255)
        return found


def test_a_program_that_does_something_else_is_refused_with_the_numbers(tmp_path: Path) -> None:
    program, weights = read_torchscript(scripted(tmp_path / "s.pt", Scaling(network())))
    with pytest.raises(BundleError, match=r"0 activations fit.*logits [\d.e+-]+, sigmoid .*ONNX"):
        activation_of(program, rebuild(weights, "unet", ENCODER), X)


def test_imagenet_statistics_are_known_where_they_are() -> None:
    assert imagenet_statistics("resnet34") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert imagenet_statistics("tu-tf_efficientnet_lite0") == ((0.5,) * 3, (0.5,) * 3)
    assert imagenet_statistics("opset 17") is None


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_probe_windows_are_of_all_contrasts_and_always_the_same(bands: int) -> None:
    windows = probe_windows(bands, 128)
    assert windows.shape == (6, bands, 128, 128)
    assert (windows == probe_windows(bands, 128)).all()
    assert windows.min() == 0
    assert windows.max() == 255
    assert len({round(float(w.mean())) for w in windows}) == 6
