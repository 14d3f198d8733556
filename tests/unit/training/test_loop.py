"""The loop: learns, stops when it must, and goes on as if it had not stopped."""

from __future__ import annotations

import csv
import math
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from tests.unit.training.arraychips import ArrayChips
from tests.unit.training.golden import one_thread

from sealmap.core.errors import TrainingError
from sealmap.core.legend import IGNORE
from sealmap.model.losses import combined
from sealmap.training import loop
from sealmap.training.batches import Source
from sealmap.training.checkpoint import State
from sealmap.training.curve import draw_curve
from sealmap.training.loop import CHECKPOINT, COLUMNS, Progress, Trained, learning_rate, train
from sealmap.training.recipes import Recipe, tiny, unet_lite0

RECIPE = tiny()
ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, kw_only=True)
class InterruptingChips(ArrayChips):
    """Ctrl-C while the first chip is read to learn from; before that, each was read once to know it again."""

    reads: list[int] = field(default_factory=list)

    def read(self, index: int, /) -> Any:
        self.reads.append(index)
        if len(self.reads) == self.count + 1:
            signal.raise_signal(signal.SIGINT)
        return super().read(index)


def run(folder: Path, recipe: Recipe = RECIPE, *, chips: ArrayChips | None = None, **more: Any) -> Trained:
    sources = [Source(chips=chips or ArrayChips())]
    return train(recipe, sources, [Source(chips=ArrayChips(seed=9, count=1))], folder, **more)


@pytest.fixture(scope="module", autouse=True)
def thread() -> Iterator[None]:
    """One: networks this small only wait for each other's threads."""
    with one_thread():
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained, list[Progress]]:
    """Six steps without interruption."""
    folder, told = tmp_path_factory.mktemp("whole"), list[Progress]()
    return folder, run(folder, report=told.append), told


