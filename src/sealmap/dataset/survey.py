"""What the labels of whole sheets are: square metres of each, why the rest is ignored, and where to look for mistakes.

Every pixel of a sheet is counted once, whether a chip with it is kept or not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes

from sealmap.core.grid import Window
from sealmap.core.legend import IGNORE, Legend
from sealmap.dataset.burn import Cause, Labelling
from sealmap.dataset.vegetation import overruled

CANDIDATES = ("roof_green", "paved_green", "unsealed_grey")
_OPENING_M, _LEAST_M2, _MOST_PER_KIND = 1.0, 15.0, 50
"""Candidates: patches narrower than this are torn off, smaller ones are left out, and so many of a sheet are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ignored:
    """Area that no label is given for.

    kind: of ``Cause``, or 'vegetation' (green, though sealed by the cadastre),
    'nodata' (no image), 'rule' (the rules say so). text: the cadastre's class.
    """

    kind: str
    text: str
    area_m2: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A place where image and cadastre disagree. kind: one of CANDIDATES. polygon: in pixels (col, row) of the grid."""

    sheet: str
    kind: str
    text: str
    oid: str
    area_m2: float
    polygon: shapely.Polygon


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetSurvey:
    """Labels of a whole sheet. Labels and ignored areas add up to area_m2.

    label_m2: class key → m². recovered_m2: not known to the cadastre, but green, and so unsealed. threshold: of
    vegetation, None where the bands do not tell it. index_counts: ``vegetation.index_counts``.
    """

    name: str
    area_m2: float
    label_m2: Mapping[str, float]
    ignored: tuple[Ignored, ...]
    recovered_m2: float
    threshold: float | None
    index_counts: NDArray[np.int64]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What is seen in the image of a window: True where it has data, is green, is grey."""

    valid_HW: NDArray[np.bool_]
    green_HW: NDArray[np.bool_]
    grey_HW: NDArray[np.bool_]

    def part(self, where: tuple[slice, slice]) -> Look:
        """Rows and columns of it."""
        return Look(valid_HW=self.valid_HW[where], green_HW=self.green_HW[where], grey_HW=self.grey_HW[where])


OidAt = Callable[[float, float, int], str]
"""(col, row, cause) → the cadastre's id of the shape over a point that gave a cause, '' where there is none."""


def final_labels(burnt: Labelling, look: Look) -> NDArray[np.uint8]:
    """Labels as the image leaves them: overruled by what is green, IGNORE where there is no data."""
    label = burnt.label_HW.copy()
    label[burnt.veto_HW] = overruled(label[burnt.veto_HW], look.green_HW[burnt.veto_HW])
    label[~look.valid_HW] = IGNORE
    return label


