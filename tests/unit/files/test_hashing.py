"""Hashes for the record."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sealmap.files.hashing import input_file, sha256_of


def test_the_hash_is_of_the_bytes_and_the_folder_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "sheet.tif"
    path.write_bytes(b"abc" * 100_000)
    assert sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    found = input_file(path)
    assert (found.name, found.bytes, found.sha256) == ("sheet.tif", 300_000, sha256_of(path))


def test_a_folder_has_the_hash_of_what_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "nas"
    (folder / "parts").mkdir(parents=True)
    (folder / "a.xml").write_text("a")
    (folder / "parts" / "b.xml").write_text("bb")
    first = input_file(folder)
    assert (first.name, first.bytes) == ("nas", 3)
    (folder / "parts" / "b.xml").rename(folder / "b.xml")
    assert input_file(folder).sha256 != first.sha256
