"""Fixtures and settings for all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"
NO_REAL_DATA = "REAL DATA MISSING"

# Workers of pytest-xdist share the cores; commands that tests start inherit this.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_THREADS = str(max(1, (os.cpu_count() or 1) // _WORKERS))
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, _THREADS)

# A shell's background job ignores Ctrl-C, and Interrupt lets ignored signals be: tests of Ctrl-C want the usual state.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real orthophotos and cadastre beside the project; skips, loudly, where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"{NO_REAL_DATA}: no folder {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A small invented town on disk: what ``write_town`` returns. Read only."""
    from sealmap.testing.town import TownSpec, write_town

    spec = TownSpec(seed=1, width_m=256, height_m=128, sheet_m=128, gsd_m=0.2)
    return write_town(tmp_path_factory.mktemp("town"), spec)


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: Any) -> Iterator[None]:
    """Say at the end how many tests did not see real data."""
    yield
    skipped = sum(NO_REAL_DATA in str(r.longrepr) for r in terminalreporter.stats.get("skipped", []))
    if skipped:
        terminalreporter.write_line(
            f"{NO_REAL_DATA}: {skipped} tests on real data were skipped, no folder {SHARED_DATA}",
            yellow=True,
            bold=True,
        )
