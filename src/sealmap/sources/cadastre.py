"""The cadastre: classified shapes to learn from, parcels to account for.

Readers, one onto one schema: the simplified ALKIS (GeoPackage, Shapefile, WFS), NAS, Hausumringe, and any other
layer with fields that the user names. Names drift between states and years, so they are matched by alias
(fields.py); formats are told by what is in them (formats.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from sealmap.core.errors import InputError
from sealmap.core.text import plain
from sealmap.files.vector import Table, open_vector
from sealmap.sources.extents import Bounds, extent_of, no_overlap, read_near
from sealmap.sources.fields import (
    CLASS,
    FUNCTION,
    OID,
    POSITION,
    UPDATED,
    check_mapping,
    date_of,
    field_names,
    find_field,
    named_field,
    texts,
)
from sealmap.sources.formats import Layer, kind_of_layer, layers_with_classes
from sealmap.sources.nas import Simplified
from sealmap.sources.parcel_layer import ParcelCounts, read_parcels
from sealmap.sources.polygons import polygons_of, without_duplicates

__all__ = [
    "Bounds",
    "Cadastre",
    "LabelledShapes",
    "ParcelCounts",
    "kind_of_layer",
    "polygons_of",
    "read_cadastre",
    "read_parcels",
]

_UNDERGROUND = " (unterirdisch)"
_SAYS_UNDERGROUND = ("unterirdisch", "tiefgarage", "keller")


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledShapes:
    """Polygons with their class, one entry per shape, in the CRS asked for.

    source: 'building', 'use' or 'layer' (any other). klass: gebnutzbez, nutzart, or the field named.
    function: funktion or bez; '... (unterirdisch)' for buildings below the ground. updated: date of the last
    change. oid: the cadastre's id ('' where there is none).
    """

    geometry: NDArray[np.object_]
    source: tuple[str, ...]
    klass: tuple[str, ...]
    function: tuple[str, ...]
    updated: tuple[date | None, ...]
    oid: tuple[str, ...]

    def __post_init__(self) -> None:
        columns = (self.source, self.klass, self.function, self.updated, self.oid)
        if any(len(c) != len(self.geometry) for c in columns):
            raise ValueError("shapes need one entry per column")

    def __len__(self) -> int:
        return len(self.geometry)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cadastre:
    """What was read, and what had to be done to it.

    kind: the format, in words for a report ('ALKIS vereinfacht', 'NAS', 'Hausumringe', 'layer'). layers: names read;
    empty: those of them with nothing near the orthophoto. repaired: shapes made valid. dropped: shapes without any
    polygon. duplicates: shapes whose id came twice (objects on a municipal border are in two packages), the newest
    is kept. historic: objects that have ended. broken_texts: values (in GML: objects) that were not in the encoding
    that the file says. linearised: shapes with arcs, now chords of 1° (known for GML and NAS only). unread_dates:
    dates that could not be read; such shapes count as old. unknown_codes: codes without a text in our tables,
    'AX_Gebaeude 9999 (3)'; they stand as they are.
    """

    shapes: LabelledShapes
    layers: tuple[str, ...]
    repaired: int
    dropped: int
    duplicates: int
    kind: str = "layer"
    empty: tuple[str, ...] = ()
    historic: int = 0
    broken_texts: int = 0
    linearised: int = 0
    unread_dates: int = 0
    unknown_codes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """One layer on its way into the schema."""

    layer: Layer
    table: Table
    told: Simplified
    rows: LabelledShapes
    unread_dates: int


def read_cadastre(
    path: Path, *, crs: CRS, bounds: Bounds, layer: str | None = None, fields: Mapping[str, str] | None = None
) -> Cadastre:
    """Shapes that meet ``bounds`` (of ``crs``), in ``crs``; ``path`` is a file, a folder or a zip.

    ``layer`` None takes the building and use layers of a cadastre that is known; otherwise the layer named.
    ``fields`` names fields of the layers read for 'class', 'function', 'updated' and 'id', over the known names.
    Raises SettingsError for another key, InputError where there is no such layer or field, where the layer has no
    CRS, or where cadastre and orthophoto do not overlap.
    """
    mapping = dict(fields or {})
    check_mapping(mapping)
    with open_vector(path) as source:
        wanted = layers_with_classes(source, layer)
        tables = [read_near(source, w.name, crs, bounds, w.columns if not mapping else None) for w in wanted]
        if not any(len(t.frame) for t in tables):
            names = [w.name for w in wanted]
            whole = extent_of(source, names, crs)
            if whole is None:
                raise InputError(
                    f"{path.name} holds no shapes in {', '.join(names)}", remedy="fetch the cadastre again"
                )
            raise no_overlap(f"cadastre {path.name}", whole, crs, bounds)
    parts = [_part(w, t, f"{path.name}:{w.name}", mapping) for w, t in zip(wanted, tables, strict=True)]
    return _cadastre(parts)


def _part(layer: Layer, table: Table, where: str, mapping: Mapping[str, str]) -> _Part:
    told = layer.simplify(table.frame)
    frame, source = told.frame, layer.source
    # A user's names are those of the file; adapters keep the index of the rows that they keep.
    left = table.frame.loc[frame.index]
    named = {key: texts(left, named_field(left, name, where)) for key, name in mapping.items()}
    klass = named.get("class") or _classes(frame, source, where)
    dates = named.get("updated") or texts(frame, find_field(field_names(frame), UPDATED))
    updated = tuple(date_of(text) for text in dates)
    rows = LabelledShapes(
        geometry=frame.geometry.to_numpy(),
        source=(source,) * len(frame),
        klass=klass,
        function=named.get("function") or _functions(frame, source),
        updated=updated,
        oid=named.get("id") or texts(frame, find_field(field_names(frame), OID)),
    )
    unread = sum(bool(text) and day is None for text, day in zip(dates, updated, strict=True))
    return _Part(layer=layer, table=table, told=told, rows=rows, unread_dates=unread)


def _classes(frame: gpd.GeoDataFrame, source: str, where: str) -> tuple[str, ...]:
    aliases = CLASS.get(source, ())
    field = find_field(field_names(frame), aliases)
    klass = texts(frame, field)
    if source in CLASS and len(frame) and not any(klass):
        what = f"has nothing in '{field}'" if field else f"has none of the fields {', '.join(aliases)}"
        raise InputError(
            f"{where} {what}; it has: {', '.join(field_names(frame))}",
            remedy="name the field with the class",
        )
    return klass


def _functions(frame: gpd.GeoDataFrame, source: str) -> tuple[str, ...]:
    said = texts(frame, find_field(field_names(frame), FUNCTION.get(source, ())))
    if source != "building":
        return said
    position = texts(frame, find_field(field_names(frame), POSITION))
    return tuple(_with_position(f, p) for f, p in zip(said, position, strict=True))


def _with_position(function: str, position: str) -> str:
    """Functions of buildings below the ground say so: what is green on top of them is no error."""
    below = position == "1200" or plain(position).startswith("unter der erd")
    if not below or any(word in plain(function) for word in _SAYS_UNDERGROUND):
        return function
    return (function + _UNDERGROUND).strip()


def _cadastre(parts: list[_Part]) -> Cadastre:
    rows = _concat([p.rows for p in parts])
    geometry, repaired = polygons_of(rows.geometry)
    filled = np.flatnonzero(~shapely.is_empty(geometry))
    ids = [f"{rows.source[i]}:{rows.oid[i]}" if rows.oid[i] else "" for i in filled]
    keep = filled[without_duplicates(geometry[filled], ids, [rows.updated[i] for i in filled])]
    unknown = sum((p.told.unknown for p in parts), Counter[str]())
    return Cadastre(
        shapes=_take(rows, geometry, keep),
        kind=parts[0].layer.format.value,
        layers=tuple(p.layer.name for p in parts),
        empty=tuple(p.layer.name for p in parts if not len(p.table.frame)),
        repaired=repaired + sum(p.table.closed for p in parts),
        dropped=len(rows) - len(filled),
        duplicates=len(filled) - len(keep),
        historic=sum(p.told.historic for p in parts),
        broken_texts=sum(p.table.broken_texts for p in parts),
        linearised=sum(p.table.curved for p in parts),
        unread_dates=sum(p.unread_dates for p in parts),
        unknown_codes=tuple(f"{code} ({n})" for code, n in sorted(unknown.items())),
    )


def _take(rows: LabelledShapes, geometry: NDArray[np.object_], keep: NDArray[np.int64]) -> LabelledShapes:
    return LabelledShapes(
        geometry=geometry[keep],
        source=tuple(rows.source[i] for i in keep),
        klass=tuple(rows.klass[i] for i in keep),
        function=tuple(rows.function[i] for i in keep),
        updated=tuple(rows.updated[i] for i in keep),
        oid=tuple(rows.oid[i] for i in keep),
    )


def _concat(parts: list[LabelledShapes]) -> LabelledShapes:
    return LabelledShapes(
        geometry=np.concatenate([p.geometry for p in parts]),
        source=tuple(v for p in parts for v in p.source),
        klass=tuple(v for p in parts for v in p.klass),
        function=tuple(v for p in parts for v in p.function),
        updated=tuple(v for p in parts for v in p.updated),
        oid=tuple(v for p in parts for v in p.oid),
    )
