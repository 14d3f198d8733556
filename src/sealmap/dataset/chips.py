"""Cut chips from sheets with their labels: images, masks, an index and what a model must know of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import BandError, DatasetError
from sealmap.core.legend import IGNORE
from sealmap.core.patch import Patch
from sealmap.dataset.chipset import DATASET_FILE, FORMAT, IMAGES, MASKS, Chip, ChipSet, write_index
from sealmap.dataset.cuts import ChipSpec, Cut, plan_cuts, unknown_hint
from sealmap.dataset.labellers import Labeller
from sealmap.dataset.light import Light, lights
from sealmap.dataset.rules import UnknownClass
from sealmap.dataset.split import SPLITS, Assignment
from sealmap.dataset.strips import MosaicLike, SheetLike, SheetReader
from sealmap.dataset.survey import Look, SheetSurvey, SheetTally, final_labels
from sealmap.dataset.tally import Tally, pixel_scale
from sealmap.dataset.vegetation import grey, index_name, vegetation_index
from sealmap.files.raster import write_raster

_COLOURS = ("red", "green", "blue", "nir")

Progress = Callable[[int, int], None]
"""Called with (chips done, chips in all)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """Chips, and what is known of the labels of their whole sheets.

    used: bands that were looked at. unknown: classes without a rule.
    """

    chips: ChipSet
    sheets: tuple[SheetSurvey, ...]
    split: Assignment
    used: tuple[str, ...]
    unknown: tuple[UnknownClass, ...]


@dataclass(kw_only=True, slots=True)
class _Cutter:
    """Cuts sheet by sheet into a folder and gathers what goes into dataset.json.

    used: bands that are read: the veto looks at near infrared even where the model will not. train: brightness
    of train chips, every: of all. empty: chips without data; unjudged: all their pixels IGNORE.
    """

    mosaic: MosaicLike
    labeller: Labeller
    folder: Path
    spec: ChipSpec
    bands: tuple[str, ...]
    used: tuple[str, ...]
    train: Tally
    every: Tally
    chips: list[Chip] = field(default_factory=list)
    surveys: list[SheetSurvey] = field(default_factory=list)
    empty: int = 0
    unjudged: int = 0

    def cut_sheet(self, sheet: SheetLike, cuts: Sequence[Cut], light: Light, tick: Callable[[], None]) -> None:
        """Write the chips of one sheet, from top to bottom, and count its labels."""
        reader = SheetReader(self.mosaic, sheet.window, self.used)
        tally = SheetTally(legend=self.labeller.legend, causes=self.labeller.causes, gsd_m=self.mosaic.grid.gsd_m)
        for cut in cuts:
            patch = reader.read(cut.window)
            burnt = self.labeller.label(cut.window, self.spec.flights.get(sheet.name))
            look = self._look(patch, light)
            label = final_labels(burnt, look)
            part = cut.keep.within(cut.window)
            tally.add(cut.keep, burnt.part(part), label[part], look.part(part))
            if cut.split:
                self._write(cut, patch, label)
            tick()
        threshold = light.threshold if index_name(self.used) else None
        self.surveys.append(tally.finish(sheet.name, threshold, light.counts, self.labeller.oid_at))

    def _look(self, patch: Patch, light: Light) -> Look:
        index = vegetation_index(patch.pixels_CHW, self.used)
        green = np.zeros(patch.valid_HW.shape, np.bool_) if index is None else index > light.threshold
        return Look(valid_HW=patch.valid_HW, green_HW=green, grey_HW=grey(patch.pixels_CHW, self.used, light.bright))

    def _write(self, cut: Cut, patch: Patch, label_HW: NDArray[np.uint8]) -> None:
        if not patch.valid_HW.any():
            self.empty += 1
            return
        if (label_HW == IGNORE).all():
            self.unjudged += 1
            return
        pixels = patch.pixels_CHW[: len(self.bands)]
        grid = self.mosaic.grid.subgrid(cut.window)
        write_raster(self.folder / IMAGES / f"{cut.name}.tif", pixels, grid)
        write_raster(self.folder / MASKS / f"{cut.name}.tif", label_HW[None], grid, nodata=IGNORE)
        self.every.add(pixels, patch.valid_HW)
        if cut.split == "train":
            self.train.add(pixels, patch.valid_HW)
        counts = np.bincount(label_HW.ravel(), minlength=256)
        shares = {c.key: counts[c.id] / label_HW.size for c in self.labeller.legend.classes}
        shares["ignore"] = counts[IGNORE] / label_HW.size
        self.chips.append(
            Chip(name=cut.name, split=cut.split, sheet=cut.sheet, row=cut.row, col=cut.col, shares=shares)
        )


