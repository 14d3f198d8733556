"""What held-out ground looks like to a model: the figures that the guard measures a flight by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.model.card import ModelCard
from sealmap.prediction.checks_pixels import distances_of
from sealmap.prediction.facts import OutputFacts, PixelFacts, Served, output_facts, pixel_facts

LEAST_M2 = 200_000.0
"""Sheets of a flight are pooled until they hold so much ground: the extremes of small windows are no flight's."""

Place = tuple[str, str]
"""A flight (or look) and a sheet of it."""


@dataclass(kw_only=True, slots=True)
class _Ground:
    pixels: PixelFacts
    output: OutputFacts
    sealed: int = 0
    judged: int = 0

    def add(self, other: _Ground) -> None:
        self.pixels.add(other.pixels)
        self.output.add(other.output)
        self.sealed += other.sealed
        self.judged += other.judged


class Grounds:
    """Facts of held-out ground, by flight (and look, where it is shown as of other flights) and sheet."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._found: dict[Place, _Ground] = {}

    def see(
        self, place: Place, pixels_CHW: NDArray[Any], probs_KHW: NDArray[np.float32], scale_and_gsd: tuple[float, float]
    ) -> None:
        """A window: pixels as stored, in the card's bands, what the model says, and (pixel value of 1.0, metres)."""
        card, (scale, gsd_m) = self._card, scale_and_gsd
        served = Served.by(card, gsd_m)
        valid = np.ones(pixels_CHW.shape[1:], np.bool_)
        ground = self._at(place)
        ground.pixels.add(pixel_facts(pixels_CHW, valid, scale))
        ground.output.add(output_facts(probs_KHW, valid, served))

    def count(self, place: Place, sealed: int, judged: int) -> None:
        """Labelled pixels: sealed ones, and all."""
        ground = self._at(place)
        ground.sealed += sealed
        ground.judged += judged

    def limits(self) -> dict[str, float]:
        """As in ``ModelCard.limits``: the extremes over all grounds. {} where there is none."""
        found: dict[str, float] = {}
        shares, number = [], 0
        for ground in self._pooled():
            if not ground.pixels.counted:
                continue
            number += 1
            for band, apart in distances_of(ground.pixels, self._card).items():
                found[f"distance_{band}"] = max(apart, found.get(f"distance_{band}", 0.0))
            found["entropy"] = max(ground.output.mean_entropy, found.get("entropy", 0.0))
            if ground.judged:
                shares.append(ground.sealed / ground.judged)
        if shares:
            found |= {"sealed_low": min(shares), "sealed_high": max(shares)}
        return found | ({"grounds": float(number)} if number else {})

    def _at(self, place: Place) -> _Ground:
        empty = _Ground(pixels=PixelFacts.zero(len(self._card.bands)), output=OutputFacts())
        return self._found.setdefault(place, empty)

    def _pooled(self) -> Iterator[_Ground]:
        """Sheets of one flight together, in order, until they hold enough; what is left over by itself."""
        for flight in dict.fromkeys(flight for flight, _ in self._found):
            pool: _Ground | None = None
            for ground in (g for (f, _), g in self._found.items() if f == flight):
                pool = pool or _Ground(pixels=PixelFacts.zero(len(self._card.bands)), output=OutputFacts())
                pool.add(ground)
                if pool.output.ground_m2 >= LEAST_M2:
                    yield pool
                    pool = None
            if pool is not None:
                yield pool
