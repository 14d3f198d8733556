"""Bundle + validation chips → the same weights with a temperature and a threshold that were measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import BundleError, DatasetError, SettingsError
from sealmap.core.legend import IGNORE, Legend
from sealmap.dataset.chipset import Chip, ChipSet
from sealmap.delivery.calibration_figures import CalibrationFigure, write_calibration_figure
from sealmap.evaluation.calibration import Reliability, ReliabilityTally, ThresholdCurve, check_aim, choose_threshold
from sealmap.evaluation.temperature import (
    Halves,
    Knots,
    PixelSample,
    at_bounds,
    compare_on_halves,
    fit_temperature,
    isotonic,
    logits_of,
    moved,
)
from sealmap.files.atomic import refuse_existing
from sealmap.files.provenance import now
from sealmap.model.bundle import ModelBundle, load_bundle, save_card
from sealmap.model.card import ModelCard
from sealmap.model.engine import Engine
from sealmap.model.engines import engine_for
from sealmap.pipeline import Progress, shipped_bundle, silent
from sealmap.pipeline.evaluate import learnt_from
from sealmap.prediction.limits import Grounds
from sealmap.prediction.single import predict_array
from sealmap.training.looks import OtherFlight, Placed

SAMPLE = 200_000
"""Pixels that the temperature is fitted on, at most; the threshold is chosen on all."""

LEAST_PIXELS, LEAST_BLOCKS, LEAST_SHARE = 100_000, 3, 0.01
"""Below these, and with less of one side, numbers are told to be weak. 100,000 pixels of 20 cm are 4,000 m²."""

MOST_BIAS = 0.05
"""A threshold chosen on one half of the blocks is told to be weak where it has more area bias on the other."""

_BLOCK_PX = 1024
"""Side of a block of chips of one sheet."""

_SEED = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrateJob:
    """All of a ``calibrate``. model: None takes the shipped one. The figure lies beside ``out``.

    looks: other flights as which each chip is seen, beside as it is: for a model that is to map unseen flights.
    """

    model: Path | None
    chips: Sequence[Path]
    out: Path
    split: str = "val"
    aim: str = "iou"
    looks: int = 0
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.looks < 0:
            raise SettingsError(f"{self.looks} looks cannot be had", remedy="use 0 (as flown) or more, such as 4")

    @property
    def figure(self) -> Path:
        """Where the reliability diagram and the curve of the threshold go."""
        return self.out.with_name(f"{self.out.stem}_calibration.png")


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibrated:
    """A card with temperature, threshold and how they were found, and what a picture of it needs.

    before: as the card said until now; after: as served from now on; curve: after, too.
    halves: None where there is one block, or a half that cannot be fitted.
    """

    card: ModelCard
    before: Reliability
    after: Reliability
    curve: ThresholdCurve
    halves: Halves | None
    warnings: tuple[str, ...] = ()

    @property
    def figure(self) -> CalibrationFigure:
        """What ``write_calibration_figure`` draws."""
        return CalibrationFigure(
            before=self.before, after=self.after, curve=self.curve.thinned(400), threshold=self.card.threshold,
            aim=str(self.card.calibration["aim"]),
        )  # fmt: skip


def calibrate(job: CalibrateJob, *, progress: Progress = silent) -> Calibrated:
    """Calibrate a bundle on validation chips; leaves a new bundle and a figure beside it. Weights stay as they are."""
    refuse_existing(job.out, job.figure, overwrite=job.overwrite)
    check_aim(job.aim)
    refuse_test(job.split)
    whole = [ChipSet.open(folder) for folder in job.chips]
    sets: list[Placed] = [s.select(job.split) for s in whole]
    bundle = load_bundle(job.model or shipped_bundle())
    labels = ", ".join(dict.fromkeys(s.rules for s in whole))
    origin = {"split": job.split, "labels": labels, "looks": job.looks}
    sets = [*sets, *(OtherFlight(ground=chips, look=look) for chips in sets for look in range(job.looks))]
    seen = learnt_from(bundle.card, whole, job.split)
    found = calibrate_on(bundle, sets, aim=job.aim, origin=origin, seen=seen, progress=progress)
    save_card(job.out, replace(bundle, card=found.card), overwrite=job.overwrite)
    write_calibration_figure(job.figure, found.figure, overwrite=job.overwrite)
    return found


def refuse_test(split: str) -> None:
    """SettingsError for the test split: it judges what was chosen elsewhere, so nothing may be chosen on it."""
    if split == "test":
        raise SettingsError(
            "a temperature and a threshold fitted on test chips make the test a part of the training",
            remedy="use --split val, then score the test chips with: sealmap evaluate",
        )


def calibrate_on(
    bundle: ModelBundle,
    sets: Sequence[Placed],
    *,
    aim: str,
    origin: dict[str, Any],
    seen: Sequence[str] = (),
    progress: Progress = silent,
) -> Calibrated:
    """Measure a model on held-out chips, through the same path as prediction, and fit temperature and threshold.

    Sets are pooled, pixel by pixel; a pixel of overlapping chips counts once (once per look, where ``OtherFlight``
    shows them again: their blocks are those of the ground). origin: split and labels, for the card.
    seen: warnings to go along (``learnt_from``). What is fitted is taken by how it does on the half of the blocks that
    it was not fitted on: a temperature unless it loses, isotonic regression after it where that wins measurably.
    The chips are predicted twice, since with resampling both act before it and a threshold after it.
    DatasetError where no threshold can be chosen, see ``choose_threshold``.
    """
    card = bundle.card
    views = _views(card, sets)
    steps = 2 * len(views)
    plain = replace(bundle, card=replace(card, isotonic=()))
    grounds = Grounds(card)
    sample, bare = _measure(engine_for(plain), views, lambda done: progress(done, steps), grounds)
    _two_sided(bare)
    after = before = moved(bare, card.isotonic)
    halves, failed = _halves(sample, aim, card)
    fitted, warnings = _fitted(sample, card, halves)
    served = replace(card, temperature=fitted[0], isotonic=fitted[1])
    if served != card:
        engine = engine_for(replace(bundle, card=served))
        grounds = Grounds(served)
        after = _tally(engine, views, lambda done: progress(len(views) + done, steps), grounds)
    progress(steps, steps)
    curve = after.curve()
    threshold = choose_threshold(curve, aim)
    blocks = len({view.block for view in views})
    warnings = [*seen, *warnings, *_weak(before, _looked(sets), blocks, threshold), *failed]
    rows = {
        "before": _row(before, card, card.threshold),
        "after": _row(after, served, threshold),
    }
    facts = {
        "aim": aim, **origin, "chips": len(views), "pixels": before.pixels, "blocks": blocks, "date": now(), **rows,
        "other_half": _halves_json(halves), "warnings": list(warnings), "curve": _curve_json(curve),
    }  # fmt: skip
    return Calibrated(
        card=replace(served, threshold=threshold, calibration=facts, limits=grounds.limits()),
        before=before.reliability(), after=after.reliability(), curve=curve, halves=halves, warnings=tuple(warnings),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _View:
    """A chip, where it lies, and how its labels read for the model. second: on which half of the blocks it lies."""

    chips: Placed
    index: int
    block: str
    second: bool
    truth_LK: NDArray[np.bool_]
    """For each label, the classes of the model that it allows."""
    earlier: list[Chip] = field(default_factory=list)
    """Chips of the sheet that were counted before."""

    def read(
        self, engine: Engine, grounds: Grounds
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.bool_]]:
        """(probabilities (K, pixels), labels, sealed in truth) of the judged pixels that no earlier chip counted.

        grounds: told of the whole chip.
        """
        pixels, label = self.chips.read(self.index)
        me = self.chips.chips[self.index]
        judged = label != IGNORE
        for other in self.earlier:  # chips of a set are of one size
            top, left = other.row - me.row, other.col - me.col
            judged[max(0, top) : max(0, top + label.shape[0]), max(0, left) : max(0, left + label.shape[1])] = False
        order = [self.chips.bands.index(b) for b in engine.card.bands]
        whole = predict_array(pixels[order], self.chips.gsd_m, engine, self.chips.pixel_scale)
        probs = whole[:, judged]
        wild = int((~np.isfinite(probs)).any(axis=0).sum())
        if wild:
            raise BundleError(
                f"the network's output is not finite at {wild:,} of {probs.shape[1]:,} pixels of chip {me.name}",
                remedy="train it again with a lower learning rate",
            )
        kept = label[judged]
        sealed = self.chips.legend.sealed_HW(kept)
        place = (str(id(self.chips)), me.sheet)
        grounds.see(place, pixels[order], whole, (self.chips.pixel_scale, self.chips.gsd_m))
        grounds.count(place, int(sealed.sum()), len(sealed))
        return probs, kept, sealed


def _views(card: ModelCard, sets: Sequence[Placed]) -> list[_View]:
    """All chips in order, the blocks parted in two halves that lie together and hold about as many chips."""
    places: list[tuple[str, int, int]] = []
    grounds = _grounds(sets)
    for s, chips in enumerate(sets):
        card.check_raster("the chips", chips.bands, chips.gsd_m)
        for i, chip in enumerate(chips.chips):
            at = f"{chip.row // _BLOCK_PX:04}/{chip.col // _BLOCK_PX:04}"
            places.append((f"{grounds.index(grounds[s])}/{chip.sheet}/{at}", s, i))
    middle = sorted(block for block, _, _ in places)[len(places) // 2]
    first = {block for block, _, _ in places if block < middle} or {middle}
    found = []
    counted: dict[tuple[int, str], list[Chip]] = {}
    for block, s, i in places:
        chips, chip = sets[s], sets[s].chips[i]
        earlier = counted.setdefault((s, chip.sheet), [])
        found.append(
            _View(
                chips=chips, index=i, block=block, second=block not in first,
                truth_LK=_truth_table(chips.legend, card.legend), earlier=list(earlier),
            )
        )  # fmt: skip
        earlier.append(chip)
    return found


def _grounds(sets: Sequence[Placed]) -> list[int]:
    """The ground of each set, by identity: looks at the same ground have one."""
    return [id(chips.ground) if isinstance(chips, OtherFlight) else id(chips) for chips in sets]


def _truth_table(labels: Legend, model: Legend) -> NDArray[np.bool_]:
    """(labels, classes): which classes of the model a label allows. Other legends meet as sealed or not."""
    if labels == model:
        return np.eye(len(model), dtype=np.bool_)
    return np.array([[c.sealed == k.sealed for k in model.classes] for c in labels.classes])


def _measure(
    engine: Engine, views: Sequence[_View], report: Callable[[int], None], grounds: Grounds
) -> tuple[PixelSample, ReliabilityTally]:
    """Counts of all judged pixels, and a sample of them with the network's logits."""
    rng = np.random.default_rng(_SEED)
    sealed_K = np.array([c.sealed for c in engine.card.legend.classes])
    total, rate = ReliabilityTally.zero(), 1.0
    drawn: list[tuple[NDArray[Any], ...]] = []
    for view, (probs_KN, label_N, sealed_N) in _seen(engine, views, report, grounds):
        total += ReliabilityTally.of(probs_KN[sealed_K].sum(axis=0), sealed_N)
        lot = rng.random(len(label_N))
        taken = lot < rate
        logits_NK = logits_of(np.ascontiguousarray(probs_KN[:, taken].T), engine.card.temperature)
        half = np.full(len(logits_NK), view.second)
        drawn.append((lot[taken], logits_NK, view.truth_LK[label_N[taken]], half))
        while sum(len(part[0]) for part in drawn) > SAMPLE:
            rate /= 2
            drawn = [tuple(values[part[0] < rate] for values in part) for part in drawn]
    _, logits, truth, half = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    return PixelSample(logits_NK=logits, truth_NK=truth, sealed_K=sealed_K, half_N=half), total


