"""What the chain does around the guard: the sheets' names, the network's word on bands, the polygons, the record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.finding import Finding, gravest_first, named, worst
from sealmap.core.grid import Grid
from sealmap.model.engine import Engine
from sealmap.pipeline.adapt import adaptation_of
from sealmap.prediction.facts import PixelFacts, pixel_facts
from sealmap.prediction.orders import other_order
from sealmap.prediction.sample import FlightSample
from sealmap.sources.claims import georeference
from sealmap.sources.orthophoto import Mosaic

if TYPE_CHECKING:
    from sealmap.model.bundle import ModelBundle

_CHEAP_PX = 2.5e7
"""A map of so many pixels takes a hundred times as long as asking for every order of bands on one piece of it."""

_ONE = 0.5
"""Streets and the yards along them may well be one polygon; half of the map is none."""


def names_of(mosaic: Mosaic) -> list[Finding]:
    """What names and CRS say of the sheets: one finding, of the gravest."""
    found = gravest_first(georeference(sheet.name, mosaic.grid.subgrid(sheet.window)) for sheet in mosaic.sheets)
    bad = [f for f in found if f.verdict != "ok"]
    if not bad:
        return [Finding(check="georeference", figures=found[0].figures)]
    first = bad[0]
    return [
        Finding(
            check=first.check, verdict=first.verdict, cause=first.cause, remedy=first.remedy, where=named(bad),
            figures={**first.figures, "sheets": f"{len(bad)} of {len(found)}"},
        )
    ]  # fmt: skip


def fed_as_trained(bundle: ModelBundle, engine: Engine, flown: Sequence[float] | None = None) -> Finding:
    """``memory.normalisation``, asked of the network that runs, where there is one. flown: see there."""
    from sealmap.model.memory import normalisation  # torch takes seconds to import

    network, adapted = getattr(engine, "network", None), adaptation_of(bundle.card) is not None
    return normalisation(bundle, flown, adapted=adapted, network=network)


def pixels_of(sample: FlightSample) -> PixelFacts:
    """Facts of a sample's pixels alone."""
    found = PixelFacts.zero(sample.pixels_NCHW.shape[1])
    for window_CHW in sample.pixels_NCHW:
        found.add(pixel_facts(window_CHW, np.ones(window_CHW.shape[1:], np.bool_), sample.pixel_scale))
    return found


def asked_again(
    findings: Sequence[Finding], engine: Engine, crops: Sequence[NDArray[Any]], grid: Grid, scale: float
) -> list[Finding]:
    """The findings, and the network's own word on the order of bands: more of it on a suspicion, or where it is cheap.

    crops: pieces of the flight that the guard kept, the best first.
    """
    hints = {f.check for f in findings if f.verdict != "ok"} & {"band order", "infrared", "brightness", "certainty"}
    seen_px = grid.window.pixels * (grid.gsd_m / engine.card.gsd_m) ** 2
    if worst(findings) == "refusal":
        return list(findings)
    number = len(crops) if hints else max(1, int(seen_px / _CHEAP_PX))
    return [*findings, other_order(engine, crops[:number], grid.gsd_m, scale, suspected="band order" in hints)]


def guard_facts(findings: Sequence[Finding]) -> dict[str, Any]:
    """For the record: the verdict, in a line what it rests on, and all findings, gravest first."""
    ordered = gravest_first(findings)
    bad = [f for f in ordered if f.verdict != "ok"]
    verdict = worst(findings)
    told = {
        "ok": f"ok: {len(ordered)} checks",
        "warning": f"warning: {', '.join(f.check for f in bad)}",
        "refusal": f"FORCED against the guard's refusal: {', '.join(f.check for f in bad if f.verdict == 'refusal')}",
    }[verdict]
    return {
        "verdict": verdict, "forced": verdict == "refusal", "told": told, "findings": [f.to_json() for f in ordered],
    }  # fmt: skip


def one_polygon(largest_m2: float, known_m2: float) -> Finding:
    """Whether a single polygon covers the map: what became of the predecessor's city."""
    share = largest_m2 / known_m2 if known_m2 else 0.0
    figures = {"largest polygon": round(share, 4)}
    if share <= _ONE:
        return Finding(check="one polygon", figures=figures)
    return Finding(
        check="one polygon", verdict="warning", figures=figures,
        cause=f"one polygon covers {share:.0%} of the map: a threshold that is too low, a double activation, or a paved"
        " ground without end",
        remedy="look at probability.tif: two values only mean a double activation",
    )  # fmt: skip
