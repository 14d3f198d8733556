"""AdaBN: batch-norm statistics estimated again on another flight (Li et al. 2016, Revisiting Batch Normalization).

A network remembers, layer by layer, the mean and variance that its features had on the training flights. Another
camera, season or sun shifts them. Weights stay as they are; only these memories are replaced, and no label is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sealmap.core.errors import BundleError, SettingsError
from sealmap.model.bundle import ModelBundle


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerShift:
    """How far the target lies from the source at one batch-norm layer, mean over its channels.

    mean: |target mean − source mean| in source standard deviations. log_std: |ln(target std / source std)|.
    """

    layer: str
    mean: float
    log_std: float


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptedBundle:
    """The bundle with new statistics (its card is still the old one), the shift of each layer, and batches seen."""

    bundle: ModelBundle
    shifts: tuple[LayerShift, ...]
    batches: int


def batch_norm_layers(network: nn.Module) -> dict[str, _BatchNorm]:
    """Layers that remember statistics, by name."""
    found = {name: m for name, m in network.named_modules() if isinstance(m, _BatchNorm)}
    return {name: m for name, m in found.items() if m.running_mean is not None and m.running_var is not None}


def adapt_batch_norm(
    bundle: ModelBundle,
    batches_NCHW: Sequence[NDArray[Any]],
    pixel_scale: float,
    *,
    mix: float = 1.0,
    device: str = "cpu",
    report: Callable[[int, int], None] = lambda _done, _all: None,
) -> AdaptedBundle:
    """The bundle with the statistics of ``batches_NCHW``, which are averaged with equal weight over the batches.

    batches_NCHW: pixels as stored, bands in the order of the card, at its ground sampling distance, sides multiples
    of 32; each batch should be a fair sample of the flight. mix: share of the target in mean and variance, 0 (source)
    to 1 (target), as in Schneider et al. 2020. Every other weight stays bit by bit as it was, and new statistics
    are stored in the precision of the old ones.
    Raises BundleError where the network has no batch normalisation or the statistics come out not finite.
    """
    if not 0 <= mix <= 1:
        raise SettingsError(f"mix is {mix:g}, the share of the target's statistics", remedy="use 0 to 1, such as 1")
    network = bundle.network().to(torch.device(device))
    layers = batch_norm_layers(network)
    refuse_without_batch_norm(bundle, layers)
    source = {name: _memory(layer) for name, layer in layers.items()}
    for layer in layers.values():
        layer.reset_running_stats()
        layer.momentum = None  # cumulative average
        layer.training = True  # this module alone: a dropout inside it must stay off
    _run(network, batches_NCHW, bundle, pixel_scale, report)
    weights = dict(bundle.weights)
    shifts = []
    for name, layer in layers.items():
        target = _memory(layer)
        shifts.append(_shift(name, source[name], target))
        for key, old, new in zip(("running_mean", "running_var"), source[name], target, strict=True):
            # At either end exactly the one or the other: 0 · x + 1 · y is y only where x is finite.
            mixed = new if mix == 1 else old if mix == 0 else torch.lerp(old, new, mix)
            weights[f"{name}.{key}"] = _stored(mixed, bundle.weights[f"{name}.{key}"], f"{name}.{key}")
    return AdaptedBundle(
        bundle=ModelBundle(card=bundle.card, weights=weights), shifts=tuple(shifts), batches=len(batches_NCHW)
    )


def refuse_without_batch_norm(bundle: ModelBundle, layers: dict[str, _BatchNorm] | None = None) -> None:
    """Raise BundleError, with the network's name, where there is nothing to adapt."""
    found = batch_norm_layers(bundle.network()) if layers is None else layers
    if not found:
        name = f"{bundle.card.architecture} with {bundle.card.encoder}"
        raise BundleError(
            f"{name} has no batch normalisation, so no statistics to adapt",
            remedy="use the bundle as it is, or a network with batch norm, such as unet with tu-tf_efficientnet_lite0",
        )


@torch.inference_mode()
def _run(
    network: nn.Module,
    batches_NCHW: Sequence[NDArray[Any]],
    bundle: ModelBundle,
    pixel_scale: float,
    report: Callable[[int, int], None],
) -> None:
    """Forward passes in float32; what they leave are the statistics."""
    device = next(network.parameters()).device
    mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (bundle.card.mean, bundle.card.std))
    for i, pixels_NCHW in enumerate(batches_NCHW):
        x = torch.from_numpy(pixels_NCHW.astype(np.float32)).to(device)
        network(((x / pixel_scale) - mean) / std)
        report(i + 1, len(batches_NCHW))


def _memory(layer: _BatchNorm) -> tuple[Tensor, Tensor]:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return layer.running_mean.detach().cpu().clone(), layer.running_var.detach().cpu().clone()


def _shift(name: str, source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> LayerShift:
    tiny = 1e-12
    std, new = (v[1].clamp_min(tiny).sqrt() for v in (source, target))
    return LayerShift(
        layer=name,
        mean=float(((target[0] - source[0]).abs() / std).mean()),
        log_std=float((new / std).log().abs().mean()),
    )


def _stored(value: Tensor, like: Tensor, name: str) -> Tensor:
    """``value`` in the precision of ``like``; 16 bits cannot hold what is above 65,504."""
    stored = value.to(like.dtype)
    if not bool(torch.isfinite(stored).all()):
        raise BundleError(
            f"statistics of layer {name} are not finite in {like.dtype} (largest {float(value.abs().max()):g})",
            remedy="check the orthophoto for damaged pixels, or train the bundle again in 32 bits",
        )
    return stored
