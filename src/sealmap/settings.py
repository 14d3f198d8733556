"""The job file of ``sealmap run``: TOML, every key known, an unknown one is an error with the nearest name.

    [input]
    orthophotos = ["sheets"]                  # files or folders
    parcels = "cadastre.gpkg:Flurstueck"      # optional: FILE or FILE:LAYER
    parcel_id = "flstkennz"                   # optional: found by itself where the name is usual

    [model]
    bundle = "model.sealmap"                  # optional: the shipped model
    device = "auto"                           # auto, cpu or cuda
    match = false                             # true: give the flight the brightness of the training data first

    [outline]                                 # of the polygons; square metres are counted on pixels
    open_m = 0.4
    close_m = 0.4
    min_area_m2 = 4.0
    min_hole_m2 = 4.0
    simplify_m = 0.3

    [output]
    folder = "result"
    language = "de"                           # of layers and report: de or en
    title = "Musterstadt 2025"

Paths are relative to the job file.
"""

from __future__ import annotations

import difflib
import tomllib
import types
import typing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from sealmap.core.errors import SettingsError

Language = Literal["de", "en"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """[input] of a job."""

    orthophotos: tuple[str, ...] = ()
    parcels: str = ""
    parcel_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """[model] of a job. An empty bundle means the shipped one."""

    bundle: str = ""
    device: str = "auto"
    match: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """[outline] of a job: cleaning and simplification of the polygons, in metres and square metres."""

    open_m: float = 0.4
    close_m: float = 0.4
    min_area_m2: float = 4.0
    min_hole_m2: float = 4.0
    simplify_m: float = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """[output] of a job."""

    folder: str = ""
    language: Language = "de"
    title: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """All of a job file. ``base``: the folder that relative paths start from."""

    base: Path = Path()
    input: Input = field(default_factory=Input)
    model: Model = field(default_factory=Model)
    outline: Outline = field(default_factory=Outline)
    output: Output = field(default_factory=Output)

    def path(self, text: str) -> Path:
        """A path as the job file means it."""
        return self.base / Path(text).expanduser()


def load_job(path: Path) -> Job:
    """Read and check a job file; SettingsError names the key, the file and what is allowed."""
    try:
        plain = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"the job file {path} does not exist", remedy="check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
        raise SettingsError(f"{path} is no TOML file ({error})", remedy="see: sealmap run --help") from error
    job = Job(base=path.resolve().parent)
    sections = {f.name for f in fields(Job)} - {"base"}
    for name, values in plain.items():
        _known(name, sections, "the job file has no section", path)
        if not isinstance(values, dict):
            raise SettingsError(f"{path.name}: '{name}' must be a section: [{name}]")
        job = replace(job, **{name: _section(getattr(job, name), values, f"[{name}]", path)})
    if not job.input.orthophotos or not job.output.folder:
        lacking = "input.orthophotos" if not job.input.orthophotos else "output.folder"
        raise SettingsError(f"{path.name} lacks {lacking}", remedy="see: sealmap run --help")
    return job


def _section(default: Any, values: dict[str, Any], where: str, path: Path) -> Any:
    hints = typing.get_type_hints(type(default))
    checked = {}
    for key, value in values.items():
        _known(key, set(hints), f"{where} has no key", path)
        checked[key] = _typed(value, hints[key], f"{where} {key}", path)
    return replace(default, **checked)


def _typed(value: Any, wanted: Any, where: str, path: Path) -> Any:
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if wanted in (str, bool) and isinstance(value, wanted):
        return value
    if typing.get_origin(wanted) is Literal:
        if value in typing.get_args(wanted):
            return value
        raise SettingsError(f"{path.name}: {where} is {value!r}", remedy=f"use one of {typing.get_args(wanted)}")
    if typing.get_origin(wanted) is tuple:
        parts = [value] if isinstance(value, str) else value
        if isinstance(parts, list) and all(isinstance(p, str) for p in parts):
            return tuple(parts)
    name = wanted.__name__ if isinstance(wanted, type | types.GenericAlias) else str(wanted)
    raise SettingsError(f"{path.name}: {where} is {value!r}", remedy=f"give a {name}")


def _known(name: str, known: set[str], problem: str, path: Path) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known are: {', '.join(sorted(known))}"
    raise SettingsError(f"{path.name}: {problem} '{name}'", remedy=hint)
