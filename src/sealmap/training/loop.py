"""The training loop, top to bottom: batches → loss → step → averaged weights → validation → checkpoint."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from sealmap.core.errors import TrainingError
from sealmap.files.atomic import staged
from sealmap.model.losses import combined
from sealmap.model.network import build_network, load_encoder_weights
from sealmap.training.batches import Chips, Source, batches
from sealmap.training.checkpoint import State, described
from sealmap.training.interrupt import Interrupt
from sealmap.training.precision import DTYPES, chosen_for, keep_depthwise_float32
from sealmap.training.recipes import Recipe
from sealmap.training.validate import validate

CHECKPOINT = "checkpoint.pt"
COLUMNS = ("step", "loss", "val_loss", "iou_sealed", "lr", "seconds")

_MOST_SKIPPED = 20
"""Steps in a row that fp16 may skip: the scale starts at 2¹⁶ and is halved by each, so that it is far below 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a run stands; given to ``report`` after every step. loss: of this step."""

    step: int
    steps: int
    iou_sealed: float
    loss: float = math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """The best averaged network, its validation IoU, its history (rows of COLUMNS) and origin of its encoder.

    precision: the network was trained in, 'auto' resolved.
    """

    network: nn.Module
    iou_sealed: float
    history: list[dict[str, float]]
    encoder_source: str
    seconds: float
    precision: str


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

    folder receives ``checkpoint.pt``, ``metrics.csv`` and TensorBoard logs. Checkpoints are written whole, at every
    validation, every ``checkpoint_minutes``, and at Ctrl-C or SIGTERM. With ``resume`` a run goes on from the last
    one (from the start where there is none yet) and ends with the same weights, bit for bit on one kind of CPU.

    Raises TrainingError at an interrupt, where a checkpoint is of another recipe or other data, and on a loss or
    gradient that is not finite, with the batch written to ``nan_batch.npz``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _tidy(folder, resume=resume)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if recipe.precision == "auto":  # from here on, and in the checkpoint, what this machine has made of it
        recipe = replace(recipe, precision=chosen_for(device))
    gsd_m = recipe.gsd_m or sources[0].chips.gsd_m
    state = _start(recipe, sources, held_out, device)
    if resume and (folder / CHECKPOINT).exists():
        state.load(folder / CHECKPOINT)
    mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (recipe.mean, recipe.std))
    first_step = recipe.steps if state.finished else state.step
    started, saved = time.perf_counter() - state.seconds, state.seconds
    with SummaryWriter(str(folder / "tensorboard"), purge_step=state.step) as log, Interrupt() as interrupt:
        for images, labels in batches(sources, recipe, gsd_m, first_step):
            x = ((images.to(device) - mean) / std).contiguous(memory_format=torch.channels_last)
            loss, norm = _step(state, recipe, x, labels.to(device))
            _refuse_nan(state, loss, norm, (images, labels), folder)
            state.losses.append(loss)
            state.seconds = time.perf_counter() - started
            log.add_scalar("loss", loss, state.step)
            validated = state.step % recipe.validate_every == 0 or state.step == recipe.steps
            if validated:
                _validate(state, recipe, held_out, gsd_m)
                state.history[-1]["seconds"] = state.seconds = time.perf_counter() - started
                log.add_scalar("iou_sealed", state.history[-1]["iou_sealed"], state.step)
                _write_history(folder / "metrics.csv", state.history)
            stop = interrupt.asked
            if validated or stop or state.seconds - saved >= 60 * recipe.checkpoint_minutes:
                state.save(folder / CHECKPOINT)
                saved = state.seconds
            report(Progress(step=state.step, steps=recipe.steps, iou_sealed=state.best, loss=loss))
            if state.finished:
                break
            if stop:
                raise TrainingError(f"interrupted; step {state.step} is saved", remedy="go on with --resume")
    state.ema.load_state_dict(state.best_weights)
    return Trained(
        network=state.ema, iou_sealed=state.best, history=state.history, encoder_source=state.encoder_source,
        seconds=state.seconds, precision=recipe.precision,
    )  # fmt: skip


def _tidy(folder: Path, *, resume: bool) -> None:
    """Remove what a killed run left half-written, and the checkpoint of another run where a new one begins."""
    name = Path(CHECKPOINT)
    for left in folder.glob(f".{name.stem}.*{name.suffix}"):
        left.unlink()
    if not resume:
        (folder / name).unlink(missing_ok=True)


def check_recipe(recipe: Recipe, chips: Chips) -> None:
    """TrainingError where the recipe's means, deviations or class weights are not as many as the chips ask for."""
    bands, legend = len(chips.bands), chips.legend
    if not len(recipe.mean) == len(recipe.std) == bands:
        raise TrainingError(
            f"the recipe has {len(recipe.mean)} means and {len(recipe.std)} deviations, the chips {bands} bands",
            remedy="--set mean=… --set std=…",
        )
    if recipe.class_weights and len(recipe.class_weights) != len(legend):
        raise TrainingError(
            f"the recipe has {len(recipe.class_weights)} class weights, the legend {len(legend)} classes",
            remedy=f"--set class_weights=… for {', '.join(c.key for c in legend.classes)}",
        )


