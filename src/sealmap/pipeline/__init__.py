"""The chain: the only place that knows every stage. One file for each kind of work."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

Progress = Callable[[int, int], None]
"""Called with (done, of all)."""


def silent(_done: int, _all: int) -> None:
    """The progress of a caller who does not want to know."""


def shipped_bundle() -> Path:
    """The model that comes with sealmap."""
    with as_file(files("sealmap.model") / "shipped.sealmap") as path:
        return path
