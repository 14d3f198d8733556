"""From chips to batches. A sample is a function of (seed, number): any step can be repeated, so runs resume exactly."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sealmap.core.errors import TrainingError
from sealmap.core.legend import IGNORE, Legend
from sealmap.training.augment import Augment
from sealmap.training.interrupt import leave_interrupts_to_parent
from sealmap.training.recipes import Recipe
from sealmap.training.resample import eight_bit, resized


class Chips(Protocol):
    """Labelled chips of one ground sampling distance."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names, in order."""
        ...

    @property
    def legend(self) -> Legend:
        """Legend of the labels."""
        ...

    @property
    def gsd_m(self) -> float:
        """Ground sampling distance."""
        ...

    @property
    def pixel_scale(self) -> float:
        """The pixel value that means 1.0."""
        ...

    def __len__(self) -> int: ...
    def read(self, index: int, /) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """(pixels_CHW as stored, label_HW with IGNORE where not judged)."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Chips and how often they are drawn, relative to the other sources.

    odds: how often each chip is drawn, relative to the others of this source; None for all alike. sheets: the
    name of the sheet of each chip, for recipes that balance sheets. digest: of what the chips hold, by which a run
    that goes on knows that they are the same; where it is empty, some of them are read.
    """

    chips: Chips
    weight: float = 1.0
    odds: tuple[float, ...] | None = None
    sheets: tuple[str, ...] | None = None
    digest: str = ""

    def __post_init__(self) -> None:
        if self.sheets is not None and len(self.sheets) != len(self.chips):
            raise ValueError(f"{len(self.sheets)} names of sheets for {len(self.chips)} chips")
        if self.odds is not None and (len(self.odds) != len(self.chips) or not sum(self.odds) > 0):
            raise ValueError(f"{len(self.odds)} odds for {len(self.chips)} chips, or all of them 0")

    def draw(self, rng: np.random.Generator) -> int:
        """Index of a chip."""
        if self.odds is None:
            return int(rng.integers(len(self.chips)))
        bounds = np.cumsum(self.odds)
        return min(int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right")), len(self.chips) - 1)


def balanced(source: Source) -> Source:
    """The same source, a sheet of many chips drawn no more often than one of few.

    A chip's odds are divided by the number of its sheet's chips: sheets count alike where their chips do, and odds
    that say how little chips without sealed ground matter go on saying so. TrainingError where no sheets are named.
    """
    if source.sheets is None:
        raise TrainingError("these chips do not say of which sheets they are", remedy="--set balance=chips")
    count = Counter(source.sheets)
    odds = source.odds or (1.0,) * len(source.sheets)
    return replace(source, odds=tuple(o / count[name] for o, name in zip(odds, source.sheets, strict=True)))


class SampleStream(Dataset[tuple[Tensor, Tensor]]):
    """Samples ``first``, ``first`` + 1 … of a run: image float32 (C, P, P) on 0..1, label int64 (P, P).

    Step s learns from the samples s·batch … s·batch + batch − 1, whoever makes them. So R processes (torchrun)
    would share a step by rank: rank r takes the numbers n of it with n mod R = r, and gradients are averaged. The
    loop does not do so yet; nothing here would have to change but which numbers are asked for.
    """

    def __init__(self, sources: Sequence[Source], recipe: Recipe, gsd_m: float, first: int = 0) -> None:
        self._sources = tuple(balanced(s) if recipe.balance == "sheets" else s for s in sources)
        self._recipe = recipe
        self._gsd_m = gsd_m
        self._first = first
        self._shares = np.array([s.weight for s in sources]) / sum(s.weight for s in sources)
        self._augment = Augment(recipe.augment, recipe.domain)

    def __len__(self) -> int:
        return self._recipe.steps * self._recipe.batch - self._first

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        cv2.setNumThreads(0)
        number += self._first
        rng = np.random.default_rng((self._recipe.seed, number))
        source = self._sources[rng.choice(len(self._sources), p=self._shares)]
        chips = source.chips
        pixels, label = chips.read(source.draw(rng))
        zoom = float(np.exp(rng.uniform(-1, 1) * np.log(self._recipe.zoom)))
        image = eight_bit(pixels, chips.pixel_scale)
        image, label = crop(image, label, self._recipe.patch, self._gsd_m * zoom / chips.gsd_m, rng)
        image, label = self._augment(image, label, int(rng.integers(2**31)))
        x = np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32) / 255
        return torch.from_numpy(x), torch.from_numpy(label.astype(np.int64))


def crop(
    image_HWC: NDArray[np.uint8],
    label_HW: NDArray[np.uint8],
    patch: int,
    step: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A random square, resampled to ``patch`` pixels; ``step``: chip pixels per patch pixel.

    A chip smaller than the square is mirrored in the image and ignored in the label.
    """
    side = max(8, round(patch * step))
    short = [max(0, side - n) for n in label_HW.shape]
    if any(short):
        pad = ((0, short[0]), (0, short[1]))
        image_HWC = np.pad(image_HWC, (*pad, (0, 0)), mode="symmetric")
        label_HW = np.pad(label_HW, pad, constant_values=IGNORE)
    row, col = (int(rng.integers(n - side + 1)) for n in label_HW.shape)
    image = image_HWC[row : row + side, col : col + side]
    label = label_HW[row : row + side, col : col + side]
    if side == patch:
        return np.ascontiguousarray(image), np.ascontiguousarray(label)
    how = cv2.INTER_AREA if side > patch else cv2.INTER_CUBIC
    small = cv2.resize(label, (patch, patch), interpolation=cv2.INTER_NEAREST_EXACT)
    return resized(image, (patch, patch), how), np.asarray(small, np.uint8)


def batches(
    sources: Sequence[Source], recipe: Recipe, gsd_m: float, first_step: int
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches from ``first_step`` to the last one, in order."""
    stream = SampleStream(sources, recipe, gsd_m, first_step * recipe.batch)
    return DataLoader(
        stream,
        batch_size=recipe.batch,
        shuffle=False,
        num_workers=recipe.workers,
        prefetch_factor=4 if recipe.workers else None,
        persistent_workers=recipe.workers > 0,
        worker_init_fn=leave_interrupts_to_parent,
        # its own, or starting a loader would draw from the generator that dropout draws from, and a run that
        # resumes starts one loader more than a run that does not
        generator=torch.Generator(),
    )
