"""The guard: a list of small checks over facts that were gathered while a map was made, and what follows from them.

A finding is 'ok', a warning or a refusal, with the figures, the likely cause and the remedy. A refusal of the flight
as a whole, or of more than a few of its sheets, means that no map is handed over.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import GuardError
from sealmap.core.finding import Finding, gravest_first, named, worst
from sealmap.core.patch import Patch
from sealmap.core.tiling import Tile, Tiling
from sealmap.model.card import ModelCard
from sealmap.prediction.checks_output import ENOUGH as ENOUGH_OUTPUT
from sealmap.prediction.checks_output import OUTPUT_CHECKS, activation, constant, values
from sealmap.prediction.checks_pixels import ENOUGH as ENOUGH_PIXELS
from sealmap.prediction.checks_pixels import PIXEL_CHECKS, brightness, missing, scale
from sealmap.prediction.facts import STEP, OutputFacts, PixelFacts, Served
from sealmap.prediction.mosaic import MapWriter
from sealmap.prediction.watch import Facts, Placed, Watch

_FEW_PIXELS = 500
"""Taken pixels, from which on their scale can be told."""

_FEW_SHEETS = 0.02
"""Where no larger share of the sheets is refused, the flight is warned of them, not refused: one bad sheet of a
thousand is to be named and left out."""

CROPS = 4
"""Pieces of windows that are kept to ask the network about the order of bands."""

_CROP_PX, _STRIDE = 192, 32
"""Their side at the model's ground sampling distance, and the least side."""

_EARLY = 16
"""Windows after which the first look is taken: a lake is one answer everywhere, and so may be a few windows."""

_SHEET_PIXELS = tuple(c for c in PIXEL_CHECKS if c not in (missing, brightness))
"""Checks of single sheets. Brightness is not among them: one sheet of forest or water is another flight to it."""

_SHEET_OUTPUT = (values, constant)

_DEADLY = (values, activation, constant)
"""Checks that need no more than some windows, so that a long run ends at its beginning."""


def judge_pixels(facts: PixelFacts, card: ModelCard) -> list[Finding]:
    """All checks of pixels; of few, only of their scale and of how much is missing."""
    few = (scale, missing) if facts.counted >= _FEW_PIXELS else (missing,)
    return [check(facts, card) for check in (PIXEL_CHECKS if facts.counted >= ENOUGH_PIXELS else few)]


