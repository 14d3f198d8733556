"""What held-out ground looks like to a model: the figures that the guard measures a flight by."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.model.card import ModelCard
from sealmap.prediction.checks_pixels import distances_of
from sealmap.prediction.facts import OutputFacts, PixelFacts, Served, output_facts, pixel_facts


class Grounds:
    """Facts of held-out ground, sheet by sheet (and look by look, where it is shown as of other flights)."""

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._served = Served(
            sealed=card.legend.sealed_ids, threshold=card.threshold, temperature=card.temperature, gsd_m=card.gsd_m
        )  # fmt: skip
        self._facts: dict[str, tuple[PixelFacts, OutputFacts]] = {}
        self._shares: dict[str, list[int]] = {}

    def see(self, key: str, pixels_CHW: NDArray[Any], probs_KHW: NDArray[np.float32], scale: float) -> None:
        """A window of the ground ``key``: pixels as stored, in the card's bands, and what the model says."""
        valid = np.ones(pixels_CHW.shape[1:], np.bool_)
        pixels, output = self._facts.setdefault(key, (PixelFacts.zero(len(pixels_CHW)), OutputFacts()))
        pixels.add(pixel_facts(pixels_CHW, valid, scale))
        output.add(output_facts(probs_KHW, valid, self._served))

    def count(self, key: str, sealed: int, judged: int) -> None:
        """Labelled pixels of the ground ``key``: sealed ones, and all."""
        row = self._shares.setdefault(key, [0, 0])
        row[0] += sealed
        row[1] += judged

    def limits(self) -> dict[str, float]:
        """As in ``ModelCard.limits``: the extremes over all grounds. {} where there is none."""
        if not self._facts:
            return {}
        found: dict[str, float] = {}
        for pixels, _ in self._facts.values():
            for band, apart in distances_of(pixels, self._card).items():
                found[f"distance_{band}"] = max(apart, found.get(f"distance_{band}", 0.0))
        found["entropy"] = max(output.mean_entropy for _, output in self._facts.values())
        shares = [sealed / judged for sealed, judged in self._shares.values() if judged]
        if shares:
            found |= {"sealed_low": min(shares), "sealed_high": max(shares)}
        return {name: round(value, 5) for name, value in found.items()} | {"grounds": float(len(self._facts))}