def _tally(engine: Engine, views: Sequence[_View], report: Callable[[int], None], grounds: Grounds) -> ReliabilityTally:
    sealed = list(engine.card.legend.sealed_ids)
    total = ReliabilityTally.zero()
    for _, (probs_KN, _, sealed_N) in _seen(engine, views, report, grounds):
        total += ReliabilityTally.of(probs_KN[sealed].sum(axis=0), sealed_N)
    return total


def _seen(
    engine: Engine, views: Sequence[_View], report: Callable[[int], None], grounds: Grounds
) -> Iterator[tuple[_View, tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.bool_]]]]:
    for done, view in enumerate(views, start=1):
        yield view, view.read(engine, grounds)
        report(done)


def _two_sided(tally: ReliabilityTally) -> None:
    if not tally.pixels or not 0 < tally.sealed_share < 1:
        raise DatasetError(
            f"of {tally.pixels:,} judged pixels {tally.sealed_share:.0%} is sealed: nothing to calibrate on",
            remedy="prepare validation chips with both sealed and unsealed ground",
        )


def _fitted(sample: PixelSample, card: ModelCard, halves: Halves | None) -> tuple[tuple[float, Knots], list[str]]:
    """Temperature and knots to serve; those of the card where the fit loses or ran into its bounds, and a word."""
    temperature = round(fit_temperature(sample), 4)
    if at_bounds(temperature):
        told = (
            f"the temperature ran into its bounds ({temperature:.2f}), so it stays {card.temperature:g}: the model has"
            " learnt little, or the labels of these chips do not suit it"
        )
        return (card.temperature, card.isotonic), [told]
    best = "temperature" if halves is None else halves.best
    if best == "none":
        return (card.temperature, card.isotonic), []
    return (temperature, isotonic(sample.tally(temperature)) if best == "isotonic" else ()), []


