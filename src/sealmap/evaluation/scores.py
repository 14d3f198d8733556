"""Scores: counts summed over windows, everything derived from the sums; intervals by bootstrap over blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sealmap.core.confusion import Confusion, unions
from sealmap.evaluation.bootstrap import BIAS, RESAMPLES, SHARE, Interval, draws, interval
from sealmap.evaluation.boundary import BoundaryCounts
from sealmap.evaluation.objects import SIZES, Objects, SizeCounts
from sealmap.evaluation.windows import ClassCalls, Window

SCHEMA = 3
"""Version of scores.json. 1 had neither boundary IoU nor objects, parcels or probabilities, and did not say so.

2 gave boundary IoU for labels that ignore edges, plain percentiles as intervals, and drew each parcel by itself.
"""

Scores = dict[str, dict[str, Interval]]
"""By key of ``core.confusion.unions``, then by name of the score."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """The scores of some windows, with intervals over their blocks."""

    scores: Scores
    counts: Confusion
    boundary: BoundaryCounts
    blocks: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Scores of everything and of each sheet, and how often each class of the truth was called sealed."""

    total: Part
    by_sheet: Mapping[str, Part]
    calls: ClassCalls
    pixel_area_m2: float
    seed: int

    @property
    def scores(self) -> Scores:
        """Scores of everything: 'sealed' is the union of the sealed classes."""
        return self.total.scores


def evaluate_windows(windows: Sequence[Window], *, pixel_area_m2: float, seed: int = 1) -> Evaluation:
    """Sum the counts and derive scores; intervals by resampling blocks of windows with replacement."""
    sheets: dict[str, list[Window]] = {}
    for w in windows:
        sheets.setdefault(w.sheet, []).append(w)
    calls = sum((w.calls for w in windows), ClassCalls.zero(windows[0].calls.legend))
    return Evaluation(
        total=_part(windows, pixel_area_m2, seed),
        by_sheet={name: _part(some, pixel_area_m2, seed) for name, some in sheets.items()},
        calls=calls,
        pixel_area_m2=pixel_area_m2,
        seed=seed,
    )


def scores_of(counts: Confusion, boundary: BoundaryCounts, pixel_area_m2: float) -> dict[str, dict[str, float]]:
    """Every score by key of ``unions``; NaN where undefined.

    IoU, F1, precision, recall, accuracy, boundary IoU (0..1), signed area bias (predicted ÷ true − 1) and that in m².
    """
    outlines = boundary.iou()
    found = {}
    for key, ids in unions(counts.legend).items():
        _, fp, fn, _ = counts.binary(ids)
        found[key] = counts.scores(ids) | {
            "accuracy": counts.accuracy_of(ids),
            "boundary_iou": outlines[key],
            "area_bias_m2": (fp - fn) * pixel_area_m2,
        }
    return found


def _part(windows: Sequence[Window], pixel_area_m2: float, seed: int) -> Part:
    legend = windows[0].counts.legend
    empty = Confusion.zero(legend), BoundaryCounts.zero(legend)
    blocks: dict[str, tuple[Confusion, BoundaryCounts]] = {}
    for w in windows:
        counts, boundary = blocks.get(w.block, empty)
        blocks[w.block] = counts + w.counts, boundary + w.boundary
    judged = [b for b in blocks.values() if b[0].pixels]
    total = sum((c for c, _ in judged), empty[0]), sum((b for _, b in judged), empty[1])
    resampled = _resampled(judged, pixel_area_m2, seed)
    scores = {}
    for key, row in scores_of(*total, pixel_area_m2).items():
        tp, _, fn, _ = total[0].binary(unions(legend)[key])
        ranges = {"area_bias": BIAS, "area_bias_m2": (-(tp + fn) * pixel_area_m2, np.inf)}
        scores[key] = {
            name: interval(value, [r[key][name] for r in resampled], units=len(judged), within=ranges.get(name, SHARE))
            for name, value in row.items()
        }
    return Part(scores=scores, counts=total[0], boundary=total[1], blocks=len(judged))


