"""Parcels: whose square metres are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd
from pyproj import CRS

from sealmap.core.errors import InputError
from sealmap.core.text import plain
from sealmap.files.vector import open_vector
from sealmap.sources.extents import Bounds, no_overlap, overlap
from sealmap.sources.fields import AREA, PARCEL_ID, field_names, find_field, named_field, number_of, texts
from sealmap.sources.formats import Format, kind_of_layer, parcel_layers
from sealmap.sources.nas import living
from sealmap.sources.polygons import polygons_of


@dataclass(frozen=True, kw_only=True, slots=True)
class ParcelCounts:
    """What had to be done to parcels; in ``frame.attrs['counts']`` of what ``read_parcels`` returns.

    kind: the format, as of a cadastre. layers: names read. repaired: shapes made valid. dropped: rows without any
    polygon. joined: rows that became part of another with the same id. historic: parcels that have ended.
    broken_texts: values (in GML: parcels) that were not in the encoding that the file says. linearised: shapes with
    arcs, now chords of 1° (known for GML and NAS only). unread_areas: official areas that are no numbers.
    """

    kind: str
    layers: tuple[str, ...]
    repaired: int = 0
    dropped: int = 0
    joined: int = 0
    historic: int = 0
    broken_texts: int = 0
    linearised: int = 0
    unread_areas: int = 0


def read_parcels(
    path: Path, *, crs: CRS, layer: str | None = None, id_field: str | None = None, bounds: Bounds | None = None
) -> gpd.GeoDataFrame:
    """Parcels in ``crs``: columns parcel_id (text), official_area_m2 (NaN where not given) and geometry.

    ``path`` is a file, a folder or a zip. Rows with one id are parts of one parcel and are joined. All parcels are
    read; with ``bounds`` (of ``crs``), one of them at least must meet them. What had to be done to them is in
    ``attrs['counts']``. Raises InputError where there are no parcels, none within ``bounds``, or no field can be
    the id.
    """
    with open_vector(path) as source:
        names = parcel_layers(source, layer)
        tables = [source.read(name) for name in names]
    where = f"{path.name}:{names[0]}"
    frames = [t.frame.to_crs(crs) for t in tables]
    frame = frames[0] if len(frames) == 1 else gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=crs)
    frame, historic = living(frame) if _kind(names[0]) is Format.NAS else (frame, 0)
    if not len(frame):
        raise InputError(f"{where} holds no parcels", remedy="fetch them again, or name another layer")
    geometry, repaired = polygons_of(frame.geometry.to_numpy())
    area = find_field(field_names(frame), AREA)
    official = [number_of(v) for v in frame[area]] if area else [float("nan")] * len(frame)
    table = gpd.GeoDataFrame(
        {"parcel_id": texts(frame, _id_field(frame, id_field, where)), "official_area_m2": official},
        geometry=geometry,
        crs=crs,
    )
    filled = table[~table.geometry.is_empty]
    found = _joined(filled)
    found.attrs["counts"] = ParcelCounts(
        kind=_kind(names[0]).value,
        layers=tuple(names),
        repaired=repaired + sum(t.closed for t in tables),
        dropped=len(table) - len(filled),
        joined=len(filled) - len(found),
        historic=historic,
        broken_texts=sum(t.broken_texts for t in tables),
        linearised=sum(t.curved for t in tables),
        unread_areas=sum(bool(t) and math.isnan(n) for t, n in zip(texts(frame, area), official, strict=True)),
    )
    if bounds is not None:
        _check_place(found, f"parcels {path.name}", bounds)
    return found


def _kind(layer: str) -> Format:
    name = plain(layer).rpartition(":")[2]
    if name == "ax_flurstueck":
        return Format.NAS
    return Format.SIMPLIFIED if kind_of_layer(name) == "parcel" and "flurstueck" in name else Format.LAYER


def _joined(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """One row per parcel."""
    if table["parcel_id"].duplicated().any():
        # The same parcel from two packages adds nothing to the union; parts of a split parcel do.
        table = table.dissolve(by="parcel_id", aggfunc="first", as_index=False)
    ordered: gpd.GeoDataFrame = table[["parcel_id", "official_area_m2", "geometry"]].reset_index(drop=True)
    return ordered


def _check_place(parcels: gpd.GeoDataFrame, what: str, bounds: Bounds) -> None:
    each = parcels.geometry.bounds.to_numpy()
    if not any(overlap((b[0], b[1], b[2], b[3]), bounds) for b in each):
        whole = parcels.total_bounds
        raise no_overlap(what, (whole[0], whole[1], whole[2], whole[3]), parcels.crs, bounds)


def _id_field(frame: gpd.GeoDataFrame, id_field: str | None, where: str) -> str:
    """The field that names a parcel: the one given, else the first known one that every parcel has."""
    if id_field is not None:
        found = named_field(frame, id_field, where)
        empty = sum(not t for t in texts(frame, found))
        if empty:
            raise InputError(
                f"{where}: {empty} of {len(frame)} parcels have no '{found}'", remedy="name another id field"
            )
        return found
    for alias in PARCEL_ID:
        found_one = find_field(field_names(frame), (alias,))
        if found_one is not None and all(texts(frame, found_one)):
            return found_one
    raise InputError(
        f"{where} has no field that is known to name a parcel; it has: {', '.join(field_names(frame))}",
        remedy="name one with --id-field",
    )
