"""Writing GML 3.2: a stream of elements, and surfaces in the several spellings that deliveries have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.polygon import LinearRing

GML = "http://www.opengis.net/gml/3.2"
WFS2 = "http://www.opengis.net/wfs/2.0"
XLINK = "http://www.w3.org/1999/xlink"

SurfaceForm = Literal["Polygon", "Surface"]
RingForm = Literal["LinearRing", "curve", "segments", "curves"]
Points = Sequence[str]
_PART = {"Polygon": "gml:Polygon", "Surface": "gml:Surface/gml:patches/gml:PolygonPatch"}


class XmlStream:
    """Elements written as they come, with the prefixes in their names; texts and attributes are escaped."""

    def __init__(self, out: TextIOWrapper) -> None:
        self._xml = XMLGenerator(out, encoding="utf-8", short_empty_elements=True)
        self._xml.startDocument()

    @contextmanager
    def element(self, path: str, attributes: Mapping[str, str] | None = None) -> Iterator[None]:
        """Open ``path``, several names parted by ``/``, and close it at the end; the first has the attributes."""
        names = path.split("/")
        for i, name in enumerate(names):
            self._xml.startElement(name, AttributesImpl(dict(attributes or {}) if i == 0 else {}))
        yield
        for name in reversed(names):
            self._xml.endElement(name)

    def leaf(self, path: str, text: str, attributes: Mapping[str, str] | None = None) -> None:
        """``path`` with ``text`` inside."""
        with self.element(path, attributes):
            self._xml.characters(text)

    def newline(self) -> None:
        """One object a line: people look into these files."""
        self._xml.ignorableWhitespace("\n")


@contextmanager
def xml_file(path: Path) -> Iterator[XmlStream]:
    """A new file, UTF-8; one that is there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as out:
        yield XmlStream(out)
        out.write("\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class GmlStyle:
    """How a surface is spelled.

    surface: gml:Polygon, or gml:Surface with one gml:PolygonPatch. ring: gml:LinearRing; or a gml:Ring of one
    gml:Curve with one gml:LineStringSegment ('curve') or with one for each edge ('segments'), or of one
    gml:Curve for each edge ('curves').
    """

    srs: str
    surface: SurfaceForm = "Polygon"
    ring: RingForm = "LinearRing"


def write_surface(xml: XmlStream, shape: MultiPolygon, style: GmlStyle, gml_id: str, *, multi: bool = False) -> None:
    """``shape`` (metres, east and north, written in whole millimetres).

    Several parts, or any number with ``multi``, become one gml:MultiSurface.
    """
    srs = {"srsName": style.srs, "srsDimension": "2"}
    parts = list(shape.geoms)
    if len(parts) == 1 and not multi:
        _write_part(xml, parts[0], style, {"gml:id": gml_id} | srs)
        return
    with xml.element("gml:MultiSurface", {"gml:id": gml_id} | srs):
        for i, part in enumerate(parts):
            with xml.element("gml:surfaceMember"):
                _write_part(xml, part, style, {"gml:id": f"{gml_id}.{i}"})


def write_envelope(xml: XmlStream, bounds: Sequence[float], srs: str) -> None:
    """gml:Envelope of ``bounds`` (minx, miny, maxx, maxy in metres)."""
    with xml.element("gml:Envelope", {"srsName": srs, "srsDimension": "2"}):
        xml.leaf("gml:lowerCorner", f"{bounds[0]:.3f} {bounds[1]:.3f}")
        xml.leaf("gml:upperCorner", f"{bounds[2]:.3f} {bounds[3]:.3f}")


def write_segment(xml: XmlStream, kind: Literal["LineStringSegment", "Arc"], points: Points) -> None:
    """One segment of a gml:Curve; an Arc runs through exactly three points."""
    form = "linear" if kind == "LineStringSegment" else "circularArc3Points"
    with xml.element(f"gml:{kind}", {"interpolation": form}):
        xml.leaf("gml:posList", " ".join(points))


def _write_part(xml: XmlStream, part: Polygon, style: GmlStyle, attributes: Mapping[str, str]) -> None:
    with xml.element(_PART[style.surface], attributes):
        with xml.element("gml:exterior"):
            _write_ring(xml, _points(part.exterior), style.ring, f"{attributes['gml:id']}.r0")
        for i, hole in enumerate(part.interiors, start=1):
            points = _points(hole)
            if len(points) < 4:  # rounding closed it
                continue
            with xml.element("gml:interior"):
                _write_ring(xml, points, style.ring, f"{attributes['gml:id']}.r{i}")


def _points(ring: LinearRing) -> list[str]:
    """Vertices 'E N' in millimetres, the first one again at the end, none twice in a row."""
    rounded = np.round(shapely.get_coordinates(ring), 3)
    moves = np.r_[True, (np.diff(rounded, axis=0) != 0).any(axis=1)]
    return [f"{x:.3f} {y:.3f}" for x, y in rounded[moves]]


def _write_ring(xml: XmlStream, points: Points, form: RingForm, gml_id: str) -> None:
    if form == "LinearRing":
        xml.leaf("gml:LinearRing/gml:posList", " ".join(points))
        return
    edges = [points[i : i + 2] for i in range(len(points) - 1)]
    curves = {"curve": [[points]], "segments": [edges], "curves": [[edge] for edge in edges]}[form]
    with xml.element("gml:Ring"):
        for i, segments in enumerate(curves):
            with (
                xml.element("gml:curveMember"),
                xml.element("gml:Curve", {"gml:id": f"{gml_id}.{i}"}),
                xml.element("gml:segments"),
            ):
                for segment in segments:
                    write_segment(xml, "LineStringSegment", segment)
