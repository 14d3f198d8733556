"""One GeoPackage with everything: surfaces, parcels, sheets, the record of the run, and styles for QGIS."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd

from sealmap.core.legend import Legend
from sealmap.core.record import RunRecord
from sealmap.delivery.styles import parcels_style, sheets_style, surfaces_style
from sealmap.delivery.texts import Language, text
from sealmap.files.atomic import staged
from sealmap.files.vector import write_layer

_STYLES_TABLE = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')));
INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES ('layer_styles', 'attributes',
  'layer_styles', 0);
"""
_RECORD_TABLE = """
CREATE TABLE run_record (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL);
INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES ('run_record', 'attributes',
  'run_record', 0);
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """What goes into the file. surfaces: polygons of ``vectorization``. parcels: the table of ``parcels``.

    sheets: footprints with a name. Layers that are None are left out.
    """

    surfaces: gpd.GeoDataFrame | None
    record: RunRecord
    legend: Legend
    parcels: gpd.GeoDataFrame | None = None
    sheets: gpd.GeoDataFrame | None = None
    language: Language = "en"


def write_geopackage(path: Path, package: Package, *, overwrite: bool = False) -> None:
    """Write the layers and the tables run_record and layer_styles, whole or not at all."""
    with staged(path, overwrite=overwrite) as scratch:
        styles = []
        for name, frame, style in (
            ("sealed_surfaces", package.surfaces, surfaces_style),
            ("parcels", package.parcels, parcels_style),
            ("sheets", package.sheets, sheets_style),
        ):
            if frame is not None:
                write_layer(scratch, name, frame, append=scratch.exists())
                qml = style(list(frame.columns), package.legend, package.language).qml()
                styles.append((name, text(f"layer.{name}", package.language), qml))
        with closing(sqlite3.connect(scratch)) as connection, connection:
            add_styles(connection, styles)
            connection.executescript(_RECORD_TABLE)
            connection.executemany("INSERT INTO run_record (key, value) VALUES (?, ?)", record_lines(package.record))


def add_styles(connection: sqlite3.Connection, styles: Iterable[tuple[str, str, str]]) -> None:
    """Give layers of a GeoPackage a default style for QGIS: (layer, description, QML)."""
    connection.executescript(_STYLES_TABLE)
    connection.executemany(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column,"
        " styleName, description, styleQML, styleSLD, useAsDefault, owner)"
        " VALUES ('', '', ?1, 'geom', ?1, ?2, ?3, '', 1, '')",
        styles,
    )


def record_lines(record: RunRecord) -> Iterator[tuple[str, str]]:
    """The record as (key, value) lines, with keys such as 'inputs.0.sha256' or 'settings.threshold'."""
    yield from _lines("", json.loads(record.to_json()))


def _lines(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        items = [(str(i), v) for i, v in enumerate(value)]
    else:
        yield key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return
    for name, inner in items:
        yield from _lines(f"{key}.{name}" if key else str(name), inner)


def write_csv(path: Path, parcels: gpd.GeoDataFrame, *, overwrite: bool = False) -> None:
    """Write the parcel table without geometry: comma, UTF-8 without BOM, text quoted, m² with 1 decimal.

    Shares have 4 decimals; a value that is not known is an empty cell.
    """
    columns = [c for c in parcels.columns if c != parcels.geometry.name]
    with (
        staged(path, overwrite=overwrite) as scratch,
        scratch.open("w", encoding="utf-8", newline="") as stream,
    ):
        # ids such as 05123400100012 are text: quotes keep their zeros in most programs
        stream.write(",".join(f'"{c}"' for c in columns) + "\r\n")
        for row in parcels[columns].itertuples(index=False, name=None):
            stream.write(",".join(_cell(c, v) for c, v in zip(columns, row, strict=True)) + "\r\n")


def _cell(column: str, value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if column.endswith("_m2"):
        return f"{value:.1f}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
