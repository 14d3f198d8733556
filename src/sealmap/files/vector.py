"""Vector files: the only pyogrio. Layers come as GeoDataFrames, GeoPackages go out whole.

A path may be a file, a folder of files or a zip of them: ``open_vector`` makes one source of layers of it.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer

from sealmap.core.errors import GridError, InputError, OutputError
from sealmap.files.gml import GmlTable, crs_of, is_gml, split_gml
from sealmap.files.texts import encoding_of_dbf, repair_texts
from sealmap.files.unpack import unpack

Box = tuple[float, float, float, float]

_GPKG = {"VERSION": "1.3"}
"""QGIS 3.22 warns about the 1.4 that newer GDALs write (DOMAIN §4.1)."""
_SUFFIXES = (".gpkg", ".shp", ".gml", ".xml", ".geojson", ".json", ".fgb", ".gdb", ".sqlite")
"""What is taken from a folder or a zip."""
_BYTES = "ISO-8859-1"
"""An encoding in which each byte is one letter: text comes as it lies in the file."""
_GDAL_OPTIONS = {
    # Keys with leading zeros are no numbers. What GDAL guesses would also differ from part to part.
    "GML_FIELDTYPES": "ALWAYS_STRING",
    "GML_DOWNLOAD_SCHEMA": "NO",
    "GML_SKIP_RESOLVE_ELEMS": "ALL",
    # GDAL's 4° leave 0.3 m between arc and chord at a radius of 500 m, more than a pixel.
    "OGR_ARC_STEPSIZE": "1",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows of a layer. broken_texts: values (in GML: rows) whose text was not in the encoding that the file says.

    curved: rows with arcs, which became chords of 1° (known for GML only). closed: rows whose rings were open.
    """

    frame: gpd.GeoDataFrame
    broken_texts: int = 0
    curved: int = 0
    closed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """A layer in one file; ``gml`` where it was cut out of GML. origin: the file that the user has."""

    file: Path
    layer: str | None
    origin: str
    shown: str
    gml: GmlTable | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorSource:
    """Layers by name, each of one part or (NAS in files, packages of neighbours) of many."""

    path: Path
    parts: Mapping[str, tuple[_Part, ...]]

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""
        return list(self.parts)

    def find(self, layer: str) -> str:
        """The layer of that name, with or without the prefix of a namespace; InputError where there is none."""
        for name in (layer, layer.rpartition(":")[2]):
            if name in self.parts:
                return name
        raise InputError(f"{self.path} has no layer '{layer}'", remedy=f"it has: {', '.join(self.layers)}")

    def crs(self, layer: str) -> CRS:
        """The CRS of a layer; GridError where it has none."""
        return _crs_of_part(self.parts[self.find(layer)][0])

    def fields(self, layer: str) -> list[str]:
        """Names of the fields of a layer."""
        found: dict[str, None] = {}
        for part in self.parts[self.find(layer)]:
            found |= dict.fromkeys(str(name) for name in _info(part)["fields"])
        return list(found)

    def read(self, layer: str, *, bbox: Box | None = None, columns: Sequence[str] | None = None) -> Table:
        """Rows that meet ``bbox`` (in the layer's CRS), all parts together; ``columns`` None reads all fields."""
        crs = self.crs(layer)
        parts = self.parts[self.find(layer)]
        tables = [_read_part(p, bbox and _box_in(bbox, crs, _crs_of_part(p)), columns) for p in parts]
        first = tables[0]
        if len(tables) == 1:
            return first
        frames = [t.frame if t.frame.crs == first.frame.crs else t.frame.to_crs(first.frame.crs) for t in tables]
        return Table(
            frame=gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=first.frame.crs),
            broken_texts=sum(t.broken_texts for t in tables),
            curved=sum(t.curved for t in tables),
            closed=sum(t.closed for t in tables),
        )

    def extents(self, layer: str) -> list[Box]:
        """What each part of a layer covers, in the layer's CRS; parts without rows have no extent."""
        crs = self.crs(layer)
        found = []
        for part in self.parts[self.find(layer)]:
            box = _info(part, force_total_bounds=True)["total_bounds"]
            if box is not None and np.isfinite(box).all():
                found.append(_box_in(box, _crs_of_part(part), crs))
        return found

    def one_per_file(self, layers: Sequence[str]) -> list[str]:
        """Of some layers, the first of each file."""
        seen: set[str] = set()
        found = []
        for layer in layers:
            origins = {part.origin for part in self.parts[layer]}
            if not origins & seen:
                found.append(layer)
            seen |= origins
        return found


