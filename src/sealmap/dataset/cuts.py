"""Where chips are cut, and which split each goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType

from sealmap.core.errors import DatasetError
from sealmap.core.grid import Window
from sealmap.dataset.labellers import Labeller
from sealmap.dataset.split import Assignment, Placed, SplitSpec, assign_splits
from sealmap.dataset.strips import SheetLike


@dataclass(frozen=True, kw_only=True, slots=True)
class ChipSpec:
    """How to cut. patch: side of a chip, overlap: of neighbours, both in pixels. bands: empty takes all.

    flights: sheet → day of its flight, where it is known: cadastre objects that changed later are not trusted.
    """

    patch: int = 512
    overlap: int = 128
    split: SplitSpec = field(default_factory=SplitSpec)
    bands: tuple[str, ...] = ()
    flights: Mapping[str, date] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if self.patch < 32 or not 0 <= self.overlap < self.patch:
            raise DatasetError(
                f"chips of {self.patch} px with {self.overlap} px overlap cannot be cut",
                remedy="use a patch of at least 32 and an overlap below it",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A chip to be cut: row, col within its sheet; window on the mosaic (may reach beyond the sheet).

    keep: the part of the window that is this chip's alone: the keeps of a sheet's chips partition the sheet, so
    that square metres are counted once. split: '' for a chip that is counted only, since it lies in a gap.
    """

    sheet: str
    row: int
    col: int
    window: Window
    keep: Window
    split: str = ""

    @property
    def name(self) -> str:
        """File stem of the chip."""
        return f"{self.sheet}_r{self.row:05d}_c{self.col:05d}"


def chip_starts(length: int, patch: int, overlap: int) -> list[int]:
    """First pixels of chips along a side; the last is moved inward to fit. [0] where the side is shorter."""
    if length <= patch:
        return [0]
    return [*range(0, length - patch, patch - overlap), length - patch]


def plan_cuts(sheets: Sequence[SheetLike], labeller: Labeller, spec: ChipSpec) -> tuple[list[Cut], Assignment]:
    """All chips with their splits, sheet by sheet from top to bottom."""
    names = [s.name for s in sheets]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DatasetError(f"two sheets are named '{twice[0]}'", remedy="rename one: chips are named after sheets")
    cuts = [cut for sheet in sheets for cut in _cuts_of(sheet, spec)]
    whole = {s.name: s.window for s in sheets}
    placed = []
    for cut in cuts:
        inside = cut.window.intersect(whole[cut.sheet])
        assert inside is not None
        sealed, judged = labeller.shares(inside)
        placed.append(Placed(sheet=cut.sheet, window=inside, sealed=sealed, judged=judged))
    if not any(chip.judged for chip in placed):
        raise DatasetError(
            f"the labels say nothing about any of the {len(placed)} chips",
            remedy="check that labels and sheets overlap" + unknown_hint(labeller),
        )
    assignment = assign_splits(placed, spec.split)
    return [replace(c, split=split) for c, split in zip(cuts, assignment.splits, strict=True)], assignment


def unknown_hint(labeller: Labeller) -> str:
    """The classes that no rule speaks of, as the end of a remedy; '' where there are none."""
    if not labeller.unknown:
        return ""
    names = [f"{u.klass or '(no class)'} ×{u.shapes}" for u in labeller.unknown[:5]]
    return f"; the rules '{labeller.rules}' do not know: {', '.join(names)}"


def _cuts_of(sheet: SheetLike, spec: ChipSpec) -> list[Cut]:
    whole = sheet.window
    rows = chip_starts(whole.height, spec.patch, spec.overlap)
    cols = chip_starts(whole.width, spec.patch, spec.overlap)
    cuts = []
    for row, stop_row in zip(rows, [*rows[1:], whole.height], strict=True):
        for col, stop_col in zip(cols, [*cols[1:], whole.width], strict=True):
            top, left = whole.row + row, whole.col + col
            cuts.append(
                Cut(
                    sheet=sheet.name,
                    row=row,
                    col=col,
                    window=Window(row=top, col=left, height=spec.patch, width=spec.patch),
                    keep=Window(row=top, col=left, height=stop_row - row, width=stop_col - col),
                )
            )
    return cuts
