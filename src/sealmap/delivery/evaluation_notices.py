"""What must be known with an evaluation's numbers: checks, each a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sealmap.delivery.evaluation_numbers import score, share, spread
from sealmap.delivery.evaluation_texts import say
from sealmap.delivery.texts import Language, number

FEW_BLOCKS = 10
"""Intervals from fewer blocks are rough."""

ECE = 0.03
"""Probabilities that are further off deserve a calibration."""

SPREAD = 0.10
"""Sheets whose IoU differs by more are not of one kind."""


def notices(scores: Mapping[str, Any], language: Language) -> list[str]:
    """Sentences for what strikes; none where nothing does. scores: as in scores.json."""
    return list(_strikes(scores, language))


def _strikes(scores: Mapping[str, Any], language: Language) -> Iterator[str]:
    bias = scores["scores"]["sealed"]["area_bias"]
    found = spread(bias, language, signed=True)
    if found is not None and not bias["low"] <= 0 <= bias["high"]:
        direction = say("more" if bias["value"] > 0 else "less", language)
        yield say("note.bias", language, direction=direction, bias=share(bias["value"], language, signed=True))
    yield from _outlines(scores, language)
    if scores["blocks"] < FEW_BLOCKS:
        yield say("note.blocks", language, n=number(scores["blocks"], language))
    said = scores["probabilities"]
    if said and (said["ece"] or 0) > ECE:
        yield say("note.ece", language, ece=score(said["ece"], language))
    ious = {name: row["iou"] for name, row in scores["by_sheet"].items() if row["iou"] is not None}
    if ious and max(ious.values()) - min(ious.values()) > SPREAD:
        worst, best = min(ious, key=ious.__getitem__), max(ious, key=ious.__getitem__)
        yield say(
            "note.sheets", language, low=score(ious[worst], language), worst=worst,
            high=score(ious[best], language), best=best,
        )  # fmt: skip
    parcels = scores["parcels"]
    if parcels and parcels["left_out"]:
        yield say("note.parcels", language, n=number(parcels["left_out"], language))


def _outlines(scores: Mapping[str, Any], language: Language) -> Iterator[str]:
    """Whether there is no boundary IoU of 'sealed' although there are outlines in truth."""
    judged = scores["boundary_judged"]["sealed"]
    if judged is not None and scores["scores"]["sealed"]["boundary_iou"]["value"] is None:
        yield say("note.boundary", language, judged=share(judged, language))
