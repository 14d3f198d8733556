"""Square metres of labels as printed: whole ones that add up in every direction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sealmap.core.legend import Legend
from sealmap.delivery.label_texts import CAUSES
from sealmap.delivery.label_values import LabelPage, SheetLabels


@dataclass(frozen=True, kw_only=True, slots=True)
class WholeSheet:
    """A sheet in whole m². labels: class key → m². ignored: (cause, text) → m². They sum up to ``area``."""

    sheet: SheetLabels
    labels: Mapping[str, int]
    ignored: Mapping[tuple[str, str], int]

    @property
    def judged(self) -> int:
        """Square metres with a label."""
        return sum(self.labels.values())

    @property
    def area(self) -> int:
        """Square metres in all."""
        return self.judged + sum(self.ignored.values())

    def cause(self, cause: str) -> int:
        """Square metres ignored for a cause."""
        return sum(m2 for (c, _), m2 in self.ignored.items() if c == cause)


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelAccount:
    """All sheets together. Every sum is one of whole parts, so all tables of the page agree."""

    legend: Legend
    sheets: tuple[WholeSheet, ...]

    @property
    def area(self) -> int:
        """Square metres in all."""
        return sum(s.area for s in self.sheets)

    @property
    def judged(self) -> int:
        """Square metres with a label."""
        return sum(s.judged for s in self.sheets)

    @property
    def sealed(self) -> int:
        """Square metres with a sealed label."""
        return sum(self.label(c.key) for c in self.legend.classes if c.sealed)

    @property
    def recovered(self) -> int:
        """Square metres that are unsealed by the image alone."""
        return round(sum(s.sheet.recovered_m2 for s in self.sheets))

    @property
    def causes(self) -> tuple[str, ...]:
        """Causes that occur, in their order."""
        return tuple(c for c in CAUSES if self.cause(c))

    def label(self, key: str) -> int:
        """Square metres of a class."""
        return sum(s.labels[key] for s in self.sheets)

    def cause(self, cause: str) -> int:
        """Square metres ignored for a cause."""
        return sum(s.cause(cause) for s in self.sheets)

    def texts(self, cause: str) -> list[tuple[str, int]]:
        """Classes of the cadastre ignored for a cause, with their m², largest first."""
        found: dict[str, int] = {}
        for sheet in self.sheets:
            for (c, text), m2 in sheet.ignored.items():
                if c == cause and m2:
                    found[text] = found.get(text, 0) + m2
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))

    def biggest(self) -> tuple[str, str, int] | None:
        """The cause and class with the most ignored m²; None where nothing is ignored."""
        all_of = [(cause, text, m2) for cause in self.causes for text, m2 in self.texts(cause)]
        return max(all_of, key=lambda entry: entry[2], default=None)


def account(page: LabelPage) -> LabelAccount:
    """The sheets of a page in whole square metres."""
    return LabelAccount(legend=page.legend, sheets=tuple(_whole_sheet(s, page.legend) for s in page.sheets))


def whole_parts(parts: Sequence[float]) -> list[int]:
    """Whole numbers whose sum is the rounded sum of ``parts`` (0 or more each); none is off by 1 or more.

    The largest remainders are rounded up, as seats are given to parties (Hamilton).
    """
    found = [math.floor(p) for p in parts]
    left = round(math.fsum(parts)) - sum(found)
    order = sorted(range(len(parts)), key=lambda i: (found[i] - parts[i], i))
    for i in order[:left]:
        found[i] += 1
    return found


def _whole_sheet(sheet: SheetLabels, legend: Legend) -> WholeSheet:
    """Rounded at the finest grain: a class of the cadastre ignored for one cause on one sheet."""
    keys = [c.key for c in legend.classes]
    ignored: dict[tuple[str, str], float] = {}
    for i in sheet.ignored:
        ignored[i.cause, i.text] = ignored.get((i.cause, i.text), 0.0) + i.area_m2
    whole = whole_parts([*(sheet.label_m2.get(k, 0.0) for k in keys), *ignored.values()])
    return WholeSheet(
        sheet=sheet,
        labels=dict(zip(keys, whole, strict=False)),
        ignored=dict(zip(ignored, whole[len(keys) :], strict=True)),
    )
