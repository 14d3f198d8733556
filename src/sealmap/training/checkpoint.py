"""Where a run stands, and its checkpoint: written whole, read again only for the same recipe and the same data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sealmap.core.errors import TrainingError
from sealmap.files.atomic import staged
from sealmap.training.batches import Source
from sealmap.training.recipes import Recipe

_PLAIN = ("step", "best", "stale", "skipped", "seconds", "history", "losses", "encoder_source")
"""Fields of the state that a checkpoint holds as they are."""

_FREE = {"workers", "checkpoint_minutes"}
"""What may differ when a run goes on: nothing learned depends on it."""

_LOOKED_AT = 8
"""Chips of a source that are read to know it again, where it says no digest of its own."""


@dataclass(kw_only=True, slots=True)
class State:
    """What a checkpoint holds. data: ``described`` sources, by 'train' and 'val'.

    losses: of the steps since the last validation. stale: validations without gain. skipped: steps in a row whose
    fp16 gradient was not finite.
    """

    recipe: Recipe
    data: dict[str, list[dict[str, Any]]]
    net: nn.Module
    ema: nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    encoder_source: str
    step: int = 0
    best: float = -1.0
    stale: int = 0
    skipped: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        plain: dict[str, Any] = {
            "recipe": _as_plain(self.recipe),
            "data": self.data,
            "net": self.net.state_dict(),
            "ema": self.ema.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "best_weights": self.best_weights,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all(),
            **{key: getattr(self, key) for key in _PLAIN},
        }
        with staged(path, overwrite=True) as scratch:
            torch.save(plain, scratch)

    def load(self, path: Path) -> None:
        """Stand where a checkpoint was written; TrainingError where that was with another recipe or other data."""
        plain = torch.load(path, map_location="cpu", weights_only=True)
        _refuse_other(plain, self.recipe, self.data)
        self.net.load_state_dict(plain["net"])
        self.ema.load_state_dict(plain["ema"])
        self.optimiser.load_state_dict(plain["optimiser"])
        self.scaler.load_state_dict(plain["scaler"])
        self.best_weights = plain["best_weights"]
        for key in _PLAIN:
            setattr(self, key, plain[key])
        torch.set_rng_state(plain["rng"])
        if len(plain["cuda_rng"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(plain["cuda_rng"])

    @property
    def finished(self) -> bool:
        """Whether there is no step left to do."""
        return self.step >= self.recipe.steps or 0 < self.recipe.patience <= self.stale


def described(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """What is known of each source, to compare it by; plain values, as a checkpoint holds them."""
    return [
        {
            "chips": len(s.chips),
            "gsd_m": float(s.chips.gsd_m),
            "bands": ", ".join(s.chips.bands),
            "legend": s.chips.legend.name,
            "weight": float(s.weight),
            "contents": _contents(s),
        }
        for s in sources
    ]


def _contents(source: Source) -> str:
    """Digest of what is drawn, how often, and what it shows. Some chips are read where the source has no digest."""
    chips = source.chips
    total = hashlib.sha256(
        repr((source.digest, chips.legend.to_json(), chips.pixel_scale, source.odds, source.sheets)).encode()
    )
    few = () if source.digest else np.unique(np.linspace(0, len(chips) - 1, _LOOKED_AT).round().astype(int))
    for i in few:
        for array in chips.read(int(i)):
            total.update(repr((array.dtype.str, array.shape)).encode() + np.ascontiguousarray(array).tobytes())
    return total.hexdigest()[:16]


def _refuse_other(plain: dict[str, Any], recipe: Recipe, data: dict[str, list[dict[str, Any]]]) -> None:
    """Steps of two recipes, or on two data sets, are no run that could be repeated.

    Data first: a recipe can differ because they do, as in the normalisation of their bands.
    """
    if "data" not in plain:
        raise TrainingError(
            "the checkpoint does not say from which chips it was made: an older version wrote it",
            remedy="start anew, without --resume",
        )
    differences = _differences(plain["data"], data)
    if differences:
        raise TrainingError(
            f"the checkpoint was made from other chips ({', '.join(differences)})",
            remedy="resume with the chips that it was made from, or start anew",
        )
    old, new = plain["recipe"], _as_plain(recipe)
    changed = [k for k in new if old.get(k) != new[k] and k not in _FREE]
    if changed:
        told = ", ".join(f"{k}: {old.get(k)} → {new[k]}" for k in changed)
        raise TrainingError(
            f"the checkpoint was made with another recipe ({told})", remedy="resume with the same, or start anew"
        )


def _differences(old: dict[str, list[dict[str, Any]]], new: dict[str, list[dict[str, Any]]]) -> list[str]:
    told = []
    for part, sources in new.items():
        if len(old[part]) != len(sources):
            told.append(f"{part}: {len(old[part])} → {len(sources)} sets")
            continue
        for i, (was, now) in enumerate(zip(old[part], sources, strict=True), start=1):
            told += [f"{part} set {i}, {k}: {was.get(k)} → {now[k]}" for k in now if was.get(k) != now[k]]
    return told


def _as_plain(recipe: Recipe) -> dict[str, Any]:
    """A recipe as torch.load gives it back without running code: no tuples."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(recipe).items()}
