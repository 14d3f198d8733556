"""Engine: what prediction needs of a model. Free of torch."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sealmap.model.card import ModelCard


class Engine(Protocol):
    """Anything that maps pixels of a batch to probabilities of the legend's classes."""

    @property
    def card(self) -> ModelCard:
        """The card of the model that runs."""

    def probs(self, pixels_NCHW: NDArray[Any], pixel_scale: float) -> NDArray[np.float32]:
        """Pixels as stored, sides multiples of 32 → probabilities (N, K, H, W), 0..1, adding up to 1 over K."""
