"""GML and NAS as bytes: one file for each type of object, before GDAL sees any of it.

GDAL's GML driver writes a ``.gfs`` beside its input and believes an old one, parses the whole file once for each layer,
gives nothing at all (and no error) for a file that is cut off or not UTF-8, and may fetch schemas. So the objects are
cut out by their tags, in one pass over the mapped file, into a folder of our own. What reaches GDAL has no document
type, no entities of its own and no addresses of schemas.
"""

from __future__ import annotations

import codecs
import mmap
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pyproj import CRS
from pyproj.exceptions import CRSError

from sealmap.core.errors import GridError, InputError
from sealmap.files.texts import decode_broken

_HEAD_BYTES = 65536
_NAME = rb"(?:[\w.-]+:)?[\w.-]+"
_COMMENTS = rb"\s*(?:<!--.*?-->\s*)*"
_MEMBER = re.compile(
    rb"<(?:[\w.-]+:)?(?:featureMembers?|member|cityObjectMember)(?:\s[^>]*)?(?<!/)>"
    + _COMMENTS
    + rb"<("
    + _NAME
    + rb")",
    re.DOTALL,
)
_SIBLING = re.compile(_COMMENTS + rb"<(" + _NAME + rb")", re.DOTALL)
_MEMBER_NAME = re.compile(rb"(?:featureMembers?|member|cityObjectMember)$")
_ID = re.compile(rb"\s(?:\w+:)?(?:id|fid)\s*=\s*[\"']([^\"']*)[\"']")
_SRS = re.compile(rb"\ssrsName\s*=\s*[\"']([^\"']*)[\"']")
_CURVE = re.compile(rb"<(?:\w+:)?(?:Arc|Circle|CubicSpline|BSpline|Bezier|Geodesic|Clothoid)\w*[\s>]")
_SERVICE_ERROR = re.compile(rb"<(?:\w+:)?(?:ExceptionReport|ServiceExceptionReport)[\s>]")
_MATCHED = re.compile(rb"\snumberMatched\s*=\s*[\"'](\d+)[\"']")
_ADV_CRS = {"ETRS89_UTM31": 25831, "ETRS89_UTM32": 25832, "ETRS89_UTM33": 25833}
"""Names of AdV (urn:adv:crs:...) that GDAL and PROJ do not know. Coordinates are east, north, without the zone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GmlTable:
    """Objects of one type, cut out to ``file``.

    srs: the srsNames of their geometries, or else of the collection. curved: ids of those with arcs. broken: ids of
    those whose text was not in the encoding of the file (invalid bytes were taken as Windows-1252).
    """

    name: str
    file: Path
    objects: int
    srs: tuple[str, ...]
    curved: frozenset[str]
    broken: frozenset[str]


@dataclass(slots=True)
class _Open:
    """A table that is being written."""

    file: Path
    stream: BinaryIO
    objects: int = 0
    srs: set[str] = field(default_factory=set)
    curved: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)


def is_gml(path: Path) -> bool:
    """Whether a file is XML with GML in it, or what a service says instead, by its first bytes."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return False
    return b"opengis.net/gml" in head or _SERVICE_ERROR.search(head) is not None


