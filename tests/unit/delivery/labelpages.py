"""A label page with everything on it: three sheets, procedural pictures, places of each kind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from sealmap.core.legend import ROOF_PAVED
from sealmap.delivery.candidates import Candidate
from sealmap.delivery.label_texts import KINDS
from sealmap.delivery.label_values import BandBrightness, IgnoredArea, LabelPage, SheetLabels, SplitLabels, Vegetation


@dataclass(frozen=True, kw_only=True, slots=True)
class Unlisted:
    """As the unknown classes of dataset, which delivery does not know."""

    source: str
    klass: str
    function: str
    shapes: int


def picture(seed: int, side: int = 96) -> NDArray[np.uint8]:
    """Grass with noise and a grey block."""
    rng = np.random.default_rng(seed)
    a = np.empty((side, side, 3), np.float64)
    a[:] = (88, 118, 70)
    a[side // 4 : side // 2, side // 4 : side * 3 // 4] = (150, 145, 140)
    return np.clip(a + rng.normal(0, 10, a.shape), 0, 255).astype(np.uint8)


def heaps(low: float, high: float) -> tuple[int, ...]:
    """Two heaps in 64 bins of -1..1."""
    x = np.linspace(-1, 1, 65)[:-1] + 1 / 64
    y = 1.4 * np.exp(-(((x - low) / 0.08) ** 2)) + np.exp(-(((x - high) / 0.12) ** 2))
    return tuple(int(v) for v in 40_000 * y)


def vegetation(threshold: float = 0.2134, low: float = 0.02, high: float = 0.48) -> Vegetation:
    return Vegetation(
        index="NDVI", threshold=threshold, limits=(0.05, 0.45), counts=heaps(low, high), value_range=(-1.0, 1.0)
    )


def sheet(name: str, shift: float = 0.0, **other: Any) -> SheetLabels:
    """A square kilometre; ``shift`` m² go from what the rules leave open to paving."""
    ignored = (
        IgnoredArea(cause="rule", text="Wohnbaufläche", area_m2=312_000.4 - shift),
        IgnoredArea(cause="rule", text="Industrie- und Gewerbefläche", area_m2=118_400.44),
        IgnoredArea(cause="rule", text="Friedhof", area_m2=9_100.04),
        IgnoredArea(cause="edge", text="Gebäude", area_m2=41_233.32),
        IgnoredArea(cause="edge", text="Straßenverkehr", area_m2=12_800.12),
        IgnoredArea(cause="vegetation", text="Straßenverkehr", area_m2=21_411.96),
        IgnoredArea(cause="vegetation", text="Weg", area_m2=1_522.24),
        IgnoredArea(cause="contradiction", text="Platz", area_m2=12.04),
        IgnoredArea(cause="outside", area_m2=2_000.0),
        IgnoredArea(cause="unknown", text="Fläche zurzeit unbestimmbar", area_m2=7_010.2),
    )
    rest = 1_000_000 - sum(i.area_m2 for i in ignored)
    labels = {"roof": 141_520.32, "paved": 98_310.2 + shift}
    base = SheetLabels(
        name=name, flight="2023-06-04", area_m2=1_000_000.0, ignored=ignored, recovered_m2=188_000.4,
        label_m2=labels | {"background": rest - sum(labels.values())}, vegetation=vegetation(),
        chips={"train": 81, "val": 0, "test": 0},
    )  # fmt: skip
    return replace(base, **other)


def candidate(kind: str, i: int, **other: Any) -> Candidate:
    x, y = 366_100.0 + 40 * i, 5_615_000.0 + 10 * i
    base = Candidate(
        sheet="dop20rgbi_32_366_5615_1_nw_2023", kind=kind, text="Gebäude / Wohngebäude", oid=f"DENW19AL0000{i:04d}",
        area_m2=300.0 / (i + 1), bounds=(x, y, x + 32, y + 32), picture_HWC=picture(i),
        polygon=shapely.Polygon([(x + 8, y + 16), (x + 24, y + 16), (x + 24, y + 24), (x + 8, y + 24.5)],
                                holes=[[(x + 12, y + 18), (x + 14, y + 18), (x + 14, y + 20)]]),
    )  # fmt: skip
    return replace(base, **other)


def full(**other: Any) -> LabelPage:
    """A page with all its parts; ``other`` replaces some."""
    newer = sheet("dop20rgbi_32_367_5616_1_nw_2021", 9_000.0, flight="", vegetation=vegetation(0.05, 0.3, 0.42))
    sheets = (
        sheet("dop20rgbi_32_366_5615_1_nw_2023"),
        replace(sheet("dop20rgbi_32_367_5615_1_nw_2023", 31_000.3), chips={"train": 0, "val": 40, "test": 41}),
        newer,
    )
    bins = np.linspace(0, 1, 64)
    base = LabelPage(
        legend=ROOF_PAVED,
        sheets=sheets,
        candidates=tuple(candidate(k, i) for n, k in enumerate(KINDS) for i in range(n, 8 * n + 3)),
        unknown_classes=(
            Unlisted(source="use", klass="Fläche zurzeit unbestimmbar", function="", shapes=14),
            Unlisted(source="building", klass="Sonstiges", function="Klärbecken", shapes=2),
        ),
        splits=(
            SplitLabels(name="train", chips=162, sheets=(sheets[0].name, newer.name), label_m2=sheets[0].label_m2,
                        ignored_m2=500_000.0),
            SplitLabels(name="val", chips=40, sheets=(sheets[1].name,), label_m2=sheets[1].label_m2,
                        ignored_m2=480_000.0),
            SplitLabels(name="test", chips=41, sheets=(sheets[1].name,), label_m2={"background": 90_000.0},
                        ignored_m2=400_000.0),
        ),
        bands=tuple(
            BandBrightness(
                name=b, mean=m, std=0.11, counts=tuple(int(v) for v in 9e5 * np.exp(-(((bins - m) / 0.1) ** 2)))
            )
            for b, m in (("red", 0.38), ("green", 0.42), ("blue", 0.35), ("nir", 0.55))
        ),
        contact_sheet_HWC=np.tile(picture(5, 120), (2, 6, 1)),
        facts={"Regeltabelle": "alkis_nrw", "Kataster": "alkis_bonn.gpkg, 12 813 Objekte, 3 repariert, 0 doppelt",
               "Aufteilung": "sheet, Abstand 0 px, Seed 0", "Kanäle": "red, green, blue, nir"},
        crs="EPSG:25832",
        candidates_file="disagreements.gpkg",
        language="de",
    )  # fmt: skip
    return replace(base, **other)
