"""Does this model fit these sheets? Some windows, some seconds, no map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sealmap.core.errors import InputError
from sealmap.core.finding import Finding, Verdict, gravest_first, worst
from sealmap.model.engine import Engine
from sealmap.pipeline import Progress, shipped_bundle, silent
from sealmap.pipeline.guarding import fed_as_trained, names_of
from sealmap.prediction.facts import OutputFacts, PixelFacts, Served, output_facts, pixel_facts
from sealmap.prediction.guard import CROPS, judge_output, judge_pixels
from sealmap.prediction.orders import other_order
from sealmap.prediction.sample import FlightSample, sample_flight
from sealmap.sources.orthophoto import open_mosaic

_CROP_PX = 256
"""Side of the pieces that the network is asked about."""


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
    from sealmap.model.engines import engine_for

    if windows < 2:
        raise InputError(f"{windows} windows say nothing of a flight", remedy="use 2 or more, such as --windows 12")
    bundle = load_bundle(model or shipped_bundle())
    engine = engine_for(bundle, device)
    with open_mosaic(orthos) as mosaic:
        sample = sample_flight(mosaic, engine.card, count=windows, seed=1)
        pixels, output = sample_facts(engine, sample, progress)
        crops = [window[:, :_CROP_PX, :_CROP_PX] for window in sample.pixels_NCHW[:CROPS]]
        seen = judge_pixels(pixels, engine.card)
        suspected = any(f.check == "band order" and f.verdict != "ok" for f in seen)
        found = [
            *names_of(mosaic), fed_as_trained(bundle, engine, pixels.mean_C.tolist()), *seen,
            *judge_output(output, engine.card),
            other_order(engine, crops, engine.card.gsd_m, sample.pixel_scale, suspected=suspected),
        ]  # fmt: skip
        return Diagnosis(findings=tuple(gravest_first(found)), sheets=len(mosaic.sheets), windows=len(sample.windows))


def sample_facts(engine: Engine, sample: FlightSample, progress: Progress = silent) -> tuple[PixelFacts, OutputFacts]:
    """Facts of all windows of a sample, as the network sees them."""
    card = engine.card
    pixels, output = PixelFacts.zero(len(card.bands)), OutputFacts()
    served = Served.by(card, card.gsd_m)
    for done, window_CHW in enumerate(sample.pixels_NCHW, start=1):
        valid = np.ones(window_CHW.shape[1:], np.bool_)
        pixels.add(pixel_facts(window_CHW, valid, sample.pixel_scale))
        output.add(output_facts(engine.probs(window_CHW[None], sample.pixel_scale)[0], valid, served))
        progress(done, len(sample.pixels_NCHW))
    return pixels, output
