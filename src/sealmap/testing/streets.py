"""The street network: cells from recursive splitting by straight or curved lines; drawing of streets."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import shapely
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import split, substring

from sealmap.testing.draft import Draft, Rng, oblong, polygons, rotate, tint_of
from sealmap.testing.model import PAVED, UNSEALED, Tint

CAR_COLOURS = ("car_white", "car_grey", "car_black", "car_red", "car_blue", "car_silver")


@dataclass(frozen=True, slots=True)
class Street:
    """``line`` in town-local metres; parcel ``width``, carriageway ``road``; ``walk`` material or ''."""

    line: LineString
    width: float
    road: float
    material: str
    walk: str
    rank: int


@dataclass(frozen=True, slots=True)
class Cut:
    """How to split: cell area in m2 below which to stop, frame angle, its jitter, curve share (0-1)."""

    area: float
    angle: float
    jitter: float
    curve: float


def _cut_line(cell: Polygon, cut: Cut, rng: Rng) -> LineString:
    angle = cut.angle + float(rng.normal(0, cut.jitter))
    x0, y0, x1, y1 = rotate(cell, -angle).bounds
    turn = (x1 - x0) < (y1 - y0)
    if turn:
        angle += math.pi / 2
        x0, y0, x1, y1 = rotate(cell, -angle).bounds
    t = np.linspace(-0.05, 1.05, 33)
    reach = x1 - x0
    bend = rng.random() < cut.curve
    swing = float(rng.uniform(0.04, 0.11)) * (y1 - y0) if bend else 0.0
    xs = (
        x0
        + reach * float(rng.uniform(0.4, 0.6))
        + swing * np.sin(math.pi * (t * float(rng.uniform(0.8, 2.2)) + float(rng.uniform(0, 2))))
    )
    ys = y0 + (y1 - y0) * t
    return rotate(LineString(np.column_stack([xs, ys])), angle)


def carve(cell: Polygon, cut: Cut, rng: Rng) -> tuple[list[Polygon], list[LineString]]:
    """Split ``cell`` until each part is below ``cut.area``; returns the parts and the cutting lines."""
    if cell.area < cut.area:
        return [cell], []
    for attempt in range(6):
        # A bent or badly placed cut may leave the cell twice: try again, at last with a straight one.
        line = _cut_line(cell, cut if attempt < 3 else replace(cut, curve=0.0, jitter=0.5), rng)
        inner = line.intersection(cell)
        parts = polygons(split(cell, line), 1.0)
        if isinstance(inner, LineString) and len(parts) > 1 and min(p.area for p in parts) > 0.15 * cell.area:
            break
    else:
        return [cell], []
    cells: list[Polygon] = []
    lines = [inner]
    for part in parts:
        more, cuts = carve(part, cut, rng)
        cells += more
        lines += cuts
    return cells, lines


def street_of(line: LineString, rank: int, kind: str, rng: Rng) -> Street:
    """Give a line its profile. ``rank`` 0: main road, 1: district street; ``kind``: district's character."""
    if kind in ("field", "forest") and rank:
        material = str(rng.choice(["gravel", "dirt", "asphalt_old", "gravel"]))
        return Street(line, float(rng.uniform(5, 7)), float(rng.uniform(2.8, 3.8)), material, "", 2)
    if rank == 0:
        road = float(rng.uniform(6.5, 9.5))
        material = str(rng.choice(["asphalt", "asphalt_dark", "asphalt_old"]))
        return Street(line, road + float(rng.uniform(4.0, 9.0)), road, material, _walk(rng), 0)
    wide = {"industry": 7.5, "retail": 7.5, "slab": 6.2, "core": 5.6, "village": 4.8}.get(kind, 5.4)
    road = wide + float(rng.uniform(-0.8, 0.8))
    materials = ["asphalt", "asphalt_old", "asphalt_dark", "asphalt_light", "pavers_grey", "cobbles"]
    share = [0.28, 0.3, 0.12, 0.16, 0.1, 0.04] if kind != "core" else [0.2, 0.25, 0.1, 0.1, 0.15, 0.2]
    material = str(rng.choice(materials, p=share))
    if kind == "village" and rng.random() < 0.2:
        material = "gravel"
    walk = "" if kind == "village" and rng.random() < 0.6 else _walk(rng)
    return Street(
        line,
        road + (float(rng.uniform(2.6, 5.0)) if walk else float(rng.uniform(1.0, 4.0))),
        road,
        material,
        walk,
        1,
    )


def _walk(rng: Rng) -> str:
    return str(
        rng.choice(["slabs", "pavers_grey", "asphalt_old", "pavers_red", "concrete"], p=[0.36, 0.3, 0.16, 0.1, 0.08])
    )


