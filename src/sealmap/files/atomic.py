"""Results are written whole or not at all, and never over an existing one unless told to (DESIGN law 5)."""

from __future__ import annotations

import glob
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sealmap.core.errors import OutputError

_MASK = os.umask(0)
os.umask(_MASK)
_READABLE = 0o666 & ~_MASK
"""Rights of a new file, as any program would give it here."""


def refuse_existing(*finals: Path, overwrite: bool) -> None:
    """Raise OutputError when a result is already there. Called first, before any work is spent."""
    if overwrite:
        return
    for final in finals:
        if final.exists():
            raise OutputError(f"{final} exists already", remedy="choose another --out or add --overwrite")


@contextmanager
def staged(final: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a scratch path beside ``final``, which takes the final name only when the block ends well.

    The scratch name keeps the suffix, since GDAL drivers look at it. On an error the scratch file and what
    a driver left beside it (journals, .aux.xml) are removed.
    """
    refuse_existing(final, overwrite=overwrite)
    scratch = final.with_name(f".{final.stem}.{uuid.uuid4().hex[:8]}.part{final.suffix}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield scratch
        if not scratch.exists():
            raise OutputError(f"{final} was not written")
        scratch.chmod(_READABLE)  # safetensors and zip writers leave files that only their owner can read
        scratch.replace(final)
    except OSError as error:
        raise OutputError(f"{final} cannot be written: {error}", remedy="check space and rights") from error
    finally:
        for left in scratch.parent.glob(f"{glob.escape(scratch.name)}*"):
            left.unlink(missing_ok=True)


@contextmanager
def staged_folder(final: Path, *, overwrite: bool) -> Iterator[Path]:
    """As ``staged``, for a folder. With ``overwrite`` the old folder goes only at the end."""
    refuse_existing(final, overwrite=overwrite)
    if final.is_file():
        raise OutputError(f"{final} is a file, not a folder", remedy="choose another --out")
    scratch = final.with_name(f".{final.name}.{uuid.uuid4().hex[:8]}.part")
    old = scratch.with_suffix(".old")
    try:
        scratch.mkdir(parents=True)
        yield scratch
        if final.exists():
            final.replace(old)
        scratch.replace(final)
    except OSError as error:
        raise OutputError(f"{final} cannot be written: {error}", remedy="check space and rights") from error
    finally:
        if old.exists() and not final.exists():
            old.replace(final)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)


def write_text(final: Path, text: str, *, overwrite: bool) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with staged(final, overwrite=overwrite) as scratch:
        scratch.write_text(text, encoding="utf-8")
