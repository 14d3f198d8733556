"""sealmap predict: orthophotos → probability raster and class raster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sealmap.cli.common import Device, Force, Json, Overwrite, guarded, progress, show, show_findings

NAME = "predict"


def command(
    orthos: Annotated[list[Path], typer.Argument(help="Orthophotos (JP2, GeoTIFF, VRT) or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder for probability.tif and classes.tif.")],
    model: Annotated[Path | None, typer.Option(help="Model bundle; the shipped one by default.")] = None,
    device: Device = "auto",
    match: Annotated[
        bool, typer.Option("--match", help="Give the flight the brightness of the training data, band by band.")
    ] = False,
    force: Force = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Map orthophotos of any size: all sheets become one map on their own grid.

    A guard watches. Where it refuses the map, nothing is written, its findings are printed, and the exit code is 1.
    """
    from sealmap.pipeline.adapt import told
    from sealmap.pipeline.maps import Serving, predict

    serving = Serving(device=device, match=match, force=force)
    with guarded(as_json=as_json), progress("windows", quiet=as_json) as report:
        mapped = predict(orthos, out, model=model, serving=serving, overwrite=overwrite, progress=report)
    areas, done = mapped.areas, mapped.done
    if done.resampled_to_m and not as_json:
        print(
            f"the sheets were resampled to the model's {done.resampled_to_m:g} m per window; the map is on their grid"
        )
    if (adapted := told(mapped.card)) and not as_json:
        print(adapted)
    facts = {
        "probability": str(mapped.probability),
        "classes": str(mapped.classes),
        "model": f"{mapped.model_name} ({mapped.card.weights_sha256[:12]})",
        "brightness": "matched to the training data" if match else "as it is",
        "sealed_m2": round(areas.sealed_m2),
        "mapped_m2": round(areas.known_m2),
        "unknown_m2": round(areas.unknown_m2),
        "sealed_share": round(areas.sealed_m2 / areas.known_m2, 4),
        "seconds": round(done.seconds, 1),
        "megapixel_per_second": round(done.pixels / 1e6 / done.seconds, 2),
    }
    show_findings(mapped.findings, as_json=as_json)
    show(facts | {"guard": mapped.record.figures["guard"]["told"]}, as_json=as_json)