@contextmanager
def open_vector(path: Path) -> Iterator[VectorSource]:
    """The layers of a file, a folder or a zip. What is unpacked or cut out lies in scratch until the end.

    Raises InputError where the path is missing or holds nothing that can be read.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist", remedy="check the path")
    with tempfile.TemporaryDirectory(prefix="sealmap-") as scratch, _quiet_gdal():
        parts: dict[str, list[_Part]] = {}
        for i, (file, shown) in enumerate(_files(path, Path(scratch))):
            for name, part in _parts_of(file, shown, Path(scratch) / f"gml{i}", alone=file == path):
                parts.setdefault(name, []).append(part)
        if not parts:
            raise InputError(f"{path} holds no layer that can be read", remedy="give the cadastre itself")
        yield VectorSource(path=path, parts={name: tuple(found) for name, found in parts.items()})


def split_layer(text: str) -> tuple[Path, str | None]:
    """'FILE' or 'FILE:LAYER' as path and layer; FILE may be a folder. A Windows drive letter is no layer."""
    path = Path(text)
    if path.exists() or ":" not in text:
        return path, None
    for at in (i for i, letter in enumerate(text) if letter == ":"):
        if Path(text[:at]).is_file() or (
            at > 1 and Path(text[:at]).is_dir()
        ):  # a layer's name may hold colons, too: ave:Flurstueck
            return Path(text[:at]), text[at + 1 :]
    head, _, layer = text.rpartition(":")
    if len(head) == 1 or "/" in layer or "\\" in layer:
        return path, None
    return Path(head), layer


def list_layers(path: Path) -> list[str]:
    """Names of the layers in a vector file; InputError where it is missing or none."""
    with open_vector(path) as source:
        return source.layers


def read_layer(path: Path, layer: str | None = None, *, bbox: Box | None = None) -> gpd.GeoDataFrame:
    """One layer, with a CRS. ``bbox`` in the layer's CRS; ``layer`` None takes the only one."""
    with open_vector(path) as source:
        if layer is None:
            if len(source.layers) != 1:
                raise InputError(
                    f"{path} has {len(source.layers)} layers: {', '.join(source.layers)}",
                    remedy=f"name one: {path.name}:LAYER",
                )
            layer = source.layers[0]
        return source.read(layer, bbox=bbox).frame


def write_layer(path: Path, layer: str, frame: gpd.GeoDataFrame, *, append: bool) -> None:
    """Write a layer of a GeoPackage (1.3). ``path`` is a scratch path; ``append`` adds to the file."""
    options: dict[str, Any] = {} if append else {"dataset_options": _GPKG}
    geometry_type = "MultiPolygon" if (frame.geom_type == "MultiPolygon").any() else "Polygon"
    try:
        pyogrio.write_dataframe(
            frame,
            path,
            layer=layer,
            driver="GPKG",
            append=append,
            geometry_type=geometry_type,
            promote_to_multi=geometry_type == "MultiPolygon",
            **options,
        )
    except DataSourceError as error:
        raise OutputError(
            f"{path} cannot be written ({str(error).splitlines()[0]})", remedy="check space and rights"
        ) from error


@contextmanager
def _quiet_gdal() -> Iterator[None]:
    """GDAL's options are of the process: set while a source is open, as before afterwards."""
    before = {name: pyogrio.get_gdal_config_option(name) for name in _GDAL_OPTIONS}
    pyogrio.set_gdal_config_options(_GDAL_OPTIONS)
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options(before)


def _files(path: Path, scratch: Path) -> list[tuple[Path, str]]:
    """Files to open, each with the name to show for it."""
    if path.is_dir() and path.suffix.lower() != ".gdb":
        root = path
    elif path.suffix.lower() == ".zip":
        root = unpack(path, scratch / "zip")
    else:
        return [(path, str(path))]
    found = sorted(p for p in root.rglob("*") if p.suffix.lower() in _SUFFIXES and not p.name.startswith("."))
    # A file geodatabase is a folder: what lies in it is not ours to open.
    found = [p for p in found if not any(q.suffix.lower() == ".gdb" for q in p.relative_to(root).parents)]
    return [(p, f"{path}/{p.relative_to(root)}") for p in found]


