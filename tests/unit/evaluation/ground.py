"""Chips and whole sheets made of arrays: what is true, and what a model that is told says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.grid import Window
from sealmap.core.legend import IGNORE, ROOF_PAVED, Legend
from sealmap.evaluation.windows import Judge


@dataclass(frozen=True)
class Place:
    name: str
    sheet: str
    row: int
    col: int


@dataclass
class Sheets:
    """Chips cut from whole sheets of truth; the pixels hold what the model is going to say."""

    legend: Legend
    truth: dict[str, NDArray[np.uint8]]
    said: dict[str, NDArray[np.uint8]]
    chips: list[Place] = field(default_factory=list)
    side: int = 24
    pixel_scale: float = 255.0
    gsd_m: float = 0.2

    def __len__(self) -> int:
        return len(self.chips)

    def read(self, index: int, /) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        c = self.chips[index]
        here = slice(c.row, c.row + self.side), slice(c.col, c.col + self.side)
        return self.said[c.sheet][here][None].repeat(3, axis=0), self.truth[c.sheet][here]

    @property
    def patch(self) -> int:
        return self.side

    @property
    def judge(self) -> Judge:
        return Judge(truth=self.legend, model=self.legend)


@dataclass
class Whole:
    """One grid with sheets on it; probabilities are 1 where the model says sealed."""

    truth: NDArray[np.uint8]
    said: NDArray[np.uint8]
    sheets: Sequence[tuple[str, Window]]
    legend: Legend = ROOF_PAVED
    gsd_m: float = 1.0

    @property
    def area(self) -> Window:
        return Window(row=0, col=0, height=self.truth.shape[0], width=self.truth.shape[1])

    def read(self, window: Window, /) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
        found = []
        for whole in (self.truth, self.said):
            part = np.full((window.height, window.width), IGNORE, np.uint8)
            inside = window.intersect(self.area)
            if inside is not None:
                part[inside.within(window)] = whole[inside.within(self.area)]
            found.append(part)
        return found[0], found[1], self.legend.sealed_HW(found[1]).astype(np.float32)

    def photo(self, window: Window, /) -> NDArray[np.uint8]:
        rows, cols = window.within(self.area)
        return np.repeat(self.said[rows, cols][..., None], 3, axis=2)


def say(pixels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    out: NDArray[np.uint8] = pixels[0]
    return out, (out > 0).astype(np.float32)


def random_classes(seed: int, legend: Legend, shape: tuple[int, int], ignored: float = 0.1) -> NDArray[np.uint8]:
    """Blobs of classes, some pixels unknown."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, len(legend), (-(-shape[0] // 5), -(-shape[1] // 5))).astype(np.uint8)
    fine = coarse.repeat(5, axis=0).repeat(5, axis=1)[: shape[0], : shape[1]].copy()
    fine[rng.random(shape) < ignored] = IGNORE
    return fine


def sheets(seed: int, legend: Legend, names: str = "ab", size: int = 80, side: int = 24) -> Sheets:
    rng = np.random.default_rng(seed)
    classes = np.array([*range(len(legend)), IGNORE], np.uint8)
    truth = {n: rng.choice(classes, (size, size)) for n in names}
    said = {}
    for n in names:
        other = rng.choice(classes[:-1], (size, size))
        said[n] = np.where((rng.random((size, size)) < 0.7) & (truth[n] != IGNORE), truth[n], other).astype(np.uint8)
    return Sheets(legend, truth, said, side=side)


def tiled(seed: int = 1, legend: Legend = ROOF_PAVED, names: str = "abcd") -> Sheets:
    chips = sheets(seed, legend, names, size=96)
    chips.chips = [Place(f"{n}{r}{c}", n, r, c) for n in names for r in range(0, 96, 24) for c in range(0, 96, 24)]
    return chips
