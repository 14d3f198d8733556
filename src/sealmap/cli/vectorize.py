"""sealmap vectorize: class raster → polygons."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sealmap.cli.common import Json, Overwrite, progress, show

NAME = "vectorize"


def command(
    classes: Annotated[Path, typer.Argument(help="Class raster of 'sealmap predict'.")],
    out: Annotated[Path, typer.Option(help="GeoPackage to write.")],
    probability: Annotated[Path | None, typer.Option(help="Probability raster; the one beside by default.")] = None,
    open_m: Annotated[float, typer.Option(help="Opening in metres: narrower objects go.")] = 0.4,
    close_m: Annotated[float, typer.Option(help="Closing in metres: narrower gaps are filled.")] = 0.4,
    min_area: Annotated[float, typer.Option(help="Smaller objects (m²) go.")] = 4.0,
    min_hole: Annotated[float, typer.Option(help="Smaller holes (m²) are filled.")] = 4.0,
    simplify: Annotated[float, typer.Option(help="Tolerance of the outlines in metres; 0 keeps pixel edges.")] = 0.3,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Clean a class raster and trace its sealed surfaces to polygons."""
    from sealmap.pipeline.maps import vectorize
    from sealmap.vectorization.clean import CleanSpec
    from sealmap.vectorization.vectorize import VectorizeSpec

    clean = CleanSpec(open_m=open_m, close_m=close_m, min_area_m2=min_area, min_hole_m2=min_hole)
    with progress("strips", quiet=as_json) as report:
        found = vectorize(
            classes, out, probability=probability, spec=VectorizeSpec(clean=clean, simplify_m=simplify),
            overwrite=overwrite, progress=report,
        )  # fmt: skip
    balance = {name: round(value, 1) for name, value in asdict(found.balance).items()}
    show({"polygons": len(found.polygons), **balance, "file": str(out)}, as_json=as_json)
