"""Chips → model."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from sealmap.core.errors import BundleError, DatasetError, SealmapError
from sealmap.dataset.chipset import ChipSet
from sealmap.dataset.split import SPLITS
from sealmap.delivery.calibration_figures import CalibrationFigure, write_calibration_figure
from sealmap.evaluation.calibration import check_aim
from sealmap.files.atomic import refuse_existing
from sealmap.files.hashing import sha256_of
from sealmap.files.provenance import now, versions
from sealmap.model.bundle import ModelBundle, save_bundle
from sealmap.model.card import BandStatistics, ModelCard
from sealmap.pipeline.calibrate import calibrate_on
from sealmap.training.batches import Source
from sealmap.training.curve import draw_curve
from sealmap.training.loop import Progress as TrainingProgress
from sealmap.training.loop import Trained, check_recipe
from sealmap.training.loop import train as train_network
from sealmap.training.recipes import Recipe

_GSD_RANGE = (0.4, 2.5)
"""A bundle takes sheets from this to this many times its own ground sampling distance, by resampling."""

_HASHED = 8
"""About so many chips of a split are read byte by byte to know it again."""

_LEAST_SHARE = 0.005
"""Training chips need this share of sealed and of unsealed pixels each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainJob:
    """All of a ``train``. aim: what the threshold is chosen for on the val chips, see ``evaluation.calibration``."""

    chips: Sequence[Path]
    recipe: Recipe
    out: Path
    aim: str = "iou"
    resume: bool = False
    overwrite: bool = False

    @property
    def folder(self) -> Path:
        """Where checkpoint, metrics and pictures go."""
        return self.out.with_name(f"{self.out.stem}_training")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel:
    """A bundle that was written, and the folder with checkpoint, metrics, curve and calibration."""

    bundle: Path
    card: ModelCard
    folder: Path
    iou_sealed: float
    history: list[dict[str, float]] = field(default_factory=list)


def train(job: TrainJob, *, progress: Callable[[TrainingProgress], None] = lambda _: None) -> TrainedModel:
    """Train on the train chips, keep what is best on the val chips, calibrate it on these, write a bundle."""
    check_aim(job.aim)
    refuse_existing(job.out, overwrite=job.overwrite)
    sets = [ChipSet.open(folder) for folder in job.chips]
    _alike(sets)
    _two_sided(sets)
    statistics = _statistics(sets)
    recipe = _fitted(job.recipe, sets[0], statistics)
    check_recipe(recipe, sets[0])
    card = _card(recipe, sets, statistics)
    _in_range(card, sets)
    if job.folder.exists() and not job.resume:
        refuse_existing(job.folder, overwrite=job.overwrite)
    held_out = [s.select("val") for s in sets]
    result = train_network(
        recipe,
        [
            Source(
                chips=train, odds=train.draw_odds(), sheets=tuple(c.sheet for c in train.chips), digest=_digest(train)
            )
            for train in (s.select("train") for s in sets)
        ],
        [Source(chips=val, digest=_digest(val)) for val in held_out],
        job.folder,
        resume=job.resume,
        report=progress,
    )
    card = replace(card, training={**card.training, **_outcome(result)})
    card, figure = _calibrated(ModelBundle(card=card, weights=result.network.state_dict()), held_out, job)
    card = save_bundle(job.out, card, result.network, overwrite=job.overwrite)
    if figure is not None:
        write_calibration_figure(job.folder / "calibration.png", figure, overwrite=True)
    draw_curve(job.folder / "curve.png", result.history)
    return TrainedModel(
        bundle=job.out, card=card, folder=job.folder, iou_sealed=result.iou_sealed, history=result.history
    )  # fmt: skip


def _calibrated(
    bundle: ModelBundle, held_out: Sequence[ChipSet], job: TrainJob
) -> tuple[ModelCard, CalibrationFigure | None]:
    """The card with temperature and threshold; hours of training are not thrown away where they cannot be fitted."""
    origin = {"split": "val", "labels": ", ".join(dict.fromkeys(s.rules for s in held_out))}
    try:
        found = calibrate_on(bundle, held_out, aim=job.aim, origin=origin)
    except SealmapError as error:
        told = f"temperature and threshold were not fitted: {error}"
        return replace(bundle.card, calibration={"aim": job.aim, **origin, "warnings": [told]}), None
    return found.card, found.figure


def _alike(sets: Sequence[ChipSet]) -> None:
    for s in sets[1:]:
        if (s.legend, s.bands) != (sets[0].legend, sets[0].bands):
            raise DatasetError(
                f"{s.root} has legend {s.legend.name} and bands {', '.join(s.bands)}; {sets[0].root} has"
                f" {sets[0].legend.name} and {', '.join(sets[0].bands)}",
                remedy="prepare both with the same --legend and --bands",
            )