def prepare_chips(
    mosaic: MosaicLike,
    labeller: Labeller,
    folder: Path,
    spec: ChipSpec,
    *,
    progress: Progress | None = None,
) -> Prepared:
    """Write chips into ``folder``, which is made (or empty: a scratch folder), and open them.

    Raises BandError where a band is missing, DatasetError where the split is impossible or no training chip holds
    a sealed pixel.
    """
    bands = _bands(mosaic, spec)
    used = tuple(dict.fromkeys([*bands, *(b for b in _COLOURS if b in mosaic.bands)]))
    cuts, assignment = plan_cuts(mosaic.sheets, labeller, spec)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(cuts))

    for name in (IMAGES, MASKS):
        (folder / name).mkdir(parents=True)
    tallies = Tally(len(bands), mosaic.dtype), Tally(len(bands), mosaic.dtype)
    cutter = _Cutter(
        mosaic=mosaic, labeller=labeller, folder=folder, spec=spec, bands=bands, used=used,
        train=tallies[0], every=tallies[1],
    )  # fmt: skip
    seen = lights(mosaic, used, spec.flights)
    for sheet in mosaic.sheets:
        cutter.cut_sheet(sheet, [c for c in cuts if c.sheet == sheet.name], seen[sheet.name], tick)
    _refuse_useless(cutter, assignment)
    write_index(folder, labeller.legend, sorted(cutter.chips, key=lambda c: c.name))
    facts = _facts(cutter, assignment)
    (folder / DATASET_FILE).write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    chips = ChipSet.open(folder)
    return Prepared(chips=chips, sheets=tuple(cutter.surveys), split=assignment, used=used, unknown=labeller.unknown)


def _bands(mosaic: MosaicLike, spec: ChipSpec) -> tuple[str, ...]:
    missing = [b for b in spec.bands if b not in mosaic.bands]
    if missing:
        raise BandError(
            f"band {', '.join(missing)} missing: the sheets have {', '.join(mosaic.bands)}",
            remedy="choose --bands from these",
        )
    return spec.bands or mosaic.bands


def _why_unjudged(cutter: _Cutter) -> str:
    """What to do about chips without labels."""
    newer = sum(i.area_m2 for s in cutter.surveys for i in s.ignored if i.kind == "newer")
    whole = sum(s.area_m2 for s in cutter.surveys)
    if newer > 0.5 * whole:
        return (
            f"{newer / whole:.0%} of the area is of objects that changed after the flight: if that is the date of an"
            ' extract, write newer_than_flight = "keep" in a rule table of your own'
        )
    return "check that labels and sheets overlap" + unknown_hint(cutter.labeller)


def _refuse_useless(cutter: _Cutter, assignment: Assignment) -> None:
    """DatasetError where a planned split is left without chips, or there is nothing sealed to learn from."""
    lost = set(assignment.splits) - {""} - {c.split for c in cutter.chips}
    if lost:
        raise DatasetError(
            f"no chip is left for '{min(lost)}': {cutter.empty} chips have no image data,"
            f" {cutter.unjudged} no judged pixel",
            remedy=_why_unjudged(cutter),
        )
    sealed = [c.key for c in cutter.labeller.legend.classes if c.sealed]
    train = [c for c in cutter.chips if c.split == "train"]
    if train and not any(c.shares[k] for c in train for k in sealed):
        raise DatasetError(
            f"none of the {len(train)} training chips holds a sealed pixel",
            remedy=_why_unjudged(cutter),
        )


def _facts(cutter: _Cutter, assignment: Assignment) -> dict[str, Any]:
    """dataset.json."""
    mosaic, labeller, spec = cutter.mosaic, cutter.labeller, cutter.spec
    tally = cutter.train if cutter.train.top else cutter.every
    scale = pixel_scale(cutter.every.top, mosaic.dtype)
    mean, std = tally.mean_std(scale)
    splits = {s: sum(c.split == s for c in cutter.chips) for s in SPLITS}
    return {
        "format": FORMAT,
        "legend": labeller.legend.to_json(),
        "bands": list(cutter.bands),
        "dtype": str(mosaic.dtype),
        "pixel_scale": scale,
        "gsd_m": mosaic.grid.gsd_m,
        "crs": mosaic.grid.crs.to_wkt(),
        "patch": spec.patch,
        "overlap": spec.overlap,
        "mean": mean,
        "std": std,
        "histogram": tally.histogram(scale),
        "statistics_of": "train" if tally is cutter.train else "all",
        "rules": labeller.rules,
        "unknown_classes": [asdict(u) for u in labeller.unknown],
        "vegetation_index": index_name(cutter.used),
        "vegetation_thresholds": {s.name: s.threshold for s in cutter.surveys},
        "flights": {name: day.isoformat() for name, day in sorted(spec.flights.items())},
        "sheets": {s.name: _survey_facts(s) for s in cutter.surveys},
        "split_mode": assignment.mode,
        "split_gap_px": assignment.gap_px,
        "split_sealed_share": dict(assignment.sealed_share),
        "seed": spec.split.seed,
        "counts": splits
        | {
            "dropped_in_gaps": assignment.dropped,
            "skipped_empty": cutter.empty,
            "skipped_unjudged": cutter.unjudged,
        },
    }


def _survey_facts(survey: SheetSurvey) -> dict[str, Any]:
    """Square metres of a sheet, to one decimal."""
    return {
        "area_m2": round(survey.area_m2, 1),
        "label_m2": {key: round(area, 1) for key, area in survey.label_m2.items()},
        "ignored_m2": [asdict(replace(i, area_m2=round(i.area_m2, 1))) for i in survey.ignored],
        "recovered_m2": round(survey.recovered_m2, 1),
        "disagreements": len(survey.candidates),
    }
