"""Noise anchored to the world's pixel grid: any two windows see the same values at the same place."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
SIDE = 1024
STEP = 8


@lru_cache(maxsize=24)
def tile(seed: int, gsd_m: float, band: tuple[float, float]) -> F32:
    """Periodic noise of SIDE x SIDE pixels with unit deviation and wavelengths in ``band`` (metres)."""
    rng = np.random.default_rng([seed, int(band[0] * 1000), int(band[1] * 1000), int(gsd_m * 1000)])
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE)))
    fy, fx = np.fft.fftfreq(SIDE, gsd_m)[:, None], np.fft.rfftfreq(SIDE, gsd_m)[None, :]
    f = np.hypot(fy, fx)
    low, high = 1.0 / band[1], 1.0 / band[0]
    gain = np.exp(-((f / high) ** 2)) * (1 - np.exp(-((f / low) ** 2))) / np.maximum(f, low) ** 0.6
    out = np.fft.irfft2(spectrum * gain, (SIDE, SIDE))
    out = (out - out.mean()) / out.std()
    frozen: F32 = np.clip(out, -3.2, 3.2).astype(np.float32)
    frozen.setflags(write=False)
    return frozen


@lru_cache(maxsize=8)
def white(seed: int) -> F32:
    """Periodic white noise, unit deviation, SIDE x SIDE pixels."""
    out: F32 = np.random.default_rng([seed, 99]).standard_normal((SIDE, SIDE)).astype(np.float32)
    out.setflags(write=False)
    return out


def window(noise: F32, origin: tuple[int, int], shape: tuple[int, int]) -> F32:
    """Cut rows x columns ``shape`` out of periodic ``noise`` at global pixel ``origin`` = (row, column)."""
    rows = (np.arange(shape[0]) + origin[0]) % noise.shape[0]
    cols = (np.arange(shape[1]) + origin[1]) % noise.shape[1]
    picked: F32 = noise[rows][:, cols]
    return picked


@lru_cache(maxsize=8)
def _slow_tile(seed: int, gsd_m: float, band: tuple[float, float]) -> F32:
    """Noise for :func:`broad`, one value per ``STEP`` pixels."""
    return tile(seed, gsd_m * STEP, band)


def broad(seed: int, gsd_m: float, band: tuple[float, float], place: tuple[tuple[int, int], tuple[int, int]]) -> F32:
    """Smooth noise with long wavelengths ``band`` (metres); ``place`` = (origin, shape) as in :func:`window`.

    Made on a grid ``STEP`` times coarser, so that it repeats only after more than a kilometre.
    """
    origin, shape = place

    def axis(start: int, count: int) -> tuple[NDArray[np.int64], F32]:
        at = np.arange(count) + start
        base = at // STEP
        return base, ((at - base * STEP) / STEP).astype(np.float32)

    values = _slow_tile(seed, gsd_m, band)
    gy, ty = axis(origin[0], shape[0])
    gx, tx = axis(origin[1], shape[1])
    rows = np.arange(gy[0], gy[-1] + 2) % SIDE
    part = values[rows]
    wide = part[:, gx % SIDE] * (1 - tx) + part[:, (gx + 1) % SIDE] * tx
    out: F32 = wide[gy - gy[0]] * (1 - ty)[:, None] + wide[gy - gy[0] + 1] * ty[:, None]
    return out