def _parts_of(file: Path, shown: str, folder: Path, *, alone: bool) -> Iterator[tuple[str, _Part]]:
    if file.is_file() and is_gml(file):
        folder.mkdir()
        tables = split_gml(file, folder, whole=alone)
        if not tables and alone:
            raise InputError(f"{shown} holds no objects", remedy="give the cadastre itself, no update and no metadata")
        for table in tables:
            yield table.name, _Part(file=table.file, layer=None, origin=shown, shown=f"{shown}:{table.name}", gml=table)
        return
    if file.suffix.lower() in (".xml", ".json") and not alone:  # metadata that come along
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            names = [name for name, _ in pyogrio.list_layers(file)]
        for name in names:
            yield str(name), _Part(file=file, layer=str(name), origin=shown, shown=f"{shown}:{name}")
    except DataSourceError as error:
        raise InputError(
            f"{shown} is no vector file that can be read ({str(error).splitlines()[0]})",
            remedy="give a GeoPackage, Shapefile, GML or NAS file, GeoJSON or FlatGeobuf, or a folder or zip of them",
        ) from error


def _info(part: _Part, *, force_total_bounds: bool = False) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # rings that are open: read and counted as repaired
            found: dict[str, Any] = pyogrio.read_info(
                part.file, layer=part.layer, encoding=_BYTES, force_total_bounds=force_total_bounds
            )
    except (DataSourceError, DataLayerError) as error:
        raise InputError(f"{part.shown} cannot be read ({str(error).splitlines()[0]})") from error
    return found


def _crs_of_part(part: _Part) -> CRS:
    if part.gml is not None:
        return crs_of(part.gml.srs, part.shown)
    info = _info(part)
    if not info["geometry_type"]:
        raise InputError(f"{part.shown} has no geometry", remedy="name a layer with polygons")
    if not info["crs"]:
        raise GridError(
            f"{part.shown} has no CRS",
            remedy=f"give it one with: ogr2ogr -a_srs EPSG:25832 OUT.gpkg {part.file.name}",
        )
    return CRS.from_user_input(info["crs"])


def _box_in(box: Box, start: CRS, goal: CRS) -> Box:
    """A box in another CRS: packages of neighbours may lie in two zones."""
    if start.equals(goal, ignore_axis_order=True):
        return box
    moved: Box = Transformer.from_crs(start, goal, always_xy=True).transform_bounds(*box)
    return moved


def _read_part(part: _Part, bbox: Box | None, columns: Sequence[str] | None) -> Table:
    crs = _crs_of_part(part)
    if part.gml is not None and _info(part)["features"] != part.gml.objects:
        # GDAL gives no error for XML that is not well-formed, and no rows.
        raise InputError(f"{part.shown} is broken XML", remedy="fetch it again, or check it with xmllint")
    said = encoding_of_dbf(part.file) if part.file.suffix.lower() == ".shp" else "other"
    raw = said != "other"
    try:
        frame, closed = _frame(part, bbox, columns, _BYTES if raw else None)
    except UnicodeDecodeError:
        raw, said = True, "utf8"  # all but shapefiles are
        frame, closed = _frame(part, bbox, columns, _BYTES)
    frame = frame.set_crs(crs, allow_override=True)
    if raw:
        frame, broken = repair_texts(frame, is_utf8=said == "utf8")
        return Table(frame=frame, broken_texts=broken, closed=closed)
    if part.gml is None or "gml_id" not in frame:
        return Table(frame=frame, closed=closed)
    ids = frame["gml_id"].to_numpy(object)
    return Table(
        frame=frame,
        broken_texts=int(np.isin(ids, list(part.gml.broken)).sum()),
        curved=int(np.isin(ids, list(part.gml.curved)).sum()),
        closed=closed,
    )


def _frame(
    part: _Part, bbox: Box | None, columns: Sequence[str] | None, encoding: str | None
) -> tuple[gpd.GeoDataFrame, int]:
    """Rows, and how many had open rings, which were closed."""
    options = {"layer": part.layer, "bbox": bbox, "encoding": encoding, "columns": columns and list(columns)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            frame = pyogrio.read_dataframe(part.file, on_invalid="ignore", **options)
            if not isinstance(frame, gpd.GeoDataFrame):
                raise InputError(f"{part.shown} has no geometry", remedy="name a layer with polygons")
            missing = frame.geometry.isna()
            if not missing.any():
                return frame, 0
            fixed = pyogrio.read_dataframe(part.file, on_invalid="fix", **options)
    except (DataSourceError, DataLayerError) as error:
        raise InputError(f"{part.shown} cannot be read ({str(error).splitlines()[0]})") from error
    return fixed, int((missing & fixed.geometry.notna()).sum())
