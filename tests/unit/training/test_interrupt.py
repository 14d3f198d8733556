"""Ctrl-C as a wish."""

from __future__ import annotations

import signal
import threading

import pytest

from sealmap.training.interrupt import Interrupt


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
