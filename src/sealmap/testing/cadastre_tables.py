"""What the town's cadastre knows ("ALKIS vereinfacht"): late, and without private paving.

The tables are drawn once, before anybody knows the format: the same scene gives the same objects in each of them.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from sealmap.testing.draft import Rng, polygons
from sealmap.testing.model import Building, Scene, TownSpec

CRS = "EPSG:25832"
ADMIN = {
    "land": "Nordrhein-Westfalen", "landschl": "05", "gemarkung": "Musterstadt", "gemaschl": "053999",
    "regbezirk": "Köln", "regbezschl": "053", "kreis": "Musterkreis", "kreisschl": "05399",
    "gemeinde": "Musterstadt", "gmdschl": "05399000", "abwrecht": "false",
}  # fmt: skip
BUILDING_KINDS = {"31001": "Gebäude", "31002": "Bauteil"}
"""``gebnutzbez`` by Kennung; all others are 'Sonstiges Bauwerk'."""


def _day(rng: Rng, last_year: int) -> dt.date:
    """Updates are mostly old; the latest lie before the flight."""
    year = last_year - 1 - int(rng.exponential(5.0))
    return dt.date(max(year, 1998), int(rng.integers(1, 13)), int(rng.integers(1, 28)))


def _oid(kind: str, seed: int, number: int) -> str:
    return f"DENW{kind}{seed % 1000:03d}{number:07d}"[:16]


def parcel_key(flur: int, number: int) -> str:
    """Flurstückskennzeichen, 20 characters: Land, Gemarkung, Flur, Zähler, then ``_`` for what is empty."""
    return f"053999{flur:03d}{number:05d}".ljust(20, "_")


@dataclass(frozen=True, kw_only=True, slots=True)
class CadastreTables:
    """The four layers of the simplified ALKIS, EPSG:25832, every geometry a MultiPolygon, ``aktualit`` a date."""

    parcels: gpd.GeoDataFrame
    buildings: gpd.GeoDataFrame
    uses: gpd.GeoDataFrame
    uses_by_parcel: gpd.GeoDataFrame


def draw_tables(scene: Scene, spec: TownSpec) -> CadastreTables:
    """The cadastre of ``scene``; the same scene and seed give the same tables."""
    rng = np.random.default_rng([spec.seed, 23])
    parcels = _parcels(scene, spec, rng)
    return CadastreTables(
        parcels=parcels.drop(columns=["nutzart", "bez"]),
        buildings=_buildings(scene, spec, rng),
        uses=_uses(scene, spec, rng),
        uses_by_parcel=_uses_by_parcel(parcels, spec, rng),
    )


def _frame(rows: list[dict[str, Any]], shapes: list[BaseGeometry], spec: TownSpec) -> gpd.GeoDataFrame:
    moved = [affinity.translate(shapely.multipolygons(polygons(s)), *spec.origin) for s in shapes]
    return gpd.GeoDataFrame(rows, geometry=moved, crs=CRS)


def _parcels(scene: Scene, spec: TownSpec, rng: Rng) -> gpd.GeoDataFrame:
    rows = []
    shapes: list[BaseGeometry] = [p.shape for p in scene.parcels]
    for i, parcel in enumerate(scene.parcels):
        flur, number = 1 + i // 400, 1 + i % 400
        # The official area was measured on the ground long ago: it is off by up to about one percent.
        area = max(1, round(parcel.shape.area * float(rng.normal(1.0, 0.004))))
        label = f"{parcel.use} / {parcel.detail}" if parcel.detail else parcel.use
        rows.append(
            {
                "oid": _oid("FL", spec.seed, i),
                "idflurst": _oid("FL", spec.seed, i),
                "aktualit": _day(rng, spec.year),
                "flaeche": float(area),
                "flstkennz": parcel_key(flur, number),
                **ADMIN,
                "flur": f"Flur {flur}",
                "flurschl": f"053999{flur:03d}",
                "flstnrzae": str(number),
                "flstnrnen": "",
                "lagebeztxt": f"{parcel.street} {1 + i % 120}" if parcel.street else "",
                "tntxt": f"{label};{area}",
                "nutzart": parcel.use,
                "bez": parcel.detail,
            }
        )
    return _frame(rows, shapes, spec)


def _moved(building: Building, rng: Rng) -> BaseGeometry:
    """Survey error of a few centimetres, and the wall line in place of the roof's edge."""
    return affinity.translate(building.walls, *rng.normal(0, 0.06, 2))


