"""The house as designed, where import-linter cannot look: who opens, who prints, how big things are."""

from __future__ import annotations

import ast
import dataclasses
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "sealmap"
SOURCES = sorted(PACKAGE.rglob("*.py"))

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 6
MAX_LINES_OF = {"pipeline.py": 150, "training/loop.py": 300}

each_source = pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(PACKAGE).as_posix())


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def inside(path: Path, *places: str) -> bool:
    """Whether a source lies in one of these folders, or is one of these files, of the package."""
    name = path.relative_to(PACKAGE).as_posix()
    return any(name == place or name.startswith(f"{place}/") for place in places)


def calls(path: Path) -> Iterator[str]:
    """Dotted names of what is called."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield ast.unparse(node.func)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imports(path: Path) -> Iterator[str]:
    """Top-level names of absolute imports, those inside functions too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def requirements() -> list[str]:
    """All of pyproject.toml's, those of the extras too."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*found["dependencies"], *(r for group in found["optional-dependencies"].values() for r in group)]


def normal(requirement: str) -> str:
    """The distribution's name in a requirement, as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower()


# --- who may do what ---


@each_source
def test_rasters_are_opened_and_results_renamed_in_files_only(path: Path) -> None:
    if inside(path, "files", "testing"):  # the invented town writes sheets as others do: JP2, too
        return
    forbidden = {"rasterio.open", "rasterio.shutil.copy", "os.replace", "os.rename", "shutil.move"}
    assert not forbidden & set(calls(path))
    assert not {"to_file", "read_file", "read_dataframe"} & {name.rpartition(".")[2] for name in calls(path)}


@each_source
def test_only_cli_prints(path: Path) -> None:
    if inside(path, "cli"):
        return
    assert not {"print", "input", "sys.stdout.write", "sys.stderr.write", "sys.exit"} & set(calls(path))


@each_source
def test_logits_become_probabilities_in_model_only(path: Path) -> None:
    if inside(path, "model"):
        return
    last = {name.rpartition(".")[2].lower() for name in calls(path)}
    assert not last & {"sigmoid", "softmax", "expit", "logsigmoid"}


@each_source
def test_a_profile_is_never_copied_from_an_input(path: Path) -> None:
    attributes = {n.attr for n in ast.walk(tree(path)) if isinstance(n, ast.Attribute)}
    assert not attributes & {"profile", "meta"}


# --- how big ---


@each_source
def test_files_are_small(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES_OF.get(path.relative_to(PACKAGE).as_posix(), MAX_FILE_LINES)


@each_source
def test_functions_are_small(path: Path) -> None:
    long = {
        f.name: lines
        for f in functions(path)
        if (lines := (f.end_lineno or f.lineno) - f.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert not long


@each_source
def test_parameters_are_few(path: Path) -> None:
    if inside(path, "cli"):  # there, each option of a command is a parameter
        return
    many = {}
    for f in functions(path):
        names = [a.arg for a in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs)]
        count = len([n for n in names if n not in ("self", "cls")])
        if count > MAX_PARAMETERS:
            many[f.name] = count
    assert not many


# --- the nine types ---


@each_source
def test_dataclasses_are_frozen_keyword_only_with_slots(path: Path) -> None:
    if not inside(path, "core"):
        return
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            for decorator in node.decorator_list:
                assert ast.unparse(decorator) == "dataclass(frozen=True, kw_only=True, slots=True)", node.name


@pytest.mark.parametrize(
    "name",
    [
        "core.grid.Grid",
        "core.grid.Window",
        "core.tiling.Tile",
        "core.tiling.Tiling",
        "core.patch.Patch",
        "core.legend.Legend",
        "core.confusion.Confusion",
        "core.record.RunRecord",
    ],
)
def test_values_have_no_base_class(name: str) -> None:
    module, _, cls_name = f"sealmap.{name}".rpartition(".")
    cls = getattr(importlib.import_module(module), cls_name)
    assert cls.__bases__ == (object,)
    assert "__slots__" in vars(cls)
    assert dataclasses.is_dataclass(cls)


# --- the package ---


def test_every_import_is_a_declared_dependency() -> None:
    declared = {normal(r) for r in requirements()}
    homes = importlib.metadata.packages_distributions()
    missing = {}
    for path in SOURCES:
        for name in imports(path):
            if name == "sealmap" or name in sys.stdlib_module_names:
                continue
            if not {normal(d) for d in homes.get(name, [name])} & declared:
                missing[name] = path.relative_to(PACKAGE).as_posix()
    assert not missing


def test_every_dependency_is_pinned_without_an_address() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line) for line in pins)
    assert {normal(r) for r in requirements()} <= {normal(line) for line in pins}


def test_the_command_line_starts_without_torch() -> None:
    code = "import sys, sealmap.cli.main; print({'torch', 'timm', 'matplotlib'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "set()"


def test_type_information_is_shipped() -> None:
    assert (PACKAGE / "py.typed").exists()