def test_a_run_leaves_its_history(whole: tuple[Path, Trained, list[Progress]]) -> None:
    folder, trained, told = whole
    assert [p.step for p in told] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in trained.history] == [3, 6]
    with (folder / "metrics.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert [float(r["iou_sealed"]) for r in rows] == pytest.approx([r["iou_sealed"] for r in trained.history])
    assert trained.iou_sealed == max(r["iou_sealed"] for r in trained.history)
    assert trained.encoder_source == "none (random)"
    assert all(math.isfinite(v) for row in trained.history for v in row.values())
    assert list((folder / "tensorboard").iterdir())
    draw_curve(folder / "curve.png", trained.history)
    assert (folder / "curve.png").read_bytes()[:4] == b"\x89PNG"
    assert not list(folder.glob(".*"))


def alike(a: Trained, b: Trained) -> None:
    """The same bit for bit, but for the time it took."""
    for (name, one), other in zip(a.network.state_dict().items(), b.network.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    keys = set(COLUMNS) - {"seconds"}
    assert [{k: r[k] for k in keys} for r in a.history] == [{k: r[k] for k in keys} for r in b.history]
    assert a.iou_sealed == b.iou_sealed


def interrupting(step: int) -> Callable[[Progress], None]:
    """Ctrl-C after this step was reported."""

    def report(p: Progress) -> None:
        if p.step == step:
            signal.raise_signal(signal.SIGINT)

    return report


@pytest.mark.parametrize("steps", [(0,), (2,), (3,), (1, 3)])
def test_ctrl_c_saves_the_step_and_the_run_goes_on_bit_for_bit(
    steps: tuple[int, ...], tmp_path: Path, whole: tuple[Path, Trained, list[Progress]]
) -> None:
    for i, step in enumerate(steps):
        chips = None if step else InterruptingChips()
        with pytest.raises(TrainingError, match=rf"interrupted; step {step + 1} is saved → go on with --resume"):
            run(tmp_path, chips=chips, resume=i > 0, report=interrupting(step))
        assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == step + 1
    alike(run(tmp_path, resume=True), whole[1])
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


SIGNALLED = """
import sys, time
from pathlib import Path
import torch
from tests.unit.training import test_loop as t
torch.set_num_threads(1)
def report(p):
    if p.step == 2:
        print("step 2", flush=True)
        time.sleep(3)
try:
    t.run(Path(sys.argv[1]), t.replace(t.RECIPE, workers=2), report=report)
except t.TrainingError as error:
    print(error, flush=True)
print(len(t.multiprocessing.active_children()), "workers left", flush=True)
"""


def test_sigterm_to_all_processes_of_a_job_saves_the_step(
    tmp_path: Path, whole: tuple[Path, Trained, list[Progress]]
) -> None:
    command = [sys.executable, "-c", SIGNALLED, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "step 2\n"
        os.killpg(job.pid, signal.SIGTERM)  # as coreutils' timeout does
        told = job.stdout.read()
    assert told == "interrupted; step 3 is saved → go on with --resume\n0 workers left\n"
    assert job.returncode == 0
    alike(run(tmp_path, resume=True), whole[1])


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    def twice(_: Progress) -> None:
        for _again in range(2):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, report=twice)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_dropout_and_loader_processes_go_on_bit_for_bit(tmp_path: Path) -> None:
    recipe = replace(RECIPE, architecture="fpn", steps=4, loss="focal", lovasz=0.5, domain=0.5)
    with pytest.raises(TrainingError, match="step 3 is saved"):
        run(tmp_path / "stopped", recipe, report=interrupting(2))

    def ctrl_c_of_a_terminal(_: Progress) -> None:  # which reaches all processes of its group
        workers = multiprocessing.active_children()
        assert len(workers) == 1
        os.kill(workers[0].pid or 0, signal.SIGINT)

    again = run(tmp_path / "stopped", replace(recipe, workers=1), resume=True, report=ctrl_c_of_a_terminal)
    alike(again, run(tmp_path / "whole", recipe))


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from tests.unit.training import test_loop as t
how, folder = sys.argv[1], Path(sys.argv[2])
torch.set_num_threads(int(sys.argv[3]))
minutes = 0.0
def kill():
    os.kill(os.getpid(), signal.SIGKILL)
if how == "between":
    report = lambda p: p.step == 4 and kill()
elif how == "before the first checkpoint":
    minutes, report = 5.0, lambda p: p.step == 2 and kill()
elif how == "before the first step":
    report, t.loop.batches = None, lambda *_: kill()
else:
    report, real, calls = lambda p: None, torch.save, []
    def half(plain, path):
        calls.append(1)
        if len(calls) == 5:
            Path(path).write_bytes(b"half")
            kill()
        real(plain, path)
    torch.save = half
t.run(folder, t.replace(t.RECIPE, checkpoint_minutes=minutes), report=report)
"""


@pytest.mark.parametrize(
    ("how", "saved"),
    [("between", 4), ("while it saves", 4), ("before the first checkpoint", 0), ("before the first step", 0)],
)
def test_a_killed_run_goes_on_bit_for_bit(
    how: str, saved: int, tmp_path: Path, whole: tuple[Path, Trained, list[Progress]]
) -> None:
    command = [sys.executable, "-c", KILLED, how, str(tmp_path), str(torch.get_num_threads())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = list(tmp_path.glob(".checkpoint.*"))
    assert len(left) == (how == "while it saves")
    if saved:
        assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["step"] == saved
    else:
        assert not (tmp_path / CHECKPOINT).exists()
    alike(run(tmp_path, resume=True), whole[1])
    assert not list(tmp_path.glob(".checkpoint.*"))


def test_checkpoints_between_validations_come_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved, clock = list[int](), iter(range(0, 6000, 40))  # 40 s a step and more at validations
    monkeypatch.setattr("sealmap.training.loop.time.perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(State, "save", lambda state, _: saved.append(state.step))
    run(tmp_path, replace(RECIPE, patch=32, steps=9, validate_every=9, checkpoint_minutes=2.0))
    assert saved == [3, 6, 9]


def test_a_new_run_forgets_the_checkpoint_of_another(tmp_path: Path) -> None:
    run(tmp_path, replace(RECIPE, patch=32, steps=1))
    assert (tmp_path / CHECKPOINT).exists()

    def fail(_: Progress) -> None:
        raise OSError

    with pytest.raises(OSError, match=r"^$"):
        run(tmp_path, replace(RECIPE, patch=32, validate_every=9), report=fail)
    assert not (tmp_path / CHECKPOINT).exists()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_and_goes_on_bit_for_bit(tmp_path: Path, precision: Literal["bf16", "fp16"]) -> None:
    recipe = replace(RECIPE, patch=32, precision=precision, steps=3)
    whole = run(tmp_path / "whole", recipe)
    with pytest.raises(TrainingError, match="step 2 is saved"):
        run(tmp_path / "stopped", recipe, report=interrupting(1))
    scaler = torch.load(tmp_path / "stopped" / CHECKPOINT, weights_only=True)["scaler"]
    assert (scaler.get("scale", 0) > 0) == (precision == "fp16")
    alike(run(tmp_path / "stopped", recipe, resume=True), whole)
    assert all(v.dtype != torch.float16 for v in whole.network.state_dict().values())


def test_a_finished_run_resumes_to_itself(whole: tuple[Path, Trained, list[Progress]]) -> None:
    folder, trained, _ = whole
    told: list[Progress] = []
    again = run(folder, resume=True, report=told.append)
    assert not told
    states = (trained.network.state_dict(), again.network.state_dict())
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])


def test_resuming_needs_the_same_recipe(whole: tuple[Path, Trained, list[Progress]]) -> None:
    with pytest.raises(TrainingError, match=r"another recipe \(lr: 0.001 → 0.002\)"):
        run(whole[0], replace(RECIPE, lr=2e-3), resume=True)


def test_a_checkpoint_is_no_pickle_of_code(whole: tuple[Path, Trained, list[Progress]]) -> None:
    plain = torch.load(whole[0] / CHECKPOINT, weights_only=True)
    assert plain["step"] == 6


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = combined, list[int]()

    def sometimes(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        value = real(*args, **kwargs)
        return value * math.nan if len(calls) == 2 else value

    monkeypatch.setattr(loop, "combined", sometimes)
    with pytest.raises(TrainingError, match=r"the loss is nan at step 2 → look at .*nan_batch\.npz.*lr=") as error:
        run(tmp_path)
    assert "\n" not in str(error.value)
    batch = np.load(tmp_path / "nan_batch.npz")
    assert batch["images"].shape == (2, 3, 64, 64)
    assert batch["labels"].shape == (2, 64, 64)
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_gradient_that_is_no_number_stops_the_run_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "combined", steep)
    with pytest.raises(TrainingError, match=r"the gradient is nan at step 1 → look at .*nan_batch\.npz"):
        run(tmp_path)
    assert (tmp_path / "nan_batch.npz").exists()
    assert not (tmp_path / CHECKPOINT).exists()


def steep(logits: torch.Tensor, *more: Any) -> torch.Tensor:
    """A loss whose value is as ever, but whose slope is not finite."""
    return combined(logits, *more) + torch.sqrt(logits * 0).sum()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> int:
    """Fewer skipped steps are enough, so that a test is short."""
    assert loop._MOST_SKIPPED == 20
    monkeypatch.setattr(loop, "_MOST_SKIPPED", 4)
    return 4


FP16 = replace(RECIPE, patch=32, precision="fp16", steps=9, validate_every=9)


def test_fp16_gradients_that_are_never_finite_stop_the_run(
    patient: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "combined", steep)
    with pytest.raises(TrainingError, match="gradient is nan at step 4, as at the 3 steps before"):
        run(tmp_path / "whole", FP16)
    assert (tmp_path / "whole" / "nan_batch.npz").exists()
    with pytest.raises(TrainingError, match="step 2 is saved"):
        run(tmp_path / "stopped", FP16, report=interrupting(1))
    with pytest.raises(TrainingError, match="nan at step 4"):  # a run that goes on counts on
        run(tmp_path / "stopped", FP16, resume=True)


def test_fp16_steps_that_are_skipped_now_and_then_do_not_stop_a_run(
    patient: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = list[int]()

    def mostly_steep(logits: torch.Tensor, *more: Any) -> torch.Tensor:
        calls.append(1)
        # a small loss, since the scale has not been halved often
        return combined(logits, *more) / 2**16 if len(calls) % patient == 0 else steep(logits, *more)

    monkeypatch.setattr(loop, "combined", mostly_steep)
    assert run(tmp_path, FP16).history[-1]["step"] == 9


def test_class_weights_must_fit_the_legend(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"3 class weights, the legend 2 classes → --set class_weights=… for"):
        run(tmp_path, replace(RECIPE, class_weights=(1.0, 2.0, 3.0)))
    weighted = run(tmp_path / "w", replace(RECIPE, patch=32, steps=1, class_weights=(1.0, 9.0)))
    plain = run(tmp_path / "p", replace(RECIPE, patch=32, steps=1))
    assert weighted.history[0]["loss"] != plain.history[0]["loss"]


def test_a_batch_without_labels_does_not_stop_a_run(tmp_path: Path) -> None:
    trained = run(tmp_path, replace(RECIPE, steps=2, validate_every=2), chips=ArrayChips(only=IGNORE))
    assert trained.history[0]["loss"] == 0


def test_it_learns(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=16, validate_every=8, augment=0.0, lr=3e-3, zoom=1.0, ema=0.3)
    trained = run(tmp_path, recipe)
    assert trained.history[-1]["loss"] < 0.8 * trained.history[0]["loss"]
    assert trained.iou_sealed > 0.5


def test_patience_ends_a_run_early_and_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ious = iter([0.4, 0.5, 0.3, 0.45, 0.49])
    monkeypatch.setattr(loop, "validate", lambda *_: (1.0, next(ious)))
    recipe, told = replace(RECIPE, patch=32, steps=9, validate_every=1, patience=3), list[Progress]()
    trained = run(tmp_path, recipe)
    assert [row["step"] for row in trained.history] == [1, 2, 3, 4, 5]
    assert trained.iou_sealed == 0.5
    again = run(tmp_path, recipe, resume=True, report=told.append)
    assert not told
    alike(again, trained)


def test_the_best_weights_are_kept_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ious, seen = iter([0.9, 0.2]), []

    def fake(net: torch.nn.Module, *_: Any) -> tuple[float, float]:
        seen.append({k: v.clone() for k, v in net.state_dict().items()})
        return 1.0, next(ious)

    monkeypatch.setattr(loop, "validate", fake)
    trained = run(tmp_path, replace(RECIPE, patch=32))
    assert trained.iou_sealed == 0.9
    assert all(torch.equal(v, seen[0][k]) for k, v in trained.network.state_dict().items())
    assert not all(torch.equal(v, seen[1][k]) for k, v in trained.network.state_dict().items())


def test_bands_and_means_must_match(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"3 means and 3 deviations, the chips 4 bands → --set mean="):
        run(tmp_path, chips=ArrayChips(bands=("red", "green", "blue", "nir")))


def test_the_learning_rate_rises_then_falls_to_a_hundredth() -> None:
    recipe = replace(unet_lite0(), steps=200, warmup=20, lr=1e-3)
    rates = [learning_rate(recipe, step) for step in range(200)]
    assert rates[0] == pytest.approx(1e-3 / 20)
    np.testing.assert_allclose(np.diff(rates[:20]), 1e-3 / 20)
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) in (19, 20)
    assert all(b < a for a, b in pairwise(rates[20:]))
    assert learning_rate(recipe, 200) == pytest.approx(1e-5)
    assert learning_rate(recipe, 110) == pytest.approx(1e-3 * (0.01 + 0.99 / 2))
    assert learning_rate(replace(recipe, warmup=0), 0) == pytest.approx(1e-3)
