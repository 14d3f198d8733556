"""Whole sheets + truth → scores: mapped by ``predict`` itself, so that the pixels are those a user gets."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from sealmap.core.errors import DatasetError
from sealmap.core.grid import Grid, Window
from sealmap.core.legend import IGNORE, Legend, legend_named
from sealmap.dataset.labellers import RasterLabeller
from sealmap.delivery.geopackage import write_csv
from sealmap.evaluation.blocks import Block, block_at, sheet_blocks
from sealmap.evaluation.calibration import FINE
from sealmap.evaluation.parcel_scores import ParcelAreas, parcels_to_json, score_parcels
from sealmap.evaluation.pictures import Gallery
from sealmap.evaluation.scores import evaluate_windows
from sealmap.evaluation.windows import Judge, as_photo, score_sheets, sheet_objects
from sealmap.files.atomic import refuse_existing, staged_folder
from sealmap.files.hashing import input_file
from sealmap.files.raster import create_raster, gdal_env, grid_of, open_dataset, open_raster, read_window, write_window
from sealmap.files.tags import legend_of
from sealmap.files.vector import split_layer
from sealmap.model.card import ModelCard, read_card
from sealmap.parcels.account import account_parcels
from sealmap.pipeline import Progress, shipped_bundle, silent
from sealmap.pipeline.evaluate import (
    PARCELS_FILE,
    Evaluated,
    Findings,
    Output,
    Probabilities,
    model_facts,
    seen_in_training,
    sheet_facts,
    some,
    write_findings,
)
from sealmap.pipeline.maps import AS_IT_IS, Mapped, Serving, predict, refuse_matching_adapted
from sealmap.prediction.mosaic import PROBABILITY_LEVELS
from sealmap.sources.cadastre import read_parcels
from sealmap.sources.orthophoto import Mosaic, expand, open_mosaic

_ROWS = 512
"""Rows of a scratch raster in memory at a time."""

_TRUTH, _TRUTH_JUDGED, _MAP_JUDGED = "truth.tif", "truth_judged.tif", "map_judged.tif"


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetJob:
    """Sheets and their truth: rasters of class ids on the sheets' lattice, 255 where nothing is known.

    truths may be folders. legend: name of the truth's; '' takes it from the rasters. parcels: FILE or FILE:LAYER, ''
    for none.
    """

    orthos: Sequence[Path]
    truths: Sequence[Path]
    legend: str = ""
    parcels: str = ""
    id_field: str | None = None
    serving: Serving = AS_IT_IS


class SheetGround:
    """Map and truth of the same grid side by side, as ``evaluation.windows.Ground``. Use ``open_ground``."""

    def __init__(self, mosaic: Mosaic, card: ModelCard, rasters: Sequence[DatasetReader]) -> None:
        self.area = mosaic.grid.window
        self.gsd_m = mosaic.grid.gsd_m
        self.pixel_area_m2 = mosaic.grid.pixel_area_m2
        self.sheets = [(s.name, s.window) for s in mosaic.sheets]
        self._mosaic = mosaic
        self._card = card
        self._rasters = rasters  # truth, classes, probability
        self._scale = mosaic.pixel_scale()

    def read(self, window: Window) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
        """(truth_HW, pred_HW, probability_HW of sealed) of a window; beyond the grid 255, 255 and 0.

        A probability that was rounded across the threshold when it was stored is put back on the side that the class
        raster knows, so that scores by threshold agree with those of the map.
        """
        truth, pred, levels = (self._padded(dataset, window) for dataset in self._rasters)
        probability = np.where(levels != IGNORE, levels, 0).astype(np.float32) / np.float32(PROBABILITY_LEVELS)
        threshold, sealed = self._card.threshold, self._card.legend.sealed_HW(pred)
        sided = np.where(sealed, np.maximum(probability, threshold), np.minimum(probability, threshold - 1 / FINE))
        return truth, pred, np.clip(sided, 0, 1).astype(np.float32)

    def photo(self, window: Window) -> NDArray[np.uint8]:
        """The picture of a window inside the grid."""
        bands = [b for b in ("red", "green", "blue") if b in self._mosaic.bands]
        patch = self._mosaic.read(window, bands if len(bands) == 3 else self._mosaic.bands[:3])
        return as_photo(patch.pixels_CHW, self._scale)

    def _padded(self, dataset: DatasetReader, window: Window) -> NDArray[np.uint8]:
        found = np.full((window.height, window.width), IGNORE, np.uint8)
        inside = window.intersect(self.area)
        if inside is not None:
            found[inside.within(window)] = read_window(dataset, inside, [1])[0]
        return found


@contextmanager
def open_ground(orthos: Sequence[Path], truth: Path, mapped: Mapped) -> Iterator[SheetGround]:
    """Truth and map of these sheets."""
    with open_mosaic(orthos) as mosaic, gdal_env(), ExitStack() as stack:
        rasters = [stack.enter_context(open_dataset(p)) for p in (truth, mapped.classes, mapped.probability)]
        yield SheetGround(mosaic, mapped.card, rasters)


def evaluate_sheets(model: Path | None, job: SheetJob, output: Output, *, progress: Progress = silent) -> Evaluated:
    """Map whole sheets into a scratch folder and score the map.

    Leaves scores.json, evaluation.html and, with parcels, parcels.csv. Truth and parcels are read before any map is
    made. Memory: windows and strips, whatever the size of the sheets.
    """
    refuse_existing(output.folder, overwrite=output.overwrite)
    path = model or shipped_bundle()
    card = read_card(path)
    if job.serving.match:
        refuse_matching_adapted(card)
    job = replace(job, truths=expand(job.truths))
    legend = legend_named(job.legend) if job.legend else legend_of_truths(job.truths)
    with staged_folder(output.folder, overwrite=output.overwrite) as folder:
        scratch = folder / "maps"
        scratch.mkdir()
        with open_mosaic(job.orthos) as mosaic:
            grid, sheets = mosaic.grid, [(s.name, s.window) for s in mosaic.sheets]
            labels = RasterLabeller.open(job.truths, grid, legend)
            given = _parcels(job, grid)
            _write_truth(labels, grid, scratch / _TRUTH)
        # What the guard would refuse is to be measured all the same, and told.
        serving = replace(job.serving, force=True)
        mapped = predict(job.orthos, scratch, model=path, serving=serving, progress=progress)
        findings = _score(job, mapped, scratch / _TRUTH, legend, output)
        if given is not None:
            areas, table = _parcel_areas(scratch, mapped, legend, given, sheet_blocks(sheets, grid.gsd_m))
            scored = score_parcels(areas, seed=output.seed)
            write_csv(folder / PARCELS_FILE, table)
            points = np.stack([scored.judged.truth_N, scored.judged.predicted_N], axis=1)
            findings = replace(findings, parcels=parcels_to_json(scored), points_N2=points)
        scores = write_findings(folder, findings, mapped.card, output)
        shutil.rmtree(scratch)
    return Evaluated(evaluation=findings.evaluation, scores=scores, folder=output.folder)


def _score(job: SheetJob, mapped: Mapped, truth: Path, legend: Legend, output: Output) -> Findings:
    """Everything but parcels: windows for scores, rows for objects."""
    card = mapped.card
    judge = Judge(truth=legend, model=card.legend)
    gallery, probabilities = Gallery(seed=output.seed), Probabilities()
    with open_ground(job.orthos, truth, mapped) as ground:
        windows = score_sheets(ground, judge, observers=(gallery, probabilities))
        objects = sheet_objects(ground, judge, ground.pixel_area_m2)
        sheets, area = [name for name, _ in ground.sheets], ground.pixel_area_m2
    settings = mapped.record.settings
    return Findings(
        mode="sheets",
        evaluation=evaluate_windows(windows, pixel_area_m2=area, seed=output.seed),
        objects=objects,
        tally=probabilities.tally,
        gallery=gallery,
        facts={
            **model_facts(mapped.model_name, card, settings["gsd_m"], output.language),
            **_match_facts(settings, card),
            **sheet_facts(sheets),
            "labels": f"{some([p.name for p in job.truths])} ({legend.name})",
            "windows": f"{settings['step_px']} px + {settings['halo_px']} px",
            "guard": _guard_told(mapped),
        },
        training=seen_in_training(card, sheets),
        inputs=[*mapped.record.inputs, *(input_file(p) for p in job.truths)],
    )


def _guard_told(mapped: Mapped) -> str:
    """What the guard has against the map; empty where it has nothing."""
    bad = [f"{f.verdict}: {f.check}" for f in mapped.findings if f.verdict != "ok"]
    return ", ".join(bad)


def _match_facts(settings: Mapping[str, Any], card: ModelCard) -> dict[str, str]:
    """How, and in which bands, brightness was matched before the model saw the sheets; {} where it was not."""
    if "match" not in settings:
        return {}
    bands = [b for b in card.bands if b not in settings["match_left_out"]]
    return {"match": f"{settings['match']} ({', '.join(bands) or '–'})"}


def legend_of_truths(truths: Sequence[Path]) -> Legend:
    """The legend of truth rasters, from tags or values: of several, the one with most classes."""
    found = []
    for path in truths:
        with open_raster(path) as dataset:
            found.append(legend_of(dataset))
    if not found:
        raise DatasetError("no truth raster given", remedy="name at least one with --truth")
    return max(found, key=len)


def _parcels(job: SheetJob, grid: Grid) -> gpd.GeoDataFrame | None:
    if not job.parcels:
        return None
    path, layer = split_layer(job.parcels)
    return read_parcels(path, crs=grid.crs, layer=layer, id_field=job.id_field)


def _rows(grid: Grid) -> Iterator[Window]:
    for row in range(0, grid.height, _ROWS):
        yield Window(row=row, col=0, height=min(_ROWS, grid.height - row), width=grid.width)


def _write_truth(labels: RasterLabeller, grid: Grid, path: Path) -> None:
    """The truth on the grid of the map, so that every later step reads two rasters of one shape."""
    judged = 0
    with create_raster(path, grid, count=1, dtype="uint8", nodata=IGNORE) as out:
        for window in _rows(grid):
            label = labels.label(window).label_HW
            judged += int((label != IGNORE).sum())
            write_window(out, label[None], window.row, window.col)
    if not judged:
        raise DatasetError("the truth says nothing on these sheets", remedy="check that --truth covers the sheets")


def _parcel_areas(
    scratch: Path, mapped: Mapped, legend: Legend, given: gpd.GeoDataFrame, blocks: Sequence[Block]
) -> tuple[ParcelAreas, gpd.GeoDataFrame]:
    """Areas per parcel and their table: truth and map accounted alike, over the ground that both know."""
    _write_judged(scratch, mapped.classes)
    truth = account_parcels(scratch / _TRUTH_JUDGED, given, legend).table
    said = account_parcels(scratch / _MAP_JUDGED, given, mapped.card.legend).table
    with open_raster(mapped.classes) as dataset:
        grid = grid_of(dataset)
    col_N, row_N = grid.to_pixels(truth.geometry.centroid.get_coordinates().to_numpy()).T
    areas = ParcelAreas(
        parcel_id=tuple(truth["parcel_id"]),
        block=block_at(blocks, row_N, col_N),
        area_N=truth["area_m2"].to_numpy(),
        truth_N=truth["sealed_m2"].to_numpy(),
        predicted_N=said["sealed_m2"].to_numpy(),
        unknown_N=np.maximum(truth["unknown_m2"], said["unknown_m2"]).to_numpy(),
    )
    table = truth[["parcel_id", "area_m2", "unknown_m2", "geometry"]].copy()
    table.insert(2, "truth_sealed_m2", areas.truth_N)
    table.insert(3, "map_sealed_m2", areas.predicted_N)
    table.insert(4, "error_m2", areas.error_N)
    table.insert(5, "error_percent", areas.error_percent_N)
    table.insert(7, "judged", areas.judged_N)
    return areas, table


def _write_judged(scratch: Path, classes: Path) -> None:
    """Truth and map, both 255 where either is: a fee's error is not what one of them does not know."""
    with open_raster(scratch / _TRUTH) as truth, open_raster(classes) as said:
        grid = grid_of(truth)
        with (
            create_raster(scratch / _TRUTH_JUDGED, grid, count=1, dtype="uint8", nodata=IGNORE) as truth_out,
            create_raster(scratch / _MAP_JUDGED, grid, count=1, dtype="uint8", nodata=IGNORE) as said_out,
        ):
            for window in _rows(grid):
                pair = [read_window(dataset, window, [1])[0] for dataset in (truth, said)]
                unknown = (pair[0] == IGNORE) | (pair[1] == IGNORE)
                for values, out in zip(pair, (truth_out, said_out), strict=True):
                    values[unknown] = IGNORE
                    write_window(out, values[None], window.row, window.col)
