"""The command line: verbs in flow order. Errors are one line with the remedy, exit code 1."""

from __future__ import annotations

import os
import sys

import typer

from sealmap import __version__
from sealmap.cli import (
    adapt,
    calibrate,
    demo,
    doctor,
    evaluate,
    import_,
    info,
    labels,
    parcels,
    predict,
    prepare,
    run,
    train,
    vectorize,
)
from sealmap.core.errors import SealmapError

app = typer.Typer(
    help="Turn aerial orthophotos into sealed-surface maps and square metres per parcel.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
for verb in (
    prepare, train, import_, calibrate, evaluate, adapt, doctor, predict, vectorize, parcels, run, demo, info,
):  # fmt: skip
    app.command(verb.NAME)(verb.command)
app.add_typer(labels.app, name=labels.NAME)

_HEAVY = ("train", "calibrate", "evaluate", "adapt", "doctor", "predict", "run", "demo")
_ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(8 * 2**30),
    "MALLOC_TOP_PAD_": str(256 * 2**20),
}
"""glibc gives every large tensor back to the system and faults it in again; networks then run several times slower
on some machines (PERF, engines). These settings are read at process start only, hence the restart below."""


@app.callback(invoke_without_command=True)
def _options(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point of the ``sealmap`` command."""
    _keep_memory()
    try:
        app()
    except SealmapError as error:
        print(f"sealmap: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("sealmap: interrupted", file=sys.stderr)
        sys.exit(130)
    except OSError as error:
        print(f"sealmap: {error} → check paths, rights and free space", file=sys.stderr)
        sys.exit(1)


def _keep_memory() -> None:
    """Start again once with an allocator that keeps its memory, where the verb runs a network."""
    wanted = sys.platform == "linux" and len(sys.argv) > 1 and sys.argv[1] in _HEAVY and "--help" not in sys.argv
    if wanted and not any(name in os.environ for name in _ALLOCATOR):
        os.execve(sys.executable, [sys.executable, "-m", "sealmap", *sys.argv[1:]], os.environ | _ALLOCATOR)  # noqa: S606
