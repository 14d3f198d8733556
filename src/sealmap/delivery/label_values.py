"""What the label page is made of, as plain values. Each checks its law when made: areas must add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sealmap.core.legend import Legend
from sealmap.delivery.candidates import Candidate
from sealmap.delivery.label_texts import CAUSES, INDICES
from sealmap.delivery.texts import Language


@dataclass(frozen=True, kw_only=True, slots=True)
class IgnoredArea:
    """Square metres that get no label. cause: one of CAUSES. text: class as the cadastre has it, may be empty."""

    cause: str
    area_m2: float
    text: str = ""

    def __post_init__(self) -> None:
        if self.cause not in CAUSES:
            raise ValueError(f"cause '{self.cause}' is none of {', '.join(CAUSES)}")
        if self.area_m2 < 0:
            raise ValueError(f"{self.area_m2} m² ignored for '{self.cause}'")


@dataclass(frozen=True, kw_only=True, slots=True)
class Vegetation:
    """What is green on a sheet. index: one of INDICES; greener than ``threshold`` is vegetation.

    limits: where a threshold may lie. counts: pixels by index in equal bins over ``value_range``.
    """

    index: str
    threshold: float
    limits: tuple[float, float]
    counts: tuple[int, ...]
    value_range: tuple[float, float]

    def __post_init__(self) -> None:
        if self.index not in INDICES:
            raise ValueError(f"vegetation index '{self.index}' is none of {', '.join(INDICES)}")
        if not self.counts or self.value_range[0] >= self.value_range[1]:
            raise ValueError(f"a histogram of {len(self.counts)} bins over {self.value_range}")

    @property
    def at_limit(self) -> bool:
        """Whether the threshold was held by a limit, and so is not what the data say."""
        return not self.limits[0] + 1e-4 < self.threshold < self.limits[1] - 1e-4  # thresholds have 4 decimals

    @property
    def green_share(self) -> float:
        """Share of the pixels that are greener than the threshold; within its bin they count as evenly spread."""
        edges = np.linspace(*self.value_range, len(self.counts) + 1)
        above = np.concatenate([np.cumsum(self.counts[::-1])[::-1], [0]])
        return float(np.interp(self.threshold, edges, above)) / max(sum(self.counts), 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetLabels:
    """Square metres of one sheet by label, after all rules. Labels and ignored areas make up ``area_m2``.

    flight: date of the image as text, empty where unknown. label_m2: class key → m². recovered_m2: unsealed by the
    image alone, where the cadastre says nothing; part of the background's area. vegetation: None where no check was
    made. chips: split → number of chips cut here.
    """

    name: str
    area_m2: float
    label_m2: Mapping[str, float]
    ignored: tuple[IgnoredArea, ...]
    flight: str = ""
    recovered_m2: float = 0.0
    vegetation: Vegetation | None = None
    chips: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        parts = sum(self.label_m2.values()) + sum(i.area_m2 for i in self.ignored)
        if abs(parts - self.area_m2) > 0.5 + 1e-6 * self.area_m2:
            raise ValueError(f"sheet '{self.name}': labels and ignored areas are {parts} m² of {self.area_m2} m²")
        if min(self.label_m2.values(), default=0.0) < 0:
            raise ValueError(f"sheet '{self.name}' has a label of less than 0 m²")


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitLabels:
    """Labels of the chips of one split: 'train', 'val' or 'test'. Overlapping chips count an area twice."""

    name: str
    chips: int
    sheets: tuple[str, ...]
    label_m2: Mapping[str, float]
    ignored_m2: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BandBrightness:
    """Brightness of one band on a scale of 0..1: pixels in equal bins, mean and standard deviation."""

    name: str
    counts: tuple[int, ...]
    mean: float
    std: float


class ClassWithoutRule(Protocol):
    """A class that no rule speaks of (``dataset.rules.UnknownClass``)."""

    @property
    def source(self) -> str:
        """Kind of layer: 'building', 'use' or 'layer'."""

    @property
    def klass(self) -> str:
        """Class text."""

    @property
    def function(self) -> str:
        """Function text."""

    @property
    def shapes(self) -> int:
        """Number of shapes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelPage:
    """All that the page shows.

    candidates: all of them, the most important of each kind first; only the first need pictures. candidates_file:
    name of the GeoPackage that holds them, if there is one. crs: as printed beside coordinates ('EPSG:25832').
    facts: rule table, cadastre file, split, seed and the like, printed as they are.
    """

    legend: Legend
    sheets: Sequence[SheetLabels]
    candidates: Sequence[Candidate] = ()
    unknown_classes: Sequence[ClassWithoutRule] = ()
    splits: Sequence[SplitLabels] = ()
    bands: Sequence[BandBrightness] = ()
    contact_sheet_HWC: NDArray[np.uint8] | None = None
    facts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    title: str = ""
    crs: str = ""
    candidates_file: str = ""
    language: Language = "en"

    def __post_init__(self) -> None:
        keys = {c.key for c in self.legend.classes}
        for name, labels in (
            *((s.name, s.label_m2) for s in self.sheets),
            *((s.name, s.label_m2) for s in self.splits),
        ):
            if strange := set(labels) - keys:
                raise ValueError(f"'{name}' has labels that the legend lacks: {', '.join(sorted(strange))}")
