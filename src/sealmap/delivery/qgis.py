"""A QGIS project, written without QGIS: layers in order, styled, with relative paths to move with."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
from rasterio.enums import Resampling
from rasterio.io import DatasetReader

from sealmap.core.errors import InputError
from sealmap.core.legend import Legend
from sealmap.delivery.label_template import AREAS_LAYER, LABELS_LAYER, areas_style, labels_style
from sealmap.delivery.styles import (
    RasterStyle,
    VectorStyle,
    classes_style,
    parcels_style,
    probability_style,
    sheets_style,
    surfaces_style,
)
from sealmap.delivery.templating import render
from sealmap.delivery.texts import Language, text
from sealmap.files.atomic import refuse_existing, staged
from sealmap.files.raster import grid_of, open_raster
from sealmap.files.tags import legend_of
from sealmap.files.vector import list_layers, read_layer

_SAMPLE_PX = 512
"""Side of the overview from which the contrast of a 16-bit orthophoto is measured."""

_STYLES = {"parcels": parcels_style, "sealed_surfaces": surfaces_style, "sheets": sheets_style}
"""Vector layers from top to bottom."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """Files that the project shows. classes gives the CRS and the first extent. package: the GeoPackage."""

    package: Path
    classes: Path
    probability: Path | None = None
    orthophotos: tuple[Path, ...] = ()
    title: str = ""
    language: Language = "en"


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelProject:
    """Files of a project to draw labels in. package: made by ``label_template``. extent: first shown, in ``crs``."""

    package: Path
    crs: pyproj.CRS
    extent: tuple[float, float, float, float]
    orthophotos: tuple[Path, ...] = ()
    language: Language = "en"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Crs:
    wkt: str
    proj4: str
    authid: str
    code: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layer:
    """One layer in the words of a project file. kind: 'vector' or 'raster'; provider: 'ogr' or 'gdal'."""

    id: str
    title: str
    source: str
    kind: str
    crs: _Crs
    style: VectorStyle | RasterStyle | None
    visible: bool = True
    expanded: bool = False
    orthophoto: bool = False
    geometry: str = "Polygon"
    wkb: str = "MultiPolygon"

    @property
    def provider(self) -> str:
        """The name of QGIS's data provider."""
        return "ogr" if self.kind == "vector" else "gdal"


def write_project(path: Path, project: Project, *, overwrite: bool = False) -> None:
    """Write a .qgz: parcels, surfaces, sheets, class raster, probabilities (off), orthophotos below."""
    _refuse(path, overwrite=overwrite)
    with open_raster(project.classes) as dataset:
        grid, legend = grid_of(dataset), legend_of(dataset)
    crs = _crs(grid.crs)
    layers = _vectors(project, path.parent, legend, crs) + _rasters(project, path.parent, legend, crs)
    layers += [_orthophoto(p, i, path.parent) for i, p in enumerate(project.orthophotos)]
    document = render(
        "project.qgs.j2",
        title=project.title or text("project.title", project.language),
        group=text("group.orthophotos", project.language),
        crs=crs,
        extent=grid.bounds,
        layers=layers,
        drawing=False,
    )
    _save(path, document, overwrite=overwrite)


def write_label_project(path: Path, project: LabelProject, *, overwrite: bool = False) -> None:
    """Write a .qgz to draw labels in: labels, areas, orthophotos below; outlines snap to outlines.

    Polygons may overlap: a roof lies on the frame of its plot, and QGIS would cut it away otherwise.
    """
    _refuse(path, overwrite=overwrite)
    crs = _crs(project.crs)
    source = _relative(project.package, path.parent)
    layers = [
        _Layer(
            id=f"{name}_layer",
            title=text(f"layer.{name}", project.language),
            source=f"{source}|layername={name}",
            kind="vector",
            crs=crs,
            style=style(project.language),
            expanded=True,
            wkb="Polygon",
        )
        for name, style in ((LABELS_LAYER, labels_style), (AREAS_LAYER, areas_style))
    ]
    layers += [_orthophoto(p, i, path.parent) for i, p in enumerate(project.orthophotos)]
    document = render(
        "project.qgs.j2",
        title=text("labels.title", project.language),
        group=text("group.orthophotos", project.language),
        crs=crs,
        extent=project.extent,
        layers=layers,
        drawing=True,
    )
    _save(path, document, overwrite=overwrite)


