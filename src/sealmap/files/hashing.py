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
    """Name, size and hash of an input. The folder it is in is left out: records travel, paths are private.

    A folder that is an input itself (shapefiles, parts of a NAS delivery) has the hash of its files' names and hashes.
    """
    if not path.is_dir():
        return InputFile(name=path.name, bytes=path.stat().st_size, sha256=sha256_of(path))
    files = sorted(p for p in path.rglob("*") if p.is_file())
    lines = "".join(f"{sha256_of(p)}  {p.relative_to(path).as_posix()}\n" for p in files)
    digest = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    return InputFile(name=path.name, bytes=sum(p.stat().st_size for p in files), sha256=digest)
