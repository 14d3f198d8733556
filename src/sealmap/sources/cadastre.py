"""The cadastre: classified shapes to learn from, parcels to account for.

The simplified ALKIS GeoPackage of North Rhine-Westphalia is known by its layers; any other vector file gives
the shapes of one layer, classed by one field. Names drift between states and years, so they are matched by
alias.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from sealmap.core.errors import InputError
from sealmap.files.vector import list_layers, read_layer

Bounds = tuple[float, float, float, float]

_KINDS = {
    # NRW and Brandenburg misspell the layer in their GeoPackages; services and other states do not.
    "building": ("gebauedebauwerk", "gebaeudebauwerk", "gebaeudebauwerke", "gebaeude"),
    "use": ("nutzung",),
    "use_by_parcel": ("nutzungflurstueck",),
    "parcel": ("flurstueck", "flurstuecke", "liegenschaften", "parcels", "parcelle"),
}
_CLASS = {"building": ("gebnutzbez", "gebnutz", "objektart"), "use": ("nutzart", "nutzungsart", "objektart")}
_FUNCTION = {"building": ("funktion", "gebaeudefunktion", "gfk"), "use": ("bez", "bezeich", "funktion")}
_UPDATED = ("aktualit", "aktualitaet", "stand", "beginnt", "beginn")
_OID = ("oid", "gml_id", "gmlid", "objid", "uuid", "tid")
_PARCEL_ID = (
    "flstkennz", "flurstueckskennzeichen", "fsk", "egrid", "egris_egrid", "nummer", "flurstnr", "parcel_id",
    "idflurst", "oid", "gml_id", "gmlid", "uuid", "id", "tid",
)  # fmt: skip
_AREA = (
    "flaeche",
    "amtlicheflaeche",
    "amtlichefl",
    "afl",
    "flaechenmass_m2",
    "flaechenmass",
    "official_area_m2",
)
_MARGIN_M = 10.0
"""Shapes this far outside the orthophoto are read too: their rings and buffers may reach in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelledShapes:
    """Polygons with their class, one entry per shape, in the CRS asked for.

    source: 'building', 'use' or 'layer' (any other). klass: gebnutzbez, nutzart, or the field named.
    function: funktion or bez. updated: date of the last change. oid: the cadastre's id ('' where there is
    none).
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

    layers: names read. repaired: shapes made valid. dropped: shapes without any polygon. duplicates: shapes
    whose id came twice (objects on a municipal border are in two packages), the newest is kept.
    """

    shapes: LabelledShapes
    layers: tuple[str, ...]
    repaired: int
    dropped: int
    duplicates: int


def read_cadastre(path: Path, *, crs: CRS, bounds: Bounds, layer: str | None = None, field: str = "") -> Cadastre:
    """Shapes that meet ``bounds`` (of ``crs``), in ``crs``.

    ``layer`` None takes the building and use layers of a simplified ALKIS; otherwise the layer named.
    ``field`` is the field with the class where the rule table names one. Raises InputError where there is no
    such layer or field, or where cadastre and orthophoto do not overlap.
    """
    wanted = _layers_to_read(path, layer)
    frames = [(name, kind, _read(path, name, crs, bounds)) for name, kind in wanted]
    if not any(len(frame) for _, _, frame in frames):
        raise _no_overlap(path, [name for name, _ in wanted], crs, bounds)
    parts, repaired, dropped, duplicates = [], 0, 0, 0
    for name, kind, frame in frames:
        unique = _drop_duplicates(frame)
        duplicates += len(frame) - len(unique)
        geometry, fixed = polygons_of(unique.geometry.to_numpy())
        left = ~shapely.is_empty(geometry)
        repaired, dropped = repaired + fixed, dropped + int((~left).sum())
        parts.append(_shapes(unique[left], geometry[left], kind, f"{path.name}:{name}", field))
    return Cadastre(
        shapes=_concat(parts),
        layers=tuple(name for name, _ in wanted),
        repaired=repaired,
        dropped=dropped,
        duplicates=duplicates,
    )


