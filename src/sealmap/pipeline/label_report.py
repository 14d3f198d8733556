"""What ``prepare`` tells of its labels: the page, its pictures, and the places to look at in QGIS."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import shapely

from sealmap.core.grid import Grid, Window
from sealmap.dataset.chips import Prepared
from sealmap.dataset.chipset import ChipSet
from sealmap.dataset.contact import contact_sheet, rgb_of
from sealmap.dataset.cuts import ChipSpec
from sealmap.dataset.split import SPLITS
from sealmap.dataset.survey import CANDIDATES, SheetSurvey
from sealmap.dataset.survey import Candidate as Found
from sealmap.dataset.vegetation import INDEX_BINS, INDEX_RANGE, index_name, threshold_limits
from sealmap.delivery.candidates import Candidate, write_candidates
from sealmap.delivery.label_page import write_label_page
from sealmap.delivery.label_values import (
    BandBrightness,
    IgnoredArea,
    LabelPage,
    SheetLabels,
    SplitLabels,
    Vegetation,
)  # fmt: skip
from sealmap.delivery.texts import Language
from sealmap.sources.orthophoto import Mosaic

PAGE_FILE, CANDIDATES_FILE = "labels.html", "disagreements.gpkg"

_PICTURES, _PICTURE_M, _MOST_M = 12, 50.0, 200.0
"""Candidates of each kind that are shown, and the ground that a picture shows at least and at most."""

_SHOWN_RANGE = {"NDVI": (-0.4, 0.8), "excess green": (-0.2, 0.4)}
"""Of the histograms of the vegetation index."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where the labels come from. rules: names of the tables. facts: files, counts. flights: sheet → day or year."""

    rules: str
    facts: Mapping[str, str]
    flights: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a report is made of, beside the mosaic."""

    made: Prepared
    origin: Origin
    spec: ChipSpec
    language: Language


def write_label_report(folder: Path, mosaic: Mosaic, report: Report) -> None:
    """Write labels.html with its PNGs, and disagreements.gpkg, into a chip folder."""
    made, origin, language = report.made, report.origin, report.language
    chips, grid = made.chips, mosaic.grid
    ranked = sorted(
        (c for s in made.sheets for c in s.candidates), key=lambda c: (CANDIDATES.index(c.kind), -c.area_m2)
    )
    candidates = list(_with_pictures(ranked, chips, mosaic))
    page = LabelPage(
        legend=chips.legend,
        sheets=[_sheet(s, made, origin) for s in made.sheets],
        candidates=candidates,
        unknown_classes=made.unknown,
        splits=[_split(chips, name) for name in SPLITS],
        bands=_bands(chips),
        contact_sheet_HWC=contact_sheet(chips),
        facts=_facts(report),
        title=", ".join(s.name for s in made.sheets) if len(made.sheets) < 3 else "",
        crs=_crs_name(grid),
        candidates_file=CANDIDATES_FILE,
        language=language,
    )
    write_candidates(folder / CANDIDATES_FILE, candidates, grid.crs, language=language, overwrite=False)
    write_label_page(folder / PAGE_FILE, page, overwrite=False)


def _sheet(survey: SheetSurvey, made: Prepared, origin: Origin) -> SheetLabels:
    chips = [c for c in made.chips.chips if c.sheet == survey.name]
    return SheetLabels(
        name=survey.name,
        area_m2=survey.area_m2,
        label_m2=survey.label_m2,
        ignored=tuple(IgnoredArea(cause=i.kind, area_m2=i.area_m2, text=i.text) for i in survey.ignored),
        flight=origin.flights.get(survey.name, ""),
        recovered_m2=survey.recovered_m2,
        vegetation=_vegetation(survey, made.used),
        chips={split: sum(c.split == split for c in chips) for split in SPLITS},
    )


def _vegetation(survey: SheetSurvey, bands: Sequence[str]) -> Vegetation | None:
    name = index_name(bands)
    if survey.threshold is None or not name or not survey.index_counts.any():
        return None
    edges = np.linspace(*INDEX_RANGE, INDEX_BINS + 1)
    low, high = (int(np.searchsorted(edges, v)) for v in _SHOWN_RANGE[name])
    counts = survey.index_counts[low:high].copy()
    counts[0] += survey.index_counts[:low].sum()
    counts[-1] += survey.index_counts[high:].sum()
    return Vegetation(
        index=name,
        threshold=survey.threshold,
        limits=threshold_limits(bands),
        counts=tuple(int(n) for n in counts),
        value_range=(float(edges[low]), float(edges[high])),
    )


def _split(chips: ChipSet, name: str) -> SplitLabels:
    mine = [c for c in chips.chips if c.split == name]
    area = (chips.patch * chips.gsd_m) ** 2
    return SplitLabels(
        name=name,
        chips=len(mine),
        sheets=tuple(sorted({c.sheet for c in mine})),
        label_m2={k.key: sum(c.shares[k.key] for c in mine) * area for k in chips.legend.classes},
        ignored_m2=sum(c.shares["ignore"] for c in mine) * area,
    )


def _bands(chips: ChipSet) -> list[BandBrightness]:
    columns = zip(chips.bands, chips.histogram, chips.mean, chips.std, strict=True)
    return [BandBrightness(name=name, counts=counts, mean=mean, std=std) for name, counts, mean, std in columns]


def _facts(report: Report) -> dict[str, str]:
    made, origin, spec = report.made, report.origin, report.spec
    chips, split = made.chips, made.split
    kept = ", ".join(f"{name} {n}" for name, n in chips.split_counts().items())
    return {
        "rules": origin.rules,
        **origin.facts,
        "bands": ", ".join(chips.bands),
        "ground sampling distance": f"{chips.gsd_m:g} m",
        "chips": f"{kept}; {spec.patch} px, overlap {spec.overlap} px",
        "split": f"{split.mode}, gap {split.gap_px} px ({split.gap_px * chips.gsd_m:g} m), seed {spec.split.seed}",
        "chips dropped in gaps": str(split.dropped),
    }


def _crs_name(grid: Grid) -> str:
    authority = grid.crs.to_authority()
    return ":".join(authority) if authority else grid.crs.name


def _with_pictures(ranked: Sequence[Found], chips: ChipSet, mosaic: Mosaic) -> Iterable[Candidate]:
    """Candidates on the map, the first of each kind with their image."""
    seen = dict.fromkeys(CANDIDATES, 0)
    for found in ranked:
        candidate = Candidate(
            sheet=found.sheet,
            kind=found.kind,
            text=found.text,
            oid=found.oid,
            area_m2=found.area_m2,
            polygon=shapely.transform(found.polygon, mosaic.grid.to_map),
        )
        seen[found.kind] += 1
        yield _pictured(candidate, found, chips, mosaic) if seen[found.kind] <= _PICTURES else candidate


def _pictured(candidate: Candidate, found: Found, chips: ChipSet, mosaic: Mosaic) -> Candidate:
    """The candidate with the image around it; of a very large one, its middle."""
    col0, row0, col1, row1 = found.polygon.bounds
    gsd = mosaic.grid.gsd_m
    side = max(_PICTURE_M / gsd, 1.4 * (col1 - col0), 1.4 * (row1 - row0))
    half = round(min(side, _MOST_M / gsd) / 2)
    row, col = round((row0 + row1) / 2) - half, round((col0 + col1) / 2) - half
    window = Window(row=row, col=col, height=2 * half, width=2 * half)
    patch = mosaic.read(window, chips.bands)
    return replace(candidate, picture_HWC=rgb_of(patch.pixels_CHW, chips), bounds=mosaic.grid.subgrid(window).bounds)
