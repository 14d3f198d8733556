"""Drawings of the label page: stacked bars, histograms and outlines as SVG values, and the bars as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from sealmap.delivery.candidates import Candidate
from sealmap.delivery.label_account import LabelAccount, WholeSheet
from sealmap.delivery.label_notices import percent
from sealmap.delivery.label_texts import words
from sealmap.delivery.label_values import Vegetation
from sealmap.delivery.texts import Language, number
from sealmap.files.atomic import staged

CAUSE_COLORS = {
    "rule": "#d8cfb8",
    "outside": "#f1eadb",
    "edge": "#9a7fc4",
    "contradiction": "#2b6cb0",
    "newer": "#f0a830",
    "unknown": "#e0409a",
    "vegetation": "#2e8b45",
    "nodata": "#3a3a3a",
}
"""Paper for what is simply left open; strong colours for what deserves a look."""

WIDTH, HEIGHT = 256, 80
"""Of a histogram, in units of its SVG."""

_BARS = 64
"""Of a histogram, at most: finer ones are thinned."""

_ROW_IN, _HEAD_IN, _FOOT_IN, _MOST_IN = 0.42, 0.35, 1.25, 400.0
"""Of the PNG at 100 pixels to an inch; matplotlib draws at most 65,535 pixels each way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A piece of a stacked bar. start, width: 0..1000. title: what it is, with its numbers."""

    title: str
    color: str
    start: float
    width: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A histogram as an SVG path in WIDTH × HEIGHT. mark: x of the line. shaded: (x, width). ticks: (x, text)."""

    path: str
    mark: float
    shaded: tuple[tuple[float, float], ...] = ()
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What a bar may show. m2 of a sheet by ``of``: a class key, or a cause where ``ignored``."""

    key: str
    name: str
    color: str
    ignored: bool

    def of(self, sheet: WholeSheet) -> int:
        """Square metres of this kind on a sheet."""
        return sheet.cause(self.key) if self.ignored else sheet.labels[self.key]


def kinds(account: LabelAccount, language: Language) -> list[Kind]:
    """All labels (sealed ones first), then the causes that occur."""
    classes = sorted(account.legend.classes, key=lambda c: not c.sealed)
    labels = [Kind(key=c.key, name=c.label(language), color=hex_of(c.color), ignored=False) for c in classes]
    return labels + [
        Kind(key=c, name=words(f"cause.{c}", language), color=CAUSE_COLORS[c], ignored=True) for c in account.causes
    ]


def hex_of(color: tuple[int, int, int]) -> str:
    """'#rrggbb'."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def bar(sheets: Sequence[WholeSheet], shown: Sequence[Kind], language: Language) -> list[Segment]:
    """The stacked bar of some sheets together."""
    total, start = sum(s.area for s in sheets), 0
    found = []
    for kind in shown:
        m2 = sum(kind.of(s) for s in sheets)
        if m2:
            title = f"{kind.name}: {number(m2, language)} m², {percent(m2, total, language)}"
            left, right = round(1000 * start / total, 2), round(1000 * (start + m2) / total, 2)
            found.append(Segment(title=title, color=kind.color, start=left, width=round(right - left, 2)))
        start += m2
    return found


