"""Burn labelled shapes into label rasters, and say for every pixel why it got its label.

What a pixel gets does not depend on the order of the shapes nor on the window asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

import cv2
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize

from sealmap.core.errors import SettingsError
from sealmap.core.grid import Grid, Window
from sealmap.core.legend import IGNORE, Legend
from sealmap.dataset.rules import Labels, label_ids

_STEPS_PER_PX = 256
"""Vertices are rounded to 1/256 pixel (0.8 mm at 0.2 m): sums with whole-pixel offsets are then exact in
floating point, so that a pixel gets the same answer in every window."""

_UNSET = -1
CELL_PX, _MANY_POINTS = 1024, 1000
"""Shapes with many points (a town's streets are one polygon) are cut into cells: a window then meets only a part."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """Why a pixel has its label.

    kind: 'outside' (no shape is there), 'edge' (ring along outlines), 'contradiction' (shapes of equal priority
    that differ), 'newer' (changed after the flight), 'unknown' (a class without a rule), or a rule's label:
    'roof', 'paved', 'sealed', 'unsealed', 'ignore'. text: the class of the shape, '' for the first three.
    """

    kind: str
    text: str = ""


OUTSIDE, EDGE, TORN = 0, 1, 2
"""Places in the list of causes of the first three."""
_FIRST = (Cause(kind="outside"), Cause(kind="edge"), Cause(kind="contradiction"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelling:
    """Labels of a window.

    label_HW: uint8 class ids, IGNORE where not known. veto_HW: True where vegetation overrules the label
    (``vegetation.overruled``). cause_HW: uint16, why: index into the causes of who labelled.
    """

    label_HW: NDArray[np.uint8]
    veto_HW: NDArray[np.bool_]
    cause_HW: NDArray[np.uint16]

    def __post_init__(self) -> None:
        if not self.label_HW.shape == self.veto_HW.shape == self.cause_HW.shape:
            shapes = self.label_HW.shape, self.veto_HW.shape, self.cause_HW.shape
            raise ValueError(f"label, veto and cause differ in shape: {shapes}")

    def part(self, where: tuple[slice, slice]) -> Labelling:
        """Rows and columns of it."""
        return Labelling(label_HW=self.label_HW[where], veto_HW=self.veto_HW[where], cause_HW=self.cause_HW[where])


@dataclass(frozen=True, kw_only=True, slots=True)
class Burner:
    """Shapes on a grid, indexed, to burn windows of it. Make it with ``Burner.on``.

    geometry: polygons in pixels (column, row) of ``grid``. class_id, priority, edge_px, veto, cause, late_cause
    (where the shape is newer than the flight), changed: one per shape. causes: see ``Labelling``.
    newer_id: class id of shapes that are newer than the flight.
    """

    grid: Grid
    legend: Legend
    rules: str
    default: int
    newer_id: int
    causes: tuple[Cause, ...]
    geometry: NDArray[np.object_]
    class_id: NDArray[np.int16]
    priority: NDArray[np.int64]
    edge_px: NDArray[np.float64]
    veto: NDArray[np.bool_]
    cause: NDArray[np.uint16]
    late_cause: NDArray[np.uint16]
    changed: NDArray[np.int32]
    oid: NDArray[np.str_]
    tree: shapely.STRtree

    @staticmethod
    def on(labels: Labels, legend: Legend, grid: Grid, *, cell_px: int = CELL_PX) -> Burner:
        """Index ``labels`` (in the CRS of ``grid``); SettingsError where the legend cannot hold one.

        cell_px: large shapes are cut into cells of this side; twice the windows to be burnt is a good size.
        """
        ids = label_ids(legend)
        missing = sorted(({labels.default, labels.newer} | set(np.unique(labels.label).tolist())) - ids.keys())
        if missing:
            raise SettingsError(
                f"the rules '{labels.rules}' say '{missing[0]}', which the legend '{legend.name}' lacks",
                remedy="use --legend sealed, or rules that tell roof from paved",
            )
        geometry, of = _cut_large(_to_pixels(labels.geometry, grid), cell_px)
        causes, cause, late_cause = _causes(labels)
        return Burner(
            grid=grid,
            legend=legend,
            rules=labels.rules,
            default=ids[labels.default],
            newer_id=ids[labels.newer],
            causes=causes,
            geometry=geometry,
            class_id=np.array([ids[key] for key in labels.label.tolist()], np.int16)[of],
            priority=labels.priority[of],
            edge_px=labels.edge_m[of] / grid.gsd_m,
            veto=labels.veto[of],
            cause=cause[of],
            late_cause=late_cause[of],
            changed=labels.changed[of],
            oid=labels.oid[of],
            tree=shapely.STRtree(geometry),
        )

    def burn(self, window: Window, flight: date | None = None) -> Labelling:
        """Labels of a window of the grid. A pixel belongs to a shape when its centre does.

        Where shapes overlap the higher priority is taken; at equal priority and different classes, IGNORE.
        Shapes that were changed after ``flight`` are not trusted.
        """
        margin = math.ceil(self.edge_px.max(initial=0.0)) + 1
        wide = window.expand(margin)
        hits = np.sort(self.tree.query(shapely.box(wide.col, wide.row, wide.stop_col, wide.stop_row)))
        label = np.full((wide.height, wide.width), self.default, np.uint8)
        veto = np.zeros(label.shape, np.bool_)
        cause = np.full(label.shape, OUTSIDE, np.uint16)
        for level in np.unique(self.priority[hits]):
            stroke = self._strokes(hits[self.priority[hits] == level], flight)
            found = _paint(stroke, wide)
            painted = found.label_HW != _UNSET
            label[painted] = found.label_HW[painted]
            veto[painted] = found.veto_HW[painted]
            cause[painted] = found.cause_HW[painted]
        part = window.within(wide)
        return Labelling(label_HW=label[part].copy(), veto_HW=veto[part].copy(), cause_HW=cause[part].copy())

    def oid_at(self, col: float, row: float, cause: int) -> str:
        """The cadastre's id of a shape over a point (in pixels) that gave a cause, '' where there is none."""
        hits = self.tree.query(shapely.Point(col, row), predicate="intersects")
        return min((str(self.oid[i]) for i in hits if self.cause[i] == cause), default="")

    def _strokes(self, shapes: NDArray[np.intp], flight: date | None) -> _Strokes:
        """Shapes of one priority with what they paint, those that are newer than the flight corrected."""
        late = self.changed[shapes] > (flight or date.max).toordinal()
        return _Strokes(
            geometry=self.geometry[shapes],
            class_id=np.where(late, self.newer_id, self.class_id[shapes]).astype(np.int16),
            edge_px=np.where(late, 0.0, self.edge_px[shapes]),
            veto=self.veto[shapes] & ~late,
            cause=np.where(late, self.late_cause[shapes], self.cause[shapes]).astype(np.uint16),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Strokes:
    """What shapes of one priority paint; one entry per shape."""

    geometry: NDArray[np.object_]
    class_id: NDArray[np.int16]
    edge_px: NDArray[np.float64]
    veto: NDArray[np.bool_]
    cause: NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Level:
    """Shapes of one priority, painted. label_HW: class ids, _UNSET where no shape is."""

    label_HW: NDArray[np.int16]
    veto_HW: NDArray[np.bool_]
    cause_HW: NDArray[np.uint16]


def _paint(strokes: _Strokes, wide: Window) -> _Level:
    level = np.full((wide.height, wide.width), _UNSET, np.int16)
    veto, ring, torn = (np.zeros(level.shape, np.bool_) for _ in range(3))
    cause = np.zeros(level.shape, np.uint16)
    columns = zip(strokes.class_id.tolist(), strokes.edge_px.tolist(), strokes.veto.tolist(), strict=True)
    for class_id, edge_px, vetoed in sorted(set(columns)):
        same = (strokes.class_id == class_id) & (strokes.edge_px == edge_px) & (strokes.veto == vetoed)
        causes = _rasterize(strokes.geometry[same], strokes.cause[same], wide)
        inside = causes > 0
        # The ring follows the outline of all shapes of a kind together: a wall between row houses is no edge.
        ring |= _ring(inside.astype(np.uint8), edge_px)
        torn |= inside & (level != _UNSET) & (level != class_id)
        free = inside & (level == _UNSET)
        level[free], cause[free] = class_id, causes[free]
        veto |= inside & vetoed
    level[ring | torn] = IGNORE
    cause[ring], cause[torn] = EDGE, TORN
    return _Level(label_HW=level, veto_HW=veto & ~ring & ~torn, cause_HW=cause)


def _causes(labels: Labels) -> tuple[tuple[Cause, ...], NDArray[np.uint16], NDArray[np.uint16]]:
    """All causes, and each shape's: as its rule has it, and as a shape that is newer than the flight."""
    kinds = np.where(labels.known, labels.label, "unknown").tolist()
    own = [Cause(kind=kind, text=text) for kind, text in zip(kinds, labels.text.tolist(), strict=True)]
    late = [Cause(kind="newer", text=text) for text in labels.text.tolist()]
    # In the order of their texts: the order of the shapes must not matter where two causes meet.
    every = (*_FIRST, *sorted({*own, *late}, key=lambda c: (c.kind, c.text)))
    if len(every) > np.iinfo(np.uint16).max:
        raise SettingsError(
            f"the cadastre has {len(every):,} different classes",
            remedy="name the field with the class in the rule table: [fields] class = ...",
        )
    place = {cause: i for i, cause in enumerate(every)}
    return every, np.array([place[c] for c in own], np.uint16), np.array([place[c] for c in late], np.uint16)


def _cut_large(geometry: NDArray[np.object_], cell_px: int) -> tuple[NDArray[np.object_], NDArray[np.intp]]:
    """Shapes with those of many points cut along cells of the grid, and which shape each piece is of."""
    every = np.arange(len(geometry))
    large = np.flatnonzero(shapely.get_num_coordinates(geometry) > _MANY_POINTS)
    if not len(large):
        return geometry, every
    pieces, of = [], []
    for i in large:
        for piece in _cells_of(geometry[i], cell_px):
            pieces.append(piece)
            of.append(i)
    small = np.delete(every, large)
    return (
        np.concatenate([geometry[small], _on_lattice(np.array(pieces, dtype=object))]),
        np.array([*small, *of], dtype=np.intp),
    )


def _cells_of(shape: shapely.Geometry, side: int) -> list[shapely.Geometry]:
    """A shape cut along lines between pixels, ``side`` pixels apart: each pixel centre stays with one piece."""
    valid = shapely.make_valid(shape)
    col0, row0, col1, row1 = (math.floor(v / side) for v in shapely.bounds(valid))
    if (col0, row0) == (col1, row1):
        return [shape]
    cols, rows = np.meshgrid(np.arange(col0, col1 + 1), np.arange(row0, row1 + 1))
    c, r = cols.ravel() * side, rows.ravel() * side
    found = shapely.intersection(valid, shapely.box(c, r, c + side, r + side))
    parts = shapely.get_parts(shapely.get_parts(found))  # twice: a collection may hold multipolygons
    return list(parts[shapely.get_type_id(parts) == 3])  # lines, where a shape touches a cell, would be burnt, too


def _to_pixels(geometry: NDArray[np.object_], grid: Grid) -> NDArray[np.object_]:
    """Map coordinates to (column, row) of the grid, on a lattice of 1/256 pixel."""
    return _on_lattice(shapely.transform(shapely.force_2d(geometry), grid.to_pixels)) if len(geometry) else geometry


def _on_lattice(geometry: NDArray[np.object_]) -> NDArray[np.object_]:
    moved: NDArray[np.object_] = shapely.transform(geometry, lambda xy: np.round(xy * _STEPS_PER_PX) / _STEPS_PER_PX)
    return moved


def _rasterize(shapes: NDArray[np.object_], values: NDArray[np.uint16], window: Window) -> NDArray[np.uint16]:
    """The value of the shape (in pixels) that a pixel's centre is in, the greatest of several; 0 in none."""
    order = np.argsort(values, kind="stable")
    found: NDArray[np.uint16] = rasterize(
        list(zip(shapes[order], values[order].tolist(), strict=True)),
        out_shape=(window.height, window.width),
        transform=Affine.translation(window.col, window.row),
        dtype="uint16",
    )
    return found


def _ring(mask: NDArray[np.uint8], edge_px: float) -> NDArray[np.bool_]:
    """Pixels within ``edge_px`` of the edge of a mask, on both sides."""
    reach = math.floor(edge_px + 1e-6)
    if reach < 1:
        return np.zeros(mask.shape, np.bool_)
    rows, cols = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disc = (rows**2 + cols**2 <= reach**2).astype(np.uint8)
    ring: NDArray[np.bool_] = cv2.dilate(mask, disc) != cv2.erode(mask, disc)
    return ring