def _refuse(path: Path, *, overwrite: bool) -> None:
    if path.suffix.lower() != ".qgz":
        raise InputError(f"{path.name} is no name for a QGIS project", remedy="end it with .qgz")
    refuse_existing(path, overwrite=overwrite)


def _save(path: Path, document: str, *, overwrite: bool) -> None:
    with staged(path, overwrite=overwrite) as scratch, zipfile.ZipFile(scratch, "w") as file:
        # a fixed date: the same map gives the same bytes
        entry = zipfile.ZipInfo(f"{path.stem}.qgs", date_time=(1980, 1, 1, 0, 0, 0))
        entry.compress_type = zipfile.ZIP_DEFLATED
        file.writestr(entry, document)


def _vectors(project: Project, folder: Path, legend: Legend, crs: _Crs) -> list[_Layer]:
    source, there = _relative(project.package, folder), list_layers(project.package)
    layers = []
    for name, style in _STYLES.items():
        if name in there:
            frame = read_layer(project.package, name)
            layers.append(
                _Layer(
                    id=f"{name}_layer",
                    title=text(f"layer.{name}", project.language),
                    source=f"{source}|layername={name}",
                    kind="vector",
                    crs=_crs(frame.crs),
                    style=style(list(frame.columns), legend, project.language),
                    expanded=name != "sheets",
                    visible=name != "sheets",
                    wkb="MultiPolygon" if (frame.geom_type == "MultiPolygon").any() else "Polygon",
                )
            )
    if "run_record" in there:
        record = _Layer(
            id="run_record_layer",
            title=text("layer.run_record", project.language),
            source=f"{source}|layername=run_record",
            kind="vector",
            crs=crs,
            style=None,
            geometry="No geometry",
            wkb="NoGeometry",
        )
        layers.append(record)
    return layers


def _rasters(project: Project, folder: Path, legend: Legend, crs: _Crs) -> list[_Layer]:
    layers = [
        _Layer(
            id="classes_layer",
            title=text("layer.classes", project.language),
            source=_relative(project.classes, folder),
            kind="raster",
            crs=crs,
            style=classes_style(legend, project.language),
            visible=False,  # the surfaces above show the same, with attributes
        )
    ]
    if project.probability is not None:
        layers.append(
            _Layer(
                id="probability_layer",
                title=text("layer.probability", project.language),
                source=_relative(project.probability, folder),
                kind="raster",
                crs=crs,
                style=probability_style(),
                visible=False,
            )
        )
    return layers


def _orthophoto(path: Path, index: int, folder: Path) -> _Layer:
    with open_raster(path) as dataset:
        grid = grid_of(dataset)
        stretch = _stretch(dataset)
        bands = (1, 2, 3) if dataset.count >= 3 else (1,)
    renderer = "multibandcolor" if len(bands) == 3 else "singlebandgray"
    return _Layer(
        id=f"orthophoto_{index}",
        title=path.stem,
        source=_relative(path, folder),
        kind="raster",
        crs=_crs(grid.crs),
        style=RasterStyle(renderer=renderer, bands=bands, stretch=stretch),
        orthophoto=True,
    )


def _stretch(dataset: DatasetReader) -> tuple[float, float] | None:
    """Values to show as black and white for more than 8 bits; None where pixels can be shown as stored."""
    if dataset.dtypes[0] == "uint8":
        return None
    height, width = min(_SAMPLE_PX, dataset.height), min(_SAMPLE_PX, dataset.width)
    bands = list(range(1, min(3, dataset.count) + 1))
    shape = (len(bands), height, width)
    sample = dataset.read(bands, out_shape=shape, resampling=Resampling.nearest, masked=True)
    known = sample.compressed()
    if known.size == 0:
        return None
    low, high = np.percentile(known, [2, 98])
    return float(low), max(float(high), float(low) + 1.0)


def _crs(crs: pyproj.CRS) -> _Crs:
    authority = crs.to_authority() or ("", "")
    return _Crs(
        wkt=crs.to_wkt(),
        proj4="",
        authid=":".join(authority) if authority[0] else "",
        code=authority[1] or "0",
        name=crs.name,
    )


def _relative(path: Path, folder: Path) -> str:
    """The path from the project's folder, with forward slashes; absolute on another Windows drive."""
    try:
        relative = Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
    return relative if relative.startswith("..") else f"./{relative}"