def read_parcels(path: Path, *, crs: CRS, layer: str | None = None, id_field: str | None = None) -> gpd.GeoDataFrame:
    """Parcels in ``crs``: columns parcel_id (text), official_area_m2 (NaN where not given) and geometry.

    Rows with one id are parts of one parcel and are joined. Raises InputError where no field can be the id.
    """
    name = layer or _parcel_layer(path)
    frame = read_layer(path, name)
    field = _id_field(frame, id_field, f"{path.name}:{name}")
    area = _find(frame, _AREA)
    geometry, _ = polygons_of(frame.to_crs(crs).geometry.to_numpy())
    official = pd.to_numeric(frame[area], errors="coerce") if area else pd.Series(np.nan, index=frame.index)
    table = gpd.GeoDataFrame(
        {"parcel_id": _texts(frame, field), "official_area_m2": official.to_numpy(np.float64)},
        geometry=geometry,
        crs=crs,
    )
    table = table[~table.geometry.is_empty]
    if table["parcel_id"].duplicated().any():
        # The same parcel from two packages adds nothing to the union; parts of a split parcel do.
        table = table.dissolve(by="parcel_id", aggfunc="first", as_index=False)
    ordered: gpd.GeoDataFrame = table[["parcel_id", "official_area_m2", "geometry"]].reset_index(drop=True)
    return ordered


def polygons_of(geometry: NDArray[np.object_]) -> tuple[NDArray[np.object_], int]:
    """Valid 2D polygons (empty where a shape has none) and how many had to be repaired."""
    flat = shapely.force_2d(geometry)
    flat[shapely.is_missing(flat)] = shapely.Polygon()
    broken = ~shapely.is_valid(flat)
    flat[broken] = shapely.make_valid(flat[broken])
    for i in np.flatnonzero(~np.isin(shapely.get_type_id(flat), (3, 6))):  # neither polygon nor multipolygon
        parts = shapely.get_parts(shapely.get_parts(flat[i]))
        flat[i] = shapely.union_all(parts[shapely.get_type_id(parts) == 3])
    return flat, int(broken.sum())


def kind_of_layer(name: str) -> str:
    """'building', 'use', 'use_by_parcel', 'parcel' or, any other, 'layer', by the end of a layer's name."""
    plain = _plain(name)
    for kind, endings in _KINDS.items():
        # What stands before must not be a letter: 'NutzungFlurstueck' is no 'Flurstueck'.
        if any(re.search(rf"(^|[^a-z]){ending}$", plain) for ending in endings):
            return kind
    return "layer"


def _layers_to_read(path: Path, layer: str | None) -> list[tuple[str, str]]:
    """(name, source) of the layers with classes."""
    if layer is not None:
        kind = kind_of_layer(layer)
        return [(layer, {"use_by_parcel": "use", "parcel": "layer"}.get(kind, kind))]
    layers = list_layers(path)
    kinds = {kind_of_layer(name): name for name in reversed(layers)}
    use = kinds.get("use") or kinds.get("use_by_parcel")
    found = [(kinds["building"], "building")] if "building" in kinds else []
    found += [(use, "use")] if use else []
    if found:
        return found
    if len(layers) == 1:
        return [(layers[0], "layer")]
    raise InputError(
        f"{path.name} has no building or use layer of a simplified ALKIS; its layers: {', '.join(layers)}",
        remedy=f"name the one with the classes: {path.name}:LAYER",
    )


def _parcel_layer(path: Path) -> str:
    layers = list_layers(path)
    found = [name for name in layers if kind_of_layer(name) == "parcel"]
    if not found and len(layers) == 1:
        found = layers
    if not found:
        raise InputError(
            f"{path.name} has no parcel layer that is known by its name; its layers: {', '.join(layers)}",
            remedy=f"name it: {path.name}:LAYER",
        )
    return found[0]


def _read(path: Path, layer: str, crs: CRS, bounds: Bounds) -> gpd.GeoDataFrame:
    """Shapes of a layer that meet ``bounds``, in ``crs``."""
    # Nothing lies in this box (or hardly anything): the read is only for the layer's CRS.
    own = CRS.from_user_input(read_layer(path, layer, bbox=(0.0, 0.0, 1e-9, 1e-9)).crs)
    x0, y0, x1, y1 = bounds
    wide = (x0 - _MARGIN_M, y0 - _MARGIN_M, x1 + _MARGIN_M, y1 + _MARGIN_M)
    if own.equals(crs, ignore_axis_order=True):
        return read_layer(path, layer, bbox=wide)
    box = Transformer.from_crs(crs, own, always_xy=True).transform_bounds(*wide)
    return read_layer(path, layer, bbox=box).to_crs(crs)


def _no_overlap(path: Path, layers: list[str], crs: CRS, bounds: Bounds) -> InputError:
    frames = [read_layer(path, name).to_crs(crs) for name in layers]
    extents = np.array([f.total_bounds for f in frames if len(f)])
    if not len(extents):
        return InputError(f"{path.name} holds no shapes in {', '.join(layers)}", remedy="fetch the cadastre again")
    whole = (*extents[:, :2].min(axis=0), *extents[:, 2:].max(axis=0))
    return InputError(
        f"the cadastre {path.name} ({_extent(whole)}) does not overlap the orthophoto ({_extent(bounds)})"
        f" in {crs.name}",
        remedy="give the cadastre of that town, or check its CRS",
    )