def _looked(sets: Sequence[Placed]) -> float:
    """How often each ground was looked at, on the average."""
    return len(sets) / len(set(_grounds(sets)))


def _weak(tally: ReliabilityTally, looked: float, blocks: int, threshold: float) -> list[str]:
    found = []
    pixels = round(tally.pixels / looked)
    if pixels < LEAST_PIXELS:
        found.append(f"only {pixels:,} judged pixels; {LEAST_PIXELS:,} or more are wanted")
    if blocks < LEAST_BLOCKS:
        found.append(f"only {blocks} block(s) of {_BLOCK_PX} pixels; {LEAST_BLOCKS} or more are wanted")
    if not LEAST_SHARE <= tally.sealed_share <= 1 - LEAST_SHARE:
        found.append(f"{tally.sealed_share:.2%} of the judged pixels is sealed, so few pixels decide")
    if not 0.05 <= threshold <= 0.95:
        found.append(
            f"the threshold {threshold:.3f} lies at the end of its range: the model hardly parts the two sides"
        )
    return found


def _halves(sample: PixelSample, aim: str, card: ModelCard) -> tuple[Halves | None, list[str]]:
    """What the calibration is worth on ground that it was not fitted on, and a word where that is little or unknown."""
    unknown = "what the calibration is worth on other ground was not measured"
    if sample.half_N.all() or not sample.half_N.any():
        return None, [f"{unknown}: one block cannot be parted"]
    try:
        found = compare_on_halves(sample, aim, temperature=card.temperature, knots=card.isotonic)
    except DatasetError as error:
        return None, [f"{unknown}: {error.problem}"]
    warnings = []
    if found.best == "none":
        rows = {how: f"ECE {found.ece[how]:.4f}, Brier {found.brier[how]:.4f}" for how in ("temperature", "none")}
        warnings.append(
            f"a temperature fitted on one half of the blocks makes the other half worse: {rows['temperature']} instead"
            f" of {rows['none']}; so it stays {card.temperature:g}"
        )
    if aim == "zero_bias" and max(map(abs, found.area_bias)) > MOST_BIAS:
        told = " and ".join(f"{bias:+.1%}" for bias in found.area_bias)
        warnings.append(f"a threshold without bias on one half of the blocks has {told} on the other")
    return found, warnings


def _row(tally: ReliabilityTally, card: ModelCard, threshold: float) -> dict[str, float]:
    reliability = tally.reliability()
    scores = {"ece": reliability.ece, "brier": reliability.brier, **tally.curve().at(threshold)}
    return {
        "temperature": card.temperature, "isotonic_knots": len(card.isotonic), "threshold": threshold,
        **{k: round(v, 5) for k, v in scores.items()},
    }  # fmt: skip


def _halves_json(halves: Halves | None) -> dict[str, Any]:
    if halves is None:
        return {}
    return {
        "ece": {how: round(v, 5) for how, v in halves.ece.items()},
        "brier": {how: round(v, 5) for how, v in halves.brier.items()},
        "isotonic_wins": halves.isotonic_wins,
        "area_bias": [round(v, 5) for v in halves.area_bias],
    }


def _curve_json(curve: ThresholdCurve) -> dict[str, list[float]]:
    thin = curve.thinned()
    columns = {"threshold": thin.thresholds, "iou": thin.iou, "f1": thin.f1, "area_bias": thin.bias}
    return {name: [round(float(v), 5) for v in values] for name, values in columns.items()}
