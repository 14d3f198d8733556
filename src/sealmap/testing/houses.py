"""Buildings: roof planes, ridges, overhang, roof furniture and their shadows."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import shapely
from shapely.geometry import LineString, Polygon
from shapely.geometry.base import BaseGeometry

from sealmap.testing.draft import Draft, Rng, oblong, rotate, tint_of
from sealmap.testing.model import ROOF, Building, Solid, Surface, Tint

TILES = ("tile_red", "tile_brown", "tile_dark", "tile_grey", "tile_orange")
CODES = {
    "house": ("31001_1010", "Wohnhaus"),
    "block": ("31001_1010", "Wohnhaus"),
    "shop": ("31001_2050", "Geschäftsgebäude"),
    "hall": ("31001_2111", "Fabrik"),
    "store": ("31001_2143", "Lagerhalle, Lagerschuppen, Lagerhaus"),
    "barn": ("31001_2721", "Scheune"),
    "garage": ("31001_2463", "Garage"),
    "shed": ("31001_2723", "Schuppen"),
    "carport": ("51009_1610", "Überdachung"),
    "school": ("31001_3021", "Allgemein bildende Schule"),
}


@dataclass(frozen=True, slots=True)
class House:
    """One convex part in a frame turned by ``angle``: centre x, y, length w (ridge along x), depth d.

    ``roof``: gable, hip, flat or shed. ``eave`` height and ``over``hang in metres, ``slope`` in degrees.
    """

    x: float
    y: float
    w: float
    d: float
    angle: float
    roof: str = "gable"
    eave: float = 5.5
    slope: float = 38.0
    over: float = 0.45
    material: str = "tile_red"
    tint: Tint = (0.0, 0.0, 0.0)
    use: str = "house"


def walls_of(house: House) -> BaseGeometry:
    """Ground plan of the walls, town-local."""
    return rotate(oblong(house.x, house.y, house.w, house.d), house.angle)


def roof_of(house: House) -> BaseGeometry:
    """Outline of the roof with its overhang, town-local."""
    side = house.over * (0.5 if house.roof == "gable" else 1.0)
    return rotate(oblong(house.x, house.y, house.w + 2 * side, house.d + 2 * house.over), house.angle)


def _planes(
    h: House,
) -> tuple[list[tuple[Polygon, float]], list[LineString], list[tuple[float, float, float]]]:
    """Roof planes with their downslope direction, ridge and hip lines, corners x, y, z; all in the frame."""
    side = h.over * (0.5 if h.roof == "gable" else 1.0)
    a, b = h.w / 2 + side, h.d / 2 + h.over
    x, y, rise = h.x, h.y, math.tan(math.radians(h.slope))
    corners = [(x - a, y - b), (x + a, y - b), (x + a, y + b), (x - a, y + b)]
    low = [(px, py, h.eave) for px, py in corners]
    c0, c1, c2, c3 = corners
    if h.roof == "gable":
        r0, r1 = (x - a, y), (x + a, y)
        top = [(*r0, h.eave + b * rise), (*r1, h.eave + b * rise)]
        return (
            [(Polygon([c0, c1, r1, r0]), -math.pi / 2), (Polygon([r0, r1, c2, c3]), math.pi / 2)],
            [LineString([r0, r1])],
            low + top,
        )
    if h.roof == "hip":
        inset = min(b, a - 0.05)
        r0, r1 = (x - a + inset, y), (x + a - inset, y)
        top = [(*r0, h.eave + b * rise), (*r1, h.eave + b * rise)]
        planes = [
            (Polygon([c0, c1, r1, r0]), -math.pi / 2),
            (Polygon([c1, c2, r1]), 0.0),
            (Polygon([r0, r1, c2, c3]), math.pi / 2),
            (Polygon([c3, c0, r0]), math.pi),
        ]
        lines = [LineString([r0, r1])] + [LineString(p) for p in ((c0, r0), (c3, r0), (c1, r1), (c2, r1))]
        return planes, lines, low + top
    if h.roof == "shed":
        top = [(c2[0], c2[1], h.eave + 2 * b * rise), (c3[0], c3[1], h.eave + 2 * b * rise)]
        return [(Polygon(corners), -math.pi / 2)], [], low[:2] + top
    return [(Polygon(corners), 0.0)], [], low


def build(draft: Draft, parts: list[House], rng: Rng) -> None:
    """Draw a building of convex ``parts`` (first = lowest is fine: parts are drawn from low to high)."""
    ordered = sorted(parts, key=lambda p: p.eave + (p.d / 2) * math.tan(math.radians(p.slope)))
    for rank, part in enumerate(ordered):
        _draw_part(draft, part, 40.0 + rank, rng)
    walls = shapely.union_all([walls_of(p) for p in parts])
    roof = shapely.union_all([roof_of(p) for p in parts])
    code, function = CODES[parts[0].use]
    draft.buildings.append(Building(walls, roof, code, function, parts[0].use == "carport"))


def _draw_part(draft: Draft, h: House, layer: float, rng: Rng) -> None:
    planes, lines, points = _planes(h)
    slope = 0.0 if h.roof == "flat" else math.radians(h.slope)
    roof = roof_of(h)
    for shape, down in planes:
        turned = rotate(shape, h.angle)
        draft.plane(Surface(turned, h.material, ROOF, layer, h.tint, down + h.angle, (down + h.angle, slope)))
    for line in lines:
        light = h.tint[0] + float(rng.uniform(-0.2, 0.7))
        strip = rotate(line.buffer(0.16, cap_style="flat"), h.angle).intersection(roof)
        draft.paint(strip, h.material, (ROOF, layer + 0.2), (light, h.tint[1], h.tint[2]))
    world = []
    c, s = math.cos(h.angle), math.sin(h.angle)
    for px, py, pz in points:
        world.append((px * c - py * s, px * s + py * c, pz))
    draft.solids.append(Solid(roof, tuple(world), "building", h.eave))
    if h.roof == "flat":
        _flat_top(draft, h, layer, rng)
    elif h.use in ("house", "block", "shop"):
        _furniture(draft, h, layer, rng)
    elif h.use in ("hall", "store", "barn") and rng.random() < 0.5:
        _rooflights(draft, h, layer, rng)


def _put(draft: Draft, h: House, shape: Polygon, material: str, key: tuple[float, float]) -> BaseGeometry:
    """Paint roof furniture given in the house's frame; ``key`` is (layer, brightness). Returns it turned."""
    turned = rotate(shape, h.angle)
    draft.paint(turned, material, (ROOF, key[0]), (key[1], 0.0, 0.0), h.angle)
    return turned


