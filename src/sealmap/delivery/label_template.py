"""A GeoPackage to draw labels in: drop-down classes, colours, a form for QGIS. Empty, for people to fill."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
from pyproj import CRS

from sealmap.core.errors import InputError
from sealmap.delivery.geopackage import add_styles
from sealmap.delivery.styles import Entry, VectorStyle, Widget
from sealmap.delivery.texts import Language, text
from sealmap.files.atomic import staged
from sealmap.files.vector import write_layer

LABELS_LAYER = "labels"
AREAS_LAYER = "areas"

LABEL_FIELDS = (("class", "TEXT"), ("note", "TEXT"), ("editor", "TEXT"), ("date", "DATE"))
AREA_FIELDS = (("split", "TEXT"), ("note", "TEXT"))
"""Fields with their type in a GeoPackage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """One choice of a drop-down. level: what is drawn above what; the order in which labels win."""

    key: str
    color: tuple[int, int, int]
    alpha: int
    brush: str = "solid"
    level: int = 0


_CLASSES = (
    _Look(key="roof", color=(204, 51, 51), alpha=110, level=3),
    _Look(key="paved", color=(120, 120, 120), alpha=130, level=2),
    _Look(key="sealed", color=(236, 145, 38), alpha=110, level=2),
    _Look(key="unsealed", color=(60, 170, 60), alpha=50, level=1),
    _Look(key="ignore", color=(255, 225, 0), alpha=220, brush="b_diagonal", level=4),
)
_SPLITS = (
    _Look(key="train", color=(31, 120, 180), alpha=0),
    _Look(key="val", color=(255, 127, 0), alpha=0),
    _Look(key="test", color=(152, 78, 163), alpha=0),
)
_NONE = _Look(key="", color=(255, 0, 255), alpha=150, level=5)
"""Anything else: loud, so that it is seen while one draws."""

CLASSES = tuple(look.key for look in _CLASSES)
"""Values of the field ``class``: the labels of ``dataset.rules``, in every language."""

SPLITS = tuple(look.key for look in _SPLITS)
"""Values of the field ``split``."""


def write_label_template(path: Path, crs: CRS, *, language: Language = "en", overwrite: bool = False) -> None:
    """Write a GeoPackage with the empty polygon layers 'labels' and 'areas', each with a style for QGIS."""
    if path.suffix.lower() != ".gpkg":
        raise InputError(f"{path.name} is no name for a GeoPackage", remedy="end it with .gpkg")
    layers = (
        (LABELS_LAYER, LABEL_FIELDS, labels_style(language)),
        (AREAS_LAYER, AREA_FIELDS, areas_style(language)),
    )
    with staged(path, overwrite=overwrite) as scratch:
        for name, _, _ in layers:
            write_layer(scratch, name, gpd.GeoDataFrame(geometry=[], crs=crs), append=scratch.exists())
        with closing(sqlite3.connect(scratch)) as connection, connection:
            for name, fields, _ in layers:
                # An empty frame has no types, and no frame has a plain date.
                for field, kind in fields:
                    connection.execute(f'ALTER TABLE "{name}" ADD COLUMN "{field}" {kind}')
            add_styles(connection, [(n, text(f"layer.{n}", language), style.qml()) for n, _, style in layers])


def labels_style(language: Language) -> VectorStyle:
    """Labels by class, translucent, the class that wins above the others."""
    day = (
        ("field_format", "QString", "yyyy-MM-dd"),
        ("display_format", "QString", text("date.format", language)),
        ("calendar_popup", "bool", "true"),
        ("allow_null", "bool", "true"),
    )
    widgets = (
        Widget(field="fid", kind="Hidden"),
        _drop_down("class", "label", CLASSES, language),
        Widget(field="note", kind="TextEdit"),
        Widget(field="editor", kind="TextEdit", reuse=True),
        Widget(field="date", kind="DateTime", options=day, default="to_date(now())"),
    )
    return VectorStyle(
        renderer="categorizedSymbol",
        attribute="class",
        entries=_entries("label", _CLASSES, language),
        outline=(40, 40, 40, 255),
        outline_mm=0.3,
        aliases=_aliases(LABEL_FIELDS, language),
        widgets=widgets,
    )


def areas_style(language: Language) -> VectorStyle:
    """Areas by what they are used for: outlines only."""
    return VectorStyle(
        renderer="categorizedSymbol",
        attribute="split",
        entries=_entries("split", _SPLITS, language),
        outline=(40, 40, 40, 255),
        outline_mm=0.9,
        aliases=_aliases(AREA_FIELDS, language),
        widgets=(
            Widget(field="fid", kind="Hidden"),
            _drop_down("split", "split", SPLITS, language),
            Widget(field="note", kind="TextEdit"),
        ),
    )


def _entries(words: str, looks: Sequence[_Look], language: Language) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            value=look.key,
            label=text(f"{words}.{look.key or 'none'}", language),
            fill=(*look.color, look.alpha),
            outline=(*look.color, 255) if not look.alpha else _darker(look.color),
            brush=look.brush,
            level=look.level,
        )
        for look in (*looks, _NONE)
    )


def _darker(color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """An outline that stands out where the ground has the colour of the fill: grey on grey paving."""
    red, green, blue = color
    return (red // 2, green // 2, blue // 2, 255)


def _drop_down(field: str, words: str, keys: Sequence[str], language: Language) -> Widget:
    return Widget(
        field=field,
        kind="ValueMap",
        choices=tuple((text(f"{words}.{key}", language), key) for key in keys),
        required=text(f"{words}.required", language),
        reuse=True,
    )


def _aliases(fields: Sequence[tuple[str, str]], language: Language) -> tuple[tuple[str, str], ...]:
    return tuple((name, text(f"field.{name}", language)) for name, _ in fields)
