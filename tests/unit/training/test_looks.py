"""Held-out chips as other flights: the same ground and labels, another light, the same light at every reading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from tests.unit.training.arraychips import ArrayChips

from sealmap.core.errors import BandError
from sealmap.training.looks import OtherFlight


@dataclass(frozen=True)
class PlacedChips(ArrayChips):
    @property
    def chips(self) -> tuple[str, ...]:
        return tuple(f"chip {i}" for i in range(len(self)))


def test_ground_stays_light_changes() -> None:
    ground = PlacedChips()
    first, again, other = (OtherFlight(ground=ground, look=look) for look in (0, 0, 1))
    assert (first.bands, first.legend, first.gsd_m, len(first)) == (
        ground.bands, ground.legend, ground.gsd_m, len(ground)
    )  # fmt: skip
    assert first.chips == ground.chips
    assert first.pixel_scale == 255
    for i in range(len(ground)):
        pixels, label = ground.read(i)
        seen, same = first.read(i)
        assert seen.dtype == np.uint8
        assert seen.shape == pixels.shape
        assert np.array_equal(label, same)
        assert np.array_equal(seen, again.read(i)[0])
        assert not np.array_equal(seen, pixels)
        assert not np.array_equal(seen, other.read(i)[0])


def test_bands_in_another_order_are_refused() -> None:
    with pytest.raises(BandError, match="nir, red, green is not known → use chips whose first bands"):
        OtherFlight(ground=PlacedChips(bands=("nir", "red", "green")), look=0)
