"""The training loop, top to bottom: batches → loss → step → averaged weights → validation → checkpoint."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from sealmap.core.errors import TrainingError
from sealmap.core.legend import Legend
from sealmap.files.atomic import staged
from sealmap.model.losses import combined
from sealmap.model.network import build_network, load_encoder_weights
from sealmap.training.batches import Source, batches
from sealmap.training.recipes import Recipe
from sealmap.training.validate import validate

CHECKPOINT = "checkpoint.pt"
COLUMNS = ("step", "loss", "val_loss", "iou_sealed", "lr", "seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a run stands; given to ``report`` after every step."""

    step: int
    steps: int
    iou_sealed: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """The best averaged network, its validation IoU, its history (rows of COLUMNS) and origin of its encoder."""

    network: nn.Module
    iou_sealed: float
    history: list[dict[str, float]]
    encoder_source: str
    seconds: float


@dataclass(kw_only=True, slots=True)
class _State:
    """What a checkpoint holds."""

    net: nn.Module
    ema: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    best: float = -1.0
    stale: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]]
    best_weights: dict[str, Tensor]
    encoder_source: str

    def save(self, path: Path, recipe: Recipe) -> None:
        plain: dict[str, Any] = {
            "recipe": asdict(recipe) | {"mean": list(recipe.mean), "std": list(recipe.std)},
            "net": self.net.state_dict(),
            "ema": self.ema.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "best_weights": self.best_weights,
            "rng": torch.get_rng_state(),
            **{k: getattr(self, k) for k in ("step", "best", "stale", "seconds", "history", "encoder_source")},
        }
        with staged(path, overwrite=True) as scratch:
            torch.save(plain, scratch)

    def load(self, path: Path, recipe: Recipe) -> None:
        if not path.exists():
            raise TrainingError(f"{path} does not exist", remedy="leave --resume out")
        plain = torch.load(path, map_location="cpu", weights_only=True)
        old = plain["recipe"]
        new = asdict(recipe) | {"mean": list(recipe.mean), "std": list(recipe.std)}
        changed = [k for k in new if old.get(k) != new[k] and k != "workers"]
        if changed:
            told = ", ".join(f"{k}: {old.get(k)} → {new[k]}" for k in changed)
            raise TrainingError(
                f"the checkpoint was made with another recipe ({told})",
                remedy="resume with the same, or start anew",
            )
        self.net.load_state_dict(plain["net"])
        self.ema.load_state_dict(plain["ema"])
        self.optimiser.load_state_dict(plain["optimiser"])
        self.best_weights = plain["best_weights"]
        torch.set_rng_state(plain["rng"])
        for key in ("step", "best", "stale", "seconds", "history", "encoder_source"):
            setattr(self, key, plain[key])


