"""The cadastre as NAS, the exchange format of ALKIS: one element for each class of objects, codes in place of texts."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shapely.geometry import MultiPolygon

from sealmap.testing.alkis_codes import BUILDINGS, UNDERGROUND, USES
from sealmap.testing.cadastre_tables import CadastreTables
from sealmap.testing.gml import (
    GML,
    WFS2,
    XLINK,
    GmlStyle,
    Points,
    XmlStream,
    write_envelope,
    write_segment,
    write_surface,
    xml_file,
)

SRS = "urn:adv:crs:ETRS89_UTM32"
NasVersion = Literal["nas6", "nas7"]
_ONE_CURVE = GmlStyle(srs=SRS, surface="Surface", ring="curve")
_MANY_CURVES = GmlStyle(srs=SRS, surface="Surface", ring="curves")
_MANY_SEGMENTS = GmlStyle(srs=SRS, surface="Surface", ring="segments")
_POLYGON = GmlStyle(srs=SRS)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Dialect:
    """What the versions of NAS differ in; ``styles`` take turns from object to object."""

    gid: str
    wfs: str
    member: str
    styles: tuple[GmlStyle, ...]


_DIALECTS: dict[NasVersion, _Dialect] = {
    "nas6": _Dialect(
        gid="http://www.adv-online.de/namespaces/adv/gid/6.0",
        wfs="http://www.opengis.net/wfs",
        member="gml:featureMember",
        styles=(_MANY_CURVES, _ONE_CURVE),
    ),
    "nas7": _Dialect(
        gid="http://www.adv-online.de/namespaces/adv/gid/7.1",
        wfs=WFS2,
        member="wfs:member",
        styles=(_MANY_SEGMENTS, _POLYGON, _ONE_CURVE),
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundObject:
    """An object with arcs in its outline: ``oid``, and the exact area (m²) that the arcs enclose."""

    oid: str
    area_m2: float


def write_nas(path: Path, tables: CadastreTables, version: NasVersion) -> None:
    """A Bestandsdatenauszug: parcels, buildings and structures, and actual uses (NAS does not cut them by parcel)."""
    dialect = _DIALECTS[version]
    with _extract(path, dialect, tables.parcels.total_bounds.tolist()) as xml:
        for frame, write in ((tables.parcels, _parcel), (tables.buildings, _building), (tables.uses, _use)):
            rows: list[dict[str, Any]] = frame.drop(columns="geometry").to_dict("records")
            for i, (row, shape) in enumerate(zip(rows, frame.geometry, strict=True)):
                with xml.element(dialect.member):
                    write(xml, row, shape, dialect.styles[i % len(dialect.styles)])
                xml.newline()


def write_round_objects(
    path: Path, version: NasVersion = "nas6", *, at: tuple[float, float] = (364000.0, 5620000.0), radius: float = 12.5
) -> tuple[RoundObject, ...]:
    """Write two buildings (AX_Gebaeude) with gml:Arc in their outline; ``at`` and ``radius`` in metres.

    The first is a round tower about ``at``: a circle of two arcs. The second stands 4 radii further east: a nave
    of one radius by two, with an apse, half a circle, on its east side; straight and round segments share a curve.
    """
    dialect = _DIALECTS[version]
    r, (x, y) = radius, at
    cx = x + 4 * r
    tower = _curve("Arc", (x + r, y), (x, y + r), (x - r, y)) + _curve("Arc", (x - r, y), (x, y - r), (x + r, y))
    nave = _curve("LineStringSegment", (cx, y + r), (cx - r, y + r), (cx - r, y - r), (cx, y - r))
    apse = nave + _curve("Arc", (cx, y - r), (cx + r, y), (cx, y + r))
    shapes = (
        (RoundObject(oid="DENWGBARC0000001", area_m2=math.pi * r * r), tower),
        (RoundObject(oid="DENWGBARC0000002", area_m2=math.pi * r * r / 2 + 2 * r * r), apse),
    )
    with _extract(path, dialect, (x - r, y - r, cx + r, y + r)) as xml:
        for made, segments in shapes:
            with xml.element(dialect.member), _object(xml, "AX_Gebaeude", made.oid, dt.date(2020, 5, 4)):
                ring = "gml:Surface/gml:patches/gml:PolygonPatch/gml:exterior/gml:Ring/gml:curveMember"
                with (
                    xml.element("position"),
                    xml.element(ring, {"gml:id": f"{made.oid}.G", "srsName": SRS, "srsDimension": "2"}),
                    xml.element("gml:Curve/gml:segments", {"gml:id": f"{made.oid}.G.r0"}),
                ):
                    for kind, points in segments:
                        write_segment(xml, kind, points)
                xml.leaf("gebaeudefunktion", "3041")
            xml.newline()
    return tuple(made for made, _ in shapes)


def _curve(
    kind: Literal["LineStringSegment", "Arc"], *points: tuple[float, float]
) -> list[tuple[Literal["LineStringSegment", "Arc"], Points]]:
    return [(kind, [f"{x:.3f} {y:.3f}" for x, y in points])]


@contextmanager
def _extract(path: Path, dialect: _Dialect, bounds: Sequence[float]) -> Iterator[XmlStream]:
    """The frame of a Bestandsdatenauszug around its members."""
    root = {"xmlns": dialect.gid, "xmlns:gml": GML, "xmlns:wfs": dialect.wfs, "xmlns:xlink": XLINK}
    with xml_file(path) as xml, xml.element("AX_Bestandsdatenauszug", root):
        xml.leaf("erfolgreich", "true")
        xml.leaf("antragsnummer", "0001")
        with xml.element("koordinatenangaben/AA_Koordinatenreferenzsystemangaben"):
            with xml.element("crs", {"xlink:href": SRS}):
                pass
            xml.leaf("anzahlDerNachkommastellen", "3")
            xml.leaf("standard", "true")
        xml.newline()
        with xml.element("enthaelt/wfs:FeatureCollection"):
            with xml.element("gml:boundedBy"):
                write_envelope(xml, bounds, SRS)
            xml.newline()
            yield xml


@contextmanager
def _object(xml: XmlStream, element: str, oid: str, day: dt.date) -> Iterator[None]:
    """An object with what all of them have; ``day`` is the date of its last change."""
    with xml.element(element, {"gml:id": oid}):
        xml.leaf("gml:identifier", f"urn:adv:oid:{oid}", {"codeSpace": "http://www.adv-online.de/"})
        xml.leaf("lebenszeitintervall/AA_Lebenszeitintervall/beginnt", f"{day}T08:30:00Z")
        xml.leaf("modellart/AA_Modellart/advStandardModell", "DLKM")
        xml.leaf("anlass", "010400" if element == "AX_Flurstueck" else "000000")
        yield


def _position(xml: XmlStream, shape: MultiPolygon, style: GmlStyle, oid: str) -> None:
    with xml.element("position"):
        write_surface(xml, shape, style, f"{oid}.G")


def _parcel(xml: XmlStream, row: dict[str, Any], shape: MultiPolygon, style: GmlStyle) -> None:
    day: dt.date = row["aktualit"]
    with _object(xml, "AX_Flurstueck", row["oid"], day):
        _position(xml, shape, style, row["oid"])
        with xml.element("gemarkung/AX_Gemarkung_Schluessel"):
            xml.leaf("land", row["gemaschl"][:2])
            xml.leaf("gemarkungsnummer", row["gemaschl"][2:])
        with xml.element("flurstuecksnummer/AX_Flurstuecksnummer"):
            xml.leaf("zaehler", row["flstnrzae"])
            if row["flstnrnen"]:
                xml.leaf("nenner", row["flstnrnen"])
        xml.leaf("flurstueckskennzeichen", row["flstkennz"])
        xml.leaf("amtlicheFlaeche", f"{row['flaeche']:.2f}", {"uom": "m2"})
        xml.leaf("flurnummer", str(int(row["flurschl"][6:])))
        xml.leaf("abweichenderRechtszustand", row["abwrecht"])
        xml.leaf("rechtsbehelfsverfahren", "false")
        # Younger than the parcel is the last change to what is said of it.
        xml.leaf("zeitpunktDerEntstehung", f"{day.year - 12}-06-01")
        with xml.element("gemeindezugehoerigkeit/AX_Gemeindekennzeichen"):
            for name, part in (("land", (0, 2)), ("regierungsbezirk", (2, 3)), ("kreis", (3, 5)), ("gemeinde", (5, 8))):
                xml.leaf(name, row["gmdschl"][slice(*part)])


def _building(xml: XmlStream, row: dict[str, Any], shape: MultiPolygon, style: GmlStyle) -> None:
    kind, _, code = row["gfkzshh"].partition("_")
    if kind not in BUILDINGS:
        raise ValueError(f"no class of objects for {row['gfkzshh']}: add it to alkis_codes.py")
    with _object(xml, BUILDINGS[kind].element, row["oid"], row["aktualit"]):
        _position(xml, shape, style, row["oid"])
        if row["name"]:
            xml.leaf("name", row["name"])
        xml.leaf(BUILDINGS[kind].attribute, code)
        if row["gfkzshh"] in UNDERGROUND:
            xml.leaf("lageZurErdoberflaeche", "1200")


def _use(xml: XmlStream, row: dict[str, Any], shape: MultiPolygon, style: GmlStyle) -> None:
    if row["nutzart"] not in USES:
        raise ValueError(f"no class of objects for {row['nutzart']!r}: add it to alkis_codes.py")
    use = USES[row["nutzart"]]
    with _object(xml, use.element, row["oid"], row["aktualit"]):
        _position(xml, shape, style, row["oid"])
        if code := use.code_of(row["bez"]):
            xml.leaf(use.attribute, code)
        if row["name"]:
            xml.leaf("name", row["name"])
