"""Whole or not at all, and never over an existing result unless told to (DESIGN law 5)."""

from __future__ import annotations

from pathlib import Path

import pytest

from sealmap.core.errors import OutputError
from sealmap.files.atomic import refuse_existing, staged, staged_folder, write_text


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def half(scratch: Path) -> None:
    """Begin a result, with the journal of a driver beside it, and fail."""
    scratch.write_text("half")
    scratch.with_name(scratch.name + "-journal").write_text("half")
    scratch.with_name(scratch.name + ".aux.xml").write_text("half")
    raise KeyError("stop")


@pytest.mark.parametrize("name", ["map.tif", "map", "map [1].tif", "a*?.tif", "straße 3.gpkg"])
def test_an_error_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeyError), staged(tmp_path / name, overwrite=False) as scratch:
        half(scratch)
    assert names(tmp_path) == []


def test_an_error_in_a_folder_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), staged_folder(tmp_path / "chips", overwrite=False) as scratch:
        half(scratch / "one.tif")
    assert names(tmp_path) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(scratch: Path) -> None:
        scratch.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), staged(tmp_path / "a.tif", overwrite=False) as scratch:
        interrupted(scratch)
    assert names(tmp_path) == []


def test_the_result_takes_its_name_at_the_end(tmp_path: Path) -> None:
    final = tmp_path / "new" / "deep" / "map.tif"
    with staged(final, overwrite=False) as scratch:
        assert scratch.suffix == ".tif"
        assert scratch.parent == final.parent
        scratch.write_text("whole")
        assert not final.exists()
    assert names(final.parent) == ["map.tif"]
    assert final.read_text() == "whole"


def test_a_folder_takes_its_name_at_the_end(tmp_path: Path) -> None:
    final = tmp_path / "new" / "chips"
    with staged_folder(final, overwrite=False) as scratch:
        (scratch / "one.tif").write_text("whole")
        assert not final.exists()
    assert names(final.parent) == ["chips"]
    assert names(final) == ["one.tif"]


def test_an_existing_result_is_refused_before_any_work(tmp_path: Path) -> None:
    final = tmp_path / "map.tif"
    final.write_text("old")
    for manager in (staged, staged_folder):
        with pytest.raises(OutputError, match="exists already") as caught, manager(final, overwrite=False):
            pytest.fail("the block was entered")
        assert "--overwrite" in caught.value.remedy
    with pytest.raises(OutputError, match="exists already"):
        refuse_existing(tmp_path / "other", final, overwrite=False)
    refuse_existing(final, overwrite=True)
    assert final.read_text() == "old"


def test_overwrite_keeps_the_old_file_until_the_end(tmp_path: Path) -> None:
    final = tmp_path / "map.tif"
    final.write_text("old")
    with pytest.raises(KeyError), staged(final, overwrite=True) as scratch:
        half(scratch)
    assert final.read_text() == "old"
    with staged(final, overwrite=True) as scratch:
        scratch.write_text("new")
        assert final.read_text() == "old"
    assert (final.read_text(), names(tmp_path)) == ("new", ["map.tif"])


def test_overwrite_keeps_the_old_folder_until_the_end(tmp_path: Path) -> None:
    final = tmp_path / "chips"
    final.mkdir()
    (final / "old").write_text("old")
    with pytest.raises(KeyError), staged_folder(final, overwrite=True) as scratch:
        half(scratch / "new")
    assert names(final) == ["old"]
    with staged_folder(final, overwrite=True) as scratch:
        (scratch / "new").write_text("new")
        assert names(final) == ["old"]
    assert (names(final), names(tmp_path)) == (["new"], ["chips"])


def test_a_failing_rename_brings_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final = tmp_path / "chips"
    final.mkdir()
    (final / "old").write_text("old")
    rename = Path.replace

    def fail_for_part(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    with pytest.raises(OutputError, match="No space left"), staged_folder(final, overwrite=True):
        monkeypatch.setattr(Path, "replace", fail_for_part)
    assert (names(final), names(tmp_path)) == (["old"], ["chips"])


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="was not written"), staged(tmp_path / "a.tif", overwrite=False):
        pass


def test_an_impossible_place_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    final = tmp_path / "file" / "map.tif"
    for manager in (staged, staged_folder):
        with pytest.raises(OutputError, match="cannot be written"), manager(final, overwrite=False):
            pytest.fail("the block was entered")
    with pytest.raises(OutputError, match="not a folder"), staged_folder(tmp_path / "file", overwrite=True):
        pytest.fail("the block was entered")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(tmp_path / "folder", "text", overwrite=True)
    assert names(tmp_path) == ["file", "folder"]


def test_text_is_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "report.html", "m² für Straße", overwrite=False)
    assert (tmp_path / "report.html").read_bytes() == "m² für Straße".encode()
