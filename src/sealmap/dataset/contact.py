"""The contact sheet: some chips beside their labels, to see at a glance what a model will learn from."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.core.legend import IGNORE, Legend
from sealmap.dataset.chipset import Chip, ChipSet
from sealmap.dataset.split import SPLITS

_CHIPS, _PER_ROW, _SIDE, _TITLE, _PAD = 24, 4, 160, 34, 8
_OPACITY = 0.5
_IGNORE_COLOR = (40, 40, 40)
_INK, _PAPER = (20, 20, 20), 250
_LETTERS = 48
"""Letters that fit above a chip and its overlay."""


def contact_sheet(chips: ChipSet) -> NDArray[np.uint8]:
    """A picture (row, column, RGB) of about 24 chips of all splits, each beside itself under its labels."""
    shown = _spread(chips)
    columns = min(_PER_ROW, len(shown))
    rows = -(-len(shown) // columns)
    cell_w, cell_h = 2 * _SIDE + _PAD, _SIDE + _TITLE + _PAD
    sheet = np.full((rows * cell_h + _TITLE, columns * cell_w + _PAD, 3), _PAPER, np.uint8)
    _draw_legend(sheet, chips.legend)
    for n, i in enumerate(shown):
        x, y = _PAD + (n % columns) * cell_w, _TITLE + (n // columns) * cell_h
        pixels, labels = chips.read(i)
        rgb = rgb_of(pixels, chips)
        for line, text in enumerate(_title(chips.chips[i])):
            _write(sheet, text, x, y + 12 + 14 * line)
        for offset, picture in ((0, rgb), (_SIDE, overlay(rgb, labels, chips.legend))):
            small = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
            sheet[y + _TITLE : y + _TITLE + _SIDE, x + offset : x + offset + _SIDE] = small
    return sheet


def overlay(rgb_HWC: NDArray[np.uint8], label_HW: NDArray[np.uint8], legend: Legend) -> NDArray[np.uint8]:
    """An image tinted in the colours of its labels; background stays as it is, ignored pixels go dark."""
    tint = rgb_HWC.copy()
    for c in legend.classes[1:]:
        tint[label_HW == c.id] = c.color
    tint[label_HW == IGNORE] = _IGNORE_COLOR
    mixed: NDArray[np.uint8] = (rgb_HWC * (1 - _OPACITY) + tint * _OPACITY).astype(np.uint8)
    return mixed


def rgb_of(pixels_CHW: NDArray[np.uint8] | NDArray[np.uint16], chips: ChipSet) -> NDArray[np.uint8]:
    """Red, green, blue where there are such bands, else the first three (a single band thrice)."""
    colours = ("red", "green", "blue")
    last = len(chips.bands) - 1
    known = set(colours) <= set(chips.bands)
    order = [chips.bands.index(c) for c in colours] if known else [min(i, last) for i in range(3)]
    scaled = np.clip(pixels_CHW[order] / chips.pixel_scale, 0.0, 1.0) * 255
    return np.ascontiguousarray(scaled.transpose(1, 2, 0).astype(np.uint8))


def _spread(chips: ChipSet) -> list[int]:
    """Indices of chips to show: the splits share the places, within a split they are evenly spread."""
    members = [m for s in SPLITS if (m := [i for i, c in enumerate(chips.chips) if c.split == s])]
    places = _CHIPS
    picks: dict[int, list[int]] = {}
    # The smallest split first: what it leaves over goes to the larger ones.
    for done, k in enumerate(sorted(range(len(members)), key=lambda k: len(members[k]))):
        count = min(len(members[k]), places // (len(members) - done))
        places -= count
        at = np.linspace(0, len(members[k]) - 1, count).round().astype(int)
        picks[k] = [members[k][j] for j in at]
    return [i for k in range(len(members)) for i in picks[k]]


def _title(chip: Chip) -> tuple[str, str]:
    shares = [f"{k} {v:.0%}" for k, v in chip.shares.items() if k != "background" and v]
    name = f"{chip.split}: {chip.name}"
    if len(name) > _LETTERS:  # the end of a name tells chips apart
        name = f"{chip.split}: ..{chip.name[len(name) - _LETTERS + 2 :]}"
    return name, ", ".join(shares) or "background only"


def _draw_legend(sheet: NDArray[np.uint8], legend: Legend) -> None:
    x = _PAD
    for label, color in [*((c.label_en, c.color) for c in legend.classes[1:]), ("Ignored", _IGNORE_COLOR)]:
        sheet[_PAD : _PAD + 14, x : x + 14] = color
        _write(sheet, label, x + 20, _PAD + 12)
        x += 40 + 9 * len(label)


def _write(sheet: NDArray[np.uint8], text: str, x: int, y: int) -> None:
    """Put text with its foot at ``y``; the font knows ASCII only."""
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(sheet, plain, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.38, _INK, 1, cv2.LINE_AA)
