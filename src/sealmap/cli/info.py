"""sealmap info: what a file is, and whether it fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from sealmap.cli.common import Json, show

NAME = "info"


def command(
    paths: Annotated[list[Path], typer.Argument(help="Orthophoto, bundle, chip folder, result or vector file.")],
    model: Annotated[Path | None, typer.Option(help="Model to fit; the shipped one by default.")] = None,
    as_json: Json = False,
) -> None:
    """Say what files are: bands, pixel size, CRS, legend, record; and whether a model fits them."""
    from sealmap.pipeline.inspect import inspect

    found = {str(path): inspect(path, model) for path in paths}
    if as_json:
        print(json.dumps(found, ensure_ascii=False, default=str))
        return
    for path, facts in found.items():
        print(path)
        show(facts, as_json=False)
