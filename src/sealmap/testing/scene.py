"""Planning: from a specification to the vector scene of a whole town."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from shapely.geometry import LineString, Polygon, box

from sealmap.testing.draft import Draft, Rng, polygons
from sealmap.testing.estates import core, industry, row_houses, slabs
from sealmap.testing.green import fields, forest, park, site, village
from sealmap.testing.model import Scene, TownSpec
from sealmap.testing.plots import cut_plots, long_angle, villa
from sealmap.testing.streets import Cut, Street, carve, draw_streets, street_of

BLOCK_AREA = {
    "villa": 7500.0, "row": 6000.0, "slab": 16000.0, "core": 5000.0, "industry": 17000.0, "village": 11000.0,
    "field": 30000.0, "forest": 30000.0, "park": 26000.0, "site": 15000.0,
}  # fmt: skip
SHARE = {
    "villa": 0.25, "row": 0.15, "slab": 0.13, "core": 0.1, "industry": 0.14, "village": 0.07,
    "field": 0.07, "forest": 0.025, "park": 0.05, "site": 0.025,
}  # fmt: skip


def _villas(draft: Draft, block: Polygon, rng: Rng) -> None:
    width = float(rng.uniform(15, 22))
    for plot in cut_plots(block, (width, width * 1.35), 21.0, rng):
        villa(draft, plot, rng)


FILLERS: dict[str, Callable[[Draft, Polygon, Rng], None]] = {
    "villa": _villas, "row": row_houses, "slab": slabs, "core": core, "industry": industry,
    "village": village, "field": fields, "forest": forest, "park": park, "site": site,
}  # fmt: skip


def plan_town(spec: TownSpec) -> Scene:
    """The town of ``spec`` as vectors in town-local metres; the same specification gives the same scene."""
    rng = np.random.default_rng([spec.seed, 7])
    town = box(0.0, 0.0, spec.width_m, spec.height_m)
    draft = Draft(town)
    angle = float(rng.uniform(0, math.pi / 2))
    target = min(70000.0, max(9000.0, town.area / 2.6))
    districts, mains = carve(town, Cut(target * float(rng.uniform(0.7, 1.2)), angle, 0.3, 0.6), rng)
    streets = [street_of(line, 0, "", rng) for line in mains]
    cells: list[tuple[Polygon, str]] = []
    for i, district in enumerate(districts):
        own = np.random.default_rng([spec.seed, 11, i])
        parts, lines, kind = _district(district, own)
        cells += [(p, kind) for p in parts]
        streets += [street_of(line, 1, kind, own) for line in lines]
    streets += _ring_road(streets, spec, rng)
    land = draw_streets(draft, streets, np.random.default_rng([spec.seed, 13]))
    for i, (cell, kind) in enumerate(cells):
        own = np.random.default_rng([spec.seed, 17, i])
        for block in polygons(cell.difference(land), 1e-6):
            _fill(draft, block, kind, own)
    surfaces = tuple(sorted(draft.surfaces, key=lambda s: s.layer))
    return Scene(spec, surfaces, tuple(draft.solids), tuple(draft.trees), tuple(draft.buildings), tuple(draft.parcels))


def _district(cell: Polygon, rng: Rng) -> tuple[list[Polygon], list[LineString], str]:
    kinds = list(SHARE)
    kind = str(rng.choice(kinds, p=np.array(list(SHARE.values())) / sum(SHARE.values())))
    area = BLOCK_AREA[kind] * float(rng.uniform(0.8, 1.3))
    angle = long_angle(cell) + float(rng.normal(0, 0.12))
    parts, lines = carve(cell, Cut(area, angle, 0.05, 0.35), rng)
    return parts, lines, kind


def _ring_road(streets: list[Street], spec: TownSpec, rng: Rng) -> list[Street]:
    """A single street through towns too small to have been split."""
    if streets:
        return []
    y = spec.height_m * float(rng.uniform(0.3, 0.7))
    return [street_of(LineString([(0, y), (spec.width_m, y + 4)]), 0, "", rng)]


def _fill(draft: Draft, block: Polygon, kind: str, rng: Rng) -> None:
    """Slivers become planting; about one block in fourteen falls out of its district's character."""
    small = block.area < 500 or block.buffer(-6).is_empty
    if small:
        draft.parcel(block, "Gehölz", "")
        draft.paint(block, "verge", (0, 5.0), (0.0, 0.0, 0.0))
        return
    if rng.random() < 0.07:
        kind = str(rng.choice(["park", "site", "slab", "villa", "industry"]))
    FILLERS[kind](draft, block, rng)
