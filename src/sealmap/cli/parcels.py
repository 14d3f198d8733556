"""sealmap parcels: class raster and parcels → m² per parcel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sealmap.cli.common import Json, Overwrite, progress, show

NAME = "parcels"


def command(
    classes: Annotated[Path, typer.Argument(help="Class raster of 'sealmap predict'.")],
    parcels: Annotated[
        str, typer.Option(help="Parcels: FILE, FILE:LAYER, folder or zip (GeoPackage, Shapefile, GML, NAS).")
    ],
    out: Annotated[Path, typer.Option(help="GeoPackage to write; a CSV of the same name comes beside it.")],
    id_field: Annotated[
        str | None, typer.Option("--id", help="Field with the parcel id; usual names are found.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Count sealed, unsealed and unknown square metres per parcel, exact at parcel edges."""
    from sealmap.pipeline.maps import parcels as account

    with progress("parcels", quiet=as_json) as report:
        found = account(classes, parcels, out, id_field=id_field, overwrite=overwrite, progress=report)
    t = found.table
    facts = {
        "parcels": len(t),
        "area_m2": round(float(t["area_m2"].sum()), 1),
        "sealed_m2": round(float(t["sealed_m2"].sum()), 1),
        "unsealed_m2": round(float(t["unsealed_m2"].sum()), 1),
        "unknown_m2": round(float(t["unknown_m2"].sum()), 1),
        "outside_the_map": int((t["unknown_m2"] >= t["area_m2"] - 0.005).sum()),
        "repaired_geometries": found.repaired,
        "file": str(out),
        "table": str(out.with_suffix(".csv")),
    }
    show(facts, as_json=as_json)
