"""What a network's first layer remembers of the pixels it was trained on: whether it is fed on the same scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sealmap.core.finding import Finding
from sealmap.model.bundle import ModelBundle
from sealmap.model.card import ONNX

_TRAINED, _FLOWN = 0.5, 1.2
"""Shifts above which the scale is wrong: by the training data's means, and by a flight's, which may be darker. Of 87
clean towns and real pictures none lay above 0.73 with the shipped model; normalised twice, none below 0.75, and the
training data itself at 1.9 instead of 0.05."""

_RAW = 20.0
"""Above this, pixels of 0..255 met a network of 0..1."""


def first_layer_shift(network: nn.Module, means_C: Sequence[float]) -> float | None:
    """How far the first layer's mean answer to means_C lies from what it remembers, in its standard deviations.

    means_C: of the normalised bands. A convolution is linear, so its mean answer follows from mean pixels alone. None
    where the network does not begin with a convolution and batch normalisation.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | _BatchNorm)]
    if len(layers) < 2 or not isinstance(layers[0], nn.Conv2d) or not isinstance(layers[1], _BatchNorm):
        return None
    conv, memory = layers[0], layers[1]
    if (
        conv.groups != 1
        or conv.in_channels != len(means_C)
        or memory.running_mean is None
        or memory.running_var is None
    ):
        return None
    with torch.no_grad():
        answer = conv.weight.cpu().double().sum(dim=(2, 3)) @ torch.tensor(list(means_C), dtype=torch.float64)
        if conv.bias is not None:
            answer = answer + conv.bias.cpu().double()
        apart = (answer - memory.running_mean.cpu().double()).abs().mean()
        return float(apart / memory.running_var.cpu().double().sqrt().mean().clamp_min(1e-12))


def normalisation(
    bundle: ModelBundle,
    flown: Sequence[float] | None = None,
    *,
    adapted: bool = False,
    network: nn.Module | None = None,
) -> Finding:
    """Whether the card's mean and deviation are those that the network was trained with.

    flown: mean brightness of a flight's bands, 0..1, to go by where the card has no statistics of its training data.
    adapted: whether the batch norm is that of another flight by now. network: the bundle's, where one is built already.
    """
    card = bundle.card
    known = [card.statistics[b].mean for b in card.bands if b in card.statistics]
    trained = len(known) == len(card.bands)
    means = known if trained else flown
    shift = None
    if means is not None and card.architecture != ONNX:
        shift = first_layer_shift(
            network or bundle.network(), [(v - m) / s for v, m, s in zip(means, card.mean, card.std, strict=True)]
        )
    if shift is None:
        return Finding(
            check="normalisation", figures={"not checked": "no statistics, a graph, or no batch norm at the beginning"}
        )
    figures = {"shift of the first layer": round(shift, 3), "by": "training data" if trained else "this flight"}
    if shift <= (_TRAINED if trained and not adapted else _FLOWN):
        return Finding(check="normalisation", figures=figures)
    cause = (
        "pixels reach the network on another scale than it was trained on: division by 255 left out, or made twice"
        if shift > _RAW
        else "mean and deviation of the card are not those of the training: normalised twice, or of another recipe"
    )
    return Finding(
        check="normalisation", verdict="refusal", figures=figures,
        cause=f"{cause} (the first layer answers {shift:.1f} deviations from what it remembers)",
        remedy="give the model its own mean and deviation, on the 0..1 scale: sealmap import --mean --std",
    )  # fmt: skip
