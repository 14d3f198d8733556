"""sealmap doctor: does this model fit these sheets? A sample, some seconds, no map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sealmap.cli.common import Device, Json, bundle_of, progress, show, show_findings

NAME = "doctor"


def command(
    model: Annotated[Path, typer.Argument(help="Model bundle, or 'shipped'.")],
    orthos: Annotated[list[Path], typer.Argument(help="Orthophotos (JP2, GeoTIFF, VRT) or folders of them.")],
    windows: Annotated[int, typer.Option(help="Windows to look at, drawn evenly from the sheets.")] = 12,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Try a model on some windows of the sheets and name what is wrong; exit code 1 where a map would be refused."""
    from sealmap.pipeline.doctor import doctor

    with progress("windows", quiet=as_json) as report:
        found = doctor(bundle_of(model), orthos, windows=windows, device=device, progress=report)
    show_findings(found.findings, as_json=as_json)
    facts = {"verdict": found.verdict, "sheets": found.sheets, "windows": found.windows}
    show(facts | ({"findings": [f.to_json() for f in found.findings]} if as_json else {}), as_json=as_json)
    if found.verdict == "refusal":
        raise typer.Exit(1)
