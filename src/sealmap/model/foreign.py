"""Models of other makers: what a file is, its weights, and the network of ours that they fit.

Nothing here unpickles an object of a class that a file names. TorchScript is the exception that must be allowed: it is
a program, and reading its weights runs part of it.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import segmentation_models_pytorch as smp
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from sealmap.core.errors import BundleError, SettingsError
from sealmap.model.card import KEY
from sealmap.model.graph import EXPORT
from sealmap.model.network import ARCHITECTURES, build_network

ENCODERS = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnext50_32x4d", "se_resnet50", "se_resnext50_32x4d",
    "efficientnet-b0", "efficientnet-b1", "efficientnet-b2", "efficientnet-b3", "efficientnet-b4", "efficientnet-b5",
    "timm-efficientnet-b0", "timm-efficientnet-b1", "timm-efficientnet-b2", "timm-efficientnet-b3", "mobilenet_v2",
    "tu-tf_efficientnet_lite0", "tu-efficientnet_lite0", "tu-efficientnet_b0", "tu-resnet18", "tu-resnet34",
    "tu-resnet50", "tu-mobilenetv3_large_100", "tu-tf_mobilenetv3_large_100", "tu-tf_mobilenetv3_small_minimal_100",
    "tu-mobilenetv3_small_100", "densenet121", "vgg16_bn", "mit_b0", "mit_b1", "mit_b2", "tu-convnext_tiny",
)  # fmt: skip
"""Encoders that are tried where none is named. Those that share every shape (padding alike TensorFlow's or not) are all
here, so that weights which fit two are noticed."""

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_USUAL = (
    "resnet",
    "resnext",
    "se_res",
    "efficientnet-b",
    "timm-efficientnet-b",
    "mobilenet_v2",
    "densenet",
    "vgg",
    "mit_b",
)

_HEAD = "segmentation_head.0.weight"
_NESTED = ("state_dict", "model_state_dict", "model")
_COUNTER = "num_batches_tracked"

_CONVERT = (
    "where the model was made, write its weights alone: torch.save(model.state_dict(), 'weights.pt'), or"
    " safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')"
)

TO_ONNX = f"export it to ONNX and import that: {EXPORT}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """A state dict, its names as our networks have them. left_out: names of tensors beside the network."""

    state: dict[str, Tensor]
    left_out: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rebuilt:
    """A network of ours with foreign weights, without activation. channels: of its last layer."""

    architecture: str
    encoder: str
    network: nn.Module
    bands: int
    channels: int


def kind_of(path: Path) -> str:
    """'onnx', 'torchscript' or 'weights', by what the file holds. BundleError where it is none of them."""
    if not path.is_file():
        raise BundleError(f"{path} does not exist", remedy="check the path")
    if path.suffix.lower() == ".onnx":
        return "onnx"
    if path.suffix.lower() == ".sealmap":
        raise BundleError(f"{path} is a bundle already", remedy="use it with --model")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return "torchscript" if any(re.match(r"[^/]+/(code/|constants\.pkl)", n) for n in names) else "weights"
    if path.suffix.lower() in (".safetensors", ".pt", ".pth", ".ckpt", ".bin"):
        return "weights"
    raise BundleError(
        f"{path.name} is no model that can be read",
        remedy="give a state dict (.safetensors, .pt, .pth), TorchScript (.pt) or ONNX (.onnx)",
    )


def read_weights(path: Path) -> Weights:
    """The state dict of a file, or of the checkpoint in it. A pickled model is refused, and never unpickled."""
    if path.suffix.lower() == ".safetensors":
        return _named(_safetensors(path), path)
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BundleError(
            f"{path.name} is a pickle of more than weights ({_culprit(error)}); it was not opened, since that would"
            " run whatever it holds",
            remedy=_CONVERT,
        ) from error
    for key in _NESTED:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    tensors = {str(k): v for k, v in loaded.items() if isinstance(v, Tensor)} if isinstance(loaded, dict) else {}
    return _named(tensors, path)


def read_torchscript(path: Path) -> tuple[Any, Weights]:
    """A TorchScript program, loaded, and its weights. Only for files that somebody has said to trust."""
    try:
        # mypy: torch.jit.load has no types
        program = torch.jit.load(str(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except Exception as error:
        raise BundleError(f"{path.name} is no TorchScript that loads ({_culprit(error)})", remedy=TO_ONNX) from error
    return program, _named(dict(program.state_dict()), path)


def fitting(weights: Weights, architecture: str | None, encoder: str | None) -> list[tuple[str, str]]:
    """The (architecture, encoder) whose names and shapes these weights have. BundleError where there is none."""
    architectures = (architecture.lower(),) if architecture else ARCHITECTURES
    found, nearest = [], (10**9, "")
    timm = any(name.startswith("encoder.model.") for name in weights.state)
    for name in (encoder,) if encoder else [e for e in ENCODERS if e.startswith("tu-") == timm]:
        if not encoder and not _encoder_fits(weights.state, name):
            continue
        for known in architectures:
            shapes = _shapes(known, name, named=bool(architecture and encoder))
            if shapes is None:
                continue
            wrong = _differences(weights.state, shapes)
            if not wrong:
                found.append((known, name))
            elif len(wrong) < nearest[0]:
                nearest = len(wrong), f"{known} with {name} differs in {len(wrong)} tensors, such as {wrong[0]}"
    if not found:
        tried = nearest[1] or f"none of {len(ENCODERS)} encoders has its {len(weights.state)} tensors"
        raise BundleError(
            f"the weights fit no network that can be built here: {tried}",
            remedy=f"name --architecture and --encoder, or {TO_ONNX}",
        )
    return found


def rebuild(weights: Weights, architecture: str, encoder: str) -> Rebuilt:
    """The network of these weights in evaluation mode; its bands and channels are those of its layers' shapes."""
    first = _first_layer(_shapes(architecture, encoder, named=True) or {})
    bands, channels = int(weights.state[first].shape[1]), int(weights.state[_HEAD].shape[0])
    network = build_network(architecture, encoder, bands=bands, classes=channels)
    own = network.state_dict()
    state = {name: weights.state.get(name, own[name]) for name in own}
    network.load_state_dict({n: w.float() if w.is_floating_point() else w for n, w in state.items()})
    return Rebuilt(
        architecture=architecture, encoder=encoder, network=network.eval(), bands=bands, channels=channels
    )  # fmt: skip


def for_legend(rebuilt: Rebuilt, order: list[int] | None) -> nn.Module:
    """The network with an output for each class of the legend: exactly the same logits, in another order.

    order: channel of each class; None as they are. A single channel gets a background beside it, whose logit is 0:
    the softmax of the two is the sigmoid of the one.
    """
    state = rebuilt.network.state_dict()
    for name in (_HEAD, "segmentation_head.0.bias"):
        if rebuilt.channels == 1:
            state[name] = torch.cat([torch.zeros_like(state[name]), state[name]])
        elif order is not None:
            state[name] = state[name][order].contiguous()
    classes = int(state[_HEAD].shape[0])
    network = build_network(rebuilt.architecture, rebuilt.encoder, bands=rebuilt.bands, classes=classes)
    network.load_state_dict(state)
    return network.eval()


@torch.inference_mode()
def logits_of(network: nn.Module, x_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a network gives for normalised pixels, (N, K, H, W)."""
    found: NDArray[np.float32] = network(torch.from_numpy(x_NCHW)).numpy()
    return found


def imagenet_statistics(encoder: str) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """(mean, deviation) of red, green, blue on the 0..1 scale with which this encoder's ImageNet weights were made.

    None where it takes the network to find out.
    """
    if encoder.startswith("tu-"):
        try:
            found = smp.encoders.get_preprocessing_params(encoder)
        except (ValueError, RuntimeError):
            return None
        return tuple(map(float, found["mean"])), tuple(map(float, found["std"]))
    return _IMAGENET if encoder.startswith(_USUAL) else None


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as opened:
            if KEY in (opened.metadata() or {}):
                raise BundleError(f"{path} is a bundle already", remedy="use it with --model")
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(f"{path.name} is damaged ({_culprit(error)})", remedy="fetch it again") from error


def _named(tensors: dict[str, Tensor], path: Path) -> Weights:
    """Take off what a wrapper put before the names ('model.', 'module.', 'net.'); what lies beside it is left out."""
    heads = [name for name in tensors if name.endswith(_HEAD)]
    if not heads:
        raise BundleError(
            f"{path.name} has {len(tensors)} tensors, but no segmentation_head as networks of"
            " segmentation-models-pytorch have",
            remedy=TO_ONNX,
        )
    if len(heads) > 1:
        raise BundleError(f"{path.name} holds {len(heads)} networks: {', '.join(heads[:4])}", remedy=_CONVERT)
    prefix = heads[0].removesuffix(_HEAD)
    ours = {n: t for n, t in tensors.items() if n.startswith(prefix) and "classification_head." not in n}
    return Weights(
        state={n.removeprefix(prefix): t.detach().cpu() for n, t in ours.items()},
        left_out=tuple(n for n in tensors if n not in ours),
    )


def _shapes(architecture: str, encoder: str, *, named: bool) -> dict[str, tuple[int, ...]] | None:
    """Names and shapes of a network, without its memory. None where the two do not go together; ``named``: say so."""
    try:
        return _without_memory(lambda: build_network(architecture, encoder, bands=3, classes=1))
    except SettingsError:
        if named:
            raise
        return None


def _without_memory(make: Callable[[], nn.Module]) -> dict[str, tuple[int, ...]]:
    """Shapes of a network's tensors. Some networks compute while they are made, and these need memory."""
    try:
        with torch.device("meta"):
            network = make()
    except (RuntimeError, SettingsError):
        network = make()
    return {n: tuple(t.shape) for n, t in network.state_dict().items()}


def _encoder_fits(state: dict[str, Tensor], encoder: str) -> bool:
    """Whether every tensor of the encoder is one of this encoder's; shallow ones have fewer."""
    shapes = _without_memory(lambda: smp.encoders.get_encoder(encoder, weights=None))
    ours = {n.removeprefix("encoder."): tuple(t.shape) for n, t in state.items() if n.startswith("encoder.")}
    first = _first_layer(shapes, prefix="")
    return first in ours and all(n == first or shapes.get(n) == shape for n, shape in ours.items())


def _first_layer(shapes: dict[str, tuple[int, ...]], prefix: str = "encoder.") -> str:
    return next(n for n, shape in shapes.items() if n.startswith(prefix) and len(shape) == 4)


def _differences(state: dict[str, Tensor], shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """Tensors that are missing, left over or of another shape. Bands and classes are free, and counters may lack."""
    return list(_differing(state, shapes, _first_layer(shapes)))


def _differing(state: dict[str, Tensor], shapes: dict[str, tuple[int, ...]], first: str) -> Iterator[str]:
    for name, shape in shapes.items():
        found = tuple(state[name].shape) if name in state else None
        if found is None:
            if not name.endswith(_COUNTER):
                yield f"{name}, which is missing"
        elif name == first:
            if (found[:1], found[2:]) != (shape[:1], shape[2:]):
                yield f"{name}: {found}, not {shape}"
        elif name.startswith("segmentation_head.0."):
            if found[1:] != shape[1:]:
                yield f"{name}: {found}, not {shape}"
        elif found != shape:
            yield f"{name}: {found}, not {shape}"
    yield from (f"{name}, which is left over" for name in state if name not in shapes)


def _culprit(error: Exception) -> str:
    """What a reader stumbled over, in short."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    return found.group(1) if found else type(error).__name__
