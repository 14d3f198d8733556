"""Windows to ask an unknown model with: made by code, with contrasts and edges as aerial pictures have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PIXEL_SCALE = 255.0
"""The pixel value of these windows that means 1.0."""

_LEVELS = ((0.25, 0.1), (0.45, 0.2), (0.45, 0.05), (0.65, 0.25), (0.8, 0.1), (0.35, 0.3))
"""Mean brightness and its deviation, on the 0..1 scale: shade, a plain day, haze, a hard sun, bare ground, a town."""


def probe_windows(bands: int, side: int) -> NDArray[np.uint8]:
    """Six windows (6, bands, side, side), 0..255, always the same.

    Noise whose power falls with the square of the frequency, as of natural pictures, bands alike but not equal; on
    it lie rectangles of one colour with hard edges. The last window is black in its left and white in its right third.
    """
    rng = np.random.default_rng(20)
    made = []
    for mean, deviation in _LEVELS:
        common = _cloud(rng, side)
        planes = np.stack([0.8 * common + 0.6 * _cloud(rng, side) for _ in range(bands)])
        image = mean + deviation * planes
        for _ in range(8):
            row, col = rng.integers(0, side, 2)
            height, width = rng.integers(max(2, side // 16), max(3, side // 3), 2)
            colour = np.clip(rng.normal(mean, 2 * deviation, (bands, 1, 1)), 0, 1)
            image[:, row : row + height, col : col + width] = colour
        made.append(image)
    made[-1][:, :, : side // 3] = 0
    made[-1][:, :, -(side // 3) :] = 1
    return np.round(np.clip(np.stack(made), 0, 1) * PIXEL_SCALE).astype(np.uint8)


def _cloud(rng: np.random.Generator, side: int) -> NDArray[np.float64]:
    """Noise (side, side) of mean 0 and deviation 1 with an amplitude of 1 / frequency."""
    rows, cols = np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]
    amplitude = 1 / np.maximum(np.hypot(rows, cols), 1 / side)
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(side, side))) * amplitude, s=(side, side))
    return np.asarray((noise - noise.mean()) / noise.std())
