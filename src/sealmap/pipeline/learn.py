"""Chips → model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sealmap.core.errors import DatasetError
from sealmap.dataset.chipset import ChipSet
from sealmap.dataset.split import SPLITS
from sealmap.delivery.calibration_figures import write_calibration_figure
from sealmap.evaluation.calibration import check_aim
from sealmap.files.atomic import refuse_existing
from sealmap.files.provenance import now, versions
from sealmap.model.bundle import ModelBundle, save_bundle
from sealmap.model.card import BandStatistics, ModelCard
from sealmap.pipeline.calibrate import calibrate_on
from sealmap.training.batches import Source
from sealmap.training.curve import draw_curve
from sealmap.training.loop import Progress as TrainingProgress
from sealmap.training.loop import Trained
from sealmap.training.loop import train as train_network
from sealmap.training.recipes import Recipe

_GSD_RANGE = (0.4, 2.5)
"""A bundle takes sheets from this to this many times its own ground sampling distance, by resampling."""

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
    recipe = _fitted(job.recipe, sets[0])
    if job.folder.exists() and not job.resume:
        refuse_existing(job.folder, overwrite=job.overwrite)
    held_out = [s.select("val") for s in sets]
    result = train_network(
        recipe,
        [
            Source(chips=train, odds=train.draw_odds(), sheets=tuple(c.sheet for c in train.chips))
            for train in (s.select("train") for s in sets)
        ],
        [Source(chips=val) for val in held_out],
        job.folder,
        resume=job.resume,
        report=progress,
    )
    bundle = ModelBundle(card=_card(recipe, sets[0], result), weights=result.network.state_dict())
    card = save_bundle(job.out, _calibrated(bundle, held_out, job), result.network, overwrite=job.overwrite)
    draw_curve(job.folder / "curve.png", result.history)
    return TrainedModel(
        bundle=job.out, card=card, folder=job.folder, iou_sealed=result.iou_sealed, history=result.history
    )  # fmt: skip


def _calibrated(bundle: ModelBundle, held_out: Sequence[ChipSet], job: TrainJob) -> ModelCard:
    """The card with temperature and threshold; hours of training are not thrown away where they cannot be fitted."""
    origin = {"split": "val", "labels": ", ".join(dict.fromkeys(s.rules for s in held_out))}
    try:
        found = calibrate_on(bundle, held_out, aim=job.aim, origin=origin)
    except DatasetError as error:
        told = f"temperature and threshold were not fitted: {error}"
        return replace(bundle.card, calibration={"aim": job.aim, **origin, "warnings": [told]})
    write_calibration_figure(job.folder / "calibration.png", found.figure, overwrite=True)
    return found.card


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


def _fitted(recipe: Recipe, chips: ChipSet) -> Recipe:
    """The recipe for these chips: bands beyond red, green, blue are normalised by the chips' own figures."""
    extra = len(chips.bands) - len(recipe.mean)
    if extra > 0:
        mean, std = chips.mean[-extra:], tuple(max(s, 1e-3) for s in chips.std[-extra:])
        recipe = replace(recipe, mean=(*recipe.mean, *mean), std=(*recipe.std, *std))
    return replace(recipe, gsd_m=recipe.gsd_m or chips.gsd_m)


def _card(recipe: Recipe, chips: ChipSet, result: Trained) -> ModelCard:
    gsd = recipe.gsd_m or chips.gsd_m
    statistics = {
        band: BandStatistics(mean=mean, std=std, histogram=tuple(v / max(1, sum(bins)) for v in bins))
        for band, mean, std, bins in zip(chips.bands, chips.mean, chips.std, chips.histogram, strict=True)
    }
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
            "encoder_weights": result.encoder_source,
            "steps": recipe.steps,
            "patch": recipe.patch,
            "batch": recipe.batch,
            "seed": recipe.seed,
            "precision": result.precision,
            "seconds": round(result.seconds, 1),
            "labels": chips.rules,
            "chips": chips.split_counts(),
            "sheets": {split: sorted({c.sheet for c in chips.chips if c.split == split}) for split in SPLITS},
            "iou_sealed_validation": round(result.iou_sealed, 4),
            "finished": now(),
            "versions": versions(),
        },
    )
