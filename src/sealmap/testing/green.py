"""Fields, forest, parks with water and sports, building sites, and village farmsteads."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import shapely
from shapely.geometry import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

from sealmap.testing.draft import Draft, Rng, oblong, rotate, scatter, tint_of, turned
from sealmap.testing.houses import build, small, style_of
from sealmap.testing.model import PAVED, UNSEALED, Surface
from sealmap.testing.plots import Plot, cut_plots, garden, long_angle, spot_house, villa, yard_material


def fields(draft: Draft, block: Polygon, rng: Rng) -> None:
    """Strips of crops, bare soil, stubble and meadow, with margins and the odd row of trees."""
    for plot in cut_plots(block, (35, 110), 70.0, rng):
        land = plot.world()
        kind = str(rng.choice(["field_brown", "crop_green", "stubble", "meadow"], p=[0.34, 0.3, 0.14, 0.22]))
        bez = "Grünland" if kind == "meadow" else "Ackerland"
        draft.parcel(land, "Landwirtschaft", bez)
        draft.paint(land, "lawn_rough", (UNSEALED, 5.0), tint_of(rng))
        furrow = plot.angle + (math.pi / 2 if rng.random() < 0.6 else 0.0)
        tint = tint_of(rng)
        inner = land.buffer(-float(rng.uniform(0.3, 2.0)))
        draft.paint(inner, kind, (UNSEALED, 6.0), tint, furrow)
        if kind != "meadow":
            _tramlines(draft, inner, furrow, tint, rng)
            for _ in range(int(rng.poisson(0.4))):
                p = rotate(plot.shape.representative_point(), plot.angle)
                wet = Point(p.x + rng.normal(0, 20), p.y + rng.normal(0, 15)).buffer(float(rng.uniform(4, 14)))
                draft.paint(blob(wet, rng).intersection(inner), "soil", (UNSEALED, 6.4), tint_of(rng))
        if rng.random() < 0.25:
            for x, y in scatter(land.boundary.buffer(1.2).intersection(land), 7.0, rng):
                if rng.random() < 0.4:
                    size = float(rng.uniform(1, 3.6))
                    draft.tree(x, y, (size, size * 2), "deciduous", float(rng.random()))


def blob(shape: BaseGeometry, rng: Rng) -> BaseGeometry:
    """``shape`` with an irregular, smooth outline."""
    x, y = shape.centroid.x, shape.centroid.y
    ring = shapely.get_coordinates(shape.segmentize(2.0))[:-1]
    t = np.arctan2(ring[:, 1] - y, ring[:, 0] - x)
    swing = sum(rng.uniform(-0.14, 0.14) * np.sin(k * t + rng.uniform(0, 6)) for k in (2, 3, 4, 5))
    scale = np.column_stack([1 + swing, 1 + swing])
    return Polygon((ring - [x, y]) * scale + [x, y]).buffer(0)


def _tramlines(draft: Draft, land: BaseGeometry, angle: float, tint: tuple[float, float, float], rng: Rng) -> None:
    """Wheel tracks of the sprayer, two ruts each; none on a strip narrower than its margins."""
    if land.is_empty:
        return
    local = rotate(land, -angle)
    x0, y0, x1, y1 = local.bounds
    gap = float(rng.choice([15, 18, 24]))
    heights = [y + side for y in np.arange(y0 + gap / 2, y1, gap) for side in (-0.9, 0.9)]
    ruts = [LineString([(x0, y), (x1, y)]).buffer(0.22) for y in heights]
    if ruts and rng.random() < 0.75:
        lines = rotate(shapely.union_all(ruts).intersection(local), angle)
        draft.paint(lines, "soil", (UNSEALED, 6.6), (tint[0] - 0.4, tint[1], float(rng.uniform(-1, 1))))


def forest(draft: Draft, block: Polygon, rng: Rng) -> None:
    """Closed stand of deciduous, conifer or mixed trees."""
    draft.parcel(block, "Wald", "")
    draft.paint(block, "forest_floor", (UNSEALED, 5.0), tint_of(rng))
    share = float(rng.choice([0.0, 0.1, 0.5, 0.9]))
    for x, y in scatter(block.buffer(-1), 4.6, rng):
        kind = "conifer" if rng.random() < share else "deciduous" if rng.random() < 0.85 else "bush"
        size = float(rng.uniform(2.2, 4.6)) * (0.75 if kind == "conifer" else 0.45 if kind == "bush" else 1.0)
        draft.tree(x, y, (size, float(rng.uniform(8, 16))), kind, float(rng.random()))


def park(draft: Draft, block: Polygon, rng: Rng) -> None:
    """Meadow with paths, a pond, a pitch, courts, groups of trees."""
    use = ("Sport-, Freizeit- und Erholungsfläche", "Grünanlage")
    draft.paint(block, str(rng.choice(["meadow", "lawn", "lawn_rough"])), (UNSEALED, 5.0), tint_of(rng))
    angle = long_angle(block)
    local = rotate(block, -angle)
    x0, y0, x1, y1 = local.bounds
    used: list[BaseGeometry] = []
    pond: BaseGeometry = Polygon()
    if rng.random() < 0.6:
        at = Point(x0 + (x1 - x0) * rng.uniform(0.2, 0.4), y0 + (y1 - y0) * rng.uniform(0.35, 0.65))
        pond = blob(at.buffer(float(rng.uniform(0.1, 0.26)) * min(x1 - x0, y1 - y0)), rng).intersection(
            local.buffer(-4)
        )
        draft.paint(rotate(pond.buffer(float(rng.uniform(0.6, 2))), angle), "reed", (UNSEALED, 7.0), tint_of(rng))
        draft.paint(rotate(pond, angle), "water", (UNSEALED, 8.0), tint_of(rng))
        used.append(pond)
    basin = rotate(pond, angle)
    draft.parcel(basin, "Stehendes Gewässer", "Teich")
    draft.parcel(block.difference(basin), *use)
    used += _sports(draft, local, used, angle, rng)
    used += _paths(draft, local, used, angle, rng)
    free = local.buffer(-2).difference(shapely.union_all(used).buffer(1.5)) if used else local.buffer(-2)
    for x, y in scatter(free, float(rng.uniform(6, 14)), rng):
        if rng.random() < 0.75:
            p = turned(x, y, angle)
            kind = str(rng.choice(["deciduous", "conifer", "bush"], p=[0.72, 0.14, 0.14]))
            size = float(rng.uniform(2, 5.5)) * (0.4 if kind == "bush" else 1)
            draft.tree(p.x, p.y, (size, size * 2.3), kind, float(rng.random()))


def _sports(draft: Draft, local: BaseGeometry, used: list[BaseGeometry], angle: float, rng: Rng) -> list[BaseGeometry]:
    x0, y0, x1, y1 = local.bounds
    out: list[BaseGeometry] = []
    long, wide = float(rng.uniform(60, 95)), float(rng.uniform(38, 60))
    cx, cy = x1 - (x1 - x0) * 0.33, (y0 + y1) / 2
    pitch = oblong(cx, cy, long, wide)
    if local.buffer(-3).contains(pitch) and not any(pitch.intersects(u) for u in used) and rng.random() < 0.8:
        kind = str(rng.choice(["pitch", "turf", "clay", "pitch"]))
        draft.paint(rotate(pitch, angle), kind, (UNSEALED, 9.0), tint_of(rng), angle)
        if rng.random() < 0.4:
            ring = pitch.buffer(9).difference(pitch.buffer(3))
            draft.paint(rotate(ring, angle), "tartan", (PAVED, 8.5), tint_of(rng))
        _pitch_lines(draft, (cx, cy, long, wide), angle)
        return [pitch.buffer(9)]
    court = oblong(cx, cy, 24, 13)
    if local.buffer(-2).contains(court) and not any(court.intersects(u) for u in used):
        kind = str(rng.choice(["hard_blue", "tartan", "clay", "asphalt"]))
        truth = UNSEALED if kind == "clay" else PAVED
        draft.paint(rotate(court, angle), kind, (truth, 9.0), tint_of(rng), angle)
        lines = oblong(cx, cy, 22, 11).boundary.buffer(0.06)
        draft.paint(rotate(lines, angle), "marking", (-1, 9.5), (0.0, 0.0, 0.0))
        out.append(court)
    return out


def _pitch_lines(draft: Draft, rect: tuple[float, float, float, float], angle: float) -> None:
    cx, cy, long, wide = rect
    a, b = long / 2 - 2, wide / 2 - 2
    parts = [
        oblong(cx, cy, 2 * a, 2 * b).boundary,
        LineString([(cx, cy - b), (cx, cy + b)]),
        Point(cx, cy).buffer(7).boundary,
    ]
    parts += [oblong(cx + side * (a - 6.5), cy, 13, min(32.0, 1.4 * b)).boundary for side in (-1, 1)]
    lines = shapely.union_all([p.buffer(0.07) for p in parts])
    draft.paint(rotate(lines, angle), "marking_pitch", (-1, 9.5), (0.0, 0.0, 0.0))


def _paths(draft: Draft, local: BaseGeometry, used: list[BaseGeometry], angle: float, rng: Rng) -> list[BaseGeometry]:
    x0, y0, x1, y1 = local.bounds
    out: list[BaseGeometry] = []
    block = shapely.union_all(used).buffer(1) if used else Polygon()
    for _ in range(int(rng.integers(1, 4))):
        t = np.linspace(0, 1, 40)
        a, b = rng.uniform(0.1, 0.9, 2)
        swing = float(rng.uniform(3, 14)) * np.sin(t * float(rng.uniform(3, 9)) + float(rng.uniform(0, 6)))
        if rng.random() < 0.5:
            line = LineString(np.column_stack([x0 + (x1 - x0) * t, y0 + (y1 - y0) * (a + (b - a) * t) + swing]))
        else:
            line = LineString(np.column_stack([x0 + (x1 - x0) * (a + (b - a) * t) + swing, y0 + (y1 - y0) * t]))
        path = line.buffer(float(rng.uniform(0.9, 1.9))).intersection(local).difference(block)
        loose = rng.random() < 0.5
        material = str(
            rng.choice(["gravel", "dirt", "sand"] if loose else ["asphalt", "asphalt_old", "slabs", "asphalt_light"])
        )
        draft.paint(rotate(path, angle), material, (UNSEALED if loose else PAVED, 8.2), tint_of(rng), angle)
        out.append(path)
    return out


def heap(draft: Draft, foot: BaseGeometry, rng: Rng) -> None:
    """A heap of soil or gravel: a fan of slopes about its top, so that sun and shade side differ."""
    if not isinstance(foot, Polygon) or foot.is_empty:
        return
    ring = shapely.get_coordinates(foot.exterior.simplify(1.0))
    top = foot.centroid
    slope, tint = float(rng.uniform(0.35, 0.65)), tint_of(rng)
    material = str(rng.choice(["soil", "gravel", "sand", "site"]))
    for a, b in pairwise(ring):
        middle = (a + b) / 2
        down = math.atan2(middle[1] - top.y, middle[0] - top.x)
        facet = Polygon([a, b, (top.x, top.y)]).buffer(0.05)
        draft.plane(Surface(facet, material, UNSEALED, 6.9, tint, down, (down, slope)))


def playground(draft: Draft, room: Polygon, angle: float, rng: Rng) -> None:
    """Sand, a few coloured things, in the frame of ``angle``."""
    x0, y0, x1, y1 = room.bounds
    square = oblong((x0 + x1) / 2, (y0 + y1) / 2, min(14.0, x1 - x0), min(9.0, y1 - y0))
    sand = square.buffer(-1).buffer(1).intersection(room.buffer(-1.5))
    draft.paint(rotate(sand, angle), "sand", (UNSEALED, 9.0), tint_of(rng))
    for x, y in scatter(sand.buffer(-1.5), 3.2, rng)[:7]:
        toy = rotate(oblong(x, y, float(rng.uniform(0.5, 2.5)), float(rng.uniform(0.4, 1.2))), angle)
        draft.paint(toy, "toy", (UNSEALED, 24.0), tint_of(rng))
        draft.body(toy, 1.5)


def site(draft: Draft, block: Polygon, rng: Rng) -> None:
    """A building site or fallow: bare soil, ruts, heaps, foundation slabs, containers, puddles."""
    draft.parcel(block, "Unland, vegetationslose Fläche", "")
    draft.paint(block, "lawn_rough", (UNSEALED, 5.0), tint_of(rng))
    inner = blob(block.buffer(-3).convex_hull.intersection(block.buffer(-2)).convex_hull, rng).intersection(
        block.buffer(-1)
    )
    draft.paint(inner, str(rng.choice(["site", "soil", "site", "gravel"])), (UNSEALED, 6.0), tint_of(rng))
    for x, y in scatter(inner.buffer(-6), 22.0, rng):
        r = rng.random()
        patch = blob(Point(x, y).buffer(float(rng.uniform(3, 9))), rng)
        if r < 0.5:
            draft.paint(
                patch.intersection(inner),
                str(rng.choice(["soil", "gravel", "sand", "site"])),
                (UNSEALED, 6.5),
                tint_of(rng),
            )
            if rng.random() < 0.5:
                heap(draft, patch.buffer(-1), rng)
        elif r < 0.6:
            draft.paint(patch.intersection(inner), "water", (UNSEALED, 6.7), (0.9, 1.0, 1.0))
        elif r < 0.8:
            spot = turned(x, y, -0.4)
            slab = rotate(oblong(spot.x, spot.y, float(rng.uniform(9, 16)), 10.0), 0.4)
            draft.paint(slab.intersection(block), "concrete", (PAVED, 6.8), tint_of(rng), 0.4)
        else:
            spot = turned(x, y, -0.4)
            small(draft, (spot.x, spot.y, 0.4), (6.1, 2.5), "shed", rng)


def village(draft: Draft, block: Polygon, rng: Rng) -> None:
    """Farmsteads and houses on large plots, with barns and yards."""
    for plot in cut_plots(block, (20, 42), 30.0, rng):
        if rng.random() < 0.55:
            villa(draft, plot, rng)
        else:
            farm(draft, plot, rng)


def farm(draft: Draft, plot: Plot, rng: Rng) -> None:
    """House, barn and a yard that is paved or loose."""
    draft.parcel(
        plot.world(),
        "Fläche gemischter Nutzung",
        "Gebäude- und Freifläche Land- und Forstwirtschaft",
        "Dorfstraße",
    )
    draft.paint(plot.world(), str(rng.choice(["lawn_rough", "meadow", "garden"])), (UNSEALED, 5.0), tint_of(rng))
    x0, y0, x1, y1 = plot.shape.bounds
    loose = rng.random() < 0.4
    mid = (y0 + y1) / 2
    deep = box(x0 + 3, mid - 2, x1 - 3, y1) if plot.front > 0 else box(x0 + 3, y0, x1 - 3, mid + 2)
    yard = plot.shape.intersection(deep)
    material = str(rng.choice(["gravel", "dirt"])) if loose else yard_material(rng)
    draft.paint(rotate(yard, plot.angle), material, (UNSEALED if loose else PAVED, 18.0), tint_of(rng), plot.angle)
    used: list[BaseGeometry] = [yard]
    for kind, size, back in (
        ("house", (13.0, 9.5), 4.0),
        ("barn", (20.0, 11.0), 24.0),
        ("barn", (12.0, 8.0), 14.0),
    ):
        centre = spot_house(plot, size, back, rng)
        if centre is None or any(oblong(*centre, size[0] + 3, size[1] + 3).intersects(u) for u in used[1:]):
            continue
        style = replace(
            style_of(rng, 0.0),
            roof="gable",
            use=kind,
            x=centre[0],
            y=centre[1],
            w=size[0],
            d=size[1],
            angle=plot.angle,
        )
        if kind == "barn":
            style = replace(
                style,
                material=str(rng.choice(["fibre", "tile_red", "tile_brown", "metal_grey"])),
                slope=float(rng.uniform(18, 40)),
            )
        build(draft, [style], rng)
        used.append(oblong(*centre, *size))
    garden(draft, plot, shapely.union_all(used), rng)
