"""How long it takes to burn a window of 512 × 512 pixels out of a cadastre of 300,000 shapes, after indexing.

    python benchmarks/burn_window.py [--shapes 300000] [--windows 200] [--json]

The cadastre is made up: a city of 30 × 20 km with houses, a land-use polygon per block, and one street network per
square kilometre (a polygon of some thousand points with a hole per block), labelled by ``alkis_nrw``.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from sealmap.core.grid import Grid, Window
from sealmap.core.legend import SEALED
from sealmap.dataset.burn import Burner
from sealmap.dataset.rules import apply_rules, load_rules

PATCH, GSD, BLOCK_M, STREET_M = 512, 0.2, 100.0, 12.0


@dataclass(frozen=True)
class City:
    """Shapes as the rules take them."""

    geometry: NDArray[np.object_]
    source: list[str]
    klass: list[str]
    function: list[str]
    updated: list[None]
    oid: list[str]


def city(count: int, width_m: float, height_m: float, rng: np.random.Generator) -> City:
    """``count`` shapes: land use and streets first, houses as many as are left."""
    cols, rows = int(width_m / BLOCK_M), int(height_m / BLOCK_M)
    x, y = (v.ravel() * BLOCK_M for v in np.meshgrid(np.arange(cols), np.arange(rows)))
    half = STREET_M / 2
    blocks = shapely.box(x + half, y + half, x + BLOCK_M - half, y + BLOCK_M - half)
    kilometres = [(i, j) for i in range(int(width_m / 1000)) for j in range(int(height_m / 1000))]
    tree = shapely.STRtree(blocks)
    streets = []
    for i, j in kilometres:
        square = shapely.box(i * 1000, j * 1000, i * 1000 + 1000, j * 1000 + 1000)
        net = shapely.difference(square, shapely.union_all(blocks[tree.query(square)]))
        streets.append(shapely.segmentize(net, 5.0))  # kerbs have many points
    houses_n = count - len(blocks) - len(streets)
    at = rng.uniform([0, 0], [width_m, height_m], (houses_n, 2))
    size = rng.uniform(6, 18, (houses_n, 2))
    houses = shapely.box(*at.T, *(at + size).T)
    geometry = np.concatenate([blocks, np.array(streets, dtype=object), houses])
    kinds = [("use", "Wohnbaufläche", "")] * len(blocks) + [("use", "Straßenverkehr", "")] * len(streets)
    kinds += [("building", "Gebäude", "Wohnhaus")] * houses_n
    source, klass, function = (list(column) for column in zip(*kinds, strict=True))
    return City(geometry, source, klass, function, [None] * len(geometry), [""] * len(geometry))


def main() -> None:
    """Index once, burn windows at random places, print the median and the slowest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", type=int, default=300_000)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    width, height = 30_000.0, 20_000.0
    shapes = city(args.shapes, width, height, rng)
    grid = Grid(
        height=round(height / GSD),
        width=round(width / GSD),
        transform=Affine(GSD, 0, 0, 0, -GSD, height),
        crs=CRS.from_epsg(25832),
    )
    start = time.perf_counter()
    burner = Burner.on(apply_rules(load_rules("alkis_nrw"), shapes), SEALED, grid)
    index_s = time.perf_counter() - start
    times = []
    for row, col in rng.integers(0, [grid.height - PATCH, grid.width - PATCH], (args.windows, 2)):
        window = Window(row=int(row), col=int(col), height=PATCH, width=PATCH)
        start = time.perf_counter()
        burner.burn(window)
        times.append(time.perf_counter() - start)
    found = {
        "shapes": len(shapes.geometry),
        "points": int(shapely.get_num_coordinates(shapes.geometry).sum()),
        "index_s": round(index_s, 2),
        "median_ms": round(float(np.median(times)) * 1000, 1),
        "slowest_ms": round(max(times) * 1000, 1),
    }
    print(json.dumps(found) if args.json else "\n".join(f"{k}: {v}" for k, v in found.items()))


if __name__ == "__main__":
    main()
