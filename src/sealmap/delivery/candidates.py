"""Where cadastre and image disagree: polygons for QGIS, so that someone walks them and corrects or draws labels."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from sealmap.delivery.geopackage import add_styles
from sealmap.delivery.label_texts import KINDS, words
from sealmap.delivery.styles import Entry, VectorStyle, Widget
from sealmap.delivery.texts import Language
from sealmap.files.atomic import staged
from sealmap.files.vector import write_layer

LAYER = "disagreements"

KIND_COLORS = {"roof_green": (227, 26, 28), "paved_green": (255, 127, 0), "unsealed_grey": (31, 120, 220)}
"""Colour by kind, here and on the label page: none of them is found in an orthophoto."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A place where cadastre and image disagree: a hint for a person, not a finding.

    kind: one of KINDS. text: class as the cadastre has it. oid: its object id, may be empty. polygon: Polygon or
    MultiPolygon in map coordinates. picture_HWC: the image there (uint8 RGB), bounds: its extent on the map (left,
    bottom, right, top), by which the outline is drawn over it; None where the outline is in the picture already.
    """

    sheet: str
    kind: str
    text: str
    area_m2: float
    polygon: shapely.Polygon | shapely.MultiPolygon
    oid: str = ""
    picture_HWC: NDArray[np.uint8] | None = None
    bounds: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind '{self.kind}' of a disagreement is none of {', '.join(KINDS)}")
        if self.area_m2 < 0:
            raise ValueError(f"a disagreement of {self.area_m2} m²")
        if self.polygon.geom_type not in {"Polygon", "MultiPolygon"} or self.polygon.is_empty:
            raise ValueError(f"a disagreement is a polygon, not {self.polygon.geom_type} {self.polygon.wkt[:40]}")
        if self.picture_HWC is not None and (self.picture_HWC.ndim != 3 or self.picture_HWC.shape[2] != 3):
            raise ValueError(f"a picture is (rows, columns, RGB), not {self.picture_HWC.shape}")


def write_candidates(
    path: Path, candidates: Sequence[Candidate], crs: CRS, *, language: Language, overwrite: bool
) -> None:
    """Write a GeoPackage with the layer ``disagreements`` in the order given; without candidates it is empty.

    Fields: kind, sheet, class, oid, area_m2. The style by kind and the names of the fields are in the file.
    """
    style = disagreements_style(language).qml()
    with staged(path, overwrite=overwrite) as scratch:
        write_layer(scratch, LAYER, candidates_frame(candidates, crs), append=False)
        with closing(sqlite3.connect(scratch)) as connection, connection:
            add_styles(connection, [(LAYER, words("layer", language), style)])


def candidates_frame(candidates: Sequence[Candidate], crs: CRS) -> gpd.GeoDataFrame:
    """The candidates as a table with polygons."""
    return gpd.GeoDataFrame(
        {
            "kind": np.array([c.kind for c in candidates], dtype=object),
            "sheet": np.array([c.sheet for c in candidates], dtype=object),
            "class": np.array([c.text for c in candidates], dtype=object),
            "oid": np.array([c.oid for c in candidates], dtype=object),
            "area_m2": np.array([round(c.area_m2, 1) for c in candidates], dtype=np.float64),
        },
        geometry=[c.polygon for c in candidates],
        crs=crs,
    )


def disagreements_style(language: Language) -> VectorStyle:
    """Candidates by kind: a strong outline and a faint fill, since what matters is the image below."""
    names = [(kind, words(f"kind.{kind}", language)) for kind in KINDS]
    fields = ("kind", "sheet", "class", "oid", "area_m2")
    return VectorStyle(
        renderer="categorizedSymbol",
        attribute="kind",
        entries=tuple(
            Entry(value=kind, label=name, fill=(*KIND_COLORS[kind], 50), outline=(*KIND_COLORS[kind], 255))
            for kind, name in names
        ),
        outline=(40, 40, 40, 255),
        outline_mm=0.5,
        aliases=tuple((f, words(f"field.{f}", language)) for f in fields),
        widgets=(Widget(field="kind", kind="ValueMap", choices=tuple((name, kind) for kind, name in names)),),
    )
