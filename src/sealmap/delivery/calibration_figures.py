"""Drawings of a calibration: the reliability diagram before and after, and the scores by threshold."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sealmap.files.atomic import staged

_BEFORE, _AFTER = "#9a9a9a", "#c0392b"
_IOU, _F1, _BIAS = "#c0392b", "#e59866", "#2b62c9"
_PAPER_LINE = "#bbbbbb"

_LEAST_DRAWN = 0.0005
"""Bins with a smaller share of the pixels are not drawn as points: their observed share is chance."""


class Bins(Protocol):
    """A reliability diagram: B bins between edges; NaN where a bin has no pixel."""

    @property
    def edges(self) -> NDArray[np.float64]:
        """B + 1 values, 0..1."""
        ...

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Mean stated probability per bin."""
        ...

    @property
    def observed(self) -> NDArray[np.float64]:
        """Share that is sealed per bin."""
        ...

    @property
    def counts(self) -> NDArray[np.int64]:
        """Pixels per bin."""
        ...

    @property
    def ece(self) -> float:
        """Expected calibration error, 0..1."""
        ...

    @property
    def brier(self) -> float:
        """Brier score, 0..1."""
        ...


class Curve(Protocol):
    """Scores by threshold."""

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """Rising, 0..1."""
        ...

    @property
    def iou(self) -> NDArray[np.float64]:
        """0..1."""
        ...

    @property
    def f1(self) -> NDArray[np.float64]:
        """0..1."""
        ...

    @property
    def bias(self) -> NDArray[np.float64]:
        """Predicted area ÷ true area − 1."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationFigure:
    """What a calibration found; ``threshold`` was chosen for ``aim``."""

    before: Bins
    after: Bins
    curve: Curve
    threshold: float
    aim: str


def write_calibration_figure(path: Path, shown: CalibrationFigure, *, overwrite: bool) -> None:
    """Both drawings side by side, as PNG."""
    figure = Figure(figsize=(11, 5), dpi=110, layout="constrained", facecolor="white")
    halves: Any = figure.subfigures(1, 2)
    _reliability(halves[0], {"before": shown.before, "after": shown.after})
    _curve(halves[1], shown.curve, shown.threshold, shown.aim)
    with staged(path, overwrite=overwrite) as scratch:
        figure.savefig(scratch, format="png", metadata={"Software": None})


def reliability_svg(named: Mapping[str, Bins]) -> str:
    """The reliability diagram of one or two models as an SVG element for a page. named: what each is called."""
    figure = Figure(figsize=(5.2, 5), layout="constrained")
    _reliability(figure, named)
    return _svg(figure, "reliability")


def threshold_svg(curve: Curve, threshold: float, aim: str) -> str:
    """IoU, F1 and area bias by threshold as an SVG element for a page; aim: what the threshold was chosen for."""
    figure = Figure(figsize=(5.2, 5), layout="constrained")
    _curve(figure, curve, threshold, aim)
    return _svg(figure, "threshold")


def _reliability(figure: Any, named: Mapping[str, Bins]) -> None:
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    upper.plot([0, 1], [0, 1], color=_PAPER_LINE, lw=1)
    colors = [_BEFORE, _AFTER] if len(named) > 1 else [_AFTER]
    markers = ["s", "o"] if len(named) > 1 else ["o"]
    for (name, bins), color, marker in zip(named.items(), colors, markers, strict=True):
        share = bins.counts / max(1, int(bins.counts.sum()))
        drawn = share >= _LEAST_DRAWN
        label = f"{name}: ECE {bins.ece:.3f}, Brier {bins.brier:.3f}"
        upper.plot(bins.confidence[drawn], bins.observed[drawn], color=color, marker=marker, ms=5, lw=1.5, label=label)
        lower.stairs(np.maximum(share, 1e-6), bins.edges, color=color, lw=1.5, baseline=1e-6)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share that is sealed", title="Reliability of “sealed”")
    upper.legend(loc="upper left", frameon=False, fontsize=9)
    lower.set(yscale="log", ylim=(1e-4, 1), ylabel="pixels", xlabel="stated probability")
    _clean(upper, lower)


def _curve(figure: Any, curve: Curve, threshold: float, aim: str) -> None:
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1))
    nearest = int(np.abs(curve.thresholds - threshold).argmin())
    for values, color, name in ((curve.iou, _IOU, "IoU"), (curve.f1, _F1, "F1")):
        upper.plot(curve.thresholds, values, color=color, lw=1.5, label=f"{name} {values[nearest]:.3f}")
    lower.plot(curve.thresholds, 100 * curve.bias, color=_BIAS, lw=1.5, label=f"bias {curve.bias[nearest]:+.1%}")
    for axes in (upper, lower):
        axes.axvline(threshold, color="#444444", lw=1, ls="--")
        axes.legend(loc="best", frameon=False, fontsize=9)
    lower.axhline(0, color=_PAPER_LINE, lw=1)
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="score", title=f"Threshold {threshold:.3f}, chosen for {aim}")
    finite = 100 * curve.bias[np.isfinite(curve.bias)]
    top = float(np.clip(finite.max(initial=5.0), 5, 60))
    lower.set(ylim=(max(-60.0, float(finite.min(initial=-5.0))), top), ylabel="area bias in %", xlabel="threshold")
    _clean(upper, lower)


def _clean(*drawn: Axes) -> None:
    for axes in drawn:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=9)


def _svg(figure: Figure, salt: str) -> str:
    """The element alone, the same bytes for the same figure; text stays text."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": f"sealmap-{salt}", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    whole = buffer.getvalue()
    return whole[whole.index("<svg") :]
