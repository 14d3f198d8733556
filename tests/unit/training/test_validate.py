"""Validation: what is served decides, judged pixels count alike, sources by their weight."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.unit.training.arraychips import ArrayChips

from sealmap.core.confusion import Confusion
from sealmap.core.errors import TrainingError
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED, Legend
from sealmap.model.losses import combined
from sealmap.prediction.mosaic import classify
from sealmap.training.batches import Source
from sealmap.training.recipes import tiny
from sealmap.training.validate import validate

RECIPE = replace(tiny(), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Oracle(torch.nn.Module):
    """Knows that red is sealed."""

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = 50 * (x[:, :1] - x[:, 1:2] - 0.2)
        return torch.cat([-score, score], dim=1)


@pytest.mark.parametrize("side", [80, 96, 20])
def test_validation_scores_whole_chips_and_ignores_what_is_ignored(side: int) -> None:
    held_out = [Source(chips=ArrayChips(side=side))]
    loss, iou = validate(Oracle(), held_out, RECIPE, 0.2)
    assert iou == 1.0
    assert loss < 0.2
    _, other = validate(Oracle(), [Source(chips=ArrayChips(side=side, gsd_m=0.1))], RECIPE, 0.2)
    assert other > 0.8  # resampled, edges are mixed
    weighted = [*held_out, Source(chips=ArrayChips(side=side, only=0), weight=3.0)]
    assert validate(Oracle(), weighted, RECIPE, 0.2)[1] == pytest.approx(0.25)


class Colours(torch.nn.Module):
    """Logits are colours."""

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 4 * x


@dataclass(frozen=True, kw_only=True)
class GivenChips:
    """Chips as they are given."""

    pairs: tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], ...]
    bands: tuple[str, ...] = ("red", "green", "blue")
    legend: Legend = ROOF_PAVED
    gsd_m: float = 0.2
    pixel_scale: float = 255.0

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, index: int, /) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        return self.pairs[index]


def noise(legend: Legend, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (3, 64, 64), np.uint8)
    return pixels, rng.integers(0, len(legend), (64, 64), np.uint8)


def test_the_iou_is_that_of_the_map_that_would_be_served() -> None:
    pixels, label = noise(ROOF_PAVED, 1)
    logits = 4 * torch.from_numpy(pixels.astype(np.float32) / 255)
    probs = torch.softmax(logits, 0).numpy()
    served = Confusion.of(ROOF_PAVED, label, classify(probs, ROOF_PAVED, 0.5)).scores(ROOF_PAVED.sealed_ids)["iou"]
    likeliest = Confusion.of(ROOF_PAVED, label, probs.argmax(0).astype(np.uint8)).scores(ROOF_PAVED.sealed_ids)["iou"]
    _, iou = validate(Colours(), [Source(chips=GivenChips(pairs=((pixels, label),)))], RECIPE, 0.2)
    assert iou == pytest.approx(served, abs=1e-12)
    assert abs(served - likeliest) > 0.03  # roof and paved share what they have in common


def test_a_tie_is_sealed_as_in_a_map() -> None:
    pixels, label = np.full((3, 64, 64), 90, np.uint8), np.ones((64, 64), np.uint8)
    flat = GivenChips(pairs=((pixels[:2], label),), bands=("red", "green"), legend=SEALED)
    two = replace(RECIPE, mean=(0.0, 0.0), std=(1.0, 1.0))
    assert validate(Colours(), [Source(chips=flat)], two, 0.2)[1] == 1.0
    assert (classify(np.full((2, 1, 1), 0.5, np.float32), SEALED, 0.5) == 1).all()


def test_the_loss_counts_each_judged_pixel_alike() -> None:
    pairs = [noise(ROOF_PAVED, seed) for seed in (1, 2, 3)]
    pairs[1][1][8:] = IGNORE
    pairs[2][1][:] = IGNORE

    def loss_of(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> float:
        x, y = torch.from_numpy(pair[0][None] / np.float32(255)), torch.from_numpy(pair[1][None].astype(np.int64))
        return float(combined(4 * x, y, RECIPE.mix))

    expected = (64 * loss_of(pairs[0]) + 8 * loss_of(pairs[1])) / 72
    loss, _ = validate(Colours(), [Source(chips=GivenChips(pairs=tuple(pairs)))], RECIPE, 0.2)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert loss_of(pairs[2]) == 0


def test_a_source_without_a_judged_pixel_has_no_say() -> None:
    known = Source(chips=GivenChips(pairs=(noise(ROOF_PAVED, 1),)))
    unknown = Source(chips=ArrayChips(only=IGNORE, legend=ROOF_PAVED), weight=9.0)
    assert validate(Colours(), [known, unknown], RECIPE, 0.2) == validate(Colours(), [known], RECIPE, 0.2)
    with pytest.raises(TrainingError, match="the 3 validation chips have no judged pixel"):
        validate(Colours(), [unknown], RECIPE, 0.2)
