"""The job file: every key known, every error with a way out."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from sealmap import settings
from sealmap.core.errors import SettingsError
from sealmap.settings import Input, Job, Model, Outline, Output, load_job

LEAST = '[input]\northophotos = ["sheets"]\n[output]\nfolder = "result"\n'

FULL = """
[input]
orthophotos = ["sheets", "more/a.jp2"]
parcels = "cadastre.gpkg:Flurstueck"
parcel_id = "flstkennz"
[model]
bundle = "model.sealmap"
device = "cpu"
match = true
[outline]
open_m = 0.5
close_m = 1
min_area_m2 = 10.5
min_hole_m2 = 0
simplify_m = 0.25
[output]
folder = "result"
language = "en"
title = "Musterstadt 2025 – Größe"
"""


def job_of(tmp_path: Path, text: str) -> Job:
    path = tmp_path / "job.toml"
    path.write_text(text, encoding="utf-8")
    return load_job(path)


def test_a_full_job_is_read(tmp_path: Path) -> None:
    assert job_of(tmp_path, FULL) == Job(
        base=tmp_path,
        input=Input(orthophotos=("sheets", "more/a.jp2"), parcels="cadastre.gpkg:Flurstueck", parcel_id="flstkennz"),
        model=Model(bundle="model.sealmap", device="cpu", match=True),
        outline=Outline(open_m=0.5, close_m=1.0, min_area_m2=10.5, min_hole_m2=0.0, simplify_m=0.25),
        output=Output(folder="result", language="en", title="Musterstadt 2025 – Größe"),
    )


def test_the_full_job_names_every_key() -> None:
    parts: dict[str, Any] = {"input": Input, "model": Model, "outline": Outline, "output": Output}
    for name, cls in parts.items():
        section = FULL.split(f"[{name}]")[1].split("\n[", maxsplit=1)[0]
        assert set(re.findall(r"^(\w+) =", section, re.MULTILINE)) == {f.name for f in fields(cls)}
    assert set(parts) == {f.name for f in fields(Job)} - {"base"}


def test_the_job_in_the_documentation_is_one(tmp_path: Path) -> None:
    example = settings.__doc__ or ""
    lines = [line[4:] for line in example.splitlines() if line.startswith("    ")]
    job = job_of(tmp_path, "\n".join(lines))
    assert job.outline == Outline()
    assert job.output.title == "Musterstadt 2025"


def test_the_least_job_takes_the_defaults(tmp_path: Path) -> None:
    job = job_of(tmp_path, LEAST)
    assert (job.model, job.outline, job.output.language) == (Model(), Outline(), "de")
    one = job_of(tmp_path, LEAST.replace('["sheets"]', '"sheets"'))
    assert one.input.orthophotos == ("sheets",)


def test_paths_start_from_the_job_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "job.toml").write_text(LEAST)
    monkeypatch.chdir(tmp_path)
    job = load_job(Path("jobs/job.toml"))
    assert job.path("sheets") == tmp_path / "jobs" / "sheets"
    assert job.path("/data/sheets") == Path("/data/sheets")
    monkeypatch.setenv("HOME", "/home/anna")
    assert job.path("~/sheets") == Path("/home/anna/sheets")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("[modell]\nbundle = 'a'", "no section 'modell' → did you mean 'model'?"),
        ("[zzz]\na = 1", "no section 'zzz' → known are: input, model, outline, output"),
        ("[base]\na = 1", "no section 'base'"),
        ("[model]\nbundel = 'a'", "[model] has no key 'bundel' → did you mean 'bundle'?"),
        ("[outline]\nqqq = 1", "[outline] has no key 'qqq' → known are: close_m, min_area_m2"),
        ("[outline]\nopen_m = '0.4'", "[outline] open_m is '0.4' → give a float"),
        ("[outline]\nopen_m = true", "[outline] open_m is True → give a float"),
        ("[model]\nbundle = 3", "[model] bundle is 3 → give a str"),
        ("[model]\ndevice = ['cpu']", "[model] device is ['cpu'] → "),
        ("[model]\nmatch = 1", "[model] match is 1 → "),
    ],
)
def test_wrong_jobs_are_refused(tmp_path: Path, more: str, words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        job_of(tmp_path, LEAST + more)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = 3\n" + LEAST, "job.toml: 'model' must be a section: [model]"),
        (LEAST.replace('["sheets"]', "[1]"), "[input] orthophotos is [1] → give a "),
        (LEAST.replace('["sheets"]', "[]"), "job.toml lacks input.orthophotos → see: sealmap run --help"),
        (LEAST.replace('"result"', '""'), "job.toml lacks output.folder"),
        ("", "lacks input.orthophotos"),
        (LEAST + "language = 'fr'", "[output] language is 'fr' → use one of ('de', 'en')"),
        ("[input", "is no TOML file"),
        ("a photo, not a job", "is no TOML file"),
    ],
)
def test_what_is_no_job_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)) as error:
        job_of(tmp_path, text)
    assert "\n" not in str(error.value)


def test_files_that_are_no_job_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"job file .*none\.toml does not exist → check the path"):
        load_job(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="is no TOML file"):
        load_job(tmp_path)
    binary = tmp_path / "b.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="is no TOML file"):
        load_job(binary)