def _two_sided(sets: Sequence[ChipSet]) -> None:
    """Refuse chips from which a network could only learn that everything is sealed, or nothing."""
    train_chips = [chip for s in sets for chip in s.select("train").chips]
    legend = sets[0].legend
    sides = {"sealed": [legend.classes[i].key for i in legend.sealed_ids]}
    sides["unsealed"] = [c.key for c in legend.classes if not c.sealed]
    for side, keys in sides.items():
        share = sum(chip.shares[key] for chip in train_chips for key in keys) / len(train_chips)
        if share < _LEAST_SHARE:
            raise DatasetError(
                f"only {share:.2%} of the {len(train_chips)} training chips is labelled {side}",
                remedy="prepare them from sheets with other ground too, or with other --rules",
            )


def _in_range(card: ModelCard, sets: Sequence[ChipSet]) -> None:
    """Refuse chips that the model to come would refuse: it could not be calibrated or evaluated on them."""
    for s in sets:
        try:
            card.check_raster(str(s.root), s.bands, s.gsd_m)
        except BundleError as error:
            low, high = card.gsd_range_m
            raise DatasetError(
                f"{s.root} has chips of {s.gsd_m:g} m pixels; a model that sees {card.gsd_m:g} m takes {low:g} to"
                f" {high:g} m",
                remedy=_better_gsd([s.gsd_m for s in sets]),
            ) from error


def _better_gsd(gsds_m: Sequence[float]) -> str:
    """From which ground sampling distances a model can take all of these."""
    low, high = max(gsds_m) / _GSD_RANGE[1], min(gsds_m) / _GSD_RANGE[0]
    if low <= high:
        return f"--set gsd_m=… from {low:g} to {high:g}"
    return f"train on chips whose pixel sizes differ {_GSD_RANGE[1] / _GSD_RANGE[0]:g} times at most"


def _digest(chips: ChipSet) -> str:
    """By which a run that goes on knows its chips again, so that it does not mix two data sets.

    Of all that index and statistics say, of the sizes of all files (which are compressed: other contents, other size)
    and of the bytes of some. Rasters are not opened, since GDAL's threads do not survive in the loader's processes.
    """
    files = [(chips.image_path(c), chips.mask_path(c)) for c in chips.chips]
    sizes = [path.stat().st_size for pair in files for path in pair]
    hashes = [sha256_of(path) for pair in files[:: max(1, len(files) // _HASHED)] for path in pair]
    return hashlib.sha256(repr((replace(chips, root=Path()), sizes, hashes)).encode()).hexdigest()


def _statistics(sets: Sequence[ChipSet]) -> dict[str, BandStatistics]:
    """Of all training pixels, by band; each set counts alike, as it is drawn as often as any other."""
    found = {}
    for b, band in enumerate(sets[0].bands):
        mean = fmean(s.mean[b] for s in sets)
        variance = fmean(s.std[b] ** 2 + (s.mean[b] - mean) ** 2 for s in sets)
        shares = [[v / max(1, sum(s.histogram[b])) for v in s.histogram[b]] for s in sets]
        histogram = tuple(fmean(column) for column in zip(*shares, strict=True))
        found[band] = BandStatistics(mean=mean, std=math.sqrt(variance), histogram=histogram)
    return found


def _fitted(recipe: Recipe, chips: ChipSet, statistics: Mapping[str, BandStatistics]) -> Recipe:
    """The recipe for these chips: bands beyond red, green, blue are normalised by the chips' own figures."""
    extra = [statistics[band] for band in chips.bands[len(recipe.mean) :]]
    mean, std = tuple(s.mean for s in extra), tuple(max(s.std, 1e-3) for s in extra)
    recipe = replace(recipe, mean=(*recipe.mean, *mean), std=(*recipe.std, *std))
    return replace(recipe, gsd_m=recipe.gsd_m or chips.gsd_m)


def _card(recipe: Recipe, sets: Sequence[ChipSet], statistics: Mapping[str, BandStatistics]) -> ModelCard:
    """The card as far as it is known before training. Ground sampling distance and patch are those of the first set."""
    chips = sets[0]
    gsd = recipe.gsd_m or chips.gsd_m
    return ModelCard(
        architecture=recipe.architecture,
        encoder=recipe.encoder,
        bands=chips.bands,
        mean=recipe.mean,
        std=recipe.std,
        gsd_m=gsd,
        gsd_range_m=(gsd * _GSD_RANGE[0], gsd * _GSD_RANGE[1]),
        legend=chips.legend,
        patch=max(32, chips.patch // 32 * 32),
        halo=recipe.halo,
        statistics=statistics,
        training={
            "recipe": recipe.name,
            "steps": recipe.steps,
            "patch": recipe.patch,
            "batch": recipe.batch,
            "seed": recipe.seed,
            "labels": ", ".join(dict.fromkeys(s.rules for s in sets)),
            "chips": {split: sum(s.split_counts()[split] for s in sets) for split in SPLITS},
            "sheets": {split: sorted({c.sheet for s in sets for c in s.chips if c.split == split}) for split in SPLITS},
        },
    )


def _outcome(result: Trained) -> dict[str, Any]:
    """What the card says of training besides."""
    return {
        "encoder_weights": result.encoder_source,
        "precision": result.precision,
        "seconds": round(result.seconds, 1),
        "iou_sealed_validation": round(result.iou_sealed, 4),
        "finished": now(),
        "versions": versions(),
    }
