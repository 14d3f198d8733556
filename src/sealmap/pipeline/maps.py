"""Orthophoto + model → map → polygons → m² per parcel → what a town opens."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
from shapely.geometry import box

from sealmap.core.errors import BundleError, InputError
from sealmap.core.finding import Finding
from sealmap.core.legend import Legend
from sealmap.core.record import RunRecord
from sealmap.delivery.geopackage import Package, write_csv, write_geopackage
from sealmap.delivery.preview import Preview, write_preview
from sealmap.delivery.qgis import Project, write_project
from sealmap.delivery.report import RunReport, write_report
from sealmap.delivery.styles import write_raster_styles
from sealmap.delivery.texts import text
from sealmap.files.atomic import refuse_existing, write_text
from sealmap.files.provenance import make_record, now
from sealmap.files.raster import grid_of, open_raster
from sealmap.files.tags import legend_of
from sealmap.files.vector import split_layer
from sealmap.model.card import ModelCard
from sealmap.parcels.account import MapAreas, ParcelAccount, account_map, account_parcels
from sealmap.pipeline import Progress, shipped_bundle, silent
from sealmap.pipeline.adapt import adaptation_of
from sealmap.pipeline.guarding import asked_again, fed_as_trained, guard_facts, names_of, one_polygon, pixels_of
from sealmap.prediction.facts import PixelFacts
from sealmap.prediction.guard import Ground, Guard, Watched, refuse
from sealmap.prediction.mosaic import MapFiles, open_maps
from sealmap.prediction.predict import Predicted, plan_prediction
from sealmap.prediction.predict import predict as predict_mosaic
from sealmap.prediction.radiometry import MatchedOrthophoto, distances, match_to
from sealmap.prediction.sample import sample_flight
from sealmap.settings import Job
from sealmap.sources.cadastre import read_parcels
from sealmap.sources.orthophoto import Mosaic, expand, open_mosaic
from sealmap.vectorization.clean import CleanSpec
from sealmap.vectorization.vectorize import Vectorized, VectorizeSpec, vectorize_raster

_MATCH_WINDOWS = 64
"""Windows of a flight that its histogram is taken from."""

PROBABILITY, CLASSES, RECORD = "probability.tif", "classes.tif", "run.json"
DELIVERED = ("sealmap.gpkg", "sealmap.qgz", "report.html", "preview.png", "parcels.csv")


@dataclass(frozen=True, kw_only=True, slots=True)
class Mapped:
    """What ``predict`` left. ``sheets``: name and footprint of every orthophoto, in the CRS of the map.

    findings: what the guard says of it; refusals among them only where it was forced.
    """

    probability: Path
    classes: Path
    card: ModelCard
    model_name: str
    done: Predicted
    areas: MapAreas
    sheets: gpd.GeoDataFrame
    record: RunRecord
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Serving:
    """How a model is run. device: auto, cpu or cuda.

    match: give the flight the brightness of the training data, band by band (``prediction.radiometry``), before the
    network sees it. For flights of another camera or season; it is written into the record.
    force: make the map although the guard refuses it; that, too, is written into every product.
    """

    device: str = "auto"
    match: bool = False
    force: bool = False


AS_IT_IS = Serving()


def predict(
    orthos: Sequence[Path],
    out: Path,
    *,
    model: Path | None = None,
    serving: Serving = AS_IT_IS,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Mapped:
    """Map orthophotos: ``probability.tif``, ``classes.tif``, their QGIS styles and ``run.json`` in ``out``.

    GuardError, and nothing in ``out``, where the guard refuses the map and is not forced.
    """
    # torch takes seconds to import; polygons and parcels do without it
    from sealmap.model.bundle import load_bundle
    from sealmap.model.engines import engine_for

    started = now()
    finals = out / PROBABILITY, out / CLASSES
    refuse_existing(*finals, out / RECORD, overwrite=overwrite)
    path = model or shipped_bundle()
    bundle = load_bundle(path)
    engine, card = engine_for(bundle, serving.device), bundle.card
    with open_mosaic(orthos) as mosaic:
        clock = time.perf_counter()
        known = [*names_of(mosaic), fed_as_trained(bundle, engine)]
        refuse(known, force=serving.force)  # before any work is spent
        guarded_s = time.perf_counter() - clock
        seen, matching, before = _matched(mosaic, card) if serving.match else (mosaic, {}, None)
        plan = plan_prediction(seen, engine)
        ground = Ground(tiling=plan.tiling, gsd_m=mosaic.grid.gsd_m, sheets=mosaic.sheets)
        guard = Guard(card, ground, before=known, unmatched=before, force=serving.force)
        tags = {"SEALMAP_MODEL": card.weights_sha256, "SEALMAP_THRESHOLD": f"{card.threshold:g}"}
        files = MapFiles(probability=finals[0], classes=finals[1], tags=tags, overwrite=overwrite)
        with open_maps(files, mosaic.grid, card.legend, card.threshold) as writer:
            watched = Watched(writer, guard)
            done = predict_mosaic(seen, engine, plan, watched, report=progress)
            clock = time.perf_counter()
            findings = asked_again(guard.findings(), engine, guard.crops, mosaic.grid, seen.pixel_scale())
            refuse(findings, force=serving.force)
            guarded_s += watched.seconds + time.perf_counter() - clock
            told = guard_facts(findings)
            writer.tag(SEALMAP_GUARD=told["told"])
        sheets = _footprints(mosaic)
        record = make_record(
            "predict",
            started,
            [s.path for s in mosaic.sheets],
            {"gsd_m": mosaic.grid.gsd_m, "step_px": plan.tiling.step, "halo_px": plan.tiling.halo, **matching},
            model=_model_facts(path, card),
            seconds={"predict": round(done.seconds, 2), "guard": round(guarded_s, 3)},
            figures={"guard": told},
        )
    write_raster_styles(finals[1], finals[0], card.legend, "en", overwrite=True)
    write_text(out / RECORD, record.to_json(), overwrite=overwrite)
    return Mapped(
        probability=finals[0], classes=finals[1], card=card, model_name=path.name, done=done,
        areas=account_map(finals[1]), sheets=sheets, record=record, findings=tuple(findings),
    )  # fmt: skip


def refuse_matching_adapted(card: ModelCard) -> None:
    """BundleError for an adapted bundle: its statistics are the flight's already, matched pixels are not of them."""
    adapted = adaptation_of(card)
    if adapted is not None:
        raise BundleError(
            f"the model was adapted to {len(adapted['sheets'])} sheet(s) on {adapted['date'][:10]}: matching would"
            " correct the light twice",
            remedy=f"leave matching out, or use {adapted['source']}, which it was made from",
        )


