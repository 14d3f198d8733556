"""sealmap labels: draw labels by hand, where the cadastre has none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sealmap.cli.common import Json, Overwrite, show

if TYPE_CHECKING:
    from sealmap.pipeline.labels import Check, Problem

NAME = "labels"

app = typer.Typer(
    help="Labels drawn by hand in QGIS, for what the cadastre does not know: yards, drives, terraces.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


_HOW_TO = """Write an empty GeoPackage and a QGIS project to draw labels in.

How to draw (more in docs/labelling.md):

\b
1. A frame of class 'unsealed' around a plot that you will finish completely.
2. Roofs and paving on top of it. They may overlap the frame and each other.
3. 'ignore' on what you cannot tell: deep shadow, ground under a crown.

\b
What wins where polygons overlap: ignore > roof > paved, sealed > unsealed.
Outside the frames the cadastre's labels stay as they are.

A file that holds drawn polygons is not replaced, --overwrite or not.
"""


@app.command("new", help=_HOW_TO)
def new(
    out: Annotated[Path, typer.Argument(help="GeoPackage to write; a QGIS project of the same name comes beside it.")],
    like: Annotated[
        list[Path] | None, typer.Option(help="Orthophoto (or folder) to draw on: gives CRS and extent (repeatable).")
    ] = None,
    crs: Annotated[str, typer.Option(help="CRS where there is no orthophoto, such as EPSG:25832.")] = "",
    language: Annotated[Literal["de", "en"], typer.Option(help="Of layers, classes and form.")] = "en",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write an empty GeoPackage and a QGIS project to draw labels in."""
    from sealmap.pipeline.labels import new_template

    made = new_template(out, like or [], crs=crs, language=language, overwrite=overwrite)
    facts = {
        "file": str(made.package),
        "open in QGIS": str(made.project),
        "crs": made.crs,
        "orthophotos": made.sheets,
    }
    show(facts, as_json=as_json)


@app.command("check")
def check(
    labels: Annotated[str, typer.Argument(help="Labels as FILE or FILE:LAYER.")],
    like: Annotated[list[Path], typer.Option(help="Orthophoto (or folder) that they were drawn on (repeatable).")],
    as_json: Json = False,
) -> None:
    """Count polygons and m² per class, and name polygons that training would ignore. Exit code 1 where there are any.

    Square metres are as training takes them: in the orthophoto, and without what lies on top. Positions can be
    pasted into QGIS's coordinate box.
    """
    from sealmap.pipeline.labels import check_labels

    found = check_labels(labels, like)
    if as_json:
        show(_facts(found), as_json=True)
    else:
        _print(found)
    if found.problems:
        raise typer.Exit(1)


def _facts(found: Check) -> dict[str, Any]:
    return {
        "classes": {c.label: {"polygons": c.polygons, "m2": round(c.area_m2, 1)} for c in found.classes},
        "overlaps_m2": {" and ".join(o.labels): round(o.area_m2, 1) for o in found.overlaps},
        "beyond_the_image_m2": round(found.beyond_m2, 1),
        "problems": [{"position": _position(p), "m2": round(p.area_m2, 1), "text": p.text} for p in found.problems],
    }


def _print(found: Check) -> None:
    for c in found.classes:
        print(f"{c.label:<10}{c.polygons:>6} polygons{c.area_m2:>12,.1f} m²")
    for o in found.overlaps:
        wins = "roof wins" if "roof" in o.labels else "both are sealed"
        print(f"{' and '.join(o.labels)} overlap by {o.area_m2:,.1f} m² ({wins})")
    if found.beyond_m2 >= 0.05:
        print(f"{found.beyond_m2:,.1f} m² lie beyond the orthophoto")
    for p in found.problems:
        print(f"{_position(p)}  the polygon of {p.area_m2:,.1f} m² {p.text}")


def _position(problem: Problem) -> str:
    """As QGIS's coordinate box takes it."""
    return f"{problem.place[0]:.1f},{problem.place[1]:.1f}" if problem.place else "nowhere"
