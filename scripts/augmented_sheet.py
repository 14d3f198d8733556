"""Draw what a recipe shows the network: chips of the town as they are, and as training draws them.

    python scripts/augmented_sheet.py sheet.png                                   # unet_lite0
    python scripts/augmented_sheet.py sheet.png --set domain=1 --chips 5 --draws 7

One row per chip (another season, sun and camera each); the first column is the chip as stored. Outlines: red roof,
yellow paved; what is ignored is hatched. To be looked at whenever augment.py or domain.py changes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sealmap.cli.common import pairs
from sealmap.core.legend import IGNORE, ROOF_PAVED, Legend
from sealmap.files.atomic import staged
from sealmap.testing.model import SEASONS
from sealmap.testing.town import TownSpec, plan_town, render_window
from sealmap.training.batches import SampleStream, Source
from sealmap.training.recipes import Recipe, recipe_named

COLOURS = {1: (230, 40, 40), 2: (250, 210, 40)}
GAP = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class OneChip:
    """A single chip in memory: pixels (3, rows, columns), label (rows, columns)."""

    pixels: NDArray[np.uint8]
    label: NDArray[np.uint8]
    gsd_m: float = 0.2
    bands: tuple[str, ...] = ("red", "green", "blue")
    legend: Legend = ROOF_PAVED
    pixel_scale: float = 255.0

    def __len__(self) -> int:
        return 1

    def read(self, _index: int, /) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return self.pixels, self.label


def town_chip(seed: int, side: int) -> OneChip:
    spec = TownSpec(
        seed=seed,
        width_m=256,
        height_m=256,
        sheet_m=256,
        rgbi=False,
        season=SEASONS[seed % len(SEASONS)],
        sun_azimuth_deg=120 + 30 * (seed % 4),
        sun_elevation_deg=25 + 8 * (seed % 4),
    )
    west, south = spec.origin[0] + 60, spec.origin[1] + 60
    size = side * spec.gsd_m
    seen = render_window(plan_town(spec), spec, (west, south, west + size, south + size))
    return OneChip(pixels=seen.pixels[:3], label=seen.truth)


def outlined(image_HWC: NDArray[np.uint8], label_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    out = np.ascontiguousarray(image_HWC)
    for value, colour in COLOURS.items():
        lines, _ = cv2.findContours((label_HW == value).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, lines, -1, colour, 1)
    rows, cols = np.indices(label_HW.shape)
    out[(label_HW == IGNORE) & ((rows + cols) % 8 == 0)] = 255
    return out


def row_of(chip: OneChip, recipe: Recipe, numbers: range, *, outlines: bool) -> NDArray[np.uint8]:
    side = recipe.patch
    cells = [(chip.pixels.transpose(1, 2, 0)[:side, :side], chip.label[:side, :side])]
    stream = SampleStream([Source(chips=chip)], recipe, recipe.gsd_m or chip.gsd_m)
    for number in numbers:
        x, label = stream[number]
        image = np.round(x.numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
        cells.append((image, label.numpy().astype(np.uint8)))
    drawn = [outlined(*cell) if outlines else cell[0] for cell in cells]
    return np.concatenate([np.pad(c, ((0, GAP), (0, GAP), (0, 0))) for c in drawn], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipe", default="unet_lite0")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--chips", type=int, default=4)
    parser.add_argument("--draws", type=int, default=6)
    parser.add_argument("--outlines", action="store_true", help="draw the labels")
    parser.add_argument("--overwrite", action="store_true")
    given = parser.parse_args()
    recipe = recipe_named(given.recipe, pairs(given.settings, "--set"))
    chips = [town_chip(seed, round(recipe.patch * 1.5)) for seed in range(1, given.chips + 1)]
    numbers = [range(i * given.draws, (i + 1) * given.draws) for i in range(given.chips)]
    rows = [row_of(chip, recipe, n, outlines=given.outlines) for chip, n in zip(chips, numbers, strict=True)]
    with staged(given.out, overwrite=given.overwrite) as scratch:
        Image.fromarray(np.concatenate(rows, axis=0)).save(scratch)
    print(given.out)


if __name__ == "__main__":
    main()
