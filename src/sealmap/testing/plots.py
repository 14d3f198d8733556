"""Residential plots: cutting blocks into plots, and what stands and grows on one plot."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

from sealmap.testing.draft import Draft, Rng, oblong, polygons, rotate, scatter, tint_of, turned
from sealmap.testing.houses import House, build, roof_of, small, style_of
from sealmap.testing.model import PAVED, UNSEALED
from sealmap.testing.streets import car

YARD = (
    "pavers_grey",
    "pavers_red",
    "asphalt",
    "asphalt_old",
    "concrete",
    "slabs",
    "pavers_dark",
    "cobbles",
    "pavers_beige",
)
YARD_P = (0.26, 0.14, 0.12, 0.1, 0.12, 0.08, 0.08, 0.03, 0.07)


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot in its block's turned frame: ``shape`` there, ``front`` +1 when the street lies towards +y."""

    shape: Polygon
    angle: float
    front: float

    def world(self) -> BaseGeometry:
        """The plot in town-local coordinates."""
        return rotate(self.shape, self.angle)

    def column(self, x: float) -> tuple[float, float] | None:
        """Lowest and highest y of the plot at frame x, or None outside."""
        _, y0, _, y1 = self.shape.bounds
        hit = self.shape.intersection(LineString([(x, y0 - 1), (x, y1 + 1)]))
        return None if hit.is_empty else (float(hit.bounds[1]), float(hit.bounds[3]))


def yard_material(rng: Rng) -> str:
    """A random paving of private ground."""
    return str(rng.choice(YARD, p=YARD_P))


def long_angle(block: BaseGeometry) -> float:
    """Direction (radians) of the long side of the smallest rectangle about ``block``."""
    ring = shapely.get_coordinates(block.minimum_rotated_rectangle)
    sides = np.diff(ring[:3], axis=0)
    dx, dy = sides[int(np.argmax(np.hypot(sides[:, 0], sides[:, 1])))]
    return math.atan2(dy, dx)


def cut_plots(block: Polygon, widths: tuple[float, float], depth: float, rng: Rng) -> list[Plot]:
    """Strips across the block, two rows when it is deeper than twice ``depth`` metres."""
    angle = long_angle(block)
    local = rotate(block, -angle)
    x0, y0, x1, y1 = local.bounds
    rows = [(y0 - 1, (y0 + y1) / 2, -1.0), ((y0 + y1) / 2, y1 + 1, 1.0)]
    if y1 - y0 < 2 * depth:
        rows = [(y0 - 1, y1 + 1, float(rng.choice([-1, 1])))]
    plots = []
    for low, high, front in rows:
        x = x0 - 1.0
        while x < x1:
            step = float(rng.uniform(*widths))
            if x1 - (x + step) < widths[0]:
                step = x1 - x + 1.0
            piece = local.intersection(box(x, low, x + step, high))
            plots += [Plot(p, angle, front) for p in polygons(piece, 0.01)]
            x += step
    return plots


def fits(plot: Plot, shape: BaseGeometry, gap: float) -> bool:
    """Whether ``shape`` (frame) lies in the plot with ``gap`` metres to spare."""
    return bool(plot.shape.buffer(-gap).contains(shape))


def spot_house(plot: Plot, size: tuple[float, float], setback: float, rng: Rng) -> tuple[float, float] | None:
    """Centre for a house of (w, d) behind the street line, or None where it does not fit."""
    x0, _, x1, _ = plot.shape.bounds
    for _ in range(4):
        x = (x0 + x1) / 2 + float(rng.uniform(-0.2, 0.2)) * max(x1 - x0 - size[0], 0)
        ends = plot.column(x)
        if ends is None:
            return None
        y = (ends[1] - setback - size[1] / 2) if plot.front > 0 else (ends[0] + setback + size[1] / 2)
        if fits(plot, oblong(x, y, size[0] + 1, size[1] + 1), 0.3):
            return x, y
        setback = max(1.0, setback - 1.5)
    return None


