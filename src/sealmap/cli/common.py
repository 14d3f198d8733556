"""What the verbs share: options, progress bars, printing of results."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from sealmap.core.errors import GuardError
from sealmap.core.finding import Finding, gravest_first

_STYLES = {"ok": "", "warning": "yellow", "refusal": "bold red"}

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines, and no progress.")]
Force = Annotated[bool, typer.Option("--force", help="Make the map although the guard refuses it; products say so.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]


@contextmanager
def progress(what: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar with rate and time left on a terminal; a line now and then in a log; nothing when quiet."""
    if quiet:
        yield lambda _done, _all: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, rate="")
        shown = 0

        def report(done: int, total: int) -> None:
            nonlocal shown
            speed = bar.tasks[task].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:.2f}/s" if speed else "")
            tenth = 10 * done // max(1, total)
            if not console.is_terminal and tenth > shown:
                shown = tenth
                print(f"{what}: {done}/{total}", file=sys.stderr, flush=True)

        yield report


def show(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print facts as lines 'name  value', or as one JSON object."""
    if as_json:
        print(json.dumps(facts, ensure_ascii=False, default=str))
        return
    wide = max(len(name) for name in facts) + 2
    for name, value in facts.items():
        print(f"{name:<{wide}}{_plain(value)}")


@contextmanager
def guarded(*, as_json: bool) -> Iterator[None]:
    """Print the guard's findings where it refuses, before the error goes its way."""
    try:
        yield
    except GuardError as error:
        if as_json:
            print(
                json.dumps(
                    {"refused": error.problem, "findings": [f.to_json() for f in error.findings]}, ensure_ascii=False
                )
            )
        else:
            show_findings(error.findings, as_json=False)
        raise


def show_findings(findings: Sequence[Finding], *, as_json: bool) -> None:
    """A table of what is not 'ok', with causes and remedies, and a line on the rest; nothing for machines."""
    if as_json or not findings:
        return
    from rich.console import Console
    from rich.table import Table

    bad = [f for f in gravest_first(findings) if f.verdict != "ok"]
    fine = [f.check for f in findings if f.verdict == "ok"]
    console = Console(stderr=True)
    if bad:
        table = Table(title="the guard", title_justify="left", show_lines=True)
        for name in ("check", "verdict", "figures", "likely cause → remedy"):
            table.add_column(name, overflow="fold")
        for f in bad:
            where = f"{f.where}: " if f.where else ""
            figures = "\n".join(f"{name} {_plain(value)}" for name, value in f.figures.items())
            table.add_row(f.check, f.verdict, figures, f"{where}{f.cause} → {f.remedy}", style=_STYLES[f.verdict])
        console.print(table)
    if fine:
        console.print(f"guard: {len(fine)} checks ok ({', '.join(fine)})", highlight=False)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {_plain(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(v) for v in value)
    return f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def bundle_of(model: Path) -> Path | None:
    """The bundle that an argument names; None for 'shipped', the one that comes with sealmap."""
    return None if str(model) == "shipped" else model


def pairs(texts: list[str], option: str) -> dict[str, str]:
    """KEY=VALUE options as a dictionary."""
    found = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key:
            raise typer.BadParameter(f"'{text}' is not KEY=VALUE", param_hint=option)
        found[key] = value
    return found