def _furniture(draft: Draft, h: House, layer: float, rng: Rng) -> None:
    """Chimneys, skylights, dormers and solar panels of a pitched roof."""
    roof = roof_of(h)
    half = h.d / 2 + h.over
    for _ in range(int(rng.choice([0, 1, 1, 2]))):
        x, y = h.x + rng.uniform(-0.35, 0.35) * h.w, h.y + rng.uniform(-0.25, 0.25) * h.d
        stack = _put(draft, h, oblong(x, y, 0.7, rng.uniform(0.6, 1.1)), "chimney", (layer + 0.6, rng.uniform(-1, 1)))
        draft.body(stack, float(rng.uniform(1.0, 1.8)), "rooftop", roof)
    pv_side = float(rng.choice([-1, 1])) if rng.random() < 0.22 and h.roof != "shed" else 0.0
    if pv_side and h.w > 6:
        reach = h.w * rng.uniform(0.4, 0.8) * (0.55 if h.roof == "hip" else 1.0)
        _put(
            draft,
            h,
            oblong(h.x, h.y + pv_side * half * 0.5, reach, half * rng.uniform(0.4, 0.75)),
            "pv",
            (layer + 0.4, 0.0),
        )
    for side in (-1.0, 1.0):
        if side == pv_side:
            continue
        for _ in range(int(rng.choice([0, 0, 1, 2, 3]))):
            x = h.x + rng.uniform(-0.3, 0.3) * h.w
            _put(
                draft,
                h,
                oblong(x, h.y + side * half * rng.uniform(0.35, 0.6), 0.9, 1.2),
                "glass",
                (layer + 0.5, rng.uniform(-1, 1)),
            )
        if rng.random() < 0.22 and h.roof == "gable" and h.w > 8:
            width = float(rng.uniform(1.8, min(5.0, h.w * 0.5)))
            shape = oblong(h.x + rng.uniform(-0.15, 0.15) * h.w, h.y + side * half * 0.5, width, half * 0.62)
            material = h.material if rng.random() < 0.6 else str(rng.choice(["bitumen", "metal_grey", "metal_zinc"]))
            dormer = rotate(shape, h.angle)
            lean = (math.pi / 2 * side + h.angle, math.radians(8))
            draft.plane(Surface(dormer, material, ROOF, layer + 0.3, h.tint, h.angle, lean))
            draft.body(dormer, float(rng.uniform(1.0, 1.7)), "rooftop", roof)


