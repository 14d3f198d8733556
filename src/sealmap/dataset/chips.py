"""Cut chips from sheets with their labels: images, masks, an index and what a model must know of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import BandError, DatasetError
from sealmap.core.grid import Window
from sealmap.core.legend import IGNORE
from sealmap.core.patch import Patch
from sealmap.dataset.burn import Labelling, overruled, vegetation_index, vegetation_threshold
from sealmap.dataset.chipset import DATASET_FILE, FORMAT, IMAGES, MASKS, Chip, ChipSet, write_index
from sealmap.dataset.contact import contact_sheet
from sealmap.dataset.labellers import Labeller
from sealmap.dataset.split import SPLITS, Assignment, Placed, SplitSpec, assign_splits
from sealmap.dataset.strips import MosaicLike, SheetLike, SheetReader
from sealmap.dataset.tally import Tally, pixel_scale
from sealmap.files.atomic import refuse_existing, staged_folder
from sealmap.files.raster import write_raster

_SAMPLE_STEP = 4
"""Every 4th pixel each way is a sample for the vegetation threshold: a million and more per sheet."""

_COLOURS = ("red", "green", "blue", "nir")

Progress = Callable[[int, int], None]
"""Called with (chips done, chips in all)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChipSpec:
    """How to cut. patch: side of a chip, overlap: of neighbours, both in pixels. bands: empty takes all."""

    patch: int = 512
    overlap: int = 128
    split: SplitSpec = field(default_factory=SplitSpec)
    bands: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.patch < 32 or not 0 <= self.overlap < self.patch:
            raise DatasetError(
                f"chips of {self.patch} px with {self.overlap} px overlap cannot be cut",
                remedy="use a patch of at least 32 and an overlap below it",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cut:
    """A chip to be cut: row, col within its sheet; window on the mosaic (may reach beyond the sheet)."""

    sheet: str
    row: int
    col: int
    window: Window
    split: str = ""

    @property
    def name(self) -> str:
        """File stem of the chip."""
        return f"{self.sheet}_r{self.row:05d}_c{self.col:05d}"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pending:
    """A chip that waits for its sheet's vegetation threshold. index_V: of the pixels the veto is about."""

    cut: _Cut
    labelling: Labelling
    index_V: NDArray[np.float32]


@dataclass(kw_only=True, slots=True)
class _Cutter:
    """Cuts sheet by sheet into a scratch folder and gathers what goes into dataset.json.

    train: brightness of train chips, every: of all. empty: chips without data; unjudged: all their pixels
    IGNORE.
    """

    mosaic: MosaicLike
    labeller: Labeller
    folder: Path
    bands: tuple[str, ...]
    train: Tally
    every: Tally
    chips: list[Chip] = field(default_factory=list)
    thresholds: dict[str, float] = field(default_factory=dict)
    empty: int = 0
    unjudged: int = 0
    vetoed_pixels: int = 0

    def cut_sheet(self, sheet: SheetLike, cuts: list[_Cut], tick: Callable[[], None]) -> None:
        """Write the chips of one sheet: images from top to bottom, masks once the threshold is known."""
        # The veto looks at near infrared even where the model will not.
        used = tuple(dict.fromkeys([*self.bands, *(b for b in _COLOURS if b in self.mosaic.bands)]))
        reader = SheetReader(self.mosaic, sheet.window, used)
        pending, samples = [], [np.zeros(0, np.float32)]
        for cut in cuts:  # from top to bottom
            patch = reader.read(cut.window)
            tick()
            if not patch.valid_HW.any():
                self.empty += 1
                continue
            index = vegetation_index(patch.pixels_CHW, used)
            if index is None:
                index = np.full(patch.valid_HW.shape, -1, np.float32)
            step = slice(None, None, _SAMPLE_STEP)
            samples.append(index[step, step][patch.valid_HW[step, step]])
            labelling = self._label(cut, patch)
            if (labelling.label_HW == IGNORE).all() and not labelling.veto_HW.any():
                self.unjudged += 1
                continue
            pending.append(_Pending(cut=cut, labelling=labelling, index_V=index[labelling.veto_HW]))
            self._write_image(cut, patch)
        self.thresholds[sheet.name] = round(vegetation_threshold(np.concatenate(samples), used), 4)
        for chip in pending:
            self._write_mask(chip, self.thresholds[sheet.name])

    def _label(self, cut: _Cut, patch: Patch) -> Labelling:
        """Labels of a chip, IGNORE where the orthophoto has no data."""
        found = self.labeller.label(cut.window)
        label = np.where(patch.valid_HW, found.label_HW, np.uint8(IGNORE))
        return Labelling(label_HW=label, veto_HW=found.veto_HW & patch.valid_HW)

    def _write_image(self, cut: _Cut, patch: Patch) -> None:
        pixels = patch.pixels_CHW[: len(self.bands)]
        path = self.folder / IMAGES / f"{cut.name}.tif"
        write_raster(path, pixels, self.mosaic.grid.subgrid(cut.window))
        self.every.add(pixels, patch.valid_HW)
        if cut.split == "train":
            self.train.add(pixels, patch.valid_HW)

    def _write_mask(self, pending: _Pending, threshold: float) -> None:
        cut, label = pending.cut, pending.labelling.label_HW
        green = pending.index_V > threshold
        label[pending.labelling.veto_HW] = overruled(label[pending.labelling.veto_HW], green)
        self.vetoed_pixels += int(green.sum())
        grid = self.mosaic.grid.subgrid(cut.window)
        write_raster(self.folder / MASKS / f"{cut.name}.tif", label[None], grid, nodata=IGNORE)
        counts = np.bincount(label.ravel(), minlength=256)
        shares = {c.key: counts[c.id] / label.size for c in self.labeller.legend.classes}
        shares["ignore"] = counts[IGNORE] / label.size
        self.chips.append(
            Chip(name=cut.name, split=cut.split, sheet=cut.sheet, row=cut.row, col=cut.col, shares=shares)
        )


def prepare_chips(
    mosaic: MosaicLike,
    labeller: Labeller,
    out: Path,
    spec: ChipSpec,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ChipSet:
    """Write a chip folder, whole or not at all, and open it.

    Raises OutputError where ``out`` is there already, BandError where a band is missing, DatasetError where
    the split is impossible or no training chip holds a sealed pixel.
    """
    refuse_existing(out, overwrite=overwrite)
    bands = _bands(mosaic, spec)
    cuts, assignment = _plan_cuts(mosaic, spec)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, len(cuts))

    with staged_folder(out, overwrite=overwrite) as folder:
        (folder / IMAGES).mkdir()
        (folder / MASKS).mkdir()
        tallies = Tally(len(bands), mosaic.dtype), Tally(len(bands), mosaic.dtype)
        cutter = _Cutter(
            mosaic=mosaic, labeller=labeller, folder=folder, bands=bands, train=tallies[0], every=tallies[1]
        )
        for sheet in mosaic.sheets:
            cutter.cut_sheet(sheet, [c for c in cuts if c.sheet == sheet.name], tick)
        _refuse_useless(cutter, assignment)
        chips = sorted(cutter.chips, key=lambda c: c.name)
        write_index(folder, labeller.legend, chips)
        facts = _facts(cutter, spec, assignment)
        (folder / DATASET_FILE).write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
        _write_picture(folder / "contact_sheet.png", contact_sheet(ChipSet.open(folder)))
    return ChipSet.open(out)


def chip_starts(length: int, patch: int, overlap: int) -> list[int]:
    """First pixels of chips along a side; the last is moved inward to fit. [0] where the side is shorter."""
    if length <= patch:
        return [0]
    return [*range(0, length - patch, patch - overlap), length - patch]


def _write_picture(path: Path, picture_HWC: NDArray[np.uint8]) -> None:
    ok, data = cv2.imencode(".png", picture_HWC[..., ::-1])
    assert ok
    path.write_bytes(data.tobytes())


def _bands(mosaic: MosaicLike, spec: ChipSpec) -> tuple[str, ...]:
    missing = [b for b in spec.bands if b not in mosaic.bands]
    if missing:
        raise BandError(
            f"band {', '.join(missing)} missing: the sheets have {', '.join(mosaic.bands)}",
            remedy="choose --bands from these",
        )
    return spec.bands or mosaic.bands


def _plan_cuts(mosaic: MosaicLike, spec: ChipSpec) -> tuple[list[_Cut], Assignment]:
    """Chips to cut, sheet by sheet from top to bottom, with their splits; dropped ones are left out."""
    names = [s.name for s in mosaic.sheets]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DatasetError(f"two sheets are named '{twice[0]}'", remedy="rename one: chips are named after sheets")
    cuts, placed = [], []
    for sheet in mosaic.sheets:
        whole = sheet.window
        for row in chip_starts(whole.height, spec.patch, spec.overlap):
            for col in chip_starts(whole.width, spec.patch, spec.overlap):
                window = Window(row=whole.row + row, col=whole.col + col, height=spec.patch, width=spec.patch)
                inside = window.intersect(whole)
                assert inside is not None
                cuts.append(_Cut(sheet=sheet.name, row=row, col=col, window=window))
                placed.append(Placed(sheet=sheet.name, window=inside))
    assignment = assign_splits(placed, spec.split)
    pairs = zip(cuts, assignment.splits, strict=True)
    return [replace(c, split=split) for c, split in pairs if split], assignment


def _refuse_useless(cutter: _Cutter, assignment: Assignment) -> None:
    """DatasetError where a planned split is left without chips, or there is nothing sealed to learn from."""
    lost = set(assignment.splits) - {""} - {c.split for c in cutter.chips}
    if lost:
        raise DatasetError(
            f"no chip is left for '{min(lost)}': {cutter.empty} chips have no image data,"
            f" {cutter.unjudged} no judged pixel",
            remedy="check that labels and sheets overlap" + _unknown_hint(cutter.labeller),
        )
    sealed = [c.key for c in cutter.labeller.legend.classes if c.sealed]
    train = [c for c in cutter.chips if c.split == "train"]
    if train and not any(c.shares[k] for c in train for k in sealed):
        raise DatasetError(
            f"none of the {len(train)} training chips holds a sealed pixel",
            remedy="check that labels and sheets overlap" + _unknown_hint(cutter.labeller),
        )


def _unknown_hint(labeller: Labeller) -> str:
    if not labeller.unknown:
        return ""
    names = [f"{u.klass or '(no class)'} ×{u.shapes}" for u in labeller.unknown[:5]]
    return f"; the rules '{labeller.rules}' do not know: {', '.join(names)}"


def _facts(cutter: _Cutter, spec: ChipSpec, assignment: Assignment) -> dict[str, Any]:
    """dataset.json."""
    mosaic, labeller = cutter.mosaic, cutter.labeller
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
        "vegetation_thresholds": cutter.thresholds,
        "split_mode": assignment.mode,
        "split_gap_px": assignment.gap_px,
        "seed": spec.split.seed,
        "counts": splits
        | {
            "dropped_in_gaps": assignment.dropped,
            "skipped_empty": cutter.empty,
            "skipped_unjudged": cutter.unjudged,
            "vetoed_pixels": cutter.vetoed_pixels,
        },
    }