def split_gml(path: Path, folder: Path, *, whole: bool) -> list[GmlTable]:
    """Cut the objects of a GML file into one file per type in ``folder``, in the order in which types appear.

    Raises InputError where the file is cut off, declares a document type or is the error message of a service, and,
    with ``whole``, where it says that it holds only some of the objects asked for. No table at all: a file without
    objects (metadata, an empty answer).
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        head = data[:_HEAD_BYTES]
        _refuse_unsafe(path, head)
        encoding = _encoding(head)
        tables: dict[str, _Open] = {}
        end, first = 0, len(data)
        with ExitStack() as stack:
            for start, end, name in _objects(path, data):
                first = min(first, start)
                key = name.rpartition(b":")[2].decode("ascii", "replace")
                if key not in tables:
                    file = folder / f"{len(tables):03d}_{key}.gml"
                    tables[key] = _Open(file=file, stream=stack.enter_context(file.open("wb")))
                    tables[key].stream.write(_opening(head))
                _add(tables[key], data[start:end], encoding)
            for table in tables.values():
                table.stream.write(b"</gml:FeatureCollection>\n")
        _refuse_cut(path, data, end, count := sum(t.objects for t in tables.values()))
        matched = [int(n) for n in _MATCHED.findall(data[: min(first, _HEAD_BYTES)])]
        if whole and matched and matched[0] > count:
            raise InputError(
                f"{path} holds {count} of the {matched[0]} objects that the service found",
                remedy="ask for smaller boxes or page by page, and give the folder of all answers",
            )
        outer = {s.decode("ascii", "replace") for s in _SRS.findall(data[: min(first, _HEAD_BYTES)])}
    return [
        GmlTable(
            name=name,
            file=t.file,
            objects=t.objects,
            srs=tuple(sorted(t.srs or outer)),
            curved=frozenset(t.curved),
            broken=frozenset(t.broken),
        )
        for name, t in tables.items()
    ]


def crs_of(names: tuple[str, ...], where: str) -> CRS:
    """The one CRS that all srsNames mean; GridError where there is none, more than one, or an unknown one."""
    if not names:
        raise GridError(f"{where} has no CRS (no srsName)", remedy="ask for the data again, with their CRS")
    found = {name: _crs(name) for name in names}
    unknown = [name for name, crs in found.items() if crs is None]
    if unknown:
        raise GridError(
            f"{where} is in {', '.join(unknown)}, which is not a CRS that is known",
            remedy="transform it to EPSG:25832 or EPSG:25833 first",
        )
    known = [crs for crs in found.values() if crs is not None]
    if any(not crs.equals(known[0], ignore_axis_order=True) for crs in known[1:]):
        raise GridError(f"{where} mixes {len(known)} CRSs: {', '.join(names)}", remedy="give them apart")
    return known[0]


def _crs(name: str) -> CRS | None:
    adv = name.rpartition(":")[2].partition("*")[0] if name.startswith("urn:adv:crs:") else ""  # *: heights
    if adv:
        return CRS.from_epsg(_ADV_CRS[adv]) if adv in _ADV_CRS else None
    epsg = re.search(r"(?:EPSG|epsg)(?:\.xml#|[:/]+(?:[\d.]*[:/]+)?)(\d+)$", name)
    try:
        return CRS.from_epsg(int(epsg[1])) if epsg else None
    except CRSError:
        return None


def _objects(path: Path, data: mmap.mmap) -> Iterator[tuple[int, int, bytes]]:
    """(start, end, name) of each object: what stands right inside a member, nested collections opened."""
    at, count = 0, 0
    while (member := _MEMBER.search(data, at)) is not None:
        sibling: re.Match[bytes] | None = member
        while sibling is not None:
            name, start = sibling[1], sibling.start(1) - 1
            if name.endswith(b"FeatureCollection") or _MEMBER_NAME.search(name):
                at = sibling.end()
                break
            closing = data.find(b">", start)
            if closing < 0:
                raise _cut_off(path, count)
            if data[closing - 1 : closing] == b"/":  # nothing in it
                end = closing + 1
            else:
                tail = re.compile(rb"</" + re.escape(name) + rb"\s*>").search(data, closing)
                if tail is None:
                    raise _cut_off(path, count)
                end = tail.end()
            yield start, end, name
            at, count = end, count + 1
            sibling = _SIBLING.match(data, at)  # featureMembers holds many


def _add(table: _Open, content: bytes, encoding: str) -> None:
    opening = content[: content.find(b">")]
    found = _ID.search(opening)
    oid = found[1].decode("utf-8", "replace") if found else ""
    text, broken = _utf8(content, encoding)
    table.objects += 1
    table.srs.update(s.decode("utf-8", "replace") for s in _SRS.findall(content))
    if _CURVE.search(content):
        table.curved.add(oid)
    if broken:
        table.broken.add(oid)
    table.stream.write(b"<gml:featureMember>" + text + b"</gml:featureMember>\n")


def _utf8(content: bytes, encoding: str) -> tuple[bytes, bool]:
    """As UTF-8, and whether some of it was not in ``encoding``."""
    if content.isascii():
        return content, False
    try:
        return content.decode(encoding).encode(), False
    except UnicodeDecodeError:
        return decode_broken(content).encode(), True


def _encoding(head: bytes) -> str:
    declared = re.match(rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)[\"']", head)
    name = declared[1].decode("ascii") if declared else "utf-8"
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "utf-8"


def _opening(head: bytes) -> bytes:
    """Head of a table: the GML namespace of the file, for GDAL tells versions of GML by it."""
    gml = re.search(rb"http://www\.opengis\.net/gml(?:/[\d.]+)?(?=[\"'])", head)
    return (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<gml:FeatureCollection xmlns:gml="'
        + (gml[0] if gml else b"http://www.opengis.net/gml/3.2")
        + b'">\n'
    )


def _refuse_unsafe(path: Path, head: bytes) -> None:
    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
        raise InputError(
            f"{path} declares a document type, which no cadastre needs and which may pull in other files",
            remedy="remove it (<!DOCTYPE ...>) if you trust the file",
        )
    if _SERVICE_ERROR.search(head):
        said = re.search(rb"<(?:\w+:)?(?:ExceptionText|ServiceException)[^>]*>\s*(.*?)\s*<", head, re.DOTALL)
        text = " ".join(said[1].decode("utf-8", "replace").split())[:200] if said else "without a reason"
        raise InputError(f"{path} is no data but the error of a service: {text}", remedy="ask the service again")


def _refuse_cut(path: Path, data: mmap.mmap, end: int, objects: int) -> None:
    """The last thing in the file must be the end of its first element."""
    root = re.search(rb"<(" + _NAME + rb")[\s/>]", data[:_HEAD_BYTES])
    if root is None or (data.rfind(b"</" + root[1], end) < 0 and b"/>" not in data[-16:]):
        raise _cut_off(path, objects)


def _cut_off(path: Path, objects: int) -> InputError:
    return InputError(f"{path} is cut off after {objects} objects", remedy="fetch it again")
