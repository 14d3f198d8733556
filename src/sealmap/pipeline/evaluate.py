"""Bundle and held-out ground → scores.json and a page: on chips, or on whole sheets as a user would map them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.legend import IGNORE
from sealmap.core.record import InputFile
from sealmap.dataset.chipset import INDEX_FILE, ChipSet
from sealmap.dataset.split import SPLITS
from sealmap.delivery.evaluation_page import EvaluationPage, WindowPicture, write_evaluation_page
from sealmap.delivery.texts import Language
from sealmap.evaluation.calibration import ReliabilityTally
from sealmap.evaluation.objects import Objects
from sealmap.evaluation.pictures import INVENTED, MISSED, MIXED, RIGHT, UNKNOWN, Gallery, Picture
from sealmap.evaluation.scores import Evaluation, evaluate_windows, plain, to_json
from sealmap.evaluation.windows import ChipObjects, Judge, Seen, Window, score_chips
from sealmap.files.atomic import refuse_existing, staged_folder
from sealmap.files.hashing import input_file
from sealmap.files.provenance import now, versions
from sealmap.model.bundle import load_bundle
from sealmap.model.card import ModelCard
from sealmap.model.engines import engine_for
from sealmap.pipeline import Progress, shipped_bundle, silent
from sealmap.pipeline.adapt import told as told_of_adaptation
from sealmap.prediction.mosaic import classify
from sealmap.prediction.single import predict_array
from sealmap.sources.dop import Flight, flights_of

SCORES_FILE, PAGE_FILE, PARCELS_FILE = "scores.json", "evaluation.html", "parcels.csv"

_CURVE_POINTS = 99

_NAMED = 6
"""Sheets named in one line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """Where scores and page go. seed: of the intervals and of the random windows."""

    folder: Path
    overwrite: bool = False
    language: Language = "en"
    seed: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluated:
    """What an evaluation found. scores: as in scores.json."""

    evaluation: Evaluation
    scores: Mapping[str, Any]
    folder: Path


class Probabilities:
    """An observer that sums up what probabilities say and what is true."""

    def __init__(self) -> None:
        self.tally = ReliabilityTally.zero()

    def __call__(self, window: Window, seen: Seen) -> None:
        """Count a window's pixels."""
        if seen.probability_HW is None:
            return
        judged = seen.counted_HW & (seen.truth_HW != IGNORE) & (seen.pred_HW != IGNORE)
        sealed = window.counts.legend.sealed_HW(seen.truth_HW)
        self.tally += ReliabilityTally.of(seen.probability_HW, sealed, judged)


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """All that is put down of an evaluation. facts: what it was made of; parcels: as in scores.json."""

    mode: str
    evaluation: Evaluation
    objects: Objects
    tally: ReliabilityTally
    gallery: Gallery
    facts: Mapping[str, str]
    training: Mapping[str, Any]
    inputs: Sequence[InputFile] = ()
    parcels: Mapping[str, Any] | None = None
    points_N2: NDArray[np.float64] | None = None