def _matched(mosaic: Mosaic, card: ModelCard) -> tuple[MatchedOrthophoto, dict[str, Any], PixelFacts]:
    """The mosaic in the brightness of the training data, what the record says of it, and facts of it as it was."""
    refuse_matching_adapted(card)
    card.check_raster(mosaic.sheets[0].name, mosaic.bands, mosaic.grid.gsd_m)
    sample = sample_flight(mosaic, card, count=_MATCH_WINDOWS, seed=1)
    matching = match_to(card, sample.histogram_CB, sample.pixel_scale)
    told = {
        "match": "histogram",
        "match_windows": _MATCH_WINDOWS,
        "match_left_out": list(matching.unmatched),
        "distance_before": dict(distances(card, sample.histogram_CB)),
    }
    return MatchedOrthophoto(mosaic, matching), told, pixels_of(sample)


def _model_facts(path: Path, card: ModelCard) -> dict[str, Any]:
    return {
        "name": path.name,
        "weights_sha256": card.weights_sha256,
        "architecture": f"{card.architecture}, {card.encoder}",
        "legend": card.legend.name,
        "bands": list(card.bands),
        "gsd_m": card.gsd_m,
        "temperature": card.temperature,
        "isotonic": card.isotonic,
        "threshold": card.threshold,
        "calibration": {key: value for key, value in card.calibration.items() if key != "curve"},
        "training": dict(card.training),
    }


