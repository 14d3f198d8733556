"""Ctrl-C as a wish."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from sealmap.training.interrupt import Interrupt, leave_interrupts_to_parent

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupt() as interrupt:
        seen = [interrupt.asked]
        signal.raise_signal(number)
        seen.append(interrupt.asked)
        if number == signal.SIGTERM:
            signal.raise_signal(number)  # whoever stops a job may say it twice
    assert seen == [False, True]
    assert signal.getsignal(number) is before


def test_the_second_ctrl_c_raises() -> None:
    with Interrupt():
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(signal.SIGINT)
            assert not interrupt.asked
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_changes_nothing() -> None:
    before, seen = signal.getsignal(signal.SIGINT), list[object]()

    def inside() -> None:
        with Interrupt():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]


class Numbers(Dataset[torch.Tensor]):
    """0, 1, 2 …; the sixth never comes where it is ``stuck``."""

    def __init__(self, *, stuck: bool = False) -> None:
        self.stuck = stuck

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, number: int) -> torch.Tensor:
        while self.stuck and number == 5:
            time.sleep(0.01)
        return torch.tensor(number)


def loader(*, stuck: bool = False) -> DataLoader[torch.Tensor]:
    return DataLoader(
        Numbers(stuck=stuck), num_workers=1, persistent_workers=True, worker_init_fn=leave_interrupts_to_parent
    )


def ended(pid: int, seconds: float) -> bool:
    """Whether a process has ended, waiting for it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        state = Path(f"/proc/{pid}/stat")
        try:
            if state.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


linux = pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="nobody says who sent a signal")


@pytest.fixture
def worker() -> Iterator[tuple[Iterator[torch.Tensor], int]]:
    """What a loader gives, and its process."""
    given = iter(loader())
    next(given)
    (process,) = multiprocessing.active_children()
    yield given, process.pid or 0
    del given


@linux
@pytest.mark.parametrize("number", ["INT", "TERM"])
def test_a_worker_leaves_signals_of_others_to_its_parent(
    number: str, worker: tuple[Iterator[torch.Tensor], int]
) -> None:
    given, pid = worker
    subprocess.run(["kill", f"-{number}", str(pid)], check=True)
    subprocess.run(["kill", f"-{number}", str(pid)], check=True)
    assert not ended(pid, 0.5)
    assert [int(x) for _, x in zip(range(20), given, strict=False)] == list(range(1, 21))


@linux
def test_a_worker_obeys_its_parent(worker: tuple[Iterator[torch.Tensor], int]) -> None:
    os.kill(worker[1], signal.SIGTERM)
    assert ended(worker[1], 5)


@linux
def test_a_worker_ends_with_its_loader_and_at_once() -> None:
    given = iter(loader())
    next(given)
    (process,) = multiprocessing.active_children()
    started = time.monotonic()
    del given
    assert not process.is_alive()
    assert process.exitcode == 0
    assert time.monotonic() - started < 4


@linux
def test_a_worker_that_hangs_is_ended_by_the_loader() -> None:
    given = iter(loader(stuck=True))
    next(given)
    (process,) = multiprocessing.active_children()
    time.sleep(0.3)
    subprocess.run(["kill", "-TERM", str(process.pid)], check=True)
    del given  # joins for five seconds, then terminates
    assert not process.is_alive()


ORPHANED = """
import multiprocessing, os, signal, sys
from tests.unit.training.test_interrupt import loader
given = iter(loader(stuck=sys.argv[1] == "stuck"))
next(given)
print(multiprocessing.active_children()[0].pid, flush=True)
signal.pause()
"""


@linux
@pytest.mark.parametrize("how", ["waiting", "stuck"])
def test_an_orphan_ends(how: str) -> None:
    command = [sys.executable, "-c", ORPHANED, how]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
    if how == "stuck":  # by itself it would go on for ever
        os.kill(pid, signal.SIGTERM)
    assert ended(pid, 20)
