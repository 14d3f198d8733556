"""Held-out ground as flights that nobody has flown would show it: what weights and thresholds are worth elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import BandError
from sealmap.core.legend import Legend
from sealmap.training.batches import Chips
from sealmap.training.domain import another_flight
from sealmap.training.resample import eight_bit


class Placed(Chips, Protocol):
    """Labelled chips that know their places; ``ChipSet`` is one."""

    @property
    def chips(self) -> Sequence[Any]:
        """Places, one per chip."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherFlight:
    """Chips as another flight would show them, 8 bit: same ground, places and labels. look: which flight, 0 and up.

    Each chip has a light of its own, the same at every reading. BandError unless red, green, blue come first.
    """

    ground: Placed
    look: int
    pixel_scale: float = 255.0

    def __post_init__(self) -> None:
        if self.ground.bands[:3] != ("red", "green", "blue"):
            raise BandError(
                f"how another flight shows {', '.join(self.ground.bands)} is not known",
                remedy="use chips whose first bands are red, green, blue",
            )

    @property
    def bands(self) -> tuple[str, ...]:
        """As of the ground."""
        return self.ground.bands

    @property
    def legend(self) -> Legend:
        """As of the ground."""
        return self.ground.legend

    @property
    def gsd_m(self) -> float:
        """As of the ground."""
        return self.ground.gsd_m

    @property
    def chips(self) -> Sequence[Any]:
        """As of the ground."""
        return self.ground.chips

    def __len__(self) -> int:
        return len(self.ground)

    def read(self, index: int, /) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """(pixels_CHW uint8, label_HW)."""
        pixels, label = self.ground.read(index)
        image = another_flight(eight_bit(pixels, self.ground.pixel_scale), np.random.default_rng((7, self.look, index)))
        return np.ascontiguousarray(image.transpose(2, 0, 1)), label
