"""A checkpoint goes on with its own data, and with no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.unit.training.arraychips import ArrayChips

from sealmap.core.errors import TrainingError
from sealmap.core.legend import ROOF_PAVED
from sealmap.training.batches import Source
from sealmap.training.checkpoint import described
from sealmap.training.loop import CHECKPOINT, Trained, train
from sealmap.training.recipes import tiny

RECIPE = replace(tiny(), patch=32, steps=1, validate_every=1)
CHIPS = ArrayChips(count=20, side=40)
HELD_OUT = [Source(chips=ArrayChips(seed=9, count=1, side=40))]


def run(folder: Path, sources: Sequence[Source], held_out: Sequence[Source] = HELD_OUT) -> Trained:
    return train(RECIPE, sources, held_out, folder, resume=True)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("done")
    run(folder, [Source(chips=CHIPS)])
    return folder


@dataclass(frozen=True, kw_only=True)
class OtherRules(ArrayChips):
    """The same pictures, some ground labelled otherwise."""

    def read(self, index: int, /) -> Any:
        pixels, label = super().read(index)
        label[-1] = 1 - np.minimum(label[-1], 1)
        return pixels, label


@pytest.mark.parametrize(
    ("sources", "told"),
    [
        ([Source(chips=replace(CHIPS, count=21))], "train set 1, chips: 20 → 21, train set 1, contents: "),
        ([Source(chips=replace(CHIPS, gsd_m=0.1))], "train set 1, gsd_m: 0.2 → 0.1"),
        ([Source(chips=CHIPS, weight=2.0)], "train set 1, weight: 1.0 → 2.0"),
        ([Source(chips=replace(CHIPS, seed=1))], "train set 1, contents: "),
        ([Source(chips=OtherRules(count=20, side=40))], "train set 1, contents: "),
        ([Source(chips=CHIPS, sheets=("a",) * 20)], "train set 1, contents: "),
        ([Source(chips=CHIPS, odds=(1.0,) * 20)], "train set 1, contents: "),
        ([Source(chips=CHIPS, digest="other")], "train set 1, contents: "),
        ([Source(chips=CHIPS)] * 2, "train: 1 → 2 sets"),
    ],
    ids=("chips", "gsd", "weight", "pixels", "labels", "sheets", "odds", "digest", "sets"),
)
def test_a_run_does_not_go_on_with_other_chips(sources: Sequence[Source], told: str, done: Path) -> None:
    with pytest.raises(TrainingError, match=r"made from other chips .* → resume with the chips") as error:
        run(done, sources)
    assert told in str(error.value)


def test_nor_with_other_chips_to_validate_on(done: Path) -> None:
    with pytest.raises(TrainingError, match=r"made from other chips \(val set 1, contents: "):
        run(done, [Source(chips=CHIPS)], [Source(chips=ArrayChips(seed=8, count=1, side=40))])


def test_it_goes_on_with_the_same(done: Path) -> None:
    assert run(done, [Source(chips=replace(CHIPS))]).history[-1]["step"] == 1


def test_a_checkpoint_that_does_not_know_its_chips_is_refused(tmp_path: Path) -> None:
    run(tmp_path, [Source(chips=CHIPS)])
    plain = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    del plain["data"]
    torch.save(plain, tmp_path / CHECKPOINT)
    with pytest.raises(TrainingError, match="an older version wrote it → start anew"):
        run(tmp_path, [Source(chips=CHIPS)])


def test_a_description_is_short_and_plain() -> None:
    (found,) = described([Source(chips=replace(CHIPS, legend=ROOF_PAVED))])
    contents = found.pop("contents")
    assert found == {"chips": 20, "gsd_m": 0.2, "bands": "red, green, blue", "legend": "roof_paved", "weight": 1.0}
    assert len(contents) == 16


@dataclass(frozen=True, kw_only=True)
class ClosedChips(ArrayChips):
    """Chips that may not be read."""

    def read(self, index: int, /) -> Any:
        raise AssertionError


def test_chips_with_a_digest_of_their_own_are_not_read() -> None:
    assert described([Source(chips=ClosedChips(), digest="a")]) != described([Source(chips=ClosedChips(), digest="b")])
