"""Hashes of files, for the record of a run."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sealmap.core.record import InputFile


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def input_file(path: Path) -> InputFile:
    """Name, size and hash of an input. The folder is left out: records travel, paths are private."""
    return InputFile(name=path.name, bytes=path.stat().st_size, sha256=sha256_of(path))