def train(
    recipe: Recipe,
    sources: Sequence[Source],
    held_out: Sequence[Source],
    folder: Path,
    *,
    resume: bool = False,
    report: Callable[[Progress], None] = lambda _: None,
) -> Trained:
    """Train a network on ``sources``; keep the averaged weights that are best on ``held_out``.

    folder receives ``checkpoint.pt``, ``metrics.csv`` and TensorBoard logs. Raises TrainingError on a loss that is
    not finite (with the batch written to ``nan_batch.npz``) and on an interrupt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gsd_m = recipe.gsd_m or sources[0].chips.gsd_m
    state = _start(recipe, sources[0].chips.legend, len(sources[0].chips.bands), device)
    if resume:
        state.load(folder / CHECKPOINT, recipe)
    mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (recipe.mean, recipe.std))
    losses: list[float] = []
    started = time.perf_counter() - state.seconds
    with SummaryWriter(str(folder / "tensorboard"), purge_step=state.step) as log:
        try:
            for images, labels in batches(sources, recipe, gsd_m, state.step):
                x = ((images.to(device) - mean) / std).contiguous(memory_format=torch.channels_last)
                losses.append(_step(state, recipe, x, labels.to(device)))
                _refuse_nan(losses[-1], state.step, recipe, (images, labels), folder)
                log.add_scalar("loss", losses[-1], state.step)
                if state.step % recipe.validate_every == 0 or state.step == recipe.steps:
                    _validate(state, recipe, held_out, gsd_m, sum(losses) / len(losses))
                    losses.clear()
                    state.history[-1]["seconds"] = state.seconds = time.perf_counter() - started
                    log.add_scalar("iou_sealed", state.history[-1]["iou_sealed"], state.step)
                    state.save(folder / CHECKPOINT, recipe)
                    _write_history(folder / "metrics.csv", state.history)
                report(Progress(step=state.step, steps=recipe.steps, iou_sealed=state.best))
                if recipe.patience and state.stale >= recipe.patience:
                    break
        except KeyboardInterrupt:
            raise TrainingError(
                f"interrupted at step {state.step}", remedy="go on from the last checkpoint with --resume"
            ) from None
    state.ema.load_state_dict(state.best_weights)
    return Trained(
        network=state.ema,
        iou_sealed=state.best,
        history=state.history,
        encoder_source=state.encoder_source,
        seconds=time.perf_counter() - started,
    )


def _refuse_nan(loss: float, step: int, recipe: Recipe, batch: tuple[Tensor, Tensor], folder: Path) -> None:
    """Stop on a loss that is not finite, and leave the batch to look at."""
    if math.isfinite(loss):
        return
    np.savez(folder / "nan_batch.npz", images=batch[0].numpy(), labels=batch[1].numpy())
    raise TrainingError(
        f"the loss is {loss} at step {step}",
        remedy=f"look at {folder / 'nan_batch.npz'}; lower it with --set lr={recipe.lr / 3:g}",
    )


def _start(recipe: Recipe, legend: Legend, bands: int, device: torch.device) -> _State:
    if not len(recipe.mean) == len(recipe.std) == bands:
        raise TrainingError(f"the recipe has {len(recipe.mean)} means, the chips {bands} bands", remedy="--set mean=…")
    torch.manual_seed(recipe.seed)
    kind = recipe.architecture, recipe.encoder
    net = build_network(*kind, bands=bands, classes=len(legend))
    source = load_encoder_weights(net, recipe.encoder, recipe.encoder_weights, bands=bands)
    ema = build_network(*kind, bands=bands, classes=len(legend))
    ema.load_state_dict(net.state_dict())
    net, ema = (n.to(device, memory_format=torch.channels_last) for n in (net, ema))  # type: ignore[call-overload]
    encoder = list(net.get_submodule("encoder").parameters())
    taken = {id(p) for p in encoder}
    rest = [p for p in net.parameters() if id(p) not in taken]
    optimiser = torch.optim.AdamW(
        [{"params": rest, "share": 1.0}, {"params": encoder, "share": recipe.encoder_lr}],
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
    )
    return _State(
        net=net, ema=ema.eval(), optimiser=optimiser, history=[], best_weights={}, encoder_source=source
    )  # fmt: skip


def _step(state: _State, recipe: Recipe, x: Tensor, labels: Tensor) -> float:
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, state.step) * group["share"]
    state.net.train()
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=recipe.precision == "bf16"):
        logits = state.net(x)
    loss = combined(logits, labels, dice=recipe.dice, smoothing=recipe.smoothing)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip)
    state.optimiser.step()
    state.step += 1
    _average(state.ema, state.net, min(recipe.ema, (1 + state.step) / (10 + state.step)))
    return float(loss.detach())


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then a cosine down to 1 % (Loshchilov & Hutter 2017)."""
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    share = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


@torch.no_grad()
def _average(ema: nn.Module, net: nn.Module, decay: float) -> None:
    """Running average of weights and of batch-norm statistics; counters are copied."""
    for kept, new in zip(ema.state_dict().values(), net.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


def _validate(state: _State, recipe: Recipe, held_out: Sequence[Source], gsd_m: float, loss: float) -> None:
    val_loss, iou = validate(state.ema, held_out, recipe, gsd_m)
    row = dict.fromkeys(COLUMNS, 0.0) | {
        "step": state.step, "loss": loss, "val_loss": val_loss, "iou_sealed": iou,
        "lr": learning_rate(recipe, state.step - 1),
    }  # fmt: skip
    state.history.append(row)
    state.stale += 1
    if iou > state.best or not state.best_weights:
        state.best, state.stale = iou, 0
        state.best_weights = {k: v.detach().clone() for k, v in state.ema.state_dict().items()}


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    with staged(path, overwrite=True) as scratch, scratch.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(history)
