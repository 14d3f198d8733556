"""Windows: truth and prediction of some ground side by side, each pixel counted once, on chips or whole sheets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sealmap.core.confusion import Confusion
from sealmap.core.errors import DatasetError
from sealmap.core.grid import Window as Area
from sealmap.core.legend import IGNORE, SEALED, Legend
from sealmap.evaluation.blocks import Block, chip_blocks, parted, sheet_blocks
from sealmap.evaluation.boundary import WIDTH_PX, BoundaryCounts, eroded
from sealmap.evaluation.objects import Objects, ObjectTally

SHEET_WINDOW_PX = 512
"""Most side of a window of a whole sheet."""

_STRIP_PX = 256
"""Rows in memory at a time where objects are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassCalls:
    """By class of the truth's own legend, additive.

    counts_K2[k]: (judged pixels of the class, those of them that are called sealed).
    """

    legend: Legend
    counts_K2: NDArray[np.int64]

    @staticmethod
    def zero(legend: Legend) -> ClassCalls:
        """No pixels yet."""
        return ClassCalls(legend=legend, counts_K2=np.zeros((len(legend), 2), np.int64))

    def __add__(self, other: ClassCalls) -> ClassCalls:
        if self.legend != other.legend:
            raise ValueError("calls of different legends do not add up")
        return ClassCalls(legend=self.legend, counts_K2=self.counts_K2 + other.counts_K2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The counts of one scored window. block: windows of one block are drawn together in a bootstrap."""

    name: str
    sheet: str
    block: str
    counts: Confusion
    boundary: BoundaryCounts
    calls: ClassCalls

    @property
    def wrong_sealed(self) -> int:
        """Pixels that are sealed in one of truth and prediction only."""
        _, fp, fn, _ = self.counts.binary(self.counts.legend.sealed_ids)
        return fp + fn


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What a window was scored on, while it is in memory. truth_HW, pred_HW: in the judge's legend, 255 unknown.

    counted_HW: True where the pixel counts for this window. probability_HW: of 'sealed', 0..1, where it is known.
    photo: makes the picture, uint8 (rows, columns, 3).
    """

    truth_HW: NDArray[np.uint8]
    pred_HW: NDArray[np.uint8]
    counted_HW: NDArray[np.bool_]
    probability_HW: NDArray[np.float32] | None
    photo: Callable[[], NDArray[np.uint8]]

    @property
    def judged_HW(self) -> NDArray[np.uint8]:
        """The truth with 255 wherever a pixel does not count here."""
        return np.where(self.counted_HW, self.truth_HW, IGNORE).astype(np.uint8)


Observer = Callable[[Window, Seen], None]
"""Is shown every window once, in order: keeps pictures, sums up probabilities."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judge:
    """Brings truth and prediction to what both can say: their legend where it is one, else sealed or not."""

    truth: Legend
    model: Legend

    @property
    def legend(self) -> Legend:
        """The legend of the scores."""
        return self.truth if self.truth == self.model else SEALED

    def common(self, class_HW: NDArray[np.uint8], legend: Legend) -> NDArray[np.uint8]:
        """Classes of one of the two legends in the legend of the scores."""
        if legend == self.legend:
            return class_HW
        found = legend.sealed_HW(class_HW).astype(np.uint8)
        found[class_HW == IGNORE] = IGNORE
        return found

    def calls(
        self, truth_HW: NDArray[np.uint8], pred_HW: NDArray[np.uint8], counted_HW: NDArray[np.bool_]
    ) -> ClassCalls:
        """How often each class of the truth is called sealed. truth_HW, pred_HW: each in its own legend."""
        judged = counted_HW & (truth_HW != IGNORE) & (pred_HW != IGNORE)
        k = len(self.truth)
        both = (judged, judged & self.model.sealed_HW(pred_HW))
        columns = [np.bincount(truth_HW[mask], minlength=k)[:k] for mask in both]
        return ClassCalls(legend=self.truth, counts_K2=np.stack(columns, axis=1).astype(np.int64))


class LabelledChip(Protocol):
    """A chip's place."""

    @property
    def name(self) -> str:
        """Name of the chip."""
        ...

    @property
    def sheet(self) -> str:
        """Sheet it was cut from."""
        ...

    @property
    def row(self) -> int:
        """First row within the sheet."""
        ...

    @property
    def col(self) -> int:
        """First column within the sheet."""
        ...


class Chips(Protocol):
    """Labelled chips to be scored on."""

    @property
    def chips(self) -> Sequence[LabelledChip]:
        """Their places."""
        ...

    @property
    def patch(self) -> int:
        """Side of a chip in pixels."""
        ...

    @property
    def gsd_m(self) -> float:
        """Side of a pixel."""
        ...

    @property
    def pixel_scale(self) -> float:
        """The pixel value that is full brightness."""
        ...

    def __len__(self) -> int: ...
    def read(self, index: int, /) -> tuple[NDArray[Any], NDArray[np.uint8]]:
        """(pixels_CHW as stored, label_HW with IGNORE where not judged)."""
        ...


class Ground(Protocol):
    """Whole sheets, mapped as a user would map them, and the truth of them, on one grid."""

    @property
    def area(self) -> Area:
        """The window of all pixels."""
        ...

    @property
    def gsd_m(self) -> float:
        """Side of a pixel."""
        ...

    @property
    def sheets(self) -> Sequence[tuple[str, Area]]:
        """Name and place of each sheet; where sheets overlap, the first one has the pixel."""
        ...

    def read(self, window: Area, /) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
        """(truth_HW, pred_HW, probability_HW of sealed) of a window, which may reach beyond the grid: 255 there."""
        ...

    def photo(self, window: Area, /) -> NDArray[np.uint8]:
        """The picture of a window inside the grid, (rows, columns, 3)."""
        ...


Say = Callable[[NDArray[Any]], tuple[NDArray[np.uint8], NDArray[np.float32]]]
"""Pixels as stored (C, H, W) → class ids and probability of sealed (H, W)."""


def score_chips(
    chips: Chips,
    say: Say,
    judge: Judge,
    *,
    observers: Sequence[Observer] = (),
    report: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Window]:
    """Score every chip; where chips of a sheet overlap, a pixel counts once, for the chip that comes first.

    Contours are judged WIDTH_PX inside a chip's edge, since what lies beyond it is not known.
    """
    whole: dict[str, list[tuple[int, int, int, int]]] = {}
    inner: dict[str, list[tuple[int, int, int, int]]] = {}
    windows = []
    blocks = chip_blocks([(c.sheet, c.row, c.col) for c in chips.chips], chips.patch, chips.gsd_m)
    for i in range(len(chips)):
        chip, (pixels, label) = chips.chips[i], chips.read(i)
        pred, probability = say(pixels)
        fresh = _not_counted(whole.setdefault(chip.sheet, []), chip.row, chip.col, label.shape)
        contour = np.zeros(label.shape, np.bool_)
        inside = contour[WIDTH_PX:-WIDTH_PX, WIDTH_PX:-WIDTH_PX]
        if inside.size:
            place = chip.row + WIDTH_PX, chip.col + WIDTH_PX
            inside[:] = _not_counted(inner.setdefault(chip.sheet, []), *place, inside.shape)
        truth, said = judge.common(label, judge.truth), judge.common(pred, judge.model)
        window = Window(
            name=chip.name,
            sheet=chip.sheet,
            block=blocks[i],
            counts=Confusion.of(judge.legend, np.where(fresh, truth, IGNORE).astype(np.uint8), said),
            boundary=BoundaryCounts.of(judge.legend, truth, said, contour),
            calls=judge.calls(label, pred, fresh),
        )
        seen = Seen(
            truth_HW=truth, pred_HW=said, counted_HW=fresh, probability_HW=probability,
            photo=partial(as_photo, pixels, chips.pixel_scale),
        )  # fmt: skip
        windows.append(_shown(window, seen, observers))
        report(i + 1, len(chips))
    return _some(windows, "choose another --split or check the rules")


def score_sheets(
    ground: Ground,
    judge: Judge,
    *,
    observers: Sequence[Observer] = (),
    report: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Window]:
    """Score whole sheets in windows of SHEET_WINDOW_PX, each read with a margin, so that no contour is lost."""
    windows: list[Window] = []
    places = [(block, area) for block in sheet_blocks(ground.sheets, ground.gsd_m) for area in _areas(block)]
    for done, (block, area) in enumerate(places, 1):
        sheet, whole = ground.sheets[block.sheet]
        before = [a for _, a in ground.sheets[: block.sheet] if a.intersect(area)]
        wide = area.expand(WIDTH_PX)
        label, pred, probability = ground.read(wide)
        counted = np.zeros(label.shape, np.bool_)
        keep = (slice(WIDTH_PX, -WIDTH_PX),) * 2
        taken = [(a.row, a.col, a.height, a.width) for a in before]
        counted[keep] = _not_counted(taken, area.row, area.col, (area.height, area.width))
        truth, said = judge.common(label, judge.truth), judge.common(pred, judge.model)
        window = Window(
            name=f"{sheet} {area.row - whole.row}/{area.col - whole.col}",
            sheet=sheet,
            block=block.name,
            counts=Confusion.of(judge.legend, np.where(counted, truth, IGNORE).astype(np.uint8), said),
            boundary=BoundaryCounts.of(judge.legend, truth, said, counted & _inner(ground.area, wide)),
            calls=judge.calls(label, pred, counted),
        )
        seen = Seen(
            truth_HW=truth[keep], pred_HW=said[keep], counted_HW=counted[keep], probability_HW=probability[keep],
            photo=partial(ground.photo, area),
        )  # fmt: skip
        windows.append(_shown(window, seen, observers))
        report(done, len(places))
    return _some(windows, "check that --truth covers the sheets")


def _shown(window: Window, seen: Seen, observers: Iterable[Observer]) -> Window:
    for observe in observers:
        observe(window, seen)
    return window


def _some(windows: list[Window], remedy: str) -> list[Window]:
    if not any(w.counts.pixels for w in windows):
        raise DatasetError("no pixel of this ground has a label", remedy=remedy)
    return windows


def _areas(block: Block) -> list[Area]:
    """The windows of a block, of nearly one size."""
    rows, cols = (-(-side // SHEET_WINDOW_PX) for side in (block.place.height, block.place.width))
    return [area for _, _, area in parted(block.place, rows, cols)]


def _inner(ground: Area, window: Area) -> NDArray[np.bool_]:
    """True in a window where a contour is one, and not the edge of all ground."""
    here = np.zeros((window.height, window.width), np.bool_)
    inside = window.intersect(ground)
    if inside is not None:
        here[inside.within(window)] = True
    return eroded(here, WIDTH_PX)


def _not_counted(
    seen: list[tuple[int, int, int, int]], row: int, col: int, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """True where nothing of ``seen`` counted yet. seen: (row, col, height, width); this one joins."""
    fresh = np.ones(shape, np.bool_)
    height, width = shape
    for r, c, h, w in seen:
        top, left = max(0, r - row), max(0, c - col)
        fresh[top : max(top, r + h - row), left : max(left, c + w - col)] = False
    seen.append((row, col, height, width))
    return fresh


class ChipObjects:
    """An observer that counts the objects of each window by itself: what its edge cuts has no known size."""

    def __init__(self, legend: Legend, pixel_area_m2: float) -> None:
        self._legend = legend
        self._pixel_area_m2 = pixel_area_m2
        self.found = ObjectTally(legend, pixel_area_m2).close()

    def __call__(self, _window: Window, seen: Seen) -> None:
        """Count a window's objects."""
        tally = ObjectTally(self._legend, self._pixel_area_m2)
        tally.add(seen.judged_HW, seen.pred_HW, ~eroded(seen.counted_HW, 1))
        self.found += tally.close()


def sheet_objects(ground: Ground, judge: Judge, pixel_area_m2: float) -> Objects:
    """Objects of whole sheets, those across sheets and windows too; only the outer edge of all sheets cuts."""
    area, tally = ground.area, ObjectTally(judge.legend, pixel_area_m2)
    for row in range(area.row, area.stop_row, _STRIP_PX):
        height = min(_STRIP_PX, area.stop_row - row)
        label, pred, _ = ground.read(Area(row=row, col=area.col, height=height, width=area.width))
        cut = np.zeros(label.shape, np.bool_)
        cut[:, [0, -1]] = True
        cut[0] |= row == area.row
        tally.add(judge.common(label, judge.truth), judge.common(pred, judge.model), cut)
    return tally.close()


def as_photo(pixels_CHW: NDArray[Any], pixel_scale: float) -> NDArray[np.uint8]:
    """The first three bands as a picture of 8 bits, (rows, columns, 3)."""
    found: NDArray[np.uint8] = np.clip(pixels_CHW[:3] * (255 / pixel_scale), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return found
