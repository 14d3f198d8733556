"""ChipSet: a folder of chips on disk, as training and evaluation read it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import DatasetError
from sealmap.core.grid import Grid
from sealmap.core.legend import Legend
from sealmap.dataset.split import SPLITS
from sealmap.files.raster import grid_of, open_raster, read_raster

FORMAT = 1
"""Version of the folder's layout; raised when old readers would misread it."""

DATASET_FILE, INDEX_FILE, IMAGES, MASKS = "dataset.json", "index.csv", "images", "masks"
HISTOGRAM_BINS = 64
EMPTY_SHARE = 0.2
"""At most this share of the training draws is from chips without a sealed pixel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chip:
    """One chip. row, col: first pixel within its sheet. shares: class key or 'ignore' → share, 0..1."""

    name: str
    split: str
    sheet: str
    row: int
    col: int
    shares: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChipSet:
    """Chips and what a model must know of them. Make it with ``prepare_chips`` or ``ChipSet.open``.

    pixel_scale: the pixel value that is 1.0. mean, std: per band, 0..1 scale; histogram: counts per band in
    64 bins of 0..1: all three of the valid pixels of the train chips (of all chips where none trains).
    """

    root: Path
    legend: Legend
    bands: tuple[str, ...]
    dtype: str
    gsd_m: float
    pixel_scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    histogram: tuple[tuple[int, ...], ...]
    patch: int
    overlap: int
    rules: str
    chips: tuple[Chip, ...]

    @staticmethod
    def open(folder: Path) -> ChipSet:
        """The chips of a folder; DatasetError where it is none, of another version, or files are missing."""
        facts = _facts(folder)
        try:
            found = _from_json(folder, facts)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise DatasetError(
                f"{folder} is a damaged chip folder ({type(error).__name__}: {error})",
                remedy="prepare it again",
            ) from error
        for chip in found.chips:
            for path in (found.image_path(chip), found.mask_path(chip)):
                if not path.exists():
                    raise DatasetError(f"{folder} lacks {path.relative_to(folder)}", remedy="prepare it again")
        return found

    def __len__(self) -> int:
        return len(self.chips)

    def select(self, split: str) -> ChipSet:
        """The chips of one split; DatasetError where there are none."""
        if split not in SPLITS:
            raise DatasetError(f"no split '{split}'", remedy=f"use one of: {', '.join(SPLITS)}")
        chips = tuple(c for c in self.chips if c.split == split)
        if not chips:
            have = ", ".join(f"{s} {n}" for s, n in self.split_counts().items())
            raise DatasetError(
                f"{self.root} has no chips for '{split}' (chips: {have})",
                remedy="prepare it with other sheets or split",
            )
        return replace(self, chips=chips)

    def split_counts(self) -> dict[str, int]:
        """Number of chips per split."""
        return {s: sum(c.split == s for c in self.chips) for s in SPLITS}

    def draw_odds(self) -> tuple[float, ...]:
        """How often each chip is drawn in training, relative to the others: those without a sealed pixel less often.

        They are not left out, since a model must see fields and woods; but most of a district is fields, and they
        would be most of the draws. They get EMPTY_SHARE of the draws at most.
        """
        sealed = [c.key for c in self.legend.classes if c.sealed]
        empty = [not any(chip.shares[key] for key in sealed) for chip in self.chips]
        many, few = sum(empty), len(empty) - sum(empty)
        odds = 1.0 if not few else min(1.0, EMPTY_SHARE / (1 - EMPTY_SHARE) * few / max(many, 1))
        return tuple(odds if is_empty else 1.0 for is_empty in empty)

    def read(self, index: int) -> tuple[NDArray[np.uint8] | NDArray[np.uint16], NDArray[np.uint8]]:
        """Pixels (band, row, column) as stored, and class ids (row, column) with IGNORE where not judged."""
        chip = self.chips[index]
        pixels, _ = read_raster(self.image_path(chip))
        labels, _ = read_raster(self.mask_path(chip))
        return pixels, labels[0]

    def grid(self, index: int) -> Grid:
        """Where a chip lies."""
        with open_raster(self.image_path(self.chips[index])) as dataset:
            return grid_of(dataset)

    def image_path(self, chip: Chip) -> Path:
        """File of a chip's pixels."""
        return self.root / IMAGES / f"{chip.name}.tif"

    def mask_path(self, chip: Chip) -> Path:
        """File of a chip's labels."""
        return self.root / MASKS / f"{chip.name}.tif"


def write_index(folder: Path, legend: Legend, chips: Iterable[Chip]) -> None:
    """Write index.csv: one line per chip, shares with 6 decimals."""
    keys = [*(c.key for c in legend.classes), "ignore"]
    with (folder / INDEX_FILE).open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["chip", "split", "sheet", "row", "col", *(f"share_{k}" for k in keys)])
        for c in chips:
            table.writerow([c.name, c.split, c.sheet, c.row, c.col, *(f"{c.shares[k]:.6f}" for k in keys)])


def read_index(folder: Path, legend: Legend) -> tuple[Chip, ...]:
    """The inverse of ``write_index``."""
    keys = [*(c.key for c in legend.classes), "ignore"]
    with (folder / INDEX_FILE).open(encoding="utf-8", newline="") as stream:
        return tuple(
            Chip(
                name=line["chip"],
                split=line["split"],
                sheet=line["sheet"],
                row=int(line["row"]),
                col=int(line["col"]),
                shares={k: float(line[f"share_{k}"]) for k in keys},
            )
            for line in csv.DictReader(stream)
        )


def _facts(folder: Path) -> dict[str, Any]:
    """What dataset.json says, its version checked."""
    path = folder / DATASET_FILE
    if not path.is_file():
        raise DatasetError(f"{folder} is no chip folder: it has no {DATASET_FILE}", remedy="make one with: prepare")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DatasetError(f"{path} cannot be read ({error})", remedy="prepare it again") from error
    version = facts.get("format") if isinstance(facts, dict) else None
    if version != FORMAT:
        raise DatasetError(
            f"{folder} is of chip format {version}, this version reads {FORMAT}", remedy="prepare it again"
        )
    checked: dict[str, Any] = facts
    return checked


def _from_json(folder: Path, facts: dict[str, Any]) -> ChipSet:
    legend = Legend.from_json(facts["legend"])
    return ChipSet(
        root=folder,
        legend=legend,
        bands=tuple(facts["bands"]),
        dtype=str(facts["dtype"]),
        gsd_m=float(facts["gsd_m"]),
        pixel_scale=float(facts["pixel_scale"]),
        mean=tuple(float(v) for v in facts["mean"]),
        std=tuple(float(v) for v in facts["std"]),
        histogram=tuple(tuple(int(v) for v in band) for band in facts["histogram"]),
        patch=int(facts["patch"]),
        overlap=int(facts["overlap"]),
        rules=str(facts["rules"]),
        chips=read_index(folder, legend),
    )
