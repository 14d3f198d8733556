"""Augmentation by Albumentations: geometry for image and label together, radiometry for the image alone.

Both are drawn from the seed that comes with each sample, so that a run can be repeated and resumed exactly.
"""

from __future__ import annotations

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.core.legend import IGNORE
from sealmap.training.domain import another_flight


class Augment:
    """Turns a patch into another that the same ground could have given on another flight.

    strength 0..1 scales the radiometric part (another season, sun, camera, compression, sharpness). domain 0..1 is
    the share of samples that get the look of another flight instead (``domain.another_flight``).
    """

    def __init__(self, strength: float, domain: float = 0.0) -> None:
        self._geometry = A.Compose(
            [
                A.SquareSymmetry(p=1.0),
                A.Affine(
                    rotate=(-45, 45), shear=(-4, 4), p=0.25,
                    border_mode=cv2.BORDER_CONSTANT, fill=0, fill_mask=IGNORE,
                ),
            ]
        )  # fmt: skip
        self._radiometry = _radiometry(strength) if strength > 0 else None
        self._domain = domain

    def __call__(
        self, pixels_HWC: NDArray[np.uint8], label_HW: NDArray[np.uint8], seed: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """uint8 image (rows, columns, bands ≥ 3) and label → the same shapes, augmented."""
        self._geometry.set_random_seed(seed)
        out = self._geometry(image=pixels_HWC, mask=label_HW)
        image, label = out["image"], out["mask"]
        if self._domain and np.random.default_rng((seed, 1)).random() < self._domain:
            image = another_flight(image, np.random.default_rng((seed, 2)))
        elif self._radiometry is not None:
            self._radiometry.set_random_seed(seed)
            colors = self._radiometry(image=np.ascontiguousarray(image[:, :, :3]))["image"]
            more = _gain(image[:, :, 3:], np.random.default_rng(seed))
            image = np.concatenate([colors, more], axis=2)
        return image, label


def _radiometry(s: float) -> A.Compose:
    """Brightness, contrast, gamma, hue, white balance, haze, shadow, sharpness, noise and compression."""
    low, high = 1 - 0.45 * s, 1 + 0.45 * s
    return A.Compose(
        [
            A.Downscale(scale_range=(0.4, 0.85), p=0.3 * s),
            A.OneOf([A.GaussianBlur(sigma_limit=(0.3, 1.2)), A.Sharpen(alpha=(0.1, 0.4))], p=0.25 * s),
            A.ColorJitter(
                brightness=(low, high), contrast=(low, high), saturation=(1 - 0.7 * s, 1 + 0.6 * s),
                hue=(-0.04 * s, 0.04 * s), p=0.8,
            ),
            A.RandomGamma(gamma_limit=(100 - 35 * s, 100 + 60 * s), p=0.4),
            A.OneOf(
                [A.PlanckianJitter(mode="blackbody"), A.RGBShift(18 * s, 18 * s, 18 * s), A.ToGray(p=0.4)], p=0.5 * s
            ),
            A.OneOf(
                [A.RandomToneCurve(scale=0.2), A.CLAHE(clip_limit=(1, 3)), A.Lambda(image=_haze)], p=0.3 * s
            ),
            A.RandomShadow(
                shadow_roi=(0, 0, 1, 1), num_shadows_limit=(1, 2), shadow_dimension=4,
                shadow_intensity_range=(0.3, 0.6), p=0.15 * s,
            ),
            A.GaussNoise(std_range=(0.01, 0.04), p=0.2 * s),
            A.ImageCompression(quality_range=(35, 92), p=0.3 * s),
        ]
    )  # fmt: skip


def _haze(image: NDArray[np.uint8], **_: object) -> NDArray[np.uint8]:
    """A veil of bluish white, as strong as the picture's own mean says (so that it stays deterministic)."""
    share = 0.12 + 0.2 * (float(image.mean()) % 1.0)
    veil = np.array([205, 212, 222], np.float32)
    return (image * (1 - share) + veil * share).astype(np.uint8)


def _gain(bands_HWC: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Gain and gamma of the bands beyond red, green, blue."""
    gain, gamma = rng.uniform(0.75, 1.3), rng.uniform(0.8, 1.25)
    scaled = 255 * np.clip(gain * (bands_HWC / 255.0) ** gamma, 0, 1)
    return scaled.astype(np.uint8)
