"""What the verbs share: options, progress bars, printing of results."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines, and no progress.")]
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