def index_curve(vegetation: Vegetation, language: Language) -> Curve:
    """The vegetation index of a sheet, its threshold, and the ranges where it may not lie; empty ends are cut off."""
    counts, (low, high) = np.array(vegetation.counts), vegetation.limits
    edges = np.linspace(*vegetation.value_range, len(counts) + 1)
    margin = max(1, len(counts) // 64)
    seen = np.flatnonzero(counts > counts.max() / HEIGHT / 2)
    first = min([*seen[:1], int(np.searchsorted(edges, low)) - margin])
    last = max([*seen[-1:] + 1, int(np.searchsorted(edges, high)) + margin])
    first, last = max(first, 0), min(last, len(counts))
    left, right = float(edges[first]), float(edges[last])

    def x(value: float) -> float:
        return round(min(max((value - left) / (right - left), 0.0), 1.0) * WIDTH, 1)

    zero = [0.0] if 0.22 * WIDTH < x(0.0) < 0.8 * WIDTH else []  # elsewhere it would hide the ends
    return Curve(
        path=_steps(counts[first:last]),
        mark=x(vegetation.threshold),
        shaded=((0.0, x(low)), (x(high), round(WIDTH - x(high), 1))),
        ticks=tuple((x(v), number(v, language, 2).replace("-", "−")) for v in (left, *zero, right)),
    )


def brightness_curve(counts: Sequence[int], mean: float) -> Curve:
    """Brightness of a band over 0..1, the mean as a line."""
    ticks = ((0.0, "0"), (float(WIDTH), "1"))
    path = _steps(np.array(counts, dtype=np.int64))
    return Curve(path=path, mark=round(min(max(mean, 0.0), 1.0) * WIDTH, 1), ticks=ticks)


def _steps(counts: NDArray[np.int64]) -> str:
    """Bars side by side as one closed path, the highest as high as the drawing; at most _BARS of them."""
    places = np.linspace(0, len(counts), min(len(counts), _BARS) + 1).round().astype(int)
    means = [counts[a:b].mean() for a, b in pairwise(places)]
    top = max([*means, 0]) or 1
    bars = zip(means, places[1:] * WIDTH / max(len(counts), 1), strict=True)
    return f"M0 {HEIGHT}{''.join(f'V{HEIGHT - HEIGHT * m / top:.1f}H{x:.1f}' for m, x in bars)}V{HEIGHT}Z"


def outline(candidate: Candidate) -> str:
    """The rings of a candidate as an SVG path in pixels of its picture; empty where it has no extent."""
    if candidate.picture_HWC is None or candidate.bounds is None:
        return ""
    height, width = candidate.picture_HWC.shape[:2]
    left, bottom, right, top = candidate.bounds

    def ring(line: shapely.LinearRing) -> str:
        xy: NDArray[np.float64] = shapely.get_coordinates(line)
        points = [
            f"{(x - left) / (right - left) * width:.1f} {(top - y) / (top - bottom) * height:.1f}" for x, y in xy[:-1]
        ]
        return f"M{'L'.join(points)}Z"

    parts = shapely.get_parts(candidate.polygon)
    return "".join(ring(r) for part in parts for r in (part.exterior, *part.interiors))


def scale_bar(candidate: Candidate) -> tuple[float, str]:
    """A bar of a round length for a picture: its share of the width in percent, and its length; (0, '') without."""
    if candidate.bounds is None:
        return 0.0, ""
    width = candidate.bounds[2] - candidate.bounds[0]
    length = max((n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500) if n <= width / 3), default=1)
    return round(100 * length / width, 2), f"{length} m"


def write_bars(path: Path, account: LabelAccount, language: Language, *, overwrite: bool) -> None:
    """Write the stacked bars of all sheets as PNG."""
    shown = kinds(account, language)
    height = _HEAD_IN + min(_ROW_IN * max(1, len(account.sheets)), _MOST_IN) + _FOOT_IN
    figure = Figure(figsize=(11, height), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.3, _FOOT_IN / height, 0.67, 1 - (_HEAD_IN + _FOOT_IN) / height))
    left = np.zeros(len(account.sheets))
    for kind in shown:
        width = np.array([100 * kind.of(s) / max(s.area, 1) for s in account.sheets])
        axes.barh(range(len(left)), width, left=left, height=0.7, color=kind.color, edgecolor="#00000030", lw=0.5)
        left += width
    names = [s.sheet.name if len(s.sheet.name) <= 44 else f"…{s.sheet.name[-43:]}" for s in account.sheets]
    axes.set_yticks(range(len(names)))
    for tick in axes.set_yticklabels(names, fontsize=9):
        tick.set_parse_math(False)  # a sheet may be named with $
    axes.set(xlim=(0, 100), ylim=(max(1, len(names)) - 0.5, -0.5))
    axes.tick_params(axis="x", labelsize=9)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    axes.spines[["top", "right", "left"]].set_visible(False)
    handles = [Patch(facecolor=k.color, edgecolor="#00000060", label=k.name) for k in shown]
    figure.legend(handles=handles, loc="lower center", ncols=4, frameon=False, fontsize=9)
    with staged(path, overwrite=overwrite) as scratch:
        figure.savefig(scratch, format="png", metadata={"Software": None})