@dataclass(kw_only=True, slots=True)
class SheetTally:
    """Counts pixels of one sheet, keep by keep."""

    legend: Legend
    causes: Sequence[Cause]
    gsd_m: float
    ids: NDArray[np.int64] = field(init=False)
    by_cause: dict[str, NDArray[np.int64]] = field(init=False)
    recovered: int = 0
    pixels: int = 0
    found: list[tuple[str, int, shapely.Polygon]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ids = np.zeros(256, np.int64)
        self.by_cause = {k: np.zeros(len(self.causes), np.int64) for k in ("ignore", "vegetation", "nodata")}

    def add(self, keep: Window, burnt: Labelling, final_HW: NDArray[np.uint8], look: Look) -> None:
        """Count a window: labels as burnt from the cadastre, and as they became by the look of the image."""
        count = len(self.causes)
        green = burnt.veto_HW & look.green_HW & look.valid_HW
        ignored = (final_HW == IGNORE) & look.valid_HW
        vetoed = green & ignored
        cause = burnt.cause_HW
        self.by_cause["nodata"] += np.bincount(cause[~look.valid_HW], minlength=count)
        self.by_cause["vegetation"] += np.bincount(cause[vetoed], minlength=count)
        self.by_cause["ignore"] += np.bincount(cause[ignored & ~vetoed], minlength=count)
        self.recovered += int((green & (burnt.label_HW == IGNORE)).sum())
        self.pixels += final_HW.size
        self.ids += np.bincount(final_HW[look.valid_HW], minlength=256)
        self._look_for_mistakes(keep, burnt, look)

    def _look_for_mistakes(self, keep: Window, burnt: Labelling, look: Look) -> None:
        kinds = np.array([cause.kind for cause in self.causes])
        known = kinds[burnt.cause_HW]
        for kind, of, seen in (
            ("roof_green", "roof", look.green_HW),
            ("paved_green", "paved", look.green_HW),
            ("unsealed_grey", "unsealed", look.grey_HW & ~look.green_HW),
        ):
            mask = ((known == of) & seen & look.valid_HW).astype(np.uint8)
            if mask.any():
                self.found += [(kind, *patch) for patch in _patches(mask, burnt.cause_HW, keep, self.gsd_m)]

    def finish(self, name: str, threshold: float | None, index_counts: NDArray[np.int64], oid_at: OidAt) -> SheetSurvey:
        """The sheet as counted."""
        px = self.gsd_m**2
        ignored = [
            Ignored(kind=_ignored_kind(kind, cause), text="" if kind == "nodata" else cause.text, area_m2=int(n) * px)
            for kind, counts in self.by_cause.items()
            for cause, n in zip(self.causes, counts, strict=True)
            if n
        ]
        return SheetSurvey(
            name=name,
            area_m2=self.pixels * px,
            label_m2={c.key: int(self.ids[c.id]) * px for c in self.legend.classes},
            ignored=_merged(ignored),
            recovered_m2=self.recovered * px,
            threshold=threshold,
            index_counts=index_counts,
            candidates=tuple(self._candidates(name, oid_at)),
        )

    def _candidates(self, sheet: str, oid_at: OidAt) -> list[Candidate]:
        """Patches, those joined again that a keep's edge has cut; the largest of each kind."""
        out = []
        for kind in CANDIDATES:
            mine = [(cause, shape) for of, cause, shape in self.found if of == kind]
            joined = shapely.get_parts(shapely.union_all(np.array([shape for _, shape in mine], dtype=object)))
            tree = shapely.STRtree([shape for _, shape in mine])
            largest = sorted(joined, key=lambda s: (-shapely.area(s), *shapely.bounds(s)))[:_MOST_PER_KIND]
            for shape in largest:
                area = float(shapely.area(shape)) * self.gsd_m**2
                if area >= _LEAST_M2:
                    point = shapely.point_on_surface(shape)
                    at = tree.query(point, predicate="within")
                    cause = mine[int(at[0])][0] if len(at) else 0
                    out.append(
                        Candidate(
                            sheet=sheet,
                            kind=kind,
                            text=self.causes[cause].text,
                            oid=oid_at(point.x, point.y, cause),
                            area_m2=area,
                            polygon=shape,
                        )
                    )
        return out


def _ignored_kind(kind: str, cause: Cause) -> str:
    if kind != "ignore":
        return kind
    return "rule" if cause.kind == "ignore" else cause.kind


def _merged(ignored: Sequence[Ignored]) -> tuple[Ignored, ...]:
    """One entry per kind and text, the largest first."""
    total: dict[tuple[str, str], float] = {}
    for i in ignored:
        total[i.kind, i.text] = total.get((i.kind, i.text), 0.0) + i.area_m2
    ordered = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Ignored(kind=kind, text=text, area_m2=area) for (kind, text), area in ordered)


def _patches(
    mask: NDArray[np.uint8], cause_HW: NDArray[np.uint16], keep: Window, gsd_m: float
) -> list[tuple[int, shapely.Polygon]]:
    """(cause, polygon in pixels of the grid) of the connected patches of a mask that are wide enough."""
    side = max(1, round(_OPENING_M / gsd_m))
    # The border counts as inside: a patch that goes on in the next keep must not be torn off there.
    padded = cv2.copyMakeBorder(mask, side, side, side, side, cv2.BORDER_REPLICATE)
    opened = cv2.morphologyEx(padded, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))[side:-side, side:-side]
    found = []
    for shape, value in shapes(opened, mask=opened > 0, connectivity=4):
        if not value:
            continue
        polygon = shapely.Polygon(shape["coordinates"][0], shape["coordinates"][1:])
        col0, row0, col1, row1 = (int(v) for v in polygon.bounds)
        whole = min(col0, row0) > 0 and col1 < mask.shape[1] and row1 < mask.shape[0]
        if whole and polygon.area * gsd_m**2 < _LEAST_M2:
            continue
        inside = opened[row0:row1, col0:col1] > 0
        counts = np.bincount(cause_HW[row0:row1, col0:col1][inside])
        found.append((int(counts.argmax()), shapely.transform(polygon, lambda xy: xy + np.array([keep.col, keep.row]))))
    return found