def _footprints(mosaic: Any) -> gpd.GeoDataFrame:
    names = [s.name for s in mosaic.sheets]
    shapes = [box(*mosaic.grid.subgrid(s.window).bounds) for s in mosaic.sheets]
    return gpd.GeoDataFrame({"name": names}, geometry=shapes, crs=mosaic.grid.crs)


def vectorize(
    classes: Path,
    out: Path,
    *,
    probability: Path | None = None,
    spec: VectorizeSpec | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Vectorized:
    """Polygons of a class raster into a GeoPackage. Probabilities are those beside it, where there are any."""
    started = now()
    refuse_existing(out, overwrite=overwrite)
    _geopackage_name(out)
    beside = classes.with_name(PROBABILITY)
    found = vectorize_raster(classes, probability or (beside if beside.exists() else None), spec, progress)
    record = make_record("vectorize", started, [classes], {}, figures=asdict(found.balance))
    package = Package(
        surfaces=found.polygons,
        record=record,
        legend=_legend(classes),
    )
    write_geopackage(out, package, overwrite=overwrite)
    return found


def parcels(
    classes: Path,
    layer: str,
    out: Path,
    *,
    id_field: str | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> ParcelAccount:
    """Square metres per parcel into a GeoPackage layer and a CSV of the same name."""
    refuse_existing(out, out.with_suffix(".csv"), overwrite=overwrite)
    _geopackage_name(out)
    started = now()
    with open_raster(classes) as dataset:
        grid, legend = grid_of(dataset), legend_of(dataset)
    path, name = split_layer(layer)
    given = read_parcels(path, crs=grid.crs, layer=name, id_field=id_field)
    account = account_parcels(classes, given, legend, progress)
    settings = {"parcels": path.name, "parcels_read": _read(given)}
    record = make_record("parcels", started, [classes, path], settings, figures=_sums(account))
    write_geopackage(
        out, Package(surfaces=None, parcels=account.table, record=record, legend=legend), overwrite=overwrite
    )
    write_csv(out.with_suffix(".csv"), account.table, overwrite=overwrite)
    return account


def _geopackage_name(out: Path) -> None:
    if out.suffix.lower() != ".gpkg":
        raise InputError(f"{out.name} is no name for a GeoPackage", remedy="end it with .gpkg")


def _legend(classes: Path) -> Legend:
    with open_raster(classes) as dataset:
        return legend_of(dataset)


def _sums(account: ParcelAccount) -> dict[str, float]:
    table = account.table
    names = [c for c in table.columns if str(c).endswith("_m2") and c != "official_area_m2"]
    return {"parcels": len(table), **{str(n): round(float(table[n].sum()), 1) for n in names}}


def _read(parcels: gpd.GeoDataFrame | None) -> dict[str, Any]:
    """What had to be done to parcels when they were read."""
    return {} if parcels is None else asdict(parcels.attrs["counts"])


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """What ``run`` found, and the ``files`` it left in ``folder``, by name."""

    folder: Path
    mapped: Mapped
    outlines: Vectorized
    account: ParcelAccount | None
    record: RunRecord
    files: Mapping[str, Path]


def run(job: Job, *, overwrite: bool = False, force: bool = False, progress: Progress = silent) -> RunResult:
    """Predict → vectorize → parcels → GeoPackage, QGIS project, report and preview, all in one folder.

    force: as of ``Serving``.
    """
    started, clock = now(), time.perf_counter()
    folder = job.path(job.output.folder)
    files = {name: folder / name for name in DELIVERED}
    refuse_existing(*files.values(), folder / CLASSES, folder / PROBABILITY, folder / RECORD, overwrite=overwrite)
    orthos = expand([job.path(p) for p in job.input.orthophotos])
    given, parcel_files = _parcels_of(job, orthos)
    bundle = job.path(job.model.bundle) if job.model.bundle else None
    serving = Serving(device=job.model.device, match=job.model.match, force=force)
    mapped = predict(orthos, folder, model=bundle, serving=serving, overwrite=overwrite, progress=progress)
    o = job.outline
    clean = CleanSpec(open_m=o.open_m, close_m=o.close_m, min_area_m2=o.min_area_m2, min_hole_m2=o.min_hole_m2)
    spec = VectorizeSpec(clean=clean, simplify_m=o.simplify_m)
    outlines = vectorize_raster(mapped.classes, mapped.probability, spec)
    largest_m2 = float(outlines.polygons.area.max()) if len(outlines.polygons) else 0.0
    mapped = replace(mapped, findings=(*mapped.findings, one_polygon(largest_m2, mapped.areas.known_m2)))
    account = None if given is None else account_parcels(mapped.classes, given, mapped.card.legend)
    record = make_record(
        "run",
        started,
        parcel_files,
        {
            "outline": asdict(o),
            "language": job.output.language,
            "parcels_read": _read(given),
            **mapped.record.settings,
        },
        model=mapped.record.model,
        seconds={**mapped.record.seconds, "all": round(time.perf_counter() - clock, 2)},
        figures={
            "guard": guard_facts(mapped.findings),
            "outline": asdict(outlines.balance),
            "parcels": _sums(account) if account else {},
        },
    )
    # The sheets were hashed by predict; a city's are read once for that, not twice.
    record = replace(record, inputs=(*mapped.record.inputs, *record.inputs))
    result = RunResult(folder=folder, mapped=mapped, outlines=outlines, account=account, record=record, files=files)
    _deliver(result, job, orthos, overwrite=overwrite)
    return replace(result, files={name: path for name, path in files.items() if path.exists()})


def _parcels_of(job: Job, orthos: Sequence[Path]) -> tuple[gpd.GeoDataFrame | None, list[Path]]:
    """The job's parcels, read and found to meet the sheets before any work is spent, and the file they are from."""
    if not job.input.parcels:
        return None, []
    path, layer = split_layer(str(job.path(job.input.parcels)))
    with open_mosaic(orthos) as mosaic:
        grid = mosaic.grid
    found = read_parcels(path, crs=grid.crs, layer=layer, id_field=job.input.parcel_id or None)
    if not found.intersects(box(*grid.bounds)).any():
        extents = [
            f"x {x0:.0f}..{x1:.0f}, y {y0:.0f}..{y1:.0f}" for x0, y0, x1, y1 in (found.total_bounds, grid.bounds)
        ]
        raise InputError(
            f"none of {len(found)} parcels meets the map: parcels {extents[0]}, map {extents[1]}",
            remedy="check the CRS of the parcel layer and that it is of this town",
        )
    return found, [path]


def _deliver(result: RunResult, job: Job, orthos: Sequence[Path], *, overwrite: bool) -> None:
    """GeoPackage, table, QGIS project, preview and report from what a run found."""
    files, mapped, record = result.files, result.mapped, result.record
    table = None if result.account is None else result.account.table
    legend, language, title = mapped.card.legend, job.output.language, job.output.title
    if record.figures["guard"]["forced"]:
        title = f"{title or text('project.title', language)} ({text('forced', language)})"
    package = Package(
        surfaces=result.outlines.polygons,
        parcels=table,
        sheets=mapped.sheets,
        record=record,
        legend=legend,
        language=language,
    )
    write_geopackage(files["sealmap.gpkg"], package, overwrite=overwrite)
    if table is not None:
        write_csv(files["parcels.csv"], table, overwrite=overwrite)
    write_raster_styles(mapped.classes, mapped.probability, legend, language, overwrite=True)
    project = Project(
        package=files["sealmap.gpkg"],
        classes=mapped.classes,
        probability=mapped.probability,
        orthophotos=tuple(orthos),
        title=title,
        language=language,
    )
    write_project(files["sealmap.qgz"], project, overwrite=overwrite)
    preview = Preview(classes=mapped.classes, orthophotos=tuple(orthos), parcels=table, title=title, language=language)
    write_preview(files["preview.png"], preview, overwrite=overwrite)
    report = RunReport(
        record=record,
        areas=mapped.areas,
        balance=result.outlines.balance,
        parcels=table,
        preview=files["preview.png"],
        title=title,
        language=language,
    )
    write_report(files["report.html"], report, overwrite=overwrite)
    write_text(result.folder / RECORD, record.to_json(), overwrite=True)