def _buildings(scene: Scene, spec: TownSpec, rng: Rng) -> gpd.GeoDataFrame:
    rows: list[dict[str, Any]] = []
    shapes: list[BaseGeometry] = []

    def add(shape: BaseGeometry, building: Building, day: dt.date) -> None:
        n = len(rows)
        rows.append(
            {
                "oid": _oid("GB", spec.seed, n),
                "aktualit": day,
                "gebnutzbez": BUILDING_KINDS.get(building.code.partition("_")[0], "Sonstiges Bauwerk"),
                "funktion": building.function,
                "gfkzshh": building.code,
                "name": "",
                "anzahlgs": 0,
                "gmdschl": ADMIN["gmdschl"],
                "lagebeztxt": "",
            }
        )
        shapes.append(shape)

    for building in scene.buildings:
        fate = rng.random()
        # Sheds need no permit and are seldom surveyed.
        missing = fate < spec.cadastre_lag or (building.function == "Schuppen" and fate < 0.6)
        day, shape = _day(rng, spec.year), _moved(building, rng)
        if not missing:
            add(shape, building, day)
    for shape in _demolished(scene, spec, rng):
        add(shape, Building(shape, shape, "31001_1010", "Wohnhaus"), _day(rng, spec.year - 4))
    return _frame(rows, shapes, spec)


def _demolished(scene: Scene, spec: TownSpec, rng: Rng) -> list[BaseGeometry]:
    """Houses that are gone but still in the register: put where no house stands today."""
    wanted = round(len(scene.buildings) * spec.cadastre_lag / 2)
    if not scene.buildings or not wanted:
        return []
    taken = shapely.union_all([b.roof for b in scene.buildings]).buffer(1.0).buffer(6)
    plots = [p.shape for p in scene.parcels if p.use not in ("Straßenverkehr", "Weg") and p.shape.area > 200]
    out: list[BaseGeometry] = []
    for k in rng.permutation(len(plots)):
        if len(out) >= wanted:
            break
        free = plots[int(k)].buffer(-6.5).difference(taken)
        if not free.is_empty:
            at = free.representative_point()
            angle = float(rng.uniform(0, 90))
            out.append(affinity.rotate(shapely.box(at.x - 5, at.y - 4, at.x + 5, at.y + 4), angle))
    return out


def _uses(scene: Scene, spec: TownSpec, rng: Rng) -> gpd.GeoDataFrame:
    groups: dict[tuple[str, str], list[BaseGeometry]] = defaultdict(list)
    for parcel in scene.parcels:
        groups[(parcel.use, parcel.detail)].append(parcel.shape)
    rows: list[dict[str, Any]] = []
    shapes: list[BaseGeometry] = []
    for (use, detail), members in groups.items():
        for part in polygons(shapely.union_all(members), 0.01):
            rows.append(
                {
                    "oid": _oid("NU", spec.seed, len(rows)),
                    "aktualit": _day(rng, spec.year),
                    "nutzart": use,
                    "bez": detail,
                    "name": "",
                }
            )
            shapes.append(part)
    return _frame(rows, shapes, spec)


def _uses_by_parcel(parcels: gpd.GeoDataFrame, spec: TownSpec, rng: Rng) -> gpd.GeoDataFrame:
    cut = parcels[["nutzart", "bez", "flstkennz", "geometry"]].copy()
    cut.insert(0, "oid", [_oid("NF", spec.seed, i) for i in range(len(cut))])
    cut.insert(1, "aktualit", [_day(rng, spec.year) for _ in range(len(cut))])
    cut["name"] = ""
    return cut