def villa(draft: Draft, plot: Plot, rng: Rng) -> None:
    """A detached or semi-detached house with drive, terrace, garage, garden."""
    draft.parcel(plot.world(), "Wohnbaufläche", "", "Wohnweg")
    lawn = str(rng.choice(["lawn", "lawn", "lawn_rough", "garden"]))
    draft.paint(plot.world(), lawn, (UNSEALED, 5.0), tint_of(rng), plot.angle)
    style = style_of(rng, 0.12)
    w, d = float(rng.uniform(9.5, 16)), float(rng.uniform(8.5, 12))
    for shrink in (1.0, 0.85, 0.7):
        size = (w * shrink, d * shrink) if rng.random() < 0.65 else (d * shrink, w * shrink)
        centre = spot_house(plot, size, float(rng.uniform(3, 8)), rng)
        if centre:
            break
    if not centre or plot.shape.area < 120:
        garden(draft, plot, Polygon(), rng)
        return
    main = _main_house(style, centre, size, plot.angle)
    parts = [main]
    if rng.random() < 0.3 and min(size) > 7:
        parts.append(_wing(main, rng))
    build(draft, parts, rng)
    used = rotate(shapely.union_all([roof_of(p) for p in parts]), -plot.angle)
    used = shapely.union(used, surroundings(draft, plot, main, rng))
    garden(draft, plot, used, rng)


def _main_house(style: House, centre: tuple[float, float], size: tuple[float, float], angle: float) -> House:
    """Ridge along the longer side: a house deeper than wide is one in a frame turned by 90 degrees."""
    if size[0] >= size[1]:
        return replace(style, x=centre[0], y=centre[1], w=size[0], d=size[1], angle=angle)
    return replace(style, x=centre[1], y=-centre[0], w=size[1], d=size[0], angle=angle + math.pi / 2)


def _wing(main: House, rng: Rng) -> House:
    """A cross wing, its ridge at right angles to the main one."""
    width, reach = main.d * float(rng.uniform(0.5, 0.75)), main.d * float(rng.uniform(0.75, 1.0))
    side = float(rng.choice([-1, 1]))
    x = main.x + float(rng.choice([-1, 1])) * (main.w - width) / 2 * float(rng.uniform(0.3, 1.0))
    y = main.y + side * main.d * 0.35
    return replace(main, x=y, y=-x, w=reach, d=width, angle=main.angle + math.pi / 2, eave=main.eave - 0.3)