def draw_streets(draft: Draft, streets: list[Street], rng: Rng) -> BaseGeometry:
    """Paint all streets, add their parcels, and return the union of the street parcels."""
    taken: BaseGeometry = Polygon()
    for i, street in enumerate(sorted(streets, key=lambda s: s.rank)):
        land = street.line.buffer(street.width / 2).intersection(draft.town)
        use = ("Straßenverkehr", "") if street.rank < 2 else ("Weg", "Wirtschaftsweg")
        draft.parcel(land.difference(taken), use[0], use[1], f"Straße {i + 1}")
        taken = shapely.union(taken, land)
        # A street ends on the centre line of an earlier one, which must cover its round end.
        _draw_street(draft, street, land, 15.0 - 0.9 * i / len(streets), rng)
    roads = [s.line.buffer(s.road / 2) for s in streets if s.rank < 2 and s.material not in ("gravel", "dirt")]
    if roads:
        # Closing the union rounds the inner corners: kerbs at junctions are curves.
        joined = shapely.union_all(roads)
        fillet = joined.buffer(4.0).buffer(-4.0).intersection(taken)
        draft.paint(fillet.buffer(0.18), "kerb", (PAVED, 13.0), tint_of(rng))
        draft.paint(fillet, "asphalt_old", (PAVED, 14.05), (0.0, 0.0, 0.0))
    return taken


def _draw_street(draft: Draft, street: Street, land: BaseGeometry, layer: float, rng: Rng) -> None:
    loose = street.material in ("gravel", "dirt")
    draft.paint(land, "verge", (UNSEALED, 5.0), tint_of(rng))
    side = (street.width - street.road) / 2
    if street.walk and side > 2.6 and street.rank == 0 and rng.random() < 0.35:
        _cycle_path(draft, street, side, rng)
    elif street.walk and side > 1.0:
        verge = float(rng.uniform(0.5, 2.0)) if side > 3.2 and rng.random() < 0.6 else 0.0
        draft.paint(street.line.buffer(street.width / 2 - 0.1), street.walk, (PAVED, 10.0), tint_of(rng))
        if verge:
            strip = street.line.buffer(street.road / 2 + verge).difference(street.line.buffer(street.road / 2))
            draft.paint(strip, "verge", (UNSEALED, 11.0), tint_of(rng))
    truth = UNSEALED if loose else PAVED
    road = street.line.buffer(street.road / 2)
    tint = tint_of(rng)
    draft.paint(road, street.material, (truth, layer - 8.0 * loose), tint)
    if loose:
        if street.material == "dirt" or rng.random() < 0.5:
            draft.paint(street.line.buffer(0.45), "verge", (UNSEALED, 7.5), tint_of(rng))
        return
    _markings(draft, street, rng)
    _patches(draft, street, road, tint, rng)
    if street.rank and street.walk and rng.random() < 0.3:
        _parking_strip(draft, street, rng)
    if street.width > 7:
        _street_life(draft, street, rng)


def _cycle_path(draft: Draft, street: Street, side: float, rng: Rng) -> None:
    """Pavement with a cycle path, often red, between it and the carriageway."""
    draft.paint(street.line.buffer(street.width / 2 - 0.1), street.walk, (PAVED, 10.0), tint_of(rng))
    path = street.line.buffer(street.road / 2 + side * 0.55)
    material = str(rng.choice(["pavers_red", "pavers_red", "asphalt", "tartan"]))
    draft.paint(path, material, (PAVED, 11.0), tint_of(rng))
    if rng.random() < 0.5:
        strip = street.line.buffer(street.road / 2 + 0.7)
        draft.paint(strip, str(rng.choice(["slabs", "pavers_grey"])), (PAVED, 11.5), tint_of(rng))


def _markings(draft: Draft, street: Street, rng: Rng) -> None:
    length = street.line.length
    asphalt = street.material.startswith("asphalt")
    if not asphalt or length < 40 or (street.rank and rng.random() < 0.75):
        return
    on, off = (3.0, 6.0) if street.rank else (6.0, 12.0 if rng.random() < 0.5 else 3.0)
    at = 12.0
    dashes = []
    while at + on < length - 12:
        dashes.append(substring(street.line, at, at + on).buffer(0.07, cap_style="flat"))
        at += on + off
    if dashes:
        draft.paint(shapely.union_all(dashes), "marking", (-1, 18.0), (float(rng.uniform(-1, 0.5)), 0.0, 0.0))
    if street.rank == 0 and rng.random() < 0.5:
        for offset in (street.road / 2 - 0.35, -(street.road / 2 - 0.35)):
            edge = shapely.offset_curve(substring(street.line, 10, length - 10), offset)
            draft.paint(edge.buffer(0.06, cap_style="flat"), "marking", (-1, 18.0), (-0.3, 0.0, 0.0))
    if rng.random() < 0.7:
        x, y, angle = pose(street.line, float(rng.uniform(10, length - 10)))
        bars = [oblong(0, (i + 0.5) * 1.0 - street.road / 2, 3.5, 0.5) for i in range(int(street.road))]
        draft.paint(place(shapely.union_all(bars), (x, y, angle)), "marking", (-1, 18.1), (0.2, 0.0, 0.0))


