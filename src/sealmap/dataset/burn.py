"""Burn labelled shapes into label rasters, and let vegetation overrule the cadastre.

What a pixel gets does not depend on the order of the shapes nor on the window asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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
_INDEX_BINS = 256
_NDVI_LIMITS = (0.05, 0.45)
_EXCESS_GREEN_LIMITS = (0.03, 0.20)
"""Where Otsu's threshold may lie. Where all is forest or all is town it cuts one heap in two anywhere."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelling:
    """Labels of a window.

    label_HW: uint8 class ids, IGNORE where not known. veto_HW: True where vegetation overrules the label
    (``overruled``).
    """

    label_HW: NDArray[np.uint8]
    veto_HW: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.label_HW.shape != self.veto_HW.shape:
            raise ValueError(f"label {self.label_HW.shape} and veto {self.veto_HW.shape} differ in shape")


@dataclass(frozen=True, kw_only=True, slots=True)
class Burner:
    """Shapes on a grid, indexed, to burn windows of it. Make it with ``Burner.on``.

    geometry: polygons in pixels (column, row) of ``grid``. class_id, priority, edge_px, veto: one per shape.
    """

    grid: Grid
    legend: Legend
    rules: str
    default: int
    geometry: NDArray[np.object_]
    class_id: NDArray[np.int16]
    priority: NDArray[np.int64]
    edge_px: NDArray[np.float64]
    veto: NDArray[np.bool_]
    tree: shapely.STRtree

    @staticmethod
    def on(labels: Labels, legend: Legend, grid: Grid) -> Burner:
        """Index ``labels`` (in the CRS of ``grid``); SettingsError where the legend cannot hold one."""
        ids = label_ids(legend)
        missing = sorted(({labels.default} | set(np.unique(labels.label).tolist())) - ids.keys())
        if missing:
            raise SettingsError(
                f"the rules '{labels.rules}' say '{missing[0]}', which the legend '{legend.name}' lacks",
                remedy="use --legend sealed, or rules that tell roof from paved",
            )
        geometry = _to_pixels(labels.geometry, grid)
        return Burner(
            grid=grid,
            legend=legend,
            rules=labels.rules,
            default=ids[labels.default],
            geometry=geometry,
            class_id=np.array([ids[key] for key in labels.label.tolist()], np.int16),
            priority=labels.priority,
            edge_px=labels.edge_m / grid.gsd_m,
            veto=labels.veto,
            tree=shapely.STRtree(geometry),
        )

    def burn(self, window: Window) -> Labelling:
        """Labels of a window of the grid. A pixel belongs to a shape when its centre does.

        Where shapes overlap the higher priority is taken; at equal priority and different classes, IGNORE.
        """
        margin = math.ceil(self.edge_px.max(initial=0.0)) + 1
        wide = window.expand(margin)
        hits = np.sort(self.tree.query(shapely.box(wide.col, wide.row, wide.stop_col, wide.stop_row)))
        label = np.full((wide.height, wide.width), self.default, np.uint8)
        veto = np.zeros(label.shape, np.bool_)
        for level in np.unique(self.priority[hits]):
            level_HW, level_veto_HW = self._burn_level(hits[self.priority[hits] == level], wide)
            painted = level_HW != _UNSET
            label[painted] = level_HW[painted]
            veto[painted] = level_veto_HW[painted]
        part = window.within(wide)
        return Labelling(label_HW=label[part].copy(), veto_HW=veto[part].copy())

    def _burn_level(self, shapes: NDArray[np.intp], wide: Window) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Class ids (_UNSET where no shape is) and veto of shapes of one priority."""
        level = np.full((wide.height, wide.width), _UNSET, np.int16)
        veto, ring = np.zeros(level.shape, np.bool_), np.zeros(level.shape, np.bool_)
        torn = np.zeros(level.shape, np.bool_)
        kinds = sorted({(int(self.class_id[i]), float(self.edge_px[i]), bool(self.veto[i])) for i in shapes})
        for class_id, edge_px, vetoed in kinds:
            same = (
                (self.class_id[shapes] == class_id) & (self.edge_px[shapes] == edge_px) & (self.veto[shapes] == vetoed)
            )
            mask = _rasterize(self.geometry[shapes[same]], wide)
            # The ring follows the outline of all shapes of a kind together: a wall between row houses is no
            # edge.
            ring |= _ring(mask, edge_px)
            inside = mask.astype(np.bool_)
            torn |= inside & (level != _UNSET) & (level != class_id)
            level[inside & (level == _UNSET)] = class_id
            veto |= inside & vetoed
        level[ring | torn] = IGNORE
        return level, veto & ~ring & ~torn


def burn(labels: Labels, legend: Legend, grid: Grid, window: Window) -> NDArray[np.uint8]:
    """Label ids (height, width) of one window; to burn many, keep a ``Burner``."""
    return Burner.on(labels, legend, grid).burn(window).label_HW


def _to_pixels(geometry: NDArray[np.object_], grid: Grid) -> NDArray[np.object_]:
    """Map coordinates to (column, row) of the grid, on a lattice of 1/256 pixel."""
    if not len(geometry):
        return geometry
    inverse = ~grid.transform

    def move(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        col = inverse.a * xy[:, 0] + inverse.c
        row = inverse.e * xy[:, 1] + inverse.f
        steps: NDArray[np.float64] = np.round(np.column_stack([col, row]) * _STEPS_PER_PX)
        return steps / _STEPS_PER_PX

    moved: NDArray[np.object_] = shapely.transform(shapely.force_2d(geometry), move)
    return moved


def _rasterize(shapes: NDArray[np.object_], window: Window) -> NDArray[np.uint8]:
    """1 where a pixel centre is inside one of ``shapes`` (in pixels), else 0."""
    found: NDArray[np.uint8] = rasterize(
        list(shapes),
        out_shape=(window.height, window.width),
        transform=Affine.translation(window.col, window.row),
        default_value=1,
        dtype="uint8",
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


def vegetation_index(
    pixels_CHW: NDArray[np.uint8] | NDArray[np.uint16], bands: Sequence[str]
) -> NDArray[np.float32] | None:
    """How green a pixel is: NDVI where there is a nir band, else excess green (2g-r-b)/(r+g+b).

    NDVI is -1..1, excess green -1..2. None where the bands allow neither. Black pixels give 0.
    """

    def band(name: str) -> NDArray[np.float32]:
        grey: NDArray[np.float32] = pixels_CHW[list(bands).index(name)].astype(np.float32)
        return grey

    if "nir" in bands and "red" in bands:
        above, below = band("nir") - band("red"), band("nir") + band("red")
    elif {"red", "green", "blue"} <= set(bands):
        red, green, blue = band("red"), band("green"), band("blue")
        above, below = 2 * green - red - blue, red + green + blue
    else:
        return None
    index: NDArray[np.float32] = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return index


def vegetation_threshold(index_N: NDArray[np.float32], bands: Sequence[str]) -> float:
    """The index above which a pixel is green, by Otsu over samples of one sheet, kept within sane limits.

    One per sheet: flights differ in season, light and calibration, so that no threshold fits all.
    """
    low, high = _NDVI_LIMITS if "nir" in bands else _EXCESS_GREEN_LIMITS
    return high if index_N.size == 0 else min(max(otsu(index_N), low), high)


def otsu(values_N: NDArray[np.float32]) -> float:
    """The threshold that parts values into the two groups with the least variance within."""
    counts, edges = np.histogram(values_N, bins=_INDEX_BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    weight = np.cumsum(counts)
    total, mass = weight[-1], np.cumsum(counts * centres)
    lower, upper = weight[:-1], total - weight[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = mass[:-1] / lower - (mass[-1] - mass[:-1]) / upper
    between = np.nan_to_num(lower * upper * gap**2, posinf=0.0, neginf=0.0)
    best = np.flatnonzero(between == between.max())
    # Between two heaps with nothing in between every cut is best: take the middle one.
    return float(edges[1:-1][best[len(best) // 2]])


def apply_vegetation_veto(
    label_HW: NDArray[np.uint8],
    pixels_CHW: NDArray[np.uint8] | NDArray[np.uint16],
    bands: Sequence[str],
    veto_HW: NDArray[np.bool_],
    threshold: float,
) -> NDArray[np.uint8]:
    """Labels, ``overruled`` where ``veto_HW`` is True and the image is greener than ``threshold``."""
    index = vegetation_index(pixels_CHW, bands)
    if index is None:
        return label_HW.copy()
    found = label_HW.copy()
    found[veto_HW] = overruled(label_HW[veto_HW], index[veto_HW] > threshold)
    return found


def overruled(label_N: NDArray[np.uint8], green_N: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """What vegetation makes of labels that it may overrule.

    A sealed label becomes IGNORE: a tree over a road, or a verge. IGNORE becomes unsealed (0): of a plot's ground
    the cadastre says nothing, but what is green there is not sealed. Without these a town without fields would
    give no unsealed pixel at all to learn from.
    """
    found = label_N.copy()
    found[green_N & (label_N != 0)] = IGNORE
    found[green_N & (label_N == IGNORE)] = 0
    return found
