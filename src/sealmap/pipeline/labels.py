"""Labels drawn by hand: a template to draw in, and a check of what was drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from sealmap.core.errors import InputError, OutputError, SettingsError
from sealmap.dataset.rules import LABELS, RuleTable, load_rules
from sealmap.delivery.label_template import LABELS_LAYER, write_label_template
from sealmap.delivery.qgis import LabelProject, write_label_project
from sealmap.delivery.texts import Language
from sealmap.files.atomic import refuse_existing
from sealmap.files.vector import list_layers, read_layer, split_layer
from sealmap.sources.cadastre import LabelledShapes, polygons_of, read_cadastre
from sealmap.sources.orthophoto import Mosaic, open_mosaic

RULES = "manual"
"""The shipped rule table of labels drawn by hand."""

_SEALED = ("roof", "paved", "sealed")
_SLIVER_M2 = 0.05
"""Snapped outlines that meet may still overlap by a hair."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """What was written. crs: name of the coordinate system. sheets: orthophotos in the project."""

    package: Path
    project: Path
    crs: str
    sheets: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassSum:
    """Polygons of a label, and the square metres that training takes from them: in the image, below nothing else."""

    label: str
    polygons: int
    area_m2: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """A polygon that training would ignore, in whole or in part.

    place: (x, y) of a point in it, in the orthophoto's CRS; None where it has no geometry.
    """

    place: tuple[float, float] | None
    area_m2: float
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Square metres that lie in two sealed classes. Roof wins; paved and sealed are the same to a binary legend."""

    labels: tuple[str, str]
    area_m2: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What is in a file of labels. beyond_m2: drawn where there is no orthophoto."""

    classes: tuple[ClassSum, ...]
    problems: tuple[Problem, ...]
    overlaps: tuple[Overlap, ...]
    beyond_m2: float


def new_template(
    out: Path, like: Sequence[Path], *, crs: str = "", language: Language = "en", overwrite: bool = False
) -> Template:
    """Write an empty GeoPackage to draw labels in, and a QGIS project of the same name beside it.

    CRS and extent are those of the orthophotos ``like``, which the project shows; where there are none, ``crs``
    names one. Raises OutputError rather than replace a file that holds polygons, ``overwrite`` or not.
    """
    if bool(like) == bool(crs):
        raise SettingsError("the template needs one CRS", remedy="give either --like ORTHOPHOTO or --crs EPSG:25832")
    project = out.with_suffix(".qgz")
    refuse_existing(out, project, overwrite=overwrite)
    _refuse_drawn(out)
    if like:
        with open_mosaic(like) as mosaic:
            system, extent = mosaic.grid.crs, mosaic.grid.bounds
            sheets = tuple(s.path for s in mosaic.sheets)
    else:
        system, sheets = _crs(crs), ()
        extent = _extent(system)
    write_label_template(out, system, language=language, overwrite=overwrite)
    shown = LabelProject(package=out, crs=system, extent=extent, orthophotos=sheets, language=language)
    write_label_project(project, shown, overwrite=overwrite)
    return Template(package=out, project=project, crs=system.name, sheets=len(sheets))


def check_labels(labels: str, like: Sequence[Path]) -> Check:
    """Look through the polygons of ``labels`` (FILE or FILE:LAYER) as training with the orthophotos ``like`` would.

    Raises InputError where the file has no polygons, none on the orthophotos, or no field 'class'.
    """
    table = load_rules(RULES)
    path, named = split_layer(labels)
    layer = _layer(path, named)
    with open_mosaic(like) as mosaic:
        grid, image = mosaic.grid, _footprint(mosaic)
    drawn = read_layer(path, layer).to_crs(grid.crs)
    if drawn.empty:
        raise InputError(f"{path.name}:{layer} holds no polygons", remedy="draw some in QGIS, and save the layer")
    problems, beyond_m2 = _shape_problems(drawn, image)
    found = read_cadastre(path, crs=grid.crs, bounds=grid.bounds, layer=layer, fields=table.fields).shapes
    problems += _class_problems(found, table)
    drawn_as = _by_label(found, table, image)
    return Check(
        classes=_sums(drawn_as, image),
        problems=tuple(problems),
        overlaps=_overlaps(drawn_as),
        beyond_m2=beyond_m2,
    )


def _refuse_drawn(out: Path) -> None:
    """Hours of drawing are not an earlier result."""
    if out.exists() and LABELS_LAYER in list_layers(out):
        count = len(read_layer(out, LABELS_LAYER))
        if count:
            raise OutputError(f"{out} holds {count} drawn polygons", remedy="move it away, or choose another name")


def _crs(name: str) -> CRS:
    try:
        crs = CRS.from_user_input(name)
    except CRSError as error:
        raise SettingsError(f"no CRS '{name}'", remedy="give a code such as EPSG:25832") from error
    units = {axis.unit_name for axis in crs.axis_info[:2]}
    if not crs.is_projected or units - {"metre", "meter"}:
        raise SettingsError(f"the CRS '{crs.name}' has no metres", remedy="give the orthophoto's, such as EPSG:25832")
    return crs


def _extent(crs: CRS) -> tuple[float, float, float, float]:
    """Where a CRS is used, in its own metres."""
    area = crs.area_of_use
    if area is None:
        return (0.0, 0.0, 1e6, 1e6)
    bounds = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform_bounds(*area.bounds)
    return (float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3]))


def _layer(path: Path, named: str | None) -> str:
    layers = list_layers(path)
    if named is not None or LABELS_LAYER in layers:
        return named or LABELS_LAYER
    if len(layers) == 1:
        return layers[0]
    raise InputError(
        f"{path.name} has no layer '{LABELS_LAYER}'; its layers: {', '.join(layers)}",
        remedy=f"name the one with the labels: {path.name}:LAYER",
    )


def _footprint(mosaic: Mosaic) -> BaseGeometry:
    """Where there are sheets."""
    return shapely.union_all([shapely.box(*mosaic.grid.subgrid(s.window).bounds) for s in mosaic.sheets])


def _shape_problems(drawn: gpd.GeoDataFrame, image: BaseGeometry) -> tuple[list[Problem], float]:
    """Shapes that are no good polygon or lie beside the image, and the square metres beside it of all shapes."""
    problems = []
    raw = drawn.geometry.to_numpy()
    polygons, _ = polygons_of(raw.copy())
    for shape, polygon in zip(raw, polygons, strict=True):
        text = ""
        if shape is None or shape.is_empty:
            text = "has no geometry"
        elif polygon.is_empty:
            text = f"is no area but a {shape.geom_type}"
        elif not shape.is_valid:
            text = f"has an outline that is not valid: {shapely.is_valid_reason(shape)}"
        elif not polygon.intersects(image):
            text = "lies outside the orthophoto"
        if text:
            problems.append(_problem(polygon if shape is None else shape, polygon, text))
    return problems, float(shapely.area(shapely.difference(polygons, image)).sum())


def _class_problems(found: LabelledShapes, table: RuleTable) -> list[Problem]:
    problems = []
    for polygon, source, klass, function in zip(found.geometry, found.source, found.klass, found.function, strict=True):
        if table.match(source, klass, function) is None:
            known = ", ".join(LABELS)
            text = f"has the class '{klass}', which is none of {known}" if klass else "has no class"
            problems.append(_problem(polygon, polygon, text))
    return problems


def _problem(shape: BaseGeometry, polygon: BaseGeometry, text: str) -> Problem:
    point = shapely.point_on_surface(shape if polygon.is_empty else polygon)
    place = None if point.is_empty else (float(point.x), float(point.y))
    return Problem(place=place, area_m2=float(polygon.area), text=text)


def _by_label(found: LabelledShapes, table: RuleTable, image: BaseGeometry) -> dict[str, list[BaseGeometry]]:
    """Polygons of each label that meet the image; those of no known class are left out."""
    groups: dict[str, list[BaseGeometry]] = {label: [] for label in LABELS}
    for polygon, source, klass, function in zip(found.geometry, found.source, found.klass, found.function, strict=True):
        rule = table.match(source, klass, function)
        if rule is not None and polygon.intersects(image):
            groups[rule.label].append(polygon)
    return groups


def _sums(drawn_as: Mapping[str, Sequence[BaseGeometry]], image: BaseGeometry) -> tuple[ClassSum, ...]:
    """Square metres as burnt: what wins is taken from what lies below."""
    clipped = np.array([shapely.intersection(shapely.union_all(drawn_as[label]), image) for label in LABELS])
    # A polygon that touches the image's edge from outside leaves a line, which GEOS cannot subtract from.
    whole = dict(zip(LABELS, polygons_of(clipped)[0], strict=True))
    above: dict[str, tuple[str, ...]] = {
        "ignore": (),
        "roof": ("ignore",),
        "paved": ("ignore", "roof"),
        "sealed": ("ignore", "roof"),
        "unsealed": ("ignore", "roof", "paved", "sealed"),
    }
    sums = []
    for label in LABELS:
        cover = shapely.union_all([whole[other] for other in above[label]])
        area = float(shapely.difference(whole[label], cover).area)
        sums.append(ClassSum(label=label, polygons=len(drawn_as[label]), area_m2=area))
    return tuple(sums)


def _overlaps(drawn_as: Mapping[str, Sequence[BaseGeometry]]) -> tuple[Overlap, ...]:
    """Pairs of sealed classes that lie on each other."""
    whole = {label: shapely.union_all(drawn_as[label]) for label in _SEALED}
    pairs = [
        Overlap(labels=(a, b), area_m2=float(shapely.intersection(whole[a], whole[b]).area))
        for a, b in combinations(_SEALED, 2)
    ]
    return tuple(pair for pair in pairs if pair.area_m2 > _SLIVER_M2)