def _patches(draft: Draft, street: Street, road: BaseGeometry, tint: Tint, rng: Rng) -> None:
    """Repairs, trenches and manholes: breaks that a network must learn to ignore."""
    length = street.line.length
    for _ in range(int(rng.poisson(length / 45))):
        spot = pose(street.line, float(rng.uniform(0, length)))
        side = float(rng.uniform(-0.4, 0.4)) * street.road
        shape = oblong(0, side, float(rng.uniform(1.5, 18)), float(rng.uniform(0.8, 2.6)))
        shade = tint[0] + float(rng.normal(0, 0.5))
        draft.paint(place(shape, spot).intersection(road), "asphalt", (PAVED, 16.0), (shade, tint[1], 0.0))
    for _ in range(int(rng.poisson(length / 30))):
        x, y, _a = pose(street.line, float(rng.uniform(0, length)))
        draft.paint(Point(x, y).buffer(0.35, 4), "manhole", (-1, 17.0), tint_of(rng))


def pose(line: LineString, at: float) -> tuple[float, float, float]:
    """Point and direction (radians) on ``line`` at ``at`` metres."""
    a, b = line.interpolate(max(at - 0.5, 0.0)), line.interpolate(min(at + 0.5, line.length))
    p = line.interpolate(at)
    return float(p.x), float(p.y), math.atan2(b.y - a.y, b.x - a.x)


def place(shape: BaseGeometry, spot: tuple[float, float, float]) -> BaseGeometry:
    """``shape`` drawn about (0, 0), turned and moved to ``spot`` = (x, y, angle)."""
    turned = rotate(shape, spot[2])
    moved: BaseGeometry = shapely.transform(turned, lambda c: c + np.array([spot[0], spot[1]]))
    return moved


def _street_life(draft: Draft, street: Street, rng: Rng) -> None:
    """Parked and driving cars, street trees."""
    length = street.line.length
    parked, trees = rng.random() < 0.75, rng.random() < 0.35
    density = float(rng.uniform(0.1, 0.7))
    at = 10.0
    while at < length - 10:
        x, y, angle = pose(street.line, at)
        for side in (-1.0, 1.0):
            if parked and street.rank and rng.random() < density * 0.6:
                off = side * (street.road / 2 - 1.1)
                car(draft, (x - off * math.sin(angle), y + off * math.cos(angle), angle), rng)
            off = side * (street.width / 2 - 0.9)
            if trees and street.width > 9 and rng.random() < 0.4:
                size = float(rng.uniform(1.8, 4.2))
                spot = (x - off * math.sin(angle), y + off * math.cos(angle))
                draft.tree(spot[0], spot[1], (size, size * 2.4), "deciduous", float(rng.random()))
        if rng.random() < 0.06:
            off = street.road * 0.24
            car(draft, (x - off * math.sin(angle), y + off * math.cos(angle), angle), rng)
        at += 6.0


def _parking_strip(draft: Draft, street: Street, rng: Rng) -> None:
    """Bays along one side, paved unlike the carriageway."""
    length = street.line.length
    if length < 40:
        return
    side = float(rng.choice([-1, 1])) * (street.road / 2 - 1.0)
    line = shapely.offset_curve(substring(street.line, 10, length - 10), side)
    material = str(rng.choice(["pavers_grey", "pavers_dark", "pavers_red", "cobbles"]))
    draft.paint(line.buffer(1.0, cap_style="flat"), material, (PAVED, 16.5), tint_of(rng))


def car(draft: Draft, spot: tuple[float, float, float], rng: Rng) -> None:
    """A car (sometimes a van) at (x, y, heading radians)."""
    van = rng.random() < 0.1
    length, width = (5.6, 2.05) if van else (float(rng.uniform(3.8, 4.8)), float(rng.uniform(1.7, 1.9)))
    spot = (spot[0], spot[1], spot[2] + float(rng.normal(0, 0.03)))
    body = place(oblong(0, 0, length, width).buffer(-0.3).buffer(0.3), spot)
    colour = str(rng.choice(CAR_COLOURS, p=[0.22, 0.22, 0.24, 0.08, 0.09, 0.15]))
    draft.paint(body, colour, (-1, 30.0), tint_of(rng), spot[2])
    front = 1.0 if rng.random() < 0.5 else -1.0
    for x, w in ((0.16 * length, 0.7), (-0.34 * length, 0.5)):
        glass = place(oblong(front * x, 0, w, width * 0.8), spot)
        draft.paint(glass, "car_glass", (-1, 31.0), tint_of(rng), spot[2])
    draft.body(body, 2.2 if van else 1.4)