def _extent(b: tuple[float, ...]) -> str:
    return f"x {b[0]:.0f}-{b[2]:.0f}, y {b[1]:.0f}-{b[3]:.0f}"


def _drop_duplicates(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """One row per id, the newest; rows without an id all stay."""
    oid = _find(frame, _OID)
    if oid is None:
        return frame
    updated = _find(frame, _UPDATED)
    when = [(_date(v) or date.min) if updated else date.min for v in (frame[updated] if updated else frame[oid])]
    newest: dict[str, int] = {}
    keep = []
    for i, key in enumerate(_texts(frame, oid)):
        if not key:
            keep.append(i)
        elif key not in newest or when[i] > when[newest[key]]:
            newest[key] = i
    unique: gpd.GeoDataFrame = frame.iloc[sorted(keep + list(newest.values()))]
    return unique


def _shapes(
    frame: gpd.GeoDataFrame, geometry: NDArray[np.object_], kind: str, where: str, field: str
) -> LabelledShapes:
    if field:
        klass = _texts(frame, _named(frame, field, where))
    else:
        klass = _texts(frame, _find(frame, _CLASS.get(kind, ())))
        if kind in _CLASS and not any(klass) and len(frame):
            raise InputError(
                f"{where} has none of the fields {', '.join(_CLASS[kind])}; it has: {_fields(frame)}",
                remedy="name the field with the class in a rule table of your own (field = ...)",
            )
    updated = _find(frame, _UPDATED)
    return LabelledShapes(
        geometry=geometry,
        source=(kind,) * len(frame),
        klass=klass,
        function=_texts(frame, _find(frame, _FUNCTION.get(kind, ()))),
        updated=tuple(_date(v) for v in frame[updated]) if updated else (None,) * len(frame),
        oid=_texts(frame, _find(frame, _OID)),
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


def _find(frame: gpd.GeoDataFrame, aliases: tuple[str, ...]) -> str | None:
    """The field that goes by one of the aliases, the first alias first."""
    by_plain = {_plain(str(c)): str(c) for c in reversed(list(frame.columns)) if c != frame.geometry.name}
    return next((by_plain[a] for a in aliases if a in by_plain), None)


def _named(frame: gpd.GeoDataFrame, field: str, where: str) -> str:
    found = _find(frame, (_plain(field),))
    if found is None:
        near = difflib.get_close_matches(field, [str(c) for c in frame.columns], n=1)
        raise InputError(
            f"{where} has no field '{field}'; it has: {_fields(frame)}",
            remedy=f"did you mean '{near[0]}'?" if near else "name one of these",
        )
    return found


def _id_field(frame: gpd.GeoDataFrame, id_field: str | None, where: str) -> str:
    """The field that names a parcel: the one given, else the first known one that every parcel has."""
    if id_field is not None:
        found = _named(frame, id_field, where)
        empty = sum(not t for t in _texts(frame, found))
        if empty:
            raise InputError(
                f"{where}: {empty} of {len(frame)} parcels have no '{found}'", remedy="name another id field"
            )
        return found
    for alias in _PARCEL_ID:
        found_one = _find(frame, (alias,))
        if found_one is not None and all(_texts(frame, found_one)):
            return found_one
    raise InputError(
        f"{where} has no field that is known to name a parcel; it has: {_fields(frame)}",
        remedy="name one with --id-field",
    )


def _fields(frame: gpd.GeoDataFrame) -> str:
    return ", ".join(str(c) for c in frame.columns if c != frame.geometry.name)


def _texts(frame: gpd.GeoDataFrame, field: str | None) -> tuple[str, ...]:
    """A field as text: '' where missing, whole numbers without a decimal point."""
    return tuple(_text(v) for v in frame[field]) if field else ("",) * len(frame)


def _text(value: Any) -> str:
    if value is None or pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _date(value: Any) -> date | None:
    """A date from what drivers give: dates, timestamps, '2024-04-22Z', '20240422'. None where it is none."""
    if isinstance(value, datetime):  # a pandas timestamp is one; NaT is not a valid one
        return None if pd.isna(value) else value.date()
    if isinstance(value, date):
        return value
    found = re.match(r"(\d{4})-?(\d{2})-?(\d{2})", str(value))
    try:
        return date(*(int(part) for part in found.groups())) if found else None
    except ValueError:
        return None


def _plain(text: str) -> str:
    text = text.casefold()
    for umlaut, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue")):
        text = text.replace(umlaut, plain)
    return text
