"""Chips → model → scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import DatasetError
from sealmap.core.legend import IGNORE, SEALED, Legend
from sealmap.dataset.chipset import ChipSet
from sealmap.delivery.evaluation_page import EvaluationPage, PanelPicture, write_evaluation_page
from sealmap.evaluation.pictures import choose, panel
from sealmap.evaluation.scores import Evaluation, evaluate_windows, score_chips, to_json
from sealmap.files.atomic import refuse_existing, staged_folder
from sealmap.files.provenance import now, versions
from sealmap.model.bundle import load_bundle, save_bundle
from sealmap.model.card import BandStatistics, ModelCard
from sealmap.model.engines import TorchEngine
from sealmap.pipeline import Progress, shipped_bundle, silent
from sealmap.prediction.mosaic import classify
from sealmap.prediction.single import predict_array
from sealmap.training.batches import Source
from sealmap.training.curve import draw_curve
from sealmap.training.loop import Progress as TrainingProgress
from sealmap.training.loop import Trained
from sealmap.training.loop import train as train_network
from sealmap.training.recipes import Recipe

_GSD_RANGE = (0.4, 2.5)
"""A bundle takes sheets from this to this many times its own ground sampling distance, by resampling."""

_PANELS = 24

_LEAST_SHARE = 0.005
"""Training chips need this share of sealed and of unsealed pixels each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel:
    """A bundle that was written, and the folder with checkpoint, metrics and curve."""

    bundle: Path
    card: ModelCard
    folder: Path
    iou_sealed: float
    history: list[dict[str, float]] = field(default_factory=list)


def train(
    chip_folders: Sequence[Path],
    recipe: Recipe,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[TrainingProgress], None] = lambda _: None,
) -> TrainedModel:
    """Train on the train chips, keep what is best on the val chips, write a bundle."""
    refuse_existing(out, overwrite=overwrite)
    sets = [ChipSet.open(folder) for folder in chip_folders]
    _alike(sets)
    _two_sided(sets)
    first = sets[0]
    recipe = _fitted(recipe, first)
    folder = out.with_name(f"{out.stem}_training")
    if folder.exists() and not resume and not overwrite:
        refuse_existing(folder, overwrite=False)
    result = train_network(
        recipe,
        [Source(chips=train, odds=train.draw_odds()) for train in (s.select("train") for s in sets)],
        [Source(chips=s.select("val")) for s in sets],
        folder,
        resume=resume,
        report=progress,
    )
    card = save_bundle(out, _card(recipe, first, result), result.network, overwrite=overwrite)
    draw_curve(folder / "curve.png", result.history)
    return TrainedModel(
        bundle=out, card=card, folder=folder, iou_sealed=result.iou_sealed, history=result.history
    )  # fmt: skip


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
            "seconds": round(result.seconds, 1),
            "labels": chips.rules,
            "chips": chips.split_counts(),
            "iou_sealed_validation": round(result.iou_sealed, 4),
            "finished": now(),
            "versions": versions(),
        },
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _OneLegend:
    """Chips seen as sealed or not: where the legends of chips and model differ, this is what both can say."""

    inner: ChipSet
    legend: Legend = SEALED

    @property
    def chips(self) -> Sequence[Any]:
        return self.inner.chips

    def __len__(self) -> int:
        return len(self.inner)

    def read(self, index: int, /) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        pixels, label = self.inner.read(index)
        return pixels, _binary(label, self.inner.legend)


def _binary(class_HW: NDArray[np.uint8], legend: Legend) -> NDArray[np.uint8]:
    out = legend.sealed_HW(class_HW).astype(np.uint8)
    out[class_HW == IGNORE] = IGNORE
    return out


def evaluate(
    model: Path | None,
    chips_folder: Path,
    split: str,
    out: Path,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Evaluation:
    """Score a bundle on a split of chips; leaves ``scores.json`` and ``evaluation.html`` in ``out``."""
    refuse_existing(out, overwrite=overwrite)
    path = model or shipped_bundle()
    chips = ChipSet.open(chips_folder).select(split)
    engine = TorchEngine(load_bundle(path))
    card = engine.card
    card.check_raster(chips_folder.name, chips.bands, chips.gsd_m)
    order = [chips.bands.index(b) for b in card.bands]
    same = card.legend == chips.legend

    def to_classes(pixels: NDArray[Any]) -> NDArray[np.uint8]:
        probs = predict_array(pixels[order], chips.gsd_m, engine, chips.pixel_scale)
        classes = classify(probs, card.legend, card.threshold)
        return classes if same else _binary(classes, card.legend)

    windows = score_chips(chips if same else _OneLegend(inner=chips), to_classes, report=progress)
    found = evaluate_windows(windows, pixel_area_m2=chips.gsd_m**2)
    facts = {
        "model": f"{path.name} ({card.architecture}, {card.encoder}, weights {card.weights_sha256[:12]})",
        "chips": f"{chips_folder.name}, split {split}: {len(chips)} chips, labels from {chips.rules}",
        "threshold": f"{card.threshold:g}",
        "ground sampling distance": f"{chips.gsd_m:g} m (model {card.gsd_m:g} m)",
        "date": now(),
    }
    panels = [
        PanelPicture(title=f"{w.name}: accuracy {w.counts.accuracy:.3f}", image_HWC=panel(w, chips.pixel_scale))
        for w in choose(windows, _PANELS)
    ]
    with staged_folder(out, overwrite=overwrite) as folder:
        scores = {"facts": facts, **to_json(found)}
        (folder / "scores.json").write_text(json.dumps(scores, indent=1, ensure_ascii=False), encoding="utf-8")
        page = EvaluationPage(scores=scores, legend=windows[0].counts.legend, facts=facts, panels=panels)
        write_evaluation_page(folder / "evaluation.html", page, overwrite=False)
    return found
