"""Does this model fit these sheets? Some windows, some seconds, no map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sealmap.core.errors import InputError
from sealmap.core.finding import Finding, Verdict, gravest_first, worst
from sealmap.model.card import ModelCard
from sealmap.model.engine import Engine
from sealmap.pipeline import Progress, shipped_bundle, silent
from sealmap.pipeline.adapt import adaptation_of
from sealmap.prediction.facts import OutputFacts, PixelFacts, Served, output_facts, pixel_facts
from sealmap.prediction.guard import judge_output, judge_pixels
from sealmap.prediction.orders import other_order
from sealmap.prediction.sample import FlightSample, sample_flight
from sealmap.sources.claims import georeference
from sealmap.sources.orthophoto import Mosaic, open_mosaic

_NAMED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosis:
    """What the guard found on a sample. sheets, windows: looked at."""

    findings: tuple[Finding, ...]
    sheets: int
    windows: int

    @property
    def verdict(self) -> Verdict:
        """The gravest of all."""
        return worst(self.findings)


def doctor(
    model: Path | None, orthos: Sequence[Path], *, windows: int = 12, device: str = "auto", progress: Progress = silent
) -> Diagnosis:
    """Try a bundle (None: the shipped one) on windows drawn evenly from the sheets.

    Errors as of ``predict``: files that cannot be opened, or do not fit the model at all.
    """
    # torch takes seconds to import
    from sealmap.model.bundle import load_bundle
    from sealmap.model.engines import TorchEngine
    from sealmap.model.memory import normalisation

    if windows < 2:
        raise InputError(f"{windows} windows say nothing of a flight", remedy="use 2 or more, such as --windows 12")
    bundle = load_bundle(model or shipped_bundle())
    engine = TorchEngine(bundle, device)
    with open_mosaic(orthos) as mosaic:
        sample = sample_flight(mosaic, engine.card, count=windows, seed=1)
        pixels, output = sample_facts(engine, sample, progress)
        adapted = adaptation_of(bundle.card) is not None
        found = [
            *names_of(mosaic), normalisation(bundle, pixels.mean_C.tolist(), adapted=adapted),
            *judge_pixels(pixels, engine.card), *judge_output(output, engine.card), other_order(engine, sample),
        ]  # fmt: skip
        return Diagnosis(findings=tuple(gravest_first(found)), sheets=len(mosaic.sheets), windows=len(sample.windows))


def sample_facts(engine: Engine, sample: FlightSample, progress: Progress = silent) -> tuple[PixelFacts, OutputFacts]:
    """Facts of all windows of a sample, as the network sees them."""
    card = engine.card
    pixels, output = PixelFacts.zero(len(card.bands)), OutputFacts()
    served = served_by(card)
    for done, window_CHW in enumerate(sample.pixels_NCHW, start=1):
        valid = np.ones(window_CHW.shape[1:], np.bool_)
        pixels.add(pixel_facts(window_CHW, valid, sample.pixel_scale))
        output.add(output_facts(engine.probs(window_CHW[None], sample.pixel_scale)[0], valid, served))
        progress(done, len(sample.pixels_NCHW))
    return pixels, output


def pixels_of(sample: FlightSample) -> PixelFacts:
    """Facts of a sample's pixels alone."""
    found = PixelFacts.zero(sample.pixels_NCHW.shape[1])
    for window_CHW in sample.pixels_NCHW:
        found.add(pixel_facts(window_CHW, np.ones(window_CHW.shape[1:], np.bool_), sample.pixel_scale))
    return found


def served_by(card: ModelCard) -> Served:
    """How facts are taken from what this model says, at its own ground sampling distance."""
    return Served(
        sealed=card.legend.sealed_ids, threshold=card.threshold, temperature=card.temperature, gsd_m=card.gsd_m
    )  # fmt: skip


def asked_again(findings: Sequence[Finding], engine: Engine, mosaic: Mosaic) -> list[Finding]:
    """The findings, and on a suspicion of swapped bands the network's own word on their order."""
    hints = {f.check for f in findings if f.verdict != "ok"} & {"band order", "brightness", "certainty"}
    if not hints or worst(findings) == "refusal":
        return list(findings)
    try:
        sample = sample_flight(mosaic, engine.card, count=4, seed=1)
    except InputError:  # a map of a single window has no other to compare with
        return list(findings)
    return [*findings, other_order(engine, sample)]


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


def names_of(mosaic: Mosaic) -> list[Finding]:
    """What names and CRS say of the sheets: one finding, of the gravest."""
    found = gravest_first(georeference(sheet.name, mosaic.grid.subgrid(sheet.window)) for sheet in mosaic.sheets)
    bad = [f for f in found if f.verdict != "ok"]
    if not bad:
        return [Finding(check="georeference", figures=found[0].figures)]
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    first = bad[0]
    where = ", ".join(f.where for f in bad[:_NAMED]) + more
    return [
        Finding(
            check=first.check, verdict=first.verdict, cause=first.cause, remedy=first.remedy, where=where,
            figures={**first.figures, "sheets": f"{len(bad)} of {len(found)}"},
        )
    ]  # fmt: skip
