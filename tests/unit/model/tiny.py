"""A small network with random weights, and bundles of it: what a test needs of a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sealmap.core.legend import SEALED
from sealmap.model.bundle import ModelBundle, load_bundle, save_bundle
from sealmap.model.card import BandStatistics, ModelCard
from sealmap.model.network import build_network

ENCODER = "timm-mobilenetv3_small_minimal_100"

CARD = ModelCard(
    architecture="unet",
    encoder=ENCODER,
    bands=("red", "green", "blue", "nir"),
    mean=(0.4, 0.5, 0.3, 0.6),
    std=(0.2, 0.1, 0.3, 0.25),
    gsd_m=0.2,
    gsd_range_m=(0.08, 0.5),
    legend=SEALED,
    patch=64,
    halo=16,
    temperature=1.3,
    threshold=0.45,
    statistics={"red": BandStatistics(mean=0.4, std=0.2, histogram=(0.25, 0.75))},
    training={"recipe": "none", "steps": 0, "Straße": "ß → ✓"},
)


def network(card: ModelCard = CARD, *, seed: int = 1, spread: float = 6.0) -> nn.Module:
    """Random weights; ``spread`` multiplies those of the last layer, so that probabilities are not all alike."""
    torch.manual_seed(seed)
    bands, classes = len(card.bands), len(card.legend)
    net = build_network(card.architecture, card.encoder, bands=bands, classes=classes)
    with torch.no_grad():
        head: Any = net.get_submodule("segmentation_head")[0]  # type: ignore[index]
        head.weight *= spread
    return net.eval()


def bundle(path: Path, *, half: bool = False, **changes: Any) -> ModelBundle:
    """A bundle on disk, opened again. ``changes``: of the card."""
    count = len(changes.get("bands", CARD.bands))
    card = replace(CARD, **{"mean": CARD.mean[:count], "std": CARD.std[:count]} | changes)
    save_bundle(path, card, network(card), overwrite=False, half=half)
    return load_bundle(path)