def _flat_top(draft: Draft, h: House, layer: float, rng: Rng) -> None:
    """Parapet, vents, lift heads, skylights and solar rows of a flat roof."""
    roof = roof_of(h)
    if h.w > 5:
        rim = roof.difference(roof.buffer(-float(rng.uniform(0.25, 0.5)), join_style="mitre"))
        draft.paint(rim, "parapet", (ROOF, layer + 0.3), tint_of(rng), h.angle)
    inner_w, inner_d = h.w - 2.0, h.d - 2.0
    if min(inner_w, inner_d) < 4:
        return
    area = inner_w * inner_d
    style = rng.random()
    if style < 0.22 and area > 60:
        _solar_rows(draft, h, layer, rng)
    elif style < 0.75 and area > 150:
        for _ in range(int(rng.integers(1, 2 + min(int(area / 250), 5)))):
            w, d = rng.uniform(2.0, 5.0), rng.uniform(2.0, min(5.0, inner_d))
            x = h.x + rng.uniform(-0.5, 0.5) * (inner_w - w)
            y = h.y + rng.uniform(-0.3, 0.3) * max(inner_d - d, 0.0)
            material = str(rng.choice([h.material, "parapet", "metal_grey", "bitumen"]))
            head = _put(draft, h, oblong(x, y, w, d), material, (layer + 0.6, rng.uniform(-0.5, 0.8)))
            draft.body(head, float(rng.uniform(1.5, 3.2)), "rooftop", roof)
    for _ in range(int(rng.integers(0, 3 + min(int(area / 60), 14)))):
        x, y = h.x + rng.uniform(-0.5, 0.5) * inner_w, h.y + rng.uniform(-0.5, 0.5) * inner_d
        side = rng.uniform(0.4, 1.3)
        material = str(rng.choice(["chimney", "glass", "parapet"]))
        vent = _put(draft, h, oblong(x, y, side, side), material, (layer + 0.5, rng.uniform(-1, 1)))
        draft.body(vent, float(rng.uniform(0.4, 1.0)), "rooftop", roof)


def _solar_rows(draft: Draft, h: House, layer: float, rng: Rng) -> None:
    rows = max(1, int((h.d - 2.5) / 2.4))
    length = (h.w - 3.0) * rng.uniform(0.4, 1.0)
    for i in range(rows):
        y = h.y - (rows - 1) * 1.2 + i * 2.4
        _put(draft, h, oblong(h.x, y, length, 1.5), "pv", (layer + 0.4, rng.uniform(-0.3, 0.3)))


def _rooflights(draft: Draft, h: House, layer: float, rng: Rng) -> None:
    """Translucent bands on halls."""
    count = max(1, int(h.w / rng.uniform(8, 16)))
    for side in (-1.0, 1.0):
        for i in range(count):
            x = h.x - h.w / 2 + (i + 0.5) * h.w / count
            _put(
                draft,
                h,
                oblong(x, h.y + side * h.d * 0.25, 1.1, h.d * 0.26),
                "rooflight",
                (layer + 0.4, rng.uniform(-0.5, 0.5)),
            )


def small(draft: Draft, spot: tuple[float, float, float], size: tuple[float, float], use: str, rng: Rng) -> House:
    """A garage, shed or carport; ``spot`` is (x, y, angle) in the turned frame, ``size`` (w, d) metres."""
    material = str(rng.choice(["bitumen", "gravel_roof", "metal_grey", "fibre", "bitumen", "wood_roof"]))
    if use != "garage":
        material = str(
            rng.choice(["bitumen", "metal_grey", "fibre", "wood_roof", "tile_dark", "tile_red", "metal_bright"])
        )
    roof = "flat" if use != "shed" or rng.random() < 0.4 else "gable"
    house = House(
        spot[0],
        spot[1],
        size[0],
        size[1],
        spot[2],
        roof,
        eave=float(rng.uniform(2.2, 2.8)),
        slope=20.0,
        over=0.15,
        material=material,
        tint=tint_of(rng),
        use=use,
    )
    build(draft, [house], rng)
    return house


def style_of(rng: Rng, flat: float = 0.1) -> House:
    """A random residential style: roof, material, slope, heights; place it with ``dataclasses.replace``."""
    r = rng.random()
    roof = "flat" if r < flat else "hip" if r < flat + 0.22 else "gable"
    if roof == "flat":
        material = str(
            rng.choice(
                ["gravel_roof", "bitumen", "gravel_roof", "membrane", "green_roof"],
                p=[0.3, 0.3, 0.2, 0.16, 0.04],
            )
        )
    else:
        material = str(rng.choice([*TILES, "metal_grey", "metal_colour"], p=[0.26, 0.19, 0.3, 0.12, 0.05, 0.05, 0.03]))
    storeys = int(rng.choice([1, 2, 2]))
    base = House(0, 0, 1, 1, 0, roof, eave=2.9 * storeys + 0.6, over=float(rng.uniform(0.3, 0.6)))
    slope = float(rng.uniform(22, 48)) if roof == "gable" else float(rng.uniform(20, 35))
    return replace(base, material=material, slope=slope if roof != "flat" else 0.0, tint=tint_of(rng))