def judge_output(facts: OutputFacts, card: ModelCard) -> list[Finding]:
    """All checks of probabilities; of few pixels, only whether they are probabilities."""
    return [check(facts, card) for check in OUTPUT_CHECKS] if facts.pixels >= ENOUGH_OUTPUT else [values(facts, card)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What is mapped: how it is cut, its ground sampling distance in metres, and the sheets that it is made of."""

    tiling: Tiling
    gsd_m: float
    sheets: Sequence[Placed] = ()


class Guard:
    """Watches windows go by, and judges the flight and its sheets.

    before: findings that were there already, such as those of the sheets' names. unmatched: facts of the pixels
    before they were matched, where they were; ``see`` is then given matched ones, which say nothing of the flight.
    force: do not stop early.
    """

    def __init__(
        self,
        card: ModelCard,
        ground: Ground,
        *,
        before: Sequence[Finding] = (),
        unmatched: PixelFacts | None = None,
        force: bool = False,
    ) -> None:
        served = Served.by(card, ground.gsd_m)
        self._card = card
        self._before = list(before)
        self._unmatched = unmatched
        self._sheets = len(ground.sheets)
        self._of_sheets: list[Finding] = []
        self._watch = Watch(served, len(card.bands), ground.tiling, ground.sheets, self._judge_sheet)
        self._force = force
        self._side = max(_STRIDE, round(_CROP_PX * card.gsd_m / ground.gsd_m))
        self._crops: list[tuple[float, NDArray[Any]]] = []
        self._seen, self._next = 0, _EARLY

    def see(self, tile: Tile, patch: Patch, probs_KHW: NDArray[np.float32], scale: float) -> None:
        """A window as it was read, and its probabilities. scale: the pixel value that means 1.0."""
        self._watch.see(tile, patch, probs_KHW, scale)
        self._keep(tile, patch, probs_KHW)
        self._seen += 1

    @property
    def crops(self) -> list[NDArray[Any]]:
        """Pieces of some windows, bands as the model's, at the sheets' resolution; the most mixed ground first."""
        return [crop for _, crop in self._crops]

    def _keep(self, tile: Tile, patch: Patch, probs_KHW: NDArray[np.float32]) -> None:
        """The middle of the windows that show most of both sealed and open ground."""
        rows, cols = tile.keep_in_read
        height, width = rows.stop - rows.start, cols.stop - cols.start
        if min(height, width) < self._side:
            return
        top, left = rows.start + (height - self._side) // 2, cols.start + (width - self._side) // 2
        part = (slice(top, top + self._side), slice(left, left + self._side))
        few = (slice(top, top + self._side, STEP), slice(left, left + self._side, STEP))
        if not patch.valid_HW[part].all():
            return
        share = float(probs_KHW[(list(self._card.legend.sealed_ids), *few)].sum(axis=0).mean())
        mixed = min(share, 1 - share)
        if len(self._crops) < CROPS or mixed > self._crops[-1][0]:
            self._crops = sorted([*self._crops, (mixed, patch.pixels_CHW[:, *part].copy())], key=lambda c: -c[0])[
                :CROPS
            ]

    def stop_early(self) -> None:
        """GuardError for what no further window can mend; looked for after 16, 32, 64 … windows."""
        if self._force or self._seen < self._next:
            return
        self._next *= 2
        facts = self._watch.flight.output
        if facts.pixels >= ENOUGH_OUTPUT:
            refuse([check(facts, self._card) for check in _DEADLY], force=False)

    def findings(self) -> list[Finding]:
        """All checks of the flight, then what sheets gave cause for, gravest first within each check."""
        self._watch.close()
        facts = self._watch.flight
        pixels = facts.pixels if self._unmatched is None else self._unmatched
        whole = [*self._before, *judge_pixels(pixels, self._card), *judge_output(facts.output, self._card)]
        return [*whole, *self._summed_up(whole)]

    def _judge_sheet(self, facts: Facts) -> None:
        found: list[Finding] = []
        if self._unmatched is None and facts.pixels.counted >= ENOUGH_PIXELS:
            found += [check(facts.pixels, self._card) for check in _SHEET_PIXELS]
        if facts.output.pixels >= ENOUGH_OUTPUT:
            found += [check(facts.output, self._card) for check in _SHEET_OUTPUT]
        self._of_sheets += [replace(f, where=facts.where) for f in found if f.verdict != "ok"]

    def _summed_up(self, whole: Sequence[Finding]) -> list[Finding]:
        """One finding for each check that sheets failed, where the flight as a whole is not refused by it."""
        refused_whole = {f.check for f in whole if f.verdict == "refusal"}
        found = []
        for check in dict.fromkeys(f.check for f in self._of_sheets if f.check not in refused_whole):
            mine = gravest_first(f for f in self._of_sheets if f.check == check)
            refused = sum(f.verdict == "refusal" for f in mine)
            grave = refused > _FEW_SHEETS * self._sheets
            found.append(
                replace(
                    mine[0], verdict="refusal" if grave else "warning", where=named(mine),
                    figures={**mine[0].figures, "sheets": f"{len(mine)} of {self._sheets}"},
                )
            )  # fmt: skip
        return found


class Watched:
    """A writer of maps that the guard looks over the shoulder of. seconds: that the guard took."""

    def __init__(self, writer: MapWriter, guard: Guard) -> None:
        self._writer = writer
        self._guard = guard
        self.seconds = 0.0

    def take(self, tile: Tile, patch: Patch, probs_KHW: NDArray[np.float32], scale: float) -> None:
        """Write a window and let the guard see it; GuardError where it sees that nothing will come of it."""
        self._writer.take(tile, patch, probs_KHW, scale)
        started = time.perf_counter()
        self._guard.see(tile, patch, probs_KHW, scale)
        self._guard.stop_early()
        self.seconds += time.perf_counter() - started


def refuse(findings: Sequence[Finding], *, force: bool) -> None:
    """GuardError with the gravest refusal and its remedy; not where ``force`` says that somebody knows better."""
    if force or worst(findings) != "refusal":
        return
    refused = [f for f in findings if f.verdict == "refusal"]
    first = refused[0]
    more = f" (and {len(refused) - 1} more: {', '.join(f.check for f in refused[1:])})" if len(refused) > 1 else ""
    where = f" on {first.where}" if first.where else ""
    raise GuardError(
        f"the map is refused, {first.check}{where}: {first.cause}{more}",
        remedy=f"{first.remedy}. To make it all the same: --force",
        findings=findings,
    )
