"""The cadastre as GeoPackage and as shapefiles, each in the spelling of those who publish it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray

from sealmap.testing.cadastre_tables import CRS, CadastreTables

DBF_WIDTH = 254
"""Bytes that a text field of a DBF can hold."""


def write_nrw(path: Path, tables: CadastreTables) -> None:
    """North Rhine-Westphalia: ``GebauedeBauwerk`` is misspelled, ``aktualit`` is a DATE."""
    _write_geopackage(path, _layers(tables, "GebauedeBauwerk"))


def write_bb(path: Path, tables: CadastreTables) -> None:
    """Brandenburg: misspelled, too; ``tntext`` for ``tntxt``, ``flurstnr`` besides, and ``aktualit`` is a text."""
    layers = _layers(tables, "GebauedeBauwerk")
    parcels = layers["Flurstueck"].rename(columns={"tntxt": "tntext"})
    denominator = np.where(parcels["flstnrnen"] == "", "", "/" + parcels["flstnrnen"])
    layers["Flurstueck"] = parcels.assign(flurstnr=parcels["flstnrzae"] + denominator)
    _write_geopackage(path, {name: _with_text_dates(frame) for name, frame in layers.items()})


def write_mv(path: Path, tables: CadastreTables) -> None:
    """Mecklenburg-Vorpommern: ``GebaeudeBauwerk`` spelled well, ``aktualit`` a text such as ``2024-04-22Z``."""
    layers = _layers(tables, "GebaeudeBauwerk")
    _write_geopackage(path, {name: _with_text_dates(frame) for name, frame in layers.items()})


def write_shapefiles(folder: Path, tables: CadastreTables) -> None:
    """One shapefile for each layer, texts in UTF-8; others in ``folder`` stay."""
    for name, frame in _layers(tables, "GebauedeBauwerk").items():
        _write_shapefile(folder / f"{name}.shp", frame)


def write_cut_shapefiles(folder: Path, tables: CadastreTables) -> None:
    """As :func:`write_shapefiles`, but every second ``tntxt`` is too long and cut in the middle of an umlaut.

    DBF writers that count bytes, not characters, leave such broken UTF-8 behind.
    """
    texts = tables.parcels["tntxt"].tolist()
    long = [text if i % 2 else _split_at_limit(text) for i, text in enumerate(texts)]
    # The driver cuts between characters, so it gets a text of the right length to make room for ours.
    room = [text if i % 2 else "x" * DBF_WIDTH for i, text in enumerate(texts)]
    layers = _layers(tables, "GebauedeBauwerk") | {"Flurstueck": tables.parcels.assign(tntxt=room)}
    for name, frame in layers.items():
        _write_shapefile(folder / f"{name}.shp", frame)
    _overwrite_text(folder / "Flurstueck.dbf", "tntxt", [text.encode()[:DBF_WIDTH] for text in long])


def write_outlines(folder: Path, tables: CadastreTables, year: int) -> None:
    """Hausumringe, ``<year>_hu_shp.shp``: outlines of buildings, without structures and parts of buildings."""
    houses = tables.buildings[tables.buildings["gebnutzbez"] == "Gebäude"]
    fields = {"gmdschl": "AGS", "oid": "OI", "gfkzshh": "GFK", "aktualit": "AKTUALITAE"}
    _write_shapefile(folder / f"{year}_hu_shp.shp", houses[[*fields, "geometry"]].rename(columns=fields))


def _layers(tables: CadastreTables, buildings: str) -> dict[str, gpd.GeoDataFrame]:
    return {
        "Flurstueck": tables.parcels,
        buildings: tables.buildings,
        "Nutzung": tables.uses,
        "NutzungFlurstueck": tables.uses_by_parcel,
    }


def _with_text_dates(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return frame.assign(aktualit=[f"{day}Z" for day in frame["aktualit"]])


def _columns(frame: gpd.GeoDataFrame) -> dict[str, NDArray[Any]]:
    """Arrays instead of the frame itself: pandas has no day type, and dates must become DATE."""
    columns = {str(name): frame[name].to_numpy() for name in frame.columns if name != "geometry"}
    for name in ("aktualit", "AKTUALITAE"):
        if name in columns and len(frame) and not isinstance(columns[name][0], str):
            columns[name] = columns[name].astype("datetime64[D]")
    return columns


def _write_geopackage(path: Path, layers: dict[str, gpd.GeoDataFrame]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    for layer, frame in layers.items():
        columns = _columns(frame)
        pyogrio.raw.write(
            path,
            geometry=shapely.to_wkb(frame.geometry.to_numpy()),
            field_data=list(columns.values()),
            fields=list(columns),
            layer=layer,
            driver="GPKG",
            geometry_type="MultiPolygon",
            crs=CRS,
            append=path.exists(),
            dataset_options={} if path.exists() else {"VERSION": "1.3"},
        )


def _write_shapefile(path: Path, frame: gpd.GeoDataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for suffix in (".shp", ".shx", ".dbf", ".prj", ".cpg"):
        path.with_suffix(suffix).unlink(missing_ok=True)
    columns = _columns(frame)
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(frame.geometry.to_numpy()),
        field_data=list(columns.values()),
        fields=list(columns),
        driver="ESRI Shapefile",
        geometry_type="MultiPolygon",
        crs=CRS,
        encoding="UTF-8",
    )


def _split_at_limit(text: str) -> str:
    """``text`` and more uses, so that the limit falls between the two bytes of an ``Ä``."""
    head = (text.encode() + b"|Wald;1" * DBF_WIDTH)[: DBF_WIDTH - 1]
    return f"{head.decode()}Äcker;2"


def _overwrite_text(dbf: Path, field: str, values: list[bytes]) -> None:
    """Put raw bytes into a text field of a DBF that is there (dBase III: header, fields of 32 bytes, rows)."""
    data = bytearray(dbf.read_bytes())
    rows, header, row_size = struct.unpack_from("<IHH", data, 4)
    at = 1  # the mark of deleted rows comes first
    for start in range(32, header - 1, 32):
        name, width = data[start : start + 11].split(b"\0")[0].decode(), data[start + 16]
        if name == field:
            break
        at += width
    else:
        raise ValueError(f"{dbf.name} has no field {field}")
    if rows != len(values) or max(len(v) for v in values) > width:
        raise ValueError(f"{dbf.name}: {rows} rows of {width} bytes cannot take {len(values)} values")
    for i, value in enumerate(values):
        start = header + i * row_size + at
        data[start : start + width] = value.ljust(width)
    dbf.write_bytes(data)
