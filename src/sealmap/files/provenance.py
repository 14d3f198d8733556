"""Making the record of a run: which files, which versions, when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sealmap import __version__
from sealmap.core.record import RunRecord
from sealmap.files.hashing import input_file

_LIBRARIES = (
    "torch",
    "onnxruntime",
    "segmentation-models-pytorch",
    "rasterio",
    "shapely",
    "geopandas",
    "exactextract",
    "numpy",
)


def now() -> str:
    """The time as records have it: UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of sealmap and of the libraries that numbers depend on."""
    found = {"sealmap": __version__}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def make_record(
    verb: str, started: str, inputs: Iterable[Path], settings: Mapping[str, Any], **parts: Mapping[str, Any]
) -> RunRecord:
    """A record with hashed inputs. ``parts``: model, seconds, figures of ``RunRecord``."""
    return RunRecord(
        verb=verb,
        started=started,
        inputs=tuple(input_file(p) for p in inputs),
        versions=versions(),
        settings=dict(settings),
        **{name: dict(value) for name, value in parts.items()},
    )