def _resampled(
    blocks: Sequence[tuple[Confusion, BoundaryCounts]], pixel_area_m2: float, seed: int
) -> list[dict[str, dict[str, float]]]:
    if not blocks:
        return []
    legend = blocks[0][0].legend
    counts = np.stack([c.counts_KK for c, _ in blocks])
    bands = np.stack([b.counts_U2 for _, b in blocks])
    outlines = np.stack([b.outline_U2 for _, b in blocks])
    return [
        scores_of(
            Confusion(legend=legend, counts_KK=counts[draw].sum(axis=0)),
            BoundaryCounts(legend=legend, counts_U2=bands[draw].sum(axis=0), outline_U2=outlines[draw].sum(axis=0)),
            pixel_area_m2,
        )
        for draw in draws(len(blocks), seed)
    ]


def to_json(found: Evaluation, objects: Objects | None = None) -> dict[str, Any]:
    """Plain values; NaN becomes null, which JSON can hold."""
    legend, area, total = found.total.counts.legend, found.pixel_area_m2, found.total
    tp, fp, fn, _ = total.counts.binary(legend.sealed_ids)
    return {
        "schema": SCHEMA,
        "legend": legend.name,
        "pixels": total.counts.pixels,
        "judged_m2": round(total.counts.pixels * area, 1),
        "blocks": total.blocks,
        "resamples": RESAMPLES,
        "seed": found.seed,
        "accuracy": plain(total.counts.accuracy),
        "scores": {key: spreads(row) for key, row in total.scores.items()},
        "boundary_judged": {key: plain(share) for key, share in total.boundary.judged().items()},
        "sealed_m2": {
            "truth": round((tp + fn) * area, 1),
            "predicted": round((tp + fp) * area, 1),
            "both": round(tp * area, 1),
        },
        "by_sheet": {name: _sheet(part, area) for name, part in found.by_sheet.items()},
        "by_class": {
            c.key: {
                "m2": round(n * area, 1),
                "called_sealed_m2": round(s * area, 1),
                "share": plain(s / n if n else np.nan),
            }
            for c, (n, s) in zip(found.calls.legend.classes, found.calls.counts_K2.tolist(), strict=True)
        },
        "objects": None if objects is None else _objects(objects, area),
        "confusion": {
            "classes": [c.key for c in legend.classes],
            "truth_by_prediction": total.counts.counts_KK.tolist(),
        },
    }  # fmt: skip


def plain(value: float, digits: int = 5) -> float | None:
    """A number as JSON can hold it."""
    return round(float(value), digits) if np.isfinite(value) else None


def spreads(row: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    """Scores by name as {value, low, high}."""
    return {name: {"value": plain(i.value), "low": plain(i.low), "high": plain(i.high)} for name, i in row.items()}


def _sheet(part: Part, area: float) -> dict[str, Any]:
    """The sealed scores of a sheet: numbers by name, their intervals apart."""
    sealed = part.scores["sealed"]
    tp, fp, fn, _ = part.counts.binary(part.counts.legend.sealed_ids)
    return {
        **{name: plain(i.value) for name, i in sealed.items()},
        "intervals": {name: [plain(i.low), plain(i.high)] for name, i in sealed.items()},
        "truth_m2": round((tp + fn) * area, 1),
        "predicted_m2": round((tp + fp) * area, 1),
        "judged_m2": round(part.counts.pixels * area, 1),
        "blocks": part.blocks,
    }


def _objects(objects: Objects, area: float) -> dict[str, Any]:
    kinds = {kind: {s: _size(counts, i, area) for i, s in enumerate(SIZES)} for kind, counts in objects.kinds.items()}
    false = {
        size: {"number": int(objects.false.number_S[i]), "m2": round(int(objects.false.area_S[i]) * area, 1)}
        for i, size in enumerate(SIZES)
    }
    return {"truth": kinds, "false_sealed": false}


def _size(counts: SizeCounts, i: int, area: float) -> dict[str, Any]:
    number, pixels = int(counts.number_S[i]), int(counts.area_S[i])
    return {
        "number": number,
        "found": int(counts.found_S[i]),
        "recall_number": plain(counts.found_S[i] / number if number else np.nan),
        "m2": round(pixels * area, 1),
        "recall_m2": plain(counts.hit_S[i] / pixels if pixels else np.nan),
    }
