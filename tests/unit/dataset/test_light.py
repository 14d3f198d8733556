from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np

from sealmap.dataset.light import lights

BANDS = ("red", "green", "blue", "nir")


def test_sheets_of_one_day_share_a_threshold(fakes: Any) -> None:
    mosaic = fakes.row_of_sheets(3, 200)
    rng = np.random.default_rng(0)
    mosaic.pixels[:] = 100
    mosaic.pixels[3] = 100 + rng.integers(0, 10, mosaic.pixels.shape[1:])
    mosaic.pixels[3, :, 200:400] = 220  # all of the second sheet is green: alone it has but one heap
    day = date(2024, 4, 6)
    alone = lights(mosaic, BANDS, {})
    together = lights(mosaic, BANDS, {"s0": day, "s1": day, "s2": day})
    assert len({light.threshold for light in together.values()}) == 1
    assert 0.05 < together["s1"].threshold < 0.375
    assert alone["s1"].threshold != together["s1"].threshold
    assert alone["s0"].bright == 100  # of red, green, blue


def test_large_sheets_are_looked_at_from_afar(fakes: Any) -> None:
    mosaic = fakes.row_of_sheets(1, 2600)
    asked = []
    whole = mosaic.thumbnail

    def thumbnail(window: Any, step: int, bands: Any) -> Any:
        asked.append(step)
        return whole(window, step, bands)

    mosaic.thumbnail = thumbnail
    light = lights(mosaic, BANDS, {})["s0"]
    assert asked == [2]
    assert light.counts.sum() == 1300 * 1300


def test_pixels_without_data_are_not_looked_at(fakes: Any) -> None:
    mosaic = fakes.row_of_sheets(1, 100)
    mosaic.valid = np.zeros((100, 100), bool)
    light = lights(mosaic, BANDS, {})["s0"]
    assert light.counts.sum() == 0
    assert light.threshold == 0.45  # nothing is green
