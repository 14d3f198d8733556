"""The network is asked in which order of bands it is surest, and another is named only where that is much surer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.prediction.fakes import CARD, RGB
from tests.unit.prediction.scenes import binary

from sealmap.core.finding import Finding
from sealmap.model.card import ModelCard
from sealmap.prediction.orders import other_order

LEVELS = (10, 20, 30, 40)
"""Brightness of the bands of the sample, by which the engine knows them."""


@dataclass
class SureEngine:
    """Says a probability for each order of bands that it is shown. orders: probability by order of the first bands."""

    card: ModelCard
    orders: dict[tuple[int, ...], float]
    other: float = 0.3
    shown: list[tuple[int, ...]] = field(default_factory=list)
    sides: set[int] = field(default_factory=set)

    def probs(self, pixels_NCHW: NDArray[Any], pixel_scale: float) -> NDArray[np.float32]:
        assert pixel_scale == 255.0
        order = tuple(LEVELS.index(int(v)) for v in pixels_NCHW[0, :, 0, 0])
        self.shown.append(order)
        self.sides.add(pixels_NCHW.shape[-1])
        n, _, h, w = pixels_NCHW.shape
        assert n == 1
        return binary(np.full((h, w), self.orders.get(order[:3], self.other)))[None]


def crops(bands: int = 3, count: int = 4, side: int = 32) -> list[NDArray[np.uint8]]:
    found = np.empty((count, bands, side, side), np.uint8)
    found[:] = np.array(LEVELS[:bands], np.uint8)[:, None, None]
    return list(found)


def ask(engine: SureEngine, pieces: list[NDArray[np.uint8]] | None = None, gsd_m: float = 0.2) -> Finding:
    return other_order(engine, crops(len(engine.card.bands)) if pieces is None else pieces, gsd_m, 255.0)


def entropy(p: float) -> float:
    return float(-p * np.log2(p) - (1 - p) * np.log2(1 - p))


def with_entropy(bits: float) -> float:
    """The probability below ½ of that entropy."""
    low, high = 1e-9, 0.5
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if entropy(middle) < bits else (low, middle)
    return low


FOUR = replace(CARD, bands=(*RGB, "nir"), mean=(0.5,) * 4, std=(0.5,) * 4)


def test_a_network_that_is_surest_as_it_is_has_no_other_order() -> None:
    found = ask(SureEngine(CARD, {(0, 1, 2): 0.05}))
    assert found.verdict == "ok"
    assert found.figures == {
        "as given": round(entropy(0.05), 3), "red, green, blue": round(entropy(0.05), 3),
    }  # fmt: skip


@pytest.mark.parametrize("order", [o for o in permutations(range(3)) if o != (0, 1, 2)])
def test_another_order_that_is_much_surer_is_refused_with_the_way_to_it(order: tuple[int, ...]) -> None:
    found = ask(SureEngine(CARD, {order: 0.02}))
    assert found.verdict == "refusal"
    told = " ".join(f"-b {i + 1}" for i in order)
    assert found.remedy == f"put them right: gdal_translate {told} IN OUT.tif"
    assert f"order {', '.join(str(i + 1) for i in order)}:" in found.cause
    assert found.figures == {
        "as given": round(entropy(0.3), 3), ", ".join(RGB[i] for i in order): round(entropy(0.02), 3),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "best", "verdict"),
    [
        (0.80, 0.69, "ok"),  # by 0.86
        (0.80, 0.67, "warning"),  # by 0.84
        (0.80, 0.49, "warning"),  # by 0.61
        (0.80, 0.47, "refusal"),  # by 0.59
        (0.20, 0.145, "ok"),  # by 0.055 bits
        (0.20, 0.135, "warning"),
        (0.20, 0.11, "refusal"),
        (0.80, 0.80, "ok"),
        (0.50, 0.90, "ok"),
    ],
)
def test_surer_must_be_much_surer(given: float, best: float, verdict: str) -> None:
    engine = SureEngine(CARD, {(0, 1, 2): with_entropy(given), (2, 1, 0): with_entropy(best)}, other=0.5)
    assert ask(engine).verdict == verdict


def test_less_than_four_pieces_only_warn() -> None:
    engine = SureEngine(CARD, {(2, 1, 0): 0.02})
    assert ask(engine, crops()[:3]).verdict == "warning"
    assert ask(engine, crops()).verdict == "refusal"


def test_what_colours_and_network_both_say_is_refused() -> None:
    for order, verdict in (((2, 1, 0), "refusal"), ((0, 2, 1), "warning")):
        engine = SureEngine(CARD, {(0, 1, 2): with_entropy(0.8), order: with_entropy(0.6)}, other=0.5)
        assert ask(engine).verdict == "warning"
        assert other_order(engine, crops(), 0.2, 255.0, suspected=True).verdict == verdict


def test_every_order_of_the_first_three_is_asked_for_on_every_piece() -> None:
    engine = SureEngine(FOUR, {})
    ask(engine)
    assert {o[3] for o in engine.shown} == {3}
    assert sorted(engine.shown) == sorted([(*o, 3) for o in permutations(range(3))] * 4)


def test_all_pieces_have_a_say() -> None:
    class Torn(SureEngine):
        """Surer in another order of the first piece, and of none of the others."""

        def probs(self, pixels_NCHW: NDArray[Any], pixel_scale: float) -> NDArray[np.float32]:
            out = super().probs(pixels_NCHW, pixel_scale)
            return np.full_like(out, 0.5) if self.shown.count(self.shown[-1]) > 1 else out

    orders: dict[tuple[int, ...], float] = {(2, 1, 0): 0.2}
    assert ask(SureEngine(CARD, orders, other=0.5)).verdict == "warning"
    assert ask(Torn(CARD, orders, other=0.5)).verdict == "ok"


def test_pieces_of_another_resolution_are_shown_to_the_network_at_its_own() -> None:
    engine = SureEngine(CARD, {(1, 0, 2): 0.02})
    found = ask(engine, crops(side=128), gsd_m=0.1)
    assert engine.sides == {64}
    assert found.verdict == "refusal"


def test_the_way_to_another_order_does_not_lose_the_fourth_band() -> None:
    found = ask(SureEngine(FOUR, {(2, 1, 0): 0.02}))
    assert found.verdict == "refusal"
    assert "-b 3 -b 2 -b 1 -b 4 " in found.remedy


def test_two_bands_are_not_asked_about() -> None:
    two = replace(CARD, bands=("red", "nir"), mean=(0.5,) * 2, std=(0.5,) * 2)
    engine = SureEngine(two, {})
    found = ask(engine)
    assert (found.verdict, found.figures) == ("ok", {"not checked": "red, nir"})
    assert engine.shown == []


def test_without_pieces_there_is_nothing_to_ask() -> None:
    engine = SureEngine(CARD, {(2, 1, 0): 0.02})
    assert ask(engine, []).verdict == "ok"
    assert engine.shown == []