def evaluate(
    model: Path | None,
    chips_folder: Path,
    split: str,
    output: Output,
    *,
    device: str = "auto",
    progress: Progress = silent,
) -> Evaluated:
    """Score a bundle (None: the shipped one) on a split of chips; leaves scores.json and evaluation.html."""
    refuse_existing(output.folder, overwrite=output.overwrite)
    path = model or shipped_bundle()
    chips = ChipSet.open(chips_folder).select(split)
    engine = engine_for(load_bundle(path), device)
    card = engine.card
    card.check_raster(chips_folder.name, chips.bands, chips.gsd_m)
    order = [chips.bands.index(b) for b in card.bands]
    sealed = list(card.legend.sealed_ids)

    def say(pixels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        probs = predict_array(pixels[order], chips.gsd_m, engine, chips.pixel_scale)
        return classify(probs, card.legend, card.threshold), probs[sealed].sum(axis=0)

    judge = Judge(truth=chips.legend, model=card.legend)
    area = chips.gsd_m**2
    gallery, objects, probabilities = Gallery(seed=output.seed), ChipObjects(judge.legend, area), Probabilities()
    observers = (gallery, objects, probabilities)
    windows = score_chips(chips, say, judge, observers=observers, report=progress)
    sheets = sorted({c.sheet for c in chips.chips})
    findings = Findings(
        mode="chips",
        evaluation=evaluate_windows(windows, pixel_area_m2=area, seed=output.seed),
        objects=objects.found,
        tally=probabilities.tally,
        gallery=gallery,
        facts={
            **model_facts(path.name, card, chips.gsd_m, output.language),
            "chips": f"{chips_folder.name}, {split}: {len(chips)}",
            **sheet_facts(sheets),
            "labels": f"{chips.rules} ({chips.legend.name})",
        },
        training=seen_in_training(card, sheets) | {"split": split},
        inputs=[input_file(path), input_file(chips_folder / INDEX_FILE)],
    )
    with staged_folder(output.folder, overwrite=output.overwrite) as folder:
        scores = write_findings(folder, findings, card, output)
    return Evaluated(evaluation=findings.evaluation, scores=scores, folder=output.folder)


def model_facts(name: str, card: ModelCard, gsd_m: float, language: Language) -> dict[str, str]:
    """What is to be said of the model and of the ground sampling distance it was asked at."""
    return {
        "model": f"{name} ({card.architecture}, {card.encoder}, weights {card.weights_sha256[:12]})",
        "adapted": told_of_adaptation(card, language),
        "recipe": ", ".join(f"{k} {card.training[k]}" for k in ("recipe", "steps", "labels") if k in card.training),
        "threshold": f"{card.threshold:g}",
        "gsd": f"{gsd_m:g} m (model {card.gsd_m:g} m)",
    }


def sheet_facts(sheets: Sequence[str]) -> dict[str, str]:
    """Names of the sheets and what they tell of the flight."""
    flights = sorted({_day(f) for f in flights_of(sheets, None, None).values()})
    return {"sheets": f"{len(sheets)}: {some(sheets)}", "flight": ", ".join(flights)}


def some(names: Sequence[str]) -> str:
    """Names in a line: the first ones, and how many more there are."""
    return ", ".join(names[:_NAMED]) + (f", … (+{len(names) - _NAMED})" if len(names) > _NAMED else "")


def _day(flight: Flight) -> str:
    """'2024-04-06', '2024' where only the year is known, else both ends."""
    first, last = flight.first.isoformat(), flight.last.isoformat()
    if flight.exact:
        return first
    return first[:4] if (first[4:], last) == ("-01-01", f"{first[:4]}-12-31") else f"{first} – {last}"


def seen_in_training(card: ModelCard, sheets: Sequence[str]) -> dict[str, Any]:
    """Whether the bundle's record names these sheets: 'seen' with their names, 'not_seen', or 'unknown'.

    Sheets of the record are under ``sheets``: a list, or lists by split; sheets of validation count, since they
    chose weights and threshold.
    """
    named = _recorded_sheets(card)
    if not named:
        return {"status": "unknown", "sheets": []}
    used = {s for split, names in named.items() if split != "test" for s in names}
    both = sorted(used & set(sheets))
    return {"status": "seen" if both else "not_seen", "sheets": both}


def learnt_from(card: ModelCard, sets: Sequence[ChipSet], split: str) -> list[str]:
    """A word where a bundle may have learnt from chips that it is to be calibrated on; none where it did not.

    sets: folders with the chips of all splits. Val chips of the folders that the record is of are held out, by blocks
    of a sheet perhaps: these are known by the sheets and the number of chips of each split.
    """
    record = _recorded_sheets(card)
    if split == "train" and not record:
        return ["these are chips to train on, and the model's record does not tell whether it learnt from them"]
    sheets = {s: sorted({c.sheet for chips in sets for c in chips.chips if c.split == s}) for s in SPLITS}
    counts = {s: sum(chips.split_counts()[s] for chips in sets) for s in SPLITS}
    held_out = split != "train" and (sheets, counts) == (record, card.training.get("chips"))
    learnt = [] if held_out else [s for s in sheets[split] if s in record.get("train", ())]
    if not learnt:
        return []
    told = (
        f"by its record the model learnt from {some(learnt)}: unless these very chips were kept out, temperature and"
        " threshold come out too sure, as it knows the answers here"
    )
    return [told]


def _recorded_sheets(card: ModelCard) -> dict[str, list[str]]:
    """Sheets that the bundle's record names, by split; {} where it names none."""
    named = card.training.get("sheets") or {}
    parts = named.items() if isinstance(named, Mapping) else [("train", named)]
    return {str(split): [str(s) for s in names] for split, names in parts}


def write_findings(folder: Path, found: Findings, card: ModelCard, output: Output) -> dict[str, Any]:
    """Write scores.json and the page into a scratch folder; returns what scores.json holds."""
    worst, random = found.gallery.worst(), found.gallery.random()
    legend, area = found.evaluation.total.counts.legend, found.evaluation.pixel_area_m2
    scores = {
        **to_json(found.evaluation, found.objects),
        "mode": found.mode,
        "facts": {**found.facts, "date": now(), "version": versions()["sealmap"]},
        "inputs": [asdict(f) for f in found.inputs],
        "training": dict(found.training),
        "probabilities": _probabilities(found.tally, card),
        "parcels": found.parcels,
        "windows": {kind: [_window(p, area) for p in ps] for kind, ps in (("worst", worst), ("random", random))},
    }
    text = json.dumps(scores, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / SCORES_FILE).write_text(text, encoding="utf-8")
    page = EvaluationPage(
        scores=scores,
        legend=legend,
        colors={"missed": MISSED, "invented": INVENTED, "mixed": MIXED, "right": RIGHT, "unjudged": UNKNOWN},
        worst=[_picture(p) for p in worst],
        random=[_picture(p) for p in random],
        points_N2=found.points_N2,
        bins=found.tally.reliability() if found.tally.pixels else None,
        curve=found.tally.curve().thinned(_CURVE_POINTS) if found.tally.pixels else None,
        language=output.language,
    )
    write_evaluation_page(folder / PAGE_FILE, page, overwrite=False)
    return scores


def _probabilities(tally: ReliabilityTally, card: ModelCard) -> dict[str, Any] | None:
    if not tally.pixels:
        return None
    reliability, curve = tally.reliability(), tally.curve()
    thin = curve.thinned(_CURVE_POINTS)
    return {
        "ece": plain(reliability.ece),
        "brier": plain(reliability.brier),
        "temperature": card.temperature,
        "threshold": card.threshold,
        "aim": card.calibration.get("aim"),
        "reliability": {
            "edges": reliability.edges.tolist(),
            "confidence": [plain(v) for v in reliability.confidence],
            "observed": [plain(v) for v in reliability.observed],
            "pixels": reliability.counts.tolist(),
        },
        "curve": {
            name: [plain(v) for v in values]
            for name, values in (
                ("thresholds", thin.thresholds),
                ("iou", thin.iou),
                ("f1", thin.f1),
                ("area_bias", thin.bias),
            )
        },
    }


def _window(picture: Picture, area: float) -> dict[str, Any]:
    """A window's figures of 'sealed'."""
    counts = picture.window.counts
    tp, fp, fn, _ = counts.binary(counts.legend.sealed_ids)
    return {
        "name": picture.window.name,
        "sheet": picture.window.sheet,
        "judged_m2": round(counts.pixels * area, 1),
        "sealed_m2": round((tp + fn) * area, 1),
        "missed_m2": round(fn * area, 1),
        "invented_m2": round(fp * area, 1),
        "iou": plain(counts.scores(counts.legend.sealed_ids)["iou"]),
    }


def _picture(picture: Picture) -> WindowPicture:
    return WindowPicture(
        photo_HWC=picture.photo_HWC,
        truth_HWC=picture.truth_HWC,
        pred_HWC=picture.pred_HWC,
        errors_HWC=picture.errors_HWC,
    )
