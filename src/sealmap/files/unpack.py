"""Zip files, unpacked to scratch: GDAL can read inside them, but takes minutes for what takes seconds on disk."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from sealmap.core.errors import InputError


def unpack(path: Path, folder: Path) -> Path:
    """Unpack ``path`` into ``folder`` (made anew) and return it. Raises InputError for a broken or locked zip."""
    folder.mkdir(parents=True)
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if not n.startswith("__MACOSX/")]
            archive.extractall(folder, members=names)  # names that lead outside are taken inside
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path} is no whole zip file ({error})", remedy="fetch it again") from error
    except (RuntimeError, NotImplementedError) as error:  # a password, or a method that Python does not know
        raise InputError(f"{path} cannot be unpacked ({error})", remedy="unpack it and give the folder") from error
    return folder
