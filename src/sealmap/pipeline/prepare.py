"""Orthophoto + cadastre → chips and a report on their labels. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path

import shapely

from sealmap.core.errors import DatasetError, SettingsError
from sealmap.core.grid import Grid
from sealmap.core.legend import legend_named
from sealmap.dataset.chips import Prepared, prepare_chips
from sealmap.dataset.chipset import ChipSet
from sealmap.dataset.cuts import ChipSpec
from sealmap.dataset.labellers import CadastreLabeller, Labeller, RasterLabeller
from sealmap.dataset.rules import Labels as Labelled
from sealmap.dataset.rules import apply_rules, join_labels, load_rules
from sealmap.dataset.split import SPLITS, Area, SplitSpec
from sealmap.delivery.label_template import AREAS_LAYER
from sealmap.delivery.texts import Language
from sealmap.files.atomic import refuse_existing, staged_folder
from sealmap.files.provenance import make_record, now
from sealmap.files.vector import list_layers, read_layer, split_layer
from sealmap.pipeline import Progress, silent
from sealmap.pipeline.label_report import CANDIDATES_FILE, PAGE_FILE, Origin, Report, write_label_report
from sealmap.sources.cadastre import Cadastre, polygons_of, read_cadastre
from sealmap.sources.dop import Flight, flights_of, read_dop_metadata, told_in
from sealmap.sources.orthophoto import Mosaic, open_mosaic

RECORD_FILE = "record.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """Where labels come from: ``cadastre`` (FILE or FILE:LAYER) by ``rules``, or ``truth`` rasters of class ids.

    manual: labels drawn by hand (FILE of ``sealmap labels new``), above the cadastre or alone.
    flight: day of the image; dop_metadata: a table of days per sheet. What the cadastre changed later is ignored.
    """

    cadastre: str = ""
    rules: str = "alkis_nrw"
    manual: str = ""
    truth: tuple[Path, ...] = ()
    legend: str = "sealed"
    flight: date | None = None
    dop_metadata: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What of a split is said on the ground: block and gap in metres, areas as FILE or FILE:LAYER with polygons."""

    block_m: float | None = None
    gap_m: float | None = None
    areas: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareJob:
    """All of a ``prepare``."""

    orthos: Sequence[Path]
    out: Path
    labels: Labels
    spec: ChipSpec = field(default_factory=ChipSpec)
    ground: Ground = field(default_factory=Ground)
    language: Language = "en"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a ``prepare`` leaves. candidates: places where image and cadastre disagree."""

    chips: ChipSet
    prepared: Prepared
    page: Path
    candidates: Path


def prepare(job: PrepareJob, *, overwrite: bool = False, progress: Progress = silent) -> Outcome:
    """Cut chips and masks and write the label report, whole or not at all; see ``dataset.chips.prepare_chips``."""
    refuse_existing(job.out, overwrite=overwrite)
    started = now()
    with open_mosaic(job.orthos) as mosaic:
        flights = _flights(mosaic, job.labels)
        spec = replace(
            job.spec,
            flights={name: flight.first for name, flight in flights.items()},
            split=_on_the_ground(job, mosaic),
        )
        labeller, origin = _labeller(mosaic, job.labels)
        origin = replace(origin, flights={name: _day(flight) for name, flight in flights.items()})
        with staged_folder(job.out, overwrite=overwrite) as folder:
            made = prepare_chips(mosaic, labeller, folder, spec, progress=progress)
            report = Report(made=made, origin=origin, spec=spec, language=job.language)
            write_label_report(folder, mosaic, report)
            inputs = [*(s.path for s in mosaic.sheets), *_files(job)]
            settings = asdict(job.labels) | asdict(job.ground)
            record = make_record("prepare", started, inputs, settings, figures=origin.facts)
            (folder / RECORD_FILE).write_text(record.to_json(), encoding="utf-8")
    chips = ChipSet.open(job.out)
    return Outcome(chips=chips, prepared=made, page=job.out / PAGE_FILE, candidates=job.out / CANDIDATES_FILE)


def _files(job: PrepareJob) -> list[Path]:
    """Inputs beside the orthophotos."""
    labels = job.labels
    named = [split_layer(text)[0] for text in (labels.cadastre, labels.manual, job.ground.areas) if text]
    rules = [path for path in (Path(labels.rules),) if path.suffix == ".toml"]
    return list(dict.fromkeys([*named, *labels.truth, *rules, *filter(None, [labels.dop_metadata])]))


def _flights(mosaic: Mosaic, labels: Labels) -> Mapping[str, Flight]:
    sheets = [s.name for s in mosaic.sheets]
    if labels.dop_metadata is None:
        return flights_of(sheets, None, labels.flight)
    metadata = read_dop_metadata(labels.dop_metadata)
    if not told_in(metadata, sheets):
        raise SettingsError(
            f"{labels.dop_metadata.name} tells the flight of {len(metadata)} sheets, but of none of the {len(sheets)}"
            " sheets that are given",
            remedy=f"give the table that has {sheets[0]}",
        )
    return flights_of(sheets, metadata, labels.flight)


def _day(flight: Flight) -> str:
    """'2024-04-06', or '2024' where only the year is known."""
    return flight.first.isoformat() if flight.exact else f"{flight.first.year}"


def _labeller(mosaic: Mosaic, labels: Labels) -> tuple[Labeller, Origin]:
    legend = legend_named(labels.legend)
    if bool(labels.cadastre or labels.manual) == bool(labels.truth):
        raise SettingsError(
            "labels come from a cadastre or from labels drawn by hand, or else from truth rasters",
            remedy="give --cadastre or --labels (or both), or --truth",
        )
    if labels.truth:
        named = {"truth": ", ".join(p.name for p in labels.truth)}
        return RasterLabeller.open(labels.truth, mosaic.grid, legend), Origin(rules="truth", facts=named)
    sources = [(labels.cadastre, labels.rules), (labels.manual, "manual")]
    parts: list[Labelled] = []
    facts: dict[str, str] = {}
    for text, rules in sources:
        if text:
            found, told = _labelled(text, rules, mosaic)
            parts.append(found)
            facts |= told
    whole = parts[0] if len(parts) == 1 else join_labels(*parts)
    return CadastreLabeller.on(whole, legend, mosaic.grid), Origin(rules=whole.rules, facts=facts)


def _labelled(text: str, rules: str, mosaic: Mosaic) -> tuple[Labelled, dict[str, str]]:
    """Labelled shapes of one source, and what to tell of it."""
    table = load_rules(rules)
    path, layer = split_layer(text)
    if layer is None and table.layer and path.exists() and table.layer in list_layers(path):
        layer = table.layer
    grid = mosaic.grid
    found = read_cadastre(path, crs=grid.crs, bounds=grid.bounds, layer=layer, fields=table.fields)
    labelled = apply_rules(table, found.shapes)
    return labelled, {f"{table.name}: {key}": value for key, value in _told(path, found, labelled).items()}


def _told(path: Path, found: Cadastre, labelled: Labelled) -> dict[str, str]:
    """What was read, and what had to be done to it; what did not occur is not told."""
    counts = {
        "repaired": found.repaired,
        "without a polygon, left out": found.dropped,
        "twice, left out": found.duplicates,
        "ended, left out": found.historic,
        "arcs, now chords": found.linearised,
        "texts in another encoding": found.broken_texts,
        "dates that cannot be read": found.unread_dates,
        "nothing left after the buffer": labelled.eroded,
    }
    lists = {"codes without a text": found.unknown_codes, "layers with nothing here": found.empty}
    facts = {
        "file": path.name,
        "format": found.kind,
        "layers": ", ".join(found.layers),
        "shapes": f"{len(found.shapes):,}",
    }
    facts |= {key: f"{n:,}" for key, n in counts.items() if n}
    return facts | {key: ", ".join(names) for key, names in lists.items() if names}


def _on_the_ground(job: PrepareJob, mosaic: Mosaic) -> SplitSpec:
    """The split with metres as pixels and areas on the grid."""
    split, ground, gsd = job.spec.split, job.ground, mosaic.grid.gsd_m
    if ground.block_m is not None:
        split = replace(split, block_px=round(ground.block_m / gsd))
    if ground.gap_m is not None:
        split = replace(split, gap_px=round(ground.gap_m / gsd))
    return replace(split, areas=_areas(ground.areas, mosaic.grid)) if ground.areas else split


def _areas(text: str, grid: Grid) -> tuple[Area, ...]:
    """Polygons with a field ``split`` (train, val, test), in pixels of the grid."""
    path, layer = split_layer(text)
    if layer is None and AREAS_LAYER in list_layers(path):
        layer = AREAS_LAYER
    frame = read_layer(path, layer).to_crs(grid.crs)
    if "split" not in frame.columns:
        raise DatasetError(
            f"{path.name} has no field 'split'; it has: {', '.join(str(c) for c in frame.columns)}",
            remedy=f"add one that says {', '.join(SPLITS)} for each polygon",
        )
    if frame.empty:
        raise DatasetError(f"{path.name} holds no areas", remedy="draw at least one for val and one for test")
    shapes, _ = polygons_of(frame.geometry.to_numpy())
    return tuple(
        Area(split=str(split).strip().casefold(), polygon=shapely.transform(shape, grid.to_pixels))
        for split, shape in zip(frame["split"], shapes, strict=True)
    )
