"""report.html: what was mapped, with what, and how the numbers add up. Nothing in it is retyped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import geopandas as gpd
import numpy as np

from sealmap.core.legend import Legend
from sealmap.core.record import RunRecord
from sealmap.delivery.geopackage import record_lines
from sealmap.delivery.guard_texts import guard_lines
from sealmap.delivery.styles import SHARE_COLORS
from sealmap.delivery.templating import render
from sealmap.delivery.texts import Language, alias, number, text
from sealmap.files.atomic import write_text

_TOP = 20
"""Parcels in the table of the report; the full table is in the GeoPackage and the CSV."""


class Areas(Protocol):
    """Square metres of the whole map (``parcels.MapAreas``)."""

    @property
    def legend(self) -> Legend:
        """Legend of the class raster."""

    @property
    def class_m2(self) -> Sequence[float]:
        """Area by class id."""

    @property
    def unknown_m2(self) -> float:
        """Area without a class."""


class Balance(Protocol):
    """Sealed square metres from pixels to outlines (``vectorization.MassBalance``)."""

    @property
    def pixels_m2(self) -> float:
        """Sealed pixels of the class raster."""

    @property
    def added_m2(self) -> float:
        """Added by cleaning."""

    @property
    def removed_m2(self) -> float:
        """Removed by cleaning."""

    @property
    def traced_m2(self) -> float:
        """Area of the pixel-edge polygons."""

    @property
    def simplified_m2(self) -> float:
        """Area of the outlines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """All that a report prints. parcels: the table of ``parcels``. preview: a PNG, taken into the file."""

    record: RunRecord
    areas: Areas
    balance: Balance | None = None
    parcels: gpd.GeoDataFrame | None = None
    preview: Path | None = None
    title: str = ""
    language: Language = "en"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """A line of a table as printed. color: '#rrggbb' or empty. width: of a bar, in percent."""

    name: str
    value: str
    note: str = ""
    color: str = ""
    width: float = 0.0


def write_report(path: Path, report: RunReport, *, overwrite: bool = False) -> None:
    """Write the report as one HTML file that needs no other file and no network."""
    write_text(path, html(report), overwrite=overwrite)


def html(report: RunReport) -> str:
    """The report as HTML. Every text from outside is escaped."""
    language, parcels = report.language, report.parcels
    known = sum(report.areas.class_m2)
    if parcels is not None and parcels.empty:
        parcels = None
    return render(
        "report.html.j2",
        t=lambda key: text(f"report.{key}", language),
        language=language,
        title=report.title or text("project.title", language),
        record=report.record,
        figures=_figures(report, known),
        classes=_classes(report, known),
        preview=_data_uri(report.preview) if report.preview else "",
        balance=_balance(report),
        histogram=_histogram(parcels, language) if parcels is not None else [],
        parcels_n=number(len(parcels), language) if parcels is not None else "",
        head=_head(parcels, report.areas.legend, language) if parcels is not None else [],
        top=_top(parcels, language) if parcels is not None else [],
        guard=guard_lines(_guard(report.record).get("findings", []), language),
        forced=bool(_guard(report.record).get("forced")),
        lines=_record(report.record),
        bytes_of=lambda n: number(n, language),
    )


def _figures(report: RunReport, known: float) -> list[_Line]:
    language = report.language
    sealed = sum(report.areas.class_m2[k] for k in report.areas.legend.sealed_ids)
    mapped = known + report.areas.unknown_m2
    unknown = report.areas.unknown_m2
    values = (("mapped", mapped), ("sealed", sealed), ("unsealed", known - sealed), ("unknown", unknown))
    lines = [_Line(name=text(f"report.{k}", language), value=f"{number(v, language)} m²") for k, v in values]
    share = number(100 * sealed / known, language, 1) if known else "–"
    lines.insert(2, _Line(name=text("report.share", language), value=f"{share} %"))
    return lines


def _classes(report: RunReport, known: float) -> list[_Line]:
    return [
        _Line(
            name=c.label(report.language),
            value=number(m2, report.language, 1),
            note=f"{number(100 * m2 / known, report.language, 1)} %" if known else "–",
            color=_hex(c.color),
        )
        for c, m2 in zip(report.areas.legend.classes, report.areas.class_m2, strict=True)
    ]