def surroundings(draft: Draft, plot: Plot, main: House, rng: Rng) -> BaseGeometry:
    """Drive, garage, terrace, path and yard; returns what they cover, in the plot's frame."""
    house = rotate(roof_of(main), main.angle - plot.angle - main.angle)
    hx0, hy0, hx1, hy1 = house.bounds
    px0, _, px1, _ = plot.shape.bounds
    front_y = hy1 if plot.front > 0 else hy0
    left = (hx0 - px0) > (px1 - hx1)
    gap = (hx0 - px0) if left else (px1 - hx1)
    material, tint = yard_material(rng), tint_of(rng)
    loose = rng.random() < 0.1
    key, stuff = ((UNSEALED, 20.0), "gravel") if loose else ((PAVED, 20.0), material)
    done: list[BaseGeometry] = [house]
    width = float(rng.uniform(2.8, 6.0))
    gx = (hx0 - min(gap / 2, 2.0)) if left else (hx1 + min(gap / 2, 2.0))
    street_y = front_y + plot.front * 40
    back = front_y - plot.front * float(rng.uniform(2, 7))
    drive = plot.shape.intersection(box(gx - width / 2, min(back, street_y), gx + width / 2, max(back, street_y)))
    draft.paint(rotate(drive, plot.angle), stuff, key, tint, plot.angle)
    done.append(drive)
    if gap > 3.6 and rng.random() < 0.75:
        size = (float(rng.uniform(2.9, min(6.0, gap - 0.4))), float(rng.uniform(5.5, 7.5)))
        gy = back - plot.front * size[1] / 2
        if fits(plot, oblong(gx, gy, size[0], size[1]), 0.1):
            small(draft, (gx, gy, plot.angle), size, str(rng.choice(["garage", "garage", "carport"])), rng)
            done.append(oblong(gx, gy, *size))
    hx = float(rng.uniform(hx0 + 1, hx1 - 1))
    path = plot.shape.intersection(box(hx - 0.7, min(front_y, street_y), hx + 0.7, max(front_y, street_y)))
    draft.paint(rotate(path, plot.angle), yard_material(rng), (PAVED, 20.5), tint_of(rng), plot.angle)
    ty = hy0 if plot.front > 0 else hy1
    tw, td = float(rng.uniform(3, 0.9 * (hx1 - hx0))), float(rng.uniform(2.5, 5.0))
    tx = float(rng.uniform(hx0 + tw / 2 - 1, hx1 - tw / 2 + 1))
    terrace = oblong(tx, ty - plot.front * td / 2, tw, td).intersection(plot.shape)
    if rng.random() < 0.9:
        tile = str(rng.choice(["slabs", "pavers_beige", "pavers_red", "pavers_grey", "deck", "concrete"]))
        draft.paint(rotate(terrace, plot.angle), tile, (PAVED, 20.6), tint_of(rng), plot.angle)
    if rng.random() < 0.45:
        rim = house.buffer(float(rng.uniform(0.6, 1.4)), join_style="mitre").intersection(plot.shape)
        draft.paint(rotate(rim, plot.angle), "slabs", (PAVED, 19.5), tint_of(rng), plot.angle)
    if rng.random() < 0.55 and fits(plot, oblong(gx, front_y + plot.front * 3, 2.4, 5), 0.0):
        spot = turned(gx, front_y + plot.front * 2.6, plot.angle)
        car(draft, (spot.x, spot.y, plot.angle + math.pi / 2), rng)
    if rng.random() < 0.18:
        yard = plot.shape.intersection(box(px0, min(front_y, street_y), px1, max(front_y, street_y)))
        front = str(rng.choice(["gravel_light", "gravel_dark", material]))
        draft.paint(
            rotate(yard, plot.angle),
            front,
            (PAVED if front == material else UNSEALED, 19.0),
            tint,
            plot.angle,
        )
    return shapely.union_all([*done, terrace])


def garden(draft: Draft, plot: Plot, used: BaseGeometry, rng: Rng) -> None:
    """Hedges, beds, trees, shed, trampoline, pool on what is left of the plot."""
    free = plot.shape.buffer(-1.2).difference(used.buffer(1.0)) if not used.is_empty else plot.shape.buffer(-1.2)
    if free.is_empty:
        return
    narrow = plot.shape.bounds[2] - plot.shape.bounds[0] < 9.5
    if rng.random() < (0.15 if narrow else 0.5):
        hedge(draft, plot, used, rng)
    elif rng.random() < 0.5:
        fence = plot.shape.boundary.buffer(0.09).intersection(plot.shape).difference(used.buffer(0.5))
        draft.paint(
            rotate(fence, plot.angle),
            str(rng.choice(["wall_light", "hedge", "soil"])),
            (-1, 24.0),
            tint_of(rng),
        )
    spots = scatter(free, 5.5, rng)
    rng.shuffle(spots)
    for x, y in spots[: int(rng.integers(0, 4))]:
        bed = oblong(x, y, float(rng.uniform(1.5, 5)), float(rng.uniform(1, 3.5))).buffer(0.4).intersection(free)
        draft.paint(
            rotate(bed, plot.angle),
            str(rng.choice(["soil", "garden", "meadow", "mulch"])),
            (UNSEALED, 8.0),
            tint_of(rng),
            plot.angle,
        )
    _planting(draft, plot, used, rng)
    many = int(rng.integers(0, 5 if narrow else 9))
    for x, y in spots[4 : 4 + many]:
        p = turned(x, y, plot.angle)
        kind = str(rng.choice(["deciduous", "bush", "conifer", "evergreen"], p=[0.4, 0.35, 0.13, 0.12]))
        size = float(rng.uniform(0.5, 1.6)) if kind in ("bush", "evergreen") else float(rng.uniform(1.4, 4.0))
        if used.is_empty or used.distance(Point(x, y)) > size * 0.8:
            draft.tree(p.x, p.y, (size, size * float(rng.uniform(1.4, 2.8))), kind, float(rng.random()))
    _toys(draft, plot, spots[4 + many :], rng)


