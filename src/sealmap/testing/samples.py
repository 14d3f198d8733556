"""A scene that no town has: every use and building that the formats can tell, once, for the tests of readers."""

from __future__ import annotations

import math

from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry

from sealmap.testing.alkis_codes import USES
from sealmap.testing.model import Building, Parcel, Scene, TownSpec

SIDE_M = 30.0
_BUILDINGS = (
    ("31001_1010", "Wohnhaus"),
    ("31001_2463", "Garage"),
    ("31001_2465", "Tiefgarage"),
    ("31001_2740", "Treibhaus, Gewächshaus"),
    ("31002_2100", "Tiefgarage"),
    ("31002_2510", "Auskragende Geschosse"),
    ("51009_1610", "Überdachung"),
    ("51009_1700", "Mauer"),
)


def every_use(spec: TownSpec) -> Scene:
    """A square of parcels, ``SIDE_M`` wide, one for each use and function text, '' among them.

    The first parcel is a pond inside the third, the second has two parts, and on those after them stand
    buildings, the first of them round a courtyard. Nothing is painted: of this scene only the cadastre makes sense.
    With ``spec.cadastre_lag`` 0 the cadastre knows all of the buildings.
    """
    uses = [(use, text) for use, known in USES.items() for text in ("", *known.codes)]
    uses.sort(key=lambda pair: pair != ("Stehendes Gewässer", "Teich"))
    columns = math.isqrt(len(uses)) + 1
    plots = [_plot(i, columns) for i in range(len(uses))]
    shapes: list[BaseGeometry] = [*plots]
    middle = plots[2].centroid.buffer(6.0)
    shapes[0] = middle
    shapes[2] = plots[2].difference(middle)
    west, south, _, north = plots[1].bounds
    shapes[1] = MultiPolygon([box(west, south, west + 10, north), box(west + 20, south, west + 30, north)])
    parcels = tuple(Parcel(s, u, t, "Musterstraße") for s, (u, t) in zip(shapes, uses, strict=True))
    return Scene(spec, (), (), (), _houses(plots[3:]), parcels)


def _plot(number: int, columns: int) -> Polygon:
    row, column = divmod(number, columns)
    return box(column * SIDE_M, row * SIDE_M, (column + 1) * SIDE_M, (row + 1) * SIDE_M)


def _houses(plots: list[Polygon]) -> tuple[Building, ...]:
    houses = []
    for i, ((code, function), plot) in enumerate(zip(_BUILDINGS, plots, strict=False)):
        walls: BaseGeometry = plot.buffer(-8.0, join_style="mitre")
        walls = walls.difference(plot.buffer(-11.0, join_style="mitre")) if i == 0 else walls
        houses.append(Building(walls, walls, code, function, other=not code.startswith("31001")))
    return tuple(houses)
