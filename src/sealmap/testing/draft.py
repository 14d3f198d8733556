"""The mutable drawing board that the district builders fill; frozen into a Scene at the end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np
import shapely
from shapely import affinity
from shapely.geometry import Point, Polygon, box
from shapely.geometry.base import BaseGeometry

from sealmap.testing.model import Building, Parcel, Solid, Surface, Tint, Tree

Rng = np.random.Generator
FLAT = (0.0, 0.0)


G = TypeVar("G", bound=BaseGeometry)


def rotate(shape: G, angle: float) -> G:
    """``shape`` turned by ``angle`` radians about the town's origin (block frames share that origin)."""
    c, s = math.cos(angle), math.sin(angle)
    return affinity.affine_transform(shape, [c, -s, s, c, 0.0, 0.0])


def turned(x: float, y: float, angle: float) -> Point:
    """The frame point (x, y) in town-local coordinates, for a frame turned by ``angle`` radians."""
    c, s = math.cos(angle), math.sin(angle)
    return Point(x * c - y * s, x * s + y * c)


def polygons(shape: BaseGeometry, min_area: float = 0.0) -> list[Polygon]:
    """The polygons in ``shape`` with at least ``min_area`` m2; lines and points are dropped."""
    if isinstance(shape, Polygon):
        return [shape] if shape.area > min_area else []
    parts = getattr(shape, "geoms", ())
    return [p for g in parts for p in polygons(g, min_area)]


def tint_of(rng: Rng, spread: float = 1.0) -> Tint:
    """A random tint, each part in -spread..spread."""
    b, w, v = rng.uniform(-spread, spread, 3)
    return (float(b), float(w), float(v))


def oblong(x: float, y: float, w: float, d: float) -> Polygon:
    """Axis-parallel rectangle about the centre (x, y), w by d metres."""
    return box(x - w / 2, y - d / 2, x + w / 2, y + d / 2)


@dataclass
class Draft:
    """Collects surfaces, solids, trees, buildings and parcels; all coordinates town-local."""

    town: Polygon
    surfaces: list[Surface] = field(default_factory=list)
    solids: list[Solid] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    parcels: list[Parcel] = field(default_factory=list)

    def paint(self, shape: BaseGeometry, material: str, key: tuple[int, float], tint: Tint, angle: float = 0.0) -> None:
        """Add a flat surface; ``key`` is (truth, layer)."""
        if not shape.is_empty:
            self.surfaces.append(Surface(shape, material, key[0], key[1], tint, angle, FLAT))

    def plane(self, surface: Surface) -> None:
        """Add a ready surface (a roof plane)."""
        if not surface.shape.is_empty:
            self.surfaces.append(surface)

    def body(
        self,
        base: BaseGeometry,
        height: float,
        role: Literal["low", "rooftop"] = "low",
        clip: BaseGeometry | None = None,
    ) -> None:
        """Add a prism of ``height`` metres that casts a shadow."""
        for part in polygons(base):
            ring = shapely.get_coordinates(part.convex_hull)[:-1]
            points = tuple((float(x), float(y), height) for x, y in ring)
            self.solids.append(Solid(part, points, role, height, clip))

    def tree(self, x: float, y: float, size: tuple[float, float], kind: str, pick: float) -> None:
        """Add a tree; ``size`` is (crown radius, height) in metres."""
        if self.town.contains(Point(x, y)):
            self.trees.append(Tree(x, y, size[0], size[1], kind, pick))  # type: ignore[arg-type]

    def parcel(self, shape: BaseGeometry, use: str, detail: str = "", street: str = "") -> None:
        """Add a parcel; every polygon part becomes one."""
        for part in polygons(shape, 0.01):
            self.parcels.append(Parcel(part, use, detail, street))


def scatter(area: BaseGeometry, spacing: float, rng: Rng) -> list[tuple[float, float]]:
    """Jittered grid of points about ``spacing`` metres apart inside ``area``."""
    if area.is_empty:
        return []
    x0, y0, x1, y1 = area.bounds
    xs, ys = np.meshgrid(np.arange(x0, x1, spacing), np.arange(y0, y1, spacing))
    xs = xs + rng.uniform(0, spacing, xs.shape)
    ys = ys + rng.uniform(0, spacing, ys.shape)
    inside = shapely.contains_xy(area, xs.ravel(), ys.ravel())
    return [(float(x), float(y)) for x, y in zip(xs.ravel()[inside], ys.ravel()[inside], strict=True)]