def _start(recipe: Recipe, sources: Sequence[Source], held_out: Sequence[Source], device: torch.device) -> State:
    check_recipe(recipe, sources[0].chips)
    bands, classes = len(sources[0].chips.bands), len(sources[0].chips.legend)
    torch.manual_seed(recipe.seed)
    kind = recipe.architecture, recipe.encoder
    net = build_network(*kind, bands=bands, classes=classes)
    source = load_encoder_weights(net, recipe.encoder, recipe.encoder_weights, bands=bands)
    ema = build_network(*kind, bands=bands, classes=classes)
    ema.load_state_dict(net.state_dict())
    if device.type == "cpu" and recipe.precision == "bf16":
        keep_depthwise_float32(net)
    net, ema = (n.to(device, memory_format=torch.channels_last) for n in (net, ema))  # type: ignore[call-overload]
    encoder = list(net.get_submodule("encoder").parameters())
    taken = {id(p) for p in encoder}
    rest = [p for p in net.parameters() if id(p) not in taken]
    optimiser = torch.optim.AdamW(
        [{"params": rest, "share": 1.0}, {"params": encoder, "share": recipe.encoder_lr}],
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
    )
    # Gradients of fp16 are scaled up before they vanish; for the other precisions the scaler does nothing.
    scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "fp16")
    return State(
        recipe=recipe, data={"train": described(sources), "val": described(held_out)},
        net=net, ema=ema.eval(), optimiser=optimiser, scaler=scaler, encoder_source=source,
    )  # fmt: skip


def _step(state: State, recipe: Recipe, x: Tensor, labels: Tensor) -> tuple[float, float]:
    """One step; returns its loss and the norm of its gradient."""
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, state.step) * group["share"]
    state.net.train()
    with torch.autocast(x.device.type, dtype=DTYPES.get(recipe.precision), enabled=recipe.precision != "fp32"):
        logits = state.net(x)
    loss = combined(logits, labels, recipe.mix)
    state.optimiser.zero_grad(set_to_none=True)
    state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    state.scaler.unscale_(state.optimiser)
    norm = nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip)
    state.scaler.step(state.optimiser)
    state.scaler.update()
    state.step += 1
    _average(state.ema, state.net, min(recipe.ema, (1 + state.step) / (10 + state.step)))
    return float(loss.detach()), float(norm)


def _refuse_nan(state: State, loss: float, norm: float, batch: tuple[Tensor, Tensor], folder: Path) -> None:
    """Stop on a loss or a gradient that is not finite, and leave the batch to look at.

    The scaler skips a step whose fp16 gradient is not finite and halves its scale; only where that does not help,
    _MOST_SKIPPED times in a row, the run stops.
    """
    found, bad = ("loss", loss) if not math.isfinite(loss) else ("gradient", norm)
    if math.isfinite(bad):
        state.skipped = 0
        return
    often = ""
    if found == "gradient" and state.recipe.precision == "fp16":
        state.skipped += 1
        if state.skipped < _MOST_SKIPPED:
            return
        often = f", as at the {state.skipped - 1} steps before, and fp16 skips such steps"
    np.savez(folder / "nan_batch.npz", images=batch[0].numpy(), labels=batch[1].numpy())
    raise TrainingError(
        f"the {found} is {bad} at step {state.step}{often}",
        remedy=f"look at {folder / 'nan_batch.npz'}; lower it with --set lr={state.recipe.lr / 3:g}",
    )


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


def _validate(state: State, recipe: Recipe, held_out: Sequence[Source], gsd_m: float) -> None:
    val_loss, iou = validate(state.ema, held_out, recipe, gsd_m)
    row = dict.fromkeys(COLUMNS, 0.0) | {
        "step": state.step, "loss": sum(state.losses) / len(state.losses), "val_loss": val_loss, "iou_sealed": iou,
        "lr": learning_rate(recipe, state.step - 1),
    }  # fmt: skip
    state.losses.clear()
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
