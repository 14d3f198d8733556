"""Row houses, apartment slabs, old-town blocks, industry, retail: whole blocks at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import shapely
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

from sealmap.testing.draft import Draft, Rng, oblong, polygons, rotate, scatter, tint_of, turned
from sealmap.testing.green import playground
from sealmap.testing.houses import House, build, roof_of, small, style_of
from sealmap.testing.model import PAVED, UNSEALED
from sealmap.testing.plots import Plot, cut_plots, garden, hedge, long_angle, spot_house, yard_material
from sealmap.testing.streets import car, place


def row_houses(draft: Draft, block: Polygon, rng: Rng) -> None:
    """Terraces of 4-8 narrow houses with small gardens."""
    style = replace(style_of(rng, 0.25), over=0.35)
    if style.roof == "hip" or style.material == "metal_colour":
        style = replace(style, roof="gable", material="tile_brown")
    depth, setback = float(rng.uniform(9, 11.5)), float(rng.uniform(3, 6))
    front_paved = rng.random() < 0.4
    plots = cut_plots(block, (6.2, 8.0), 17.0, rng)
    run = 0
    for plot in plots:
        run += 1
        draft.parcel(plot.world(), "Wohnbaufläche", "", "Reihenweg")
        draft.paint(
            plot.world(),
            str(rng.choice(["lawn", "lawn", "garden", "lawn_rough"])),
            (UNSEALED, 5.0),
            tint_of(rng),
        )
        x0, _, x1, _ = plot.shape.bounds
        if (run > 6 and rng.random() < 0.4) or x1 - x0 > 9:
            run = 0
            style = replace(style, tint=tint_of(rng))
            garden(draft, plot, Polygon(), rng)
            continue
        _row_house(draft, plot, (style, depth, setback, front_paved), rng)


def _row_house(draft: Draft, plot: Plot, kit: tuple[House, float, float, bool], rng: Rng) -> None:
    style, depth, setback, front_paved = kit
    x0, y0, x1, y1 = plot.shape.bounds
    x = (x0 + x1) / 2
    ends = plot.column(x)
    if ends is None or ends[1] - ends[0] < depth + setback + 2:
        garden(draft, plot, Polygon(), rng)
        return
    y = ends[1] - setback - depth / 2 if plot.front > 0 else ends[0] + setback + depth / 2
    tint = (style.tint[0] + float(rng.normal(0, 0.12)), style.tint[1], style.tint[2])
    if rng.random() < 0.1:
        tint = tint_of(rng)
    house = replace(style, x=x, y=y, w=x1 - x0 - 0.35, d=depth, angle=plot.angle, tint=tint)
    if not plot.shape.buffer(0.5).contains(oblong(x, y, x1 - x0 - 0.4, depth)):
        garden(draft, plot, Polygon(), rng)
        return
    build(draft, [house], rng)
    body = oblong(x, y, x1 - x0 + 1, depth + 1)
    street = plot.shape.intersection(box(x0, min(y, y + plot.front * 50), x1, max(y, y + plot.front * 50)))
    if front_paved or rng.random() < 0.3:
        draft.paint(rotate(street, plot.angle), yard_material(rng), (PAVED, 20.0), tint_of(rng), plot.angle)
    else:
        strip = street.intersection(box(x - 1.9, y0, x - 0.4, y1))
        draft.paint(rotate(strip, plot.angle), yard_material(rng), (PAVED, 20.0), tint_of(rng), plot.angle)
    back = y - plot.front * (depth / 2 + 1.7)
    terrace = oblong(x, back, x1 - x0 - 0.2, 3.4).intersection(plot.shape)
    draft.paint(rotate(terrace, plot.angle), yard_material(rng), (PAVED, 20.5), tint_of(rng), plot.angle)
    garden(draft, plot, shapely.union_all([body, street, terrace]), rng)


def car_park(draft: Draft, area: BaseGeometry, angle: float, rng: Rng, truth: int = PAVED) -> None:
    """Bays, aisles, cars and islands in ``area`` (town-local), rows along ``angle``."""
    material = str(rng.choice(["asphalt", "asphalt_old", "asphalt_dark", "pavers_grey", "asphalt_light"]))
    draft.paint(area, material, (truth, 20.0), tint_of(rng), angle)
    local = rotate(area, -angle)
    x0, y0, x1, y1 = local.bounds
    full = float(rng.uniform(0.15, 0.9))
    bay_material = str(rng.choice([material, "pavers_grey", "pavers_dark"]))
    y = y0 + 0.8
    inner = local.buffer(-0.4)
    shapely.prepare(inner)
    while y + 5 < y1:
        for k, base in enumerate((y, y + 11.2)):
            bays = []
            for x in np.arange(x0 + 1, x1 - 2.5, 2.5):
                bay = oblong(x + 1.25, base + 2.5, 2.5, 5.0)
                if not inner.contains(bay):
                    continue
                bays.append(bay)
                if rng.random() < full:
                    spot = rotate(bay.centroid, angle)
                    car(draft, (spot.x, spot.y, angle + math.pi / 2), rng)
            if not bays:
                continue
            row = shapely.union_all(bays)
            if bay_material != material:
                draft.paint(rotate(row, angle), bay_material, (truth, 20.5), (0.0, 0.0, 0.0), angle)
            lines = shapely.union_all([b.boundary for b in bays]).buffer(0.06)
            draft.paint(
                rotate(
                    lines.intersection(oblong((x0 + x1) / 2, base + 2.5 + 0.3 * (1 - 2 * k), x1 - x0, 4.9)),
                    angle,
                ),
                "marking",
                (-1, 21.0),
                tint_of(rng),
            )
            _islands(draft, bays, angle, rng)
        y += 16.6


def _islands(draft: Draft, bays: list[Polygon], angle: float, rng: Rng) -> None:
    """A planted island now and then in a row of bays."""
    if len(bays) < 6 or rng.random() < 0.4:
        return
    for bay in bays[:: int(rng.integers(5, 9))]:
        draft.paint(rotate(bay.buffer(-0.3), angle), "verge", (UNSEALED, 29.0), tint_of(rng))
        spot = rotate(bay.centroid, angle)
        size = float(rng.uniform(1.5, 3.0))
        draft.tree(spot.x, spot.y, (size, size * 2.4), "deciduous", float(rng.random()))


def slabs(draft: Draft, block: Polygon, rng: Rng) -> None:
    """Apartment blocks in lawns, with paths, car parks, a playground and trees."""
    draft.parcel(block, "Wohnbaufläche", "", "Siedlungsring")
    draft.paint(block, str(rng.choice(["lawn", "lawn_rough", "lawn"])), (UNSEALED, 5.0), tint_of(rng))
    angle = long_angle(block) + (math.pi / 2 if rng.random() < 0.4 else 0.0)
    local = rotate(block, -angle)
    x0, y0, x1, y1 = local.bounds
    inside = local.buffer(-4)
    storeys = int(rng.choice([3, 4, 5, 6, 9]))
    style = _slab_style(storeys, rng)
    used: list[BaseGeometry] = []
    y, depth = y0 + 10, float(rng.uniform(11, 14))
    while y + depth < y1 - 4:
        for piece in polygons(inside.intersection(box(x0, y, x1, y + depth)), 150):
            used += _slab_row(draft, piece, (angle, depth, style, local), rng)
        y += depth + float(rng.uniform(20, 32))
    free = local.buffer(-1.5).difference(shapely.union_all(used).buffer(3) if used else Polygon())
    _estate_ground(draft, free, angle, rng)


def _slab_style(storeys: int, rng: Rng) -> House:
    base = style_of(rng, 0.72)
    return replace(base, eave=2.9 * storeys, use="block", over=0.3, slope=0.0 if base.roof == "flat" else 25.0)


def _slab_row(draft: Draft, piece: Polygon, kit: tuple[float, float, House, Polygon], rng: Rng) -> list[BaseGeometry]:
    angle, depth, style, block = kit
    px0, py0, px1, py1 = piece.bounds
    length = min(px1 - px0 - 4, float(rng.uniform(30, 75)))
    body = oblong((px0 + px1) / 2, (py0 + py1) / 2, length, depth)
    if length < 18 or not piece.buffer(0.6).contains(body):
        return []
    cx, cy = body.centroid.x, body.centroid.y
    slab = replace(style, x=cx, y=cy, w=length, d=depth, angle=angle)
    heads = _stair_heads(slab) if style.roof == "flat" and rng.random() < 0.5 else []
    build(draft, [slab, *heads], rng)
    side = float(rng.choice([-1, 1]))
    material, tint = yard_material(rng), tint_of(rng)
    path = box(px0 - 3, cy + side * (depth / 2 + 4.5) - 1.2, px1 + 3, cy + side * (depth / 2 + 4.5) + 1.2)
    shapes: list[BaseGeometry] = [path]
    doors = np.arange(cx - length / 2 + 6, cx + length / 2 - 4, 15.0)
    shapes += [oblong(float(x), cy + side * (depth / 2 + 2.2), 2.2, 4.6) for x in doors]
    rim = body.buffer(0.9, join_style="mitre")
    draft.paint(rotate(rim, angle), "slabs", (PAVED, 18.0), tint)
    draft.paint(
        rotate(shapely.union_all(shapes).intersection(block), angle),
        material,
        (PAVED, 19.0),
        tint,
        angle,
    )
    return [body, *shapes]


def _stair_heads(slab: House) -> list[House]:
    """Boxes on the roof over each staircase, part of the same building."""
    spots = np.arange(-slab.w / 2 + 8, slab.w / 2 - 4, 15.0)
    return [replace(slab, x=slab.x + float(x), w=5.0, d=6.0, eave=slab.eave + 2.8, over=0.1) for x in spots]


def _estate_ground(draft: Draft, free: BaseGeometry, angle: float, rng: Rng) -> None:
    """Car parks, playground and trees between the blocks."""
    rooms = sorted(polygons(free, 150), key=lambda p: -p.area)
    left: list[Polygon] = []
    for room in rooms:
        rest: BaseGeometry = room
        x0, y0, x1, y1 = room.bounds
        w, d = min(float(rng.uniform(20, 50)), x1 - x0 - 3), 16.6
        lot = oblong((x0 + x1) / 2, (y0 + y1) / 2 + float(rng.uniform(-2, 2)), w, d).intersection(room.buffer(-1))
        if lot.area > 150 and rng.random() < 0.75:
            car_park(draft, rotate(lot, angle), angle, rng)
            lane = box(x0 - 20, lot.bounds[1] + 5.3, x1 + 20, lot.bounds[1] + 10.5).intersection(room.buffer(2))
            draft.paint(rotate(lane, angle), "asphalt_old", (PAVED, 19.8), tint_of(rng))
            rest = room.difference(shapely.union(lot, lane).buffer(1.5))
        left += polygons(rest, 40)
    for room in left:
        if rng.random() < 0.3:
            playground(draft, room, angle, rng)
        for x, y in scatter(room.buffer(-1.5), float(rng.uniform(6.5, 13)), rng):
            p = turned(x, y, angle)
            size = float(rng.uniform(1.6, 5.0))
            kind = str(rng.choice(["deciduous", "conifer", "bush"], p=[0.72, 0.12, 0.16]))
            size = size if kind != "bush" else size * 0.4
            draft.tree(p.x, p.y, (size, size * float(rng.uniform(2.0, 3.0))), kind, float(rng.random()))


def core(draft: Draft, block: Polygon, rng: Rng) -> None:
    """Old-town block: houses in a closed row on the street line, paved courts with sheds behind."""
    for plot in cut_plots(block, (8, 15), 14.0, rng):
        draft.parcel(
            plot.world(),
            "Fläche gemischter Nutzung",
            "Gebäude- und Freifläche, Mischnutzung mit Wohnen",
            "Marktgasse",
        )
        court = rng.random() < 0.65
        material = yard_material(rng) if court else str(rng.choice(["garden", "lawn"]))
        draft.paint(plot.world(), material, (PAVED if court else UNSEALED, 6.0), tint_of(rng), plot.angle)
        x0, _, x1, _ = plot.shape.bounds
        x, ends = (x0 + x1) / 2, plot.column((x0 + x1) / 2)
        depth = float(rng.uniform(9, 13))
        if ends is None or ends[1] - ends[0] < depth + 1:
            continue
        y = ends[1] - depth / 2 - 0.5 if plot.front > 0 else ends[0] + depth / 2 + 0.5
        style = replace(style_of(rng, 0.08), use="shop" if rng.random() < 0.3 else "house", over=0.35)
        style = replace(style, eave=float(rng.uniform(6, 12)), slope=style.slope + 6 if style.roof != "flat" else 0)
        if style.roof == "hip":
            style = replace(style, roof="gable")
        house = replace(style, x=x, y=y, w=x1 - x0 - 0.3, d=depth, angle=plot.angle)
        if not plot.shape.buffer(1.2).contains(oblong(x, y, x1 - x0 - 0.4, depth)):
            continue
        if plot.shape.buffer(0.4).contains(oblong(x, y, x1 - x0 - 0.4, depth)):
            build(draft, [house], rng)
        _court(draft, plot, rotate(roof_of(house), -plot.angle), rng)


def _court(draft: Draft, plot: Plot, used: BaseGeometry, rng: Rng) -> None:
    free = plot.shape.buffer(-0.5).difference(used.buffer(1.5))
    for piece in polygons(free, 30):
        x, y = piece.representative_point().coords[0]
        size = (float(rng.uniform(3, 7)), float(rng.uniform(3, 8)))
        if rng.random() < 0.7 and piece.contains(oblong(x, y, *size)):
            small(draft, (x, y, plot.angle), size, str(rng.choice(["shed", "garage"])), rng)
        elif rng.random() < 0.5:
            p = turned(x, y, plot.angle)
            draft.tree(p.x, p.y, (2.5, 7.0), "deciduous", float(rng.random()))


def industry(draft: Draft, block: Polygon, rng: Rng) -> None:
    """Halls, yards, stacks, lorries, verges; some plots are retail with a large car park."""
    for plot in cut_plots(block, (45, 85), 45.0, rng):
        draft.parcel(
            plot.world(),
            "Industrie- und Gewerbefläche",
            "Gebäude- und Freifläche Industrie und Gewerbe",
            "Gewerbering",
        )
        draft.paint(plot.world(), str(rng.choice(["lawn_rough", "lawn", "verge"])), (UNSEALED, 5.0), tint_of(rng))
        yard = plot.shape.buffer(-float(rng.uniform(1, 5)), join_style="mitre")
        loose = rng.random() < 0.2
        material = str(
            rng.choice(
                ["gravel", "site"] if loose else ["asphalt", "concrete", "asphalt_old", "pavers_grey", "asphalt_dark"]
            )
        )
        draft.paint(rotate(yard, plot.angle), material, (UNSEALED if loose else PAVED, 18.0), tint_of(rng), plot.angle)
        gate = plot.shape.intersection(_gate(plot, rng))
        draft.paint(rotate(gate, plot.angle), "asphalt_old", (PAVED, 18.2), tint_of(rng), plot.angle)
        used = _halls(draft, plot, yard, rng)
        rest = yard.difference(shapely.union_all(used).buffer(4)) if used else yard
        _yard_life(draft, rest, plot.angle, rng)
        if rng.random() < 0.4:
            hedge(draft, plot, gate, rng)
        edge = plot.shape.buffer(-0.8).difference(yard.buffer(0.8))
        for x, y in scatter(edge, 9.0, rng)[:10]:
            p = turned(x, y, plot.angle)
            draft.tree(p.x, p.y, (float(rng.uniform(1, 3.2)), 6.0), "deciduous", float(rng.random()))


def _gate(plot: Plot, rng: Rng) -> Polygon:
    x0, y0, x1, y1 = plot.shape.bounds
    x, middle = float(rng.uniform(x0 + 6, max(x0 + 7, x1 - 6))), (y0 + y1) / 2
    return box(x - 4, middle, x + 4, y1) if plot.front > 0 else box(x - 4, y0, x + 4, middle)


def _halls(draft: Draft, plot: Plot, yard: BaseGeometry, rng: Rng) -> list[BaseGeometry]:
    used: list[BaseGeometry] = []
    x0, y0, x1, y1 = plot.shape.bounds
    for attempt in range(int(rng.integers(3, 7))):
        # Slanting plots hold no large hall: ask for less each time.
        share = 0.85**attempt
        size = (
            float(rng.uniform(0.35, 0.75)) * share * (x1 - x0),
            float(rng.uniform(0.3, 0.6)) * share * (y1 - y0),
        )
        if min(size) < 9:
            break
        centre = spot_house(plot, size, float(rng.uniform(6, 26)), rng)
        if centre is None:
            continue
        body = oblong(*centre, *size)
        if not yard.buffer(1).contains(body) or any(body.distance(u) < 6 for u in used):
            continue
        flat = rng.random() < 0.62
        material = str(
            rng.choice(
                ["gravel_roof", "bitumen", "membrane", "metal_bright"]
                if flat
                else [
                    "metal_grey",
                    "metal_bright",
                    "fibre",
                    "metal_zinc",
                    "metal_colour",
                    "fibre",
                    "tile_dark",
                ]
            )
        )
        along = size[0] >= size[1]
        frame = plot.angle if along else plot.angle + math.pi / 2
        at = centre if along else (centre[1], -centre[0])
        w, d = (size[0], size[1]) if along else (size[1], size[0])
        hall = House(
            at[0],
            at[1],
            w,
            d,
            frame,
            "flat" if flat else "gable",
            float(rng.uniform(5.5, 11)),
            0.0 if flat else float(rng.uniform(8, 18)),
            0.3,
            material,
            tint_of(rng),
            str(rng.choice(["hall", "store"])),
        )
        build(draft, [hall], rng)
        used.append(body)
    return used


def _yard_life(draft: Draft, rest: BaseGeometry, angle: float, rng: Rng) -> None:
    rooms = sorted(polygons(rest, 120), key=lambda p: -p.area)
    for i, room in enumerate(rooms[:3]):
        if i == 0 and rng.random() < 0.55 and room.area > 350:
            x0, y0, x1, y1 = room.bounds
            part = room.intersection(box(x0, y0, x0 + min(60.0, x1 - x0), y0 + min(34.0, y1 - y0)))
            car_park(draft, rotate(part, angle), angle, rng)
            continue
        for x, y in scatter(room.buffer(-3), float(rng.uniform(6, 14)), rng)[:24]:
            size = (6.1, 2.5) if rng.random() < 0.5 else (float(rng.uniform(1.5, 5)), float(rng.uniform(1, 3)))
            spot = turned(x, y, angle)
            turn = angle + float(rng.choice([0, 0, math.pi / 2])) + float(rng.normal(0, 0.03))
            thing = place(oblong(0, 0, *size), (spot.x, spot.y, turn))
            draft.paint(
                thing,
                str(rng.choice(["container", "stack", "stack", "car_white"])),
                (-1, 28.0),
                tint_of(rng),
                turn,
            )
            draft.body(thing, float(rng.uniform(1.0, 2.6)))