def _planting(draft: Draft, plot: Plot, used: BaseGeometry, rng: Rng) -> None:
    """Shrubs of mixed size along the plot's edge, as gardens have them."""
    edge = plot.shape.buffer(-0.7).difference(plot.shape.buffer(-2.4)).difference(used.buffer(1.2))
    share, spacing = float(rng.uniform(0, 0.5)), float(rng.uniform(1.8, 3.2))
    for x, y in scatter(edge, spacing, rng):
        if rng.random() < share:
            p = turned(x, y, plot.angle)
            size = float(rng.uniform(0.4, 1.3))
            kind = str(rng.choice(["bush", "evergreen", "deciduous"], p=[0.6, 0.25, 0.15]))
            draft.tree(p.x, p.y, (size, size * float(rng.uniform(1.2, 2.4))), kind, float(rng.random()))


def _toys(draft: Draft, plot: Plot, spots: list[tuple[float, float]], rng: Rng) -> None:
    if spots and rng.random() < 0.45:
        size = (float(rng.uniform(2, 4)), float(rng.uniform(2, 3.5)))
        if fits(plot, oblong(*spots[0], *size), 0.3):
            small(draft, (*spots[0], plot.angle), size, "shed", rng)
    if len(spots) > 1 and rng.random() < 0.14:
        disc = rotate(Point(spots[1]).buffer(float(rng.uniform(1.3, 2.1))), plot.angle)
        draft.paint(disc, "trampoline", (UNSEALED, 26.0), tint_of(rng))
        draft.body(disc, 0.9)
    if len(spots) > 2 and rng.random() < 0.08:
        pool = oblong(*spots[2], 6.5, 3.4)
        if fits(plot, pool, 0.6):
            rim = rotate(pool.buffer(0.9, join_style="mitre"), plot.angle).intersection(plot.world())
            draft.paint(rim, "slabs", (PAVED, 21.0), tint_of(rng), plot.angle)
            draft.paint(rotate(pool, plot.angle), "pool", (UNSEALED, 22.0), tint_of(rng))


def hedge(draft: Draft, plot: Plot, used: BaseGeometry, rng: Rng) -> None:
    """A hedge along part of the plot's edge, left open where something paved meets it."""
    x0, y0, x1, y1 = plot.shape.bounds
    ring = plot.shape.exterior.buffer(float(rng.uniform(0.35, 0.75))).intersection(plot.shape)
    keep = ring.difference(used.buffer(0.7)) if not used.is_empty else ring
    if rng.random() < 0.6:
        middle = (y0 + y1) / 2 + plot.front * (y1 - y0) * 0.2
        keep = keep.intersection(box(x0, y0, x1, middle) if plot.front > 0 else box(x0, middle, x1, y1))
    wavy = rotate(keep, plot.angle).segmentize(1.2)
    for part in polygons(wavy, 0.5):
        rough = shapely.transform(part, _wobble).buffer(0)
        draft.paint(rough, "hedge", (UNSEALED, 25.0), tint_of(rng))
    for line in polygons(rotate(keep, plot.angle), 0.5):
        _hedge_shadow(draft, line, float(rng.uniform(1.0, 1.9)))


def _wobble(c: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displace by place, not by chance, so that closed rings stay closed."""
    x, y = c[:, 0], c[:, 1]
    return c + 0.17 * np.column_stack([np.sin(2.3 * y + 1.7 * x), np.sin(2.1 * x - 1.3 * y)])


def _hedge_shadow(draft: Draft, piece: Polygon, height: float) -> None:
    """Hulls of short lengths, as one hull over a bent hedge would darken the whole garden."""
    x0, y0, x1, y1 = piece.bounds
    step = 4.0
    for gx in np.arange(x0, x1, step):
        for gy in np.arange(y0, y1, step):
            for part in polygons(piece.intersection(box(gx, gy, gx + step, gy + step)), 0.05):
                draft.body(part, height)
