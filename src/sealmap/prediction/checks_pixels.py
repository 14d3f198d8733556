"""Checks of what a flight's pixels look like to the model: one function each, facts → finding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sealmap.core.finding import Finding, Verdict
from sealmap.model.card import ModelCard
from sealmap.prediction.colours import infrared_score, reversed_score
from sealmap.prediction.facts import LEVELS, PixelFacts
from sealmap.prediction.radiometry import BINS, wasserstein

ENOUGH = 4_000
"""Pixels taken, below which nothing is said: 1 ha of a DOP20."""

_DIM = 0.14
"""A flight whose brightest thousandth is darker was not stretched to its pixel type."""

_ROUGH = 0.75
"""Neighbours differ by so many standard deviations in noise, not on the ground, however sharp."""

_FEW_LEVELS = 40
_GREY = 0.9995
"""Bands that go together more closely are one band, copied."""

_EDGE = {"warning": 0.003, "refusal": 0.03}
_PALE = {"warning": 0.03, "refusal": 0.15}
SURELY = 15_000
"""Pixels taken, below which colours alone are no ground for a refusal: a large red roof tips a small map."""

_ORDER = {"warning": 0.0, "refusal": -0.5}
_INFRARED = {"warning": 0.1, "refusal": 0.5}
_MISSING = 0.5


def scale(facts: PixelFacts, _card: ModelCard) -> Finding:
    """Bit depth: 16-bit values read as 8-bit ones, or never stretched; a class map or palette taken for a picture."""
    used = int((facts.levels_CL > 0).sum(axis=1).max())
    rough = float(facts.roughness_C[:3].min())
    top = _quantile(facts, 0.999)
    figures = {"levels used": used, "brightest 0.1 %": round(top, 3), "roughness": round(rough, 3)}
    if top <= _DIM:
        return Finding(
            check="pixel scale", verdict="refusal", figures=figures,
            cause=f"the brightest pixels reach {top:.1%} of the pixel type's range: 16-bit values read or stored as"
            " 8-bit ones, or values that were divided (by 255, say) before",
            remedy="use the original sheet, or stretch it: gdal_translate -ot Byte -scale IN OUT.tif",
        )  # fmt: skip
    if rough > _ROUGH:
        return Finding(
            check="pixel scale", verdict="refusal", figures=figures,
            cause="neighbouring pixels have nothing to do with each other: the low byte of 16-bit values, a damaged"
            " file, or noise",
            remedy="use the original sheet, or convert it: gdal_translate -ot Byte -scale IN OUT.tif",
        )  # fmt: skip
    if used < _FEW_LEVELS:
        return Finding(
            check="pixel scale", verdict="warning", figures=figures,
            cause=f"only {used} levels of brightness occur: a class map, a palette or a picture of few bits",
            remedy="use the original sheet",
        )  # fmt: skip
    return Finding(check="pixel scale", figures=figures)


def band_order(facts: PixelFacts, card: ModelCard) -> Finding:
    """Red and blue in each other's place."""
    if card.bands[:3] != ("red", "green", "blue"):
        return Finding(check="band order", figures={"not checked": ", ".join(card.bands)})
    if _is_grey(facts):
        same = round(float(facts.correlation_CC[:3, :3].min()), 5)
        return Finding(
            check="band order", verdict="warning", figures={"correlation": same},
            cause="red, green and blue are the same picture: a grey sheet in three bands",
            remedy="use the sheet in colour; the model was trained on colour",
        )  # fmt: skip
    score = reversed_score(facts)
    figures = {"red before blue": round(score, 2)}
    grave = score <= _ORDER["refusal"] and facts.counted >= SURELY
    verdict: Verdict = "ok" if score > _ORDER["warning"] else "refusal" if grave else "warning"
    if verdict == "ok":
        return Finding(check="band order", figures=figures)
    order = " ".join(f"-b {n}" for n in (3, 2, 1, *range(4, len(card.bands) + 1)))
    return Finding(
        check="band order", verdict=verdict, figures=figures,
        cause="red and blue seem to have changed places (BGR): shade is redder than what the sun hits",
        remedy=f"put them right: gdal_translate {order} IN OUT.tif, or correct the colour interpretation",
    )  # fmt: skip


def infrared(facts: PixelFacts, card: ModelCard) -> Finding:
    """Near infrared where the model takes red."""
    if card.bands[:3] != ("red", "green", "blue") or _is_grey(facts):
        return Finding(check="infrared", figures={"not checked": ", ".join(card.bands)})
    score = infrared_score(facts)
    figures = {"infrared in red": round(score, 2)}
    grave = score >= _INFRARED["refusal"] and facts.counted >= SURELY
    verdict: Verdict = "ok" if score < _INFRARED["warning"] else "refusal" if grave else "warning"
    if verdict == "ok":
        return Finding(check="infrared", figures=figures)
    return Finding(
        check="infrared", verdict=verdict, figures=figures,
        cause="the first band goes its own way where something grows: near infrared in the place of red (CIR)",
        remedy="use the RGB or RGBI sheets; of RGBI take gdal_translate -b 1 -b 2 -b 3",
    )  # fmt: skip