def _balance(report: RunReport) -> list[_Line]:
    """Pixels + added − removed = polygons, and pixels = parcels + outside."""
    language, b = report.language, report.balance
    legend = report.areas.legend
    pixels = b.pixels_m2 if b else sum(report.areas.class_m2[k] for k in legend.sealed_ids)
    rows: list[tuple[str, float, str]] = [("pixels", pixels, "")]
    if b is not None:
        drift = 100 * (b.simplified_m2 / b.traced_m2 - 1) if b.traced_m2 else 0.0
        note = f"{'+' if drift >= 0 else '−'}{number(abs(drift), language, 2)} %"
        rows += [("added", b.added_m2, ""), ("removed", 0.0 - b.removed_m2, ""), ("traced", b.traced_m2, "")]
        rows += [("simplified", b.simplified_m2, note)]
    if report.parcels is not None:
        inside = float(report.parcels["sealed_m2"].sum())
        rows += [("in_parcels", inside, ""), ("outside", pixels - inside, "")]
    return [
        _Line(name=text(f"report.{k}", language), value=number(v, language, 1).replace("-", "−"), note=note)
        for k, v, note in rows
    ]


def _histogram(parcels: gpd.GeoDataFrame, language: Language) -> list[_Line]:
    """Parcels by sealed share in five steps; those without a known pixel apart."""
    share = parcels["sealed_share"].to_numpy(dtype=float, na_value=np.nan)
    known = share[~np.isnan(share)]
    counts, _ = np.histogram(known, bins=5, range=(0.0, 1.0))
    highest = max(int(counts.max()), 1)
    lines = [
        _Line(
            name=f"{20 * i}–{20 * (i + 1)} %",
            value=number(int(n), language),
            color=_hex(SHARE_COLORS[i]),
            width=round(100 * int(n) / highest, 1),
        )
        for i, n in enumerate(counts)
    ]
    if len(known) < len(share):
        rest = number(len(share) - len(known), language)
        lines.append(_Line(name=text("report.no_share", language), value=rest, color="#999999"))
    return lines


def _columns(parcels: gpd.GeoDataFrame) -> list[str]:
    """What matters most first, the rest as in the table."""
    first = ["parcel_id", "sealed_m2", "sealed_share", "area_m2"]
    return first + [c for c in parcels.columns if c not in first and c != parcels.geometry.name]


def _head(parcels: gpd.GeoDataFrame, legend: Legend, language: Language) -> list[str]:
    names = {"sealed_share": text("report.share_column", language)}  # printed in percent here
    return [names.get(c) or alias(c, legend, language) for c in _columns(parcels)]


def _top(parcels: gpd.GeoDataFrame, language: Language) -> list[list[str]]:
    """The parcels with most sealed area, as printed; the share in percent."""
    order = parcels.sort_values(["sealed_m2", "parcel_id"], ascending=[False, True]).head(_TOP)
    rows = order[_columns(parcels)].itertuples(index=False, name=None)
    return [[_cell(c, v, language) for c, v in zip(_columns(parcels), row, strict=True)] for row in rows]


def _cell(column: str, value: object, language: Language) -> str:
    if isinstance(value, float | np.floating):
        if column == "sealed_share":
            return f"{number(100 * float(value), language, 1)} %" if not np.isnan(value) else "–"
        return number(float(value), language, 1)
    return str(value)


def _guard(record: RunRecord) -> Mapping[str, Any]:
    """What the record says of the guard; {} where there was none."""
    found = record.figures.get("guard", {})
    return found if isinstance(found, Mapping) else {}


def _record(record: RunRecord) -> dict[str, list[_Line]]:
    """The record by section, each value on a line of its own."""
    names = ("model", "settings", "versions", "seconds", "figures")
    sections: dict[str, list[_Line]] = {name: [] for name in names}
    for key, value in record_lines(record):
        section, _, name = key.partition(".")
        if section in sections and name and not key.startswith("figures.guard"):  # has a table of its own
            sections[section].append(_Line(name=name, value=value))
    return sections


def _data_uri(png: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(png.read_bytes()).decode("ascii")


def _hex(color: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
