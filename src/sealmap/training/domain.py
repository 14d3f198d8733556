"""The same ground as another flight would show it: other light, camera, pixel size, processing and compression.

Albumentations varies a picture about its own look. An unseen flight differs as a whole: each band has its own curve,
the sheets are greyer or gaudier, sharpened until edges have halos, or enlarged from coarser pictures. The steps are
those a picture goes through, from the ground to the published sheet. All is drawn from one generator.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.training.resample import resized

Image = NDArray[np.float32]
"""(rows, columns, bands ≥ 3) on 0..1; red, green, blue first."""

Step = Callable[[Image, np.random.Generator], Image]

_COARSEST = 2.5
"""Pixels this many times larger: 20 cm ground seen at 50 cm."""


def another_flight(pixels_HWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8 image (rows, columns, bands ≥ 3) → the same ground, uint8, as another flight could show it."""
    v: Image = pixels_HWC.astype(np.float32) / np.float32(255)
    for step, chance in _STEPS:
        if rng.random() < chance:
            v = step(v, rng).clip(0, 1)
    out = np.round(v * 255).astype(np.uint8)
    return _compressed(out, rng) if rng.random() < 0.3 else out


def _light(v: Image, rng: np.random.Generator) -> Image:
    """Deeper or lighter shadows: the sun against the blue sky. Shadow is what is dark for this picture."""
    grey = cv2.GaussianBlur(_grey(v), (0, 0), 1.5)
    seen = grey[grey > 0]  # a rotation brings in black corners
    low, high = np.quantile(seen, (0.03, 0.35)) if seen.size else (0.0, 0.0)
    shade = np.clip((high - grey) / max(high - low, 1e-3), 0, 1).astype(np.float32)[:, :, None]
    factor = np.float32(rng.uniform(-0.45, 0.7))
    tint = np.ones(v.shape[2], np.float32)
    tint[:3] += np.float32(rng.uniform(0, 0.12)) * np.array([-1, 0, 1], np.float32)  # skylight is blue
    lit: Image = v * (1 + factor * shade) * (1 + shade * (tint - 1))
    return lit


def _haze(v: Image, rng: np.random.Generator) -> Image:
    """A bluish veil; near infrared passes through most of it."""
    veil = np.full(v.shape[2], 0.6, np.float32)
    veil[:3] = 0.74, 0.78, 0.84
    share = np.full(v.shape[2], rng.uniform(0.04, 0.28), np.float32)
    share[3:] *= 0.4
    hazy: Image = v * (1 - share) + veil * share
    return hazy


def _coarser(v: Image, rng: np.random.Generator) -> Image:
    """Seen with larger pixels and enlarged again: 30 to 50 cm imagery, or a sheet resampled on its way."""
    height, width = v.shape[:2]
    factor = np.exp(rng.uniform(np.log(1.15), np.log(_COARSEST)))
    small = resized(v, (round(height / factor), round(width / factor)), cv2.INTER_AREA)
    return resized(small, (height, width), cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR)


def _noise(v: Image, rng: np.random.Generator) -> Image:
    """The sensor's, with a little of it smoothed by resampling."""
    noise = rng.normal(0, rng.uniform(0.004, 0.022), v.shape).astype(np.float32)
    return v + _blurred(noise, 0.5)


def _curves(v: Image, rng: np.random.Generator) -> Image:
    """The camera's curve: black and white point, gamma (a part of it per band) and an S, per band a little other."""
    bands = v.shape[2]
    black = rng.uniform(-0.06, 0.08) + rng.uniform(-0.015, 0.015, bands)
    white = rng.uniform(0.84, 1.15) + rng.uniform(-0.02, 0.02, bands)
    gamma = np.exp(rng.uniform(-0.4, 0.4) + rng.uniform(-0.05, 0.05, bands))
    bend = rng.uniform(-0.5, 0.7)
    level = np.linspace(0, 1, 256)[:, None]
    curve = np.clip((level - black) / (white - black), 0, 1) ** gamma
    curve = curve - bend / (2 * np.pi) * np.sin(2 * np.pi * curve)
    return np.stack([np.interp(v[:, :, i], level[:, 0], curve[:, i]) for i in range(bands)], axis=2).astype(np.float32)


def _white_balance(v: Image, rng: np.random.Generator) -> Image:
    """Warmer or colder, and a little greener or redder: sheets go wrong along the colours of daylight."""
    warm, green = rng.uniform(-0.1, 0.1), rng.uniform(-0.025, 0.025)
    gains = np.exp(rng.uniform(-0.15, 0.15, v.shape[2])).astype(np.float32)
    gains[:3] = np.exp((warm, green, -warm))
    balanced: Image = v * gains
    return balanced


def _saturation(v: Image, rng: np.random.Generator) -> Image:
    """From nearly grey to gaudy."""
    grey = _grey(v)[:, :, None]
    colours = grey + (v[:, :, :3] - grey) * np.float32(rng.uniform(0.1, 1.5))
    return np.concatenate([colours, v[:, :, 3:]], axis=2)


def _local_contrast(v: Image, rng: np.random.Generator) -> Image:
    """Dodging of the mosaic: contrast against the surroundings raised, or taken away."""
    height, width = v.shape[:2]
    small = resized(v, (max(1, height // 4), max(1, width // 4)), cv2.INTER_AREA)
    around = resized(_blurred(small, rng.uniform(2, 7)), (height, width), cv2.INTER_LINEAR)
    return v + (v - around) * np.float32(rng.uniform(-0.3, 0.5))


def _sharpened(v: Image, rng: np.random.Generator) -> Image:
    """Unsharp mask as published sheets have it, up to halos along roofs; or softer than ours."""
    around = _blurred(v, rng.uniform(0.6, 1.4))
    return v + (v - around) * np.float32(rng.uniform(-0.7, 1.6))


def _compressed(image_HWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """JPEG 2000 at 8:1 to 30:1, or JPEG of quality 40 to 85, of the colours."""
    if rng.random() < 0.6:
        how = ".jp2", [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, int(rng.uniform(33, 125))]
    else:
        how = ".jpg", [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(40, 85))]
    done, data = cv2.imencode(how[0], image_HWC[:, :, 2::-1], how[1])
    if not done:
        raise RuntimeError(f"OpenCV was built without {how[0]}")
    colours = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.concatenate([colours[:, :, ::-1], image_HWC[:, :, 3:]], axis=2)


def _grey(v: Image) -> Image:
    weights = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
    grey: Image = v[:, :, :3] @ weights
    return grey


def _blurred(v: Image, sigma_px: float) -> Image:
    # OpenCV drops the axis of a single band
    return np.asarray(cv2.GaussianBlur(v, (0, 0), sigma_px), np.float32).reshape(v.shape)


_STEPS: tuple[tuple[Step, float], ...] = (
    (_light, 0.4), (_haze, 0.25), (_coarser, 0.4), (_noise, 0.3), (_saturation, 0.6),
    (_curves, 0.85), (_white_balance, 0.5), (_local_contrast, 0.3), (_sharpened, 0.5),
)  # fmt: skip
"""What may happen, in order, and how often. Colour casts come after saturation, which would make them absurd."""