def border(facts: PixelFacts, _card: ModelCard) -> Finding:
    """Black that is not marked as 'no data' and would be mapped."""
    share = facts.black / max(1, facts.cells)
    figures = {"black cells": round(share, 4)}
    verdict = _graded(share, _EDGE)
    if verdict == "ok":
        return Finding(check="black border", figures=figures)
    return Finding(
        check="black border", verdict=verdict, figures=figures,
        cause=f"{share:.1%} of the ground is black (all bands at 8 or below) and not marked as 'no data': a border or a"
        " gap that would be mapped, and counted, as ground",
        remedy="mark it: nearblack -nb 0 -near 8 -setmask -o OUT.tif IN, or gdal_translate -a_nodata 0",
    )  # fmt: skip


def pale(facts: PixelFacts, _card: ModelCard) -> Finding:
    """Clouds, snow, or a white border."""
    share = facts.blank / max(1, facts.cells)
    figures = {"blank cells": round(share, 4)}
    verdict = _graded(share, _PALE)
    if verdict == "ok":
        return Finding(check="clouds or snow", figures=figures)
    return Finding(
        check="clouds or snow", verdict=verdict, figures=figures,
        cause=f"{share:.1%} of the ground is blank (bright and without colour): clouds, snow or a white border; what"
        " lies below cannot be seen",
        remedy="take another flight, or mark white as 'no data': nearblack -white -near 8 -setmask -o OUT.tif IN",
    )  # fmt: skip


def missing(facts: PixelFacts, _card: ModelCard) -> Finding:
    """How much of the map has data."""
    share = 1 - facts.valid / max(1, facts.pixels)
    figures = {"without data": round(share, 4)}
    if share <= _MISSING:
        return Finding(check="no data", figures=figures)
    return Finding(
        check="no data", verdict="warning", figures=figures,
        cause=f"{share:.0%} of the map has no data: sheets that do not touch, or a nodata value or mask that hides"
        " ground",
        remedy="check the list of sheets, and the nodata value with gdalinfo",
    )  # fmt: skip


def brightness(facts: PixelFacts, card: ModelCard) -> Finding:
    """How far the flight lies from the training data, band by band, against what held-out sheets reached."""
    apart = distances_of(facts, card)
    found = {band: round(value, 4) for band, value in apart.items()}
    known = {band: card.limits.get(f"distance_{band}", 0.0) for band in apart}
    worst = max((apart[band] / limit for band, limit in known.items() if limit > 0), default=0.0)
    limits = {
        f"limit {k.removeprefix('distance_')}": round(v, 4) for k, v in card.limits.items() if k.startswith("distance_")
    }
    if worst <= 1:
        return Finding(check="brightness", figures=found | limits)
    return Finding(
        check="brightness", verdict="warning", figures=found | limits,
        cause=f"the flight lies {worst:.1f} times as far from the training data as any held-out sheet: another season,"
        " sun, camera or processing",
        remedy="compare with --match, or adapt the model (sealmap adapt), and check the map on some sheets",
    )  # fmt: skip


def distances_of(facts: PixelFacts, card: ModelCard) -> dict[str, float]:
    """``radiometry.wasserstein`` of each band to the training data, 0..1, for bands that the card has statistics of."""
    found = {}
    for band, counts in zip(card.bands, _bins(facts), strict=True):
        known = card.statistics.get(band)
        apart = None if known is None else wasserstein(counts, known.histogram)
        if apart is not None:
            found[band] = apart
    return found


def _bins(facts: PixelFacts) -> NDArray[np.int64]:
    found: NDArray[np.int64] = facts.levels_CL.reshape(len(facts.levels_CL), BINS, LEVELS // BINS).sum(axis=2)
    return found


def _quantile(facts: PixelFacts, share: float) -> float:
    """Of all bands together, 0..1."""
    total = np.cumsum(facts.levels_CL.sum(axis=0))
    return float((np.searchsorted(total, share * total[-1]) + 1) / LEVELS)


def _is_grey(facts: PixelFacts) -> bool:
    return bool(facts.correlation_CC[:3, :3].min() > _GREY)


def _graded(share: float, limits: dict[str, float]) -> Verdict:
    return "refusal" if share > limits["refusal"] else "warning" if share > limits["warning"] else "ok"


PIXEL_CHECKS = (scale, band_order, infrared, border, pale, missing, brightness)
