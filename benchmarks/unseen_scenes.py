"""Targets of ``unseen_flight.py``: what is scored, in which blocks, and the sheets of the flight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from score_real import DATA, FLANDERS_TEST_FROM, TALLINN_TEST, scene
from train_shipped import tallinn_names

from sealmap.core.grid import Grid
from sealmap.core.legend import IGNORE
from sealmap.files.raster import read_raster, write_raster
from sealmap.testing.town import Camera, TownSpec, plan_town, render_window

TOWNS = ("town-same", "town-season", "town-sun", "town-camera", "town-gsd")


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """A scene to score. edges: of the blocks, in pixels. test: first column of a block → in the fixed test part."""

    name: str
    ortho: Path
    truth_HW: NDArray[np.uint8]
    row_edges: tuple[int, ...]
    col_edges: tuple[int, ...]
    test: Callable[[int], bool]

    def blocks(self) -> Iterator[tuple[str, bool, tuple[slice, slice]]]:
        """Name, in the test part, and place of each block."""
        for r, rows in enumerate(zip(self.row_edges, self.row_edges[1:], strict=False)):
            for c, cols in enumerate(zip(self.col_edges, self.col_edges[1:], strict=False)):
                yield f"{self.name}/{r}/{c}", self.test(cols[0]), (slice(*rows), slice(*cols))


def scenes_of(target: str, out: Path) -> tuple[list[Labelled], list[Path]]:
    """Scenes to score and all sheets of the flight."""
    if target == "tallinn":
        found = []
        for name in tallinn_names():
            path, truth = scene(name, flanders_columns=slice(None))
            found.append(
                Labelled(
                    name=name, ortho=path, truth_HW=truth, row_edges=(0, truth.shape[0]),
                    col_edges=(0, truth.shape[1]), test=lambda _, n=name: n in TALLINN_TEST,
                )
            )  # fmt: skip
        more = sorted((DATA / "tallinn" / "unlabelled").glob("t??.tif"))
        return found, [s.ortho for s in found] + more
    if target == "flanders":
        path, truth = scene("flanders", flanders_columns=slice(None))
        return [
            Labelled(
                name="flanders", ortho=path, truth_HW=truth, row_edges=tuple(range(0, 1153, 192)),
                col_edges=(0, 176, 352, 528, FLANDERS_TEST_FROM, 853, 1002, 1152),
                test=lambda col: col >= FLANDERS_TEST_FROM,
            )
        ], [path]  # fmt: skip
    path = town_target(target, out / "towns")
    truth = read_raster(path.with_name(f"{target}_truth.tif"))[0][0]
    edges = [tuple(round(v) for v in np.linspace(0, n, 7)) for n in truth.shape]
    seen = Labelled(
        name=target, ortho=path, truth_HW=truth, row_edges=edges[0], col_edges=edges[1], test=lambda _: True
    )
    return [seen], [path]


def town_target(target: str, folder: Path) -> Path:
    """One town of 384 m that no training has seen, taken by five imaginary flights; rendered once."""
    path = folder / f"{target}.tif"
    if path.exists() and path.with_name(f"{target}_truth.tif").exists():
        return path
    side = 384
    usual = TownSpec(seed=9001, width_m=side, height_m=side, sheet_m=side, rgbi=False)
    other = {
        "town-same": usual,
        "town-season": replace(usual, season="summer"),
        "town-sun": replace(usual, sun_azimuth_deg=235, sun_elevation_deg=20),
        "town-camera": replace(
            usual, camera=Camera(gains=(1.2, 1.0, 0.8, 1.0), gamma=0.7, saturation=0.7, haze=0.25, noise=3)
        ),
        "town-gsd": replace(usual, gsd_m=0.4, camera=Camera(blur_px=0.9)),
    }[target]
    x, y = usual.origin
    seen = render_window(plan_town(usual), other, (x, y, x + side, y + side))
    height, width = seen.truth.shape
    at = Affine(other.gsd_m, 0, x, 0, -other.gsd_m, y + side)
    grid = Grid(height=height, width=width, transform=at, crs=CRS.from_epsg(25832))
    folder.mkdir(parents=True, exist_ok=True)
    write_raster(path, seen.pixels[:3], grid)
    write_raster(path.with_name(f"{target}_truth.tif"), seen.truth[None], grid, nodata=IGNORE)
    return path
