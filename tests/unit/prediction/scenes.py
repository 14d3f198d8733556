"""Pictures, probabilities and facts made by hand: what the guard is shown in tests."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tests.unit.prediction.fakes import CARD

from sealmap.core.grid import Window
from sealmap.core.patch import Patch
from sealmap.core.tiling import Tile, Tiling
from sealmap.model.bundle import ModelBundle, probabilities
from sealmap.model.card import ModelCard
from sealmap.prediction.facts import LEVELS, OutputFacts, PixelFacts, Served, output_facts, pixel_facts

SIDE = 576
"""Every 8th pixel of such a square is 5,184 pixels: enough for a check to speak."""

SERVED = Served(sealed=(1,), threshold=0.5, temperature=1.0, gsd_m=0.2)


def everywhere(picture: NDArray[Any]) -> NDArray[np.bool_]:
    """All of a picture is valid."""
    return np.ones(picture.shape[1:], np.bool_)


def ground(seed: int = 1, side: int = SIDE) -> NDArray[np.uint8]:
    """Red, green and blue of something like soil in the sun: shade is bluer, red and green go together."""
    rng = np.random.default_rng(seed)
    sun, soil, sky = (_smooth(rng, side, coarse) for coarse in (16, 24, 12))
    light = np.log(0.35) + 0.45 * sun
    logs = light + 0.12 * sun + 0.1 * soil, light + 0.04 * soil, light - 0.14 * sun - 0.1 * soil + 0.1 * sky
    picture = 255 * np.exp(np.stack(logs)) + rng.normal(0, 1, (3, side, side))
    found: NDArray[np.uint8] = np.clip(np.rint(picture), 12, 250).astype(np.uint8)
    return found


def _smooth(rng: np.random.Generator, side: int, coarse: int) -> NDArray[np.float32]:
    knots = rng.normal(size=(side // coarse, side // coarse)).astype(np.float32)
    return np.asarray(cv2.resize(knots, (side, side), interpolation=cv2.INTER_CUBIC))


def seen(picture: NDArray[Any], scale: float = 255.0) -> PixelFacts:
    """Facts of a picture without gaps."""
    return pixel_facts(picture, everywhere(picture), scale)


def of_levels(*levels: int, each: int = 10, rough: float = 0.1) -> PixelFacts:
    """Facts of a picture of which all that is known are its levels, alike in all bands, and how rough it is."""
    found = PixelFacts.zero(3)
    found.levels_CL[:, list(levels)] = each
    bright = np.array(levels) / (LEVELS - 1)
    found.sums_C[:] = each * bright.sum()
    found.products_CC[:] = each * (bright**2).sum()
    found.steps_count = 1000
    found.steps_C[:] = rough * bright.std() * found.steps_count
    return found


def served_by(card: ModelCard) -> Served:
    """As the guard takes it from a card."""
    return Served(
        sealed=card.legend.sealed_ids, threshold=card.threshold, temperature=card.temperature, gsd_m=card.gsd_m
    )


def said(logits_KN: NDArray[Any], card: ModelCard = CARD) -> NDArray[np.float32]:
    """What a model says whose network gives these logits, each on a square of its own of 8 pixels (K, 8, 8 N)."""
    logits = torch.from_numpy(np.asarray(logits_KN, np.float32))[None, :, None, :]
    probs: NDArray[np.float32] = probabilities(logits, card)[0].numpy()
    return np.kron(probs, np.ones((1, 8, 8), np.float32))


def told(logits_KN: NDArray[Any], card: ModelCard = CARD) -> OutputFacts:
    """Facts of what a model says of logits."""
    probs = said(logits_KN, card)
    return output_facts(probs, everywhere(probs), served_by(card))


class ByBrightness:
    """A stand-in for the network of a bundle: what is bright is sealed, in whatever order the bands are."""

    def __init__(self, found: ModelBundle, _device: str = "auto") -> None:
        self.card = found.card

    def probs(self, pixels_NCHW: NDArray[Any], pixel_scale: float) -> NDArray[np.float32]:
        bright = torch.from_numpy(pixels_NCHW.astype(np.float32)).mean(dim=1) / pixel_scale
        logits = torch.stack([torch.zeros_like(bright), 40 * (bright - 0.4)], dim=1)
        out: NDArray[np.float32] = probabilities(logits, self.card).numpy()
        return out


def two_sided(sealed_N: NDArray[Any]) -> NDArray[Any]:
    """Logits of a network of two classes of which the first is always 0."""
    return np.stack([np.zeros_like(sealed_N), sealed_N])


def binary(sealed_HW: NDArray[Any]) -> NDArray[np.float32]:
    """Probabilities of both classes."""
    return np.stack([1 - sealed_HW, sealed_HW]).astype(np.float32)


def cut(tile: Tile, picture: NDArray[Any], grid: Any, valid: NDArray[np.bool_] | None = None) -> Patch:
    """What is read for a tile of a picture: beyond its edge are zeros without validity."""
    read, whole = tile.read, Window(row=0, col=0, height=picture.shape[1], width=picture.shape[2])
    inside = read.intersect(whole)
    assert inside is not None
    pixels = np.zeros((len(picture), read.height, read.width), picture.dtype)
    known = np.zeros((read.height, read.width), np.bool_)
    here, there = inside.within(read), inside.within(whole)
    pixels[:, *here] = picture[:, *there]
    known[here] = True if valid is None else valid[there]
    return Patch(pixels_CHW=pixels, valid_HW=known, window=read, grid=grid)


def tiled(height: int, width: int, step: int, halo: int = 0) -> Tiling:
    """Short for tests that need many."""
    return Tiling(height=height, width=width, step=step, halo=halo)
