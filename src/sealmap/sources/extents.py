"""Where a cadastre lies: read near an orthophoto only, and refused where the two do not meet."""

from __future__ import annotations

import numpy as np
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from sealmap.core.errors import InputError
from sealmap.files.vector import Table, VectorSource

Bounds = tuple[float, float, float, float]

_MARGIN_M = 10.0
"""Shapes this far outside the orthophoto are read too: their rings and buffers may reach in."""


def read_near(source: VectorSource, layer: str, crs: CRS, bounds: Bounds, columns: tuple[str, ...] | None) -> Table:
    """Rows of a layer that meet ``bounds`` (of ``crs``), in ``crs``."""
    x0, y0, x1, y1 = bounds
    wide = (x0 - _MARGIN_M, y0 - _MARGIN_M, x1 + _MARGIN_M, y1 + _MARGIN_M)
    own = source.crs(layer)
    if own.equals(crs, ignore_axis_order=True):
        return source.read(layer, bbox=wide, columns=columns)
    box = _transformed(wide, crs, own)
    # Where the CRS of the cadastre does not reach the orthophoto, nothing of it can.
    found = source.read(layer, bbox=box if box is not None else (0.0, 0.0, 0.0, 0.0), columns=columns)
    frame = found.frame.to_crs(crs)
    return Table(frame=frame, broken_texts=found.broken_texts, curved=found.curved, closed=found.closed)


def extent_of(source: VectorSource, layers: list[str], crs: CRS) -> Bounds | None:
    """What some layers cover, in ``crs``; None where they are empty."""
    boxes = []
    for layer in layers:
        own = source.crs(layer)
        for box in source.extents(layer):
            moved = box if own.equals(crs, ignore_axis_order=True) else _transformed(box, own, crs)
            boxes.append(moved or (np.inf,) * 4)
    if not boxes:
        return None
    each = np.array(boxes)
    return (
        float(each[:, 0].min()),
        float(each[:, 1].min()),
        float(each[:, 2].max()),
        float(each[:, 3].max()),
    )


def no_overlap(what: str, whole: Bounds, crs: CRS, bounds: Bounds) -> InputError:
    """The error for a cadastre that lies elsewhere, with both extents."""
    return InputError(
        f"the {what} ({_words(whole)}) {'do' if what.startswith('parcels') else 'does'} not overlap the orthophoto"
        f" ({_words(bounds)}) in {crs.name}",
        remedy="give those of that town, or check the CRS",
    )


def overlap(a: Bounds, b: Bounds) -> bool:
    """Whether two boxes meet."""
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def _transformed(box: Bounds, start: CRS, goal: CRS) -> Bounds | None:
    """The box in another CRS, None where that one does not reach."""
    try:
        moved: Bounds = Transformer.from_crs(start, goal, always_xy=True).transform_bounds(*box)
    except ProjError:
        return None
    return moved if np.isfinite(moved).all() else None


def _words(b: Bounds) -> str:
    if not np.isfinite(b).all():
        return "where that CRS does not reach"
    return f"x {b[0]:.0f}-{b[2]:.0f}, y {b[1]:.0f}-{b[3]:.0f}"
