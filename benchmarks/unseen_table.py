"""The table of ``unseen_flight.py``: IoU and signed area bias by target and arm, with 95 % intervals.

    python benchmarks/unseen_table.py unseen

Reads every scores.json below the folder; leaves unseen_flight.json and unseen_flight.md in it. 'over plain' (at 0.5)
and 'over its base' (same threshold, without remedies) are differences in IoU of sealed on the blocks that both have,
resampled together. 'gap closed' compares on the test part: 0 % is plain, 100 % is within, both at 0.5.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.confusion import Confusion
from sealmap.core.legend import ROOF_PAVED
from sealmap.evaluation.bootstrap import Interval, draws, interval
from sealmap.files.atomic import write_text

Counts = Mapping[str, Any]
"""Block → counts, rows truth and columns prediction."""

COLUMNS = ("target", "arm", "threshold", "IoU sealed", "IoU roof", "IoU paved", "area bias", "over plain",
           "over its base", "gap closed", "ECE", "CPU min", "blocks")  # fmt: skip
SCORES = {"IoU sealed": ("sealed", "iou"), "IoU roof": ("roof", "iou"), "IoU paved": ("paved", "iou"),
          "area bias": ("sealed", "area_bias")}  # fmt: skip


def print_table(out: Path) -> None:
    """Print all that was scored below ``out`` and leave it as Markdown and JSON."""
    found = [json.loads(p.read_text()) for p in sorted(out.glob("*/*/scores.json"))]
    rows, plain = [], []
    for target in sorted({f["target"] for f in found}):
        arms = {f["arm"]: f for f in found if f["target"] == target}
        for arm in sorted(arms, key=order):
            for name in arms[arm]["thresholds"]:
                facts = row_of(target, arms, arm, name)
                rows.append(facts)
                plain.append([shown(column, facts[column]) for column in COLUMNS])
    if not rows:
        print(f"nothing was scored below {out}")
        return
    widths = [max(len(r[i]) for r in [COLUMNS, *plain]) for i in range(len(COLUMNS))]
    lines = [" | ".join(text.ljust(w) for text, w in zip(r, widths, strict=True)) for r in [COLUMNS, *plain]]
    lines.insert(1, " | ".join("-" * w for w in widths))
    text = "\n".join(f"| {line} |" for line in lines)
    print(text)
    write_text(out / "unseen_flight.md", f"{text}\n", overwrite=True)
    write_text(out / "unseen_flight.json", json.dumps(rows, indent=1, default=as_plain), overwrite=True)


def order(arm: str) -> tuple[int, str]:
    """Bases as the script tells of them, each before what was made of it."""
    bases = ("plain", "within", "real", "town", "both", "domain")
    base = arm.partition("+")[0]
    return bases.index(base) if base in bases else len(bases), arm


def row_of(target: str, arms: Mapping[str, Any], arm: str, name: str) -> dict[str, Any]:
    """All figures of an arm at one of its thresholds."""
    facts = arms[arm]
    counts = facts["counts"][name]
    plain = arms["plain"]["counts"]["0.5"] if "plain" in arms and arm != "plain" else None
    base = arms.get(arm.partition("+")[0], {}).get("counts", {}).get(name) if "+" in arm else None
    part = not target.startswith("town") and set(counts) == set(facts["test_blocks"])
    return {
        "target": target,
        "arm": arm,
        "threshold": f"{facts['thresholds'][name]:.3f} ({name})",
        **{column: scored(counts, *what) for column, what in SCORES.items()},
        "over plain": None if plain is None else over(counts, plain),
        "over its base": None if base is None else over(counts, base),
        "gap closed": gap_closed(arms, arm, name),
        "ECE": facts["ece"],
        "CPU min": facts["cpu_minutes"],
        "blocks": f"{len(counts)}{' (test part)' if part else ''}",
    }


def scored(counts: Counts, key: str, name: str) -> Interval:
    """A score of all blocks together, with its interval over blocks."""
    return resampled([stacked(counts, list(counts))], lambda total: score_of(total[0], key, name))


def over(counts: Counts, base: Counts) -> Interval | None:
    """Gain in IoU of sealed over ``base`` on the blocks that both have."""
    blocks = [b for b in counts if b in base]
    both = [stacked(counts, blocks), stacked(base, blocks)]
    return resampled(both, lambda total: iou(total[0]) - iou(total[1])) if blocks else None


def gap_closed(arms: Mapping[str, Any], arm: str, name: str) -> float | None:
    """Share of the way from plain to within, in IoU of sealed on the test part."""
    if not {"plain", "within"} <= set(arms) or arm in ("plain", "within"):
        return None
    test = [b for b in arms["within"]["test_blocks"] if b in arms[arm]["counts"][name]]
    low, high = (iou(stacked(arms[a]["counts"]["0.5"], test).sum(axis=0)) for a in ("plain", "within"))
    here = iou(stacked(arms[arm]["counts"][name], test).sum(axis=0))
    return (here - low) / (high - low) if high > low else None


def stacked(counts: Counts, blocks: list[str]) -> NDArray[np.int64]:
    """Counts (block, truth, prediction)."""
    k = len(ROOF_PAVED)
    return np.array([counts[b] for b in blocks], np.int64).reshape(len(blocks), k, k)


def resampled(groups: list[NDArray[np.int64]], value: Callable[[list[NDArray[np.int64]]], float]) -> Interval:
    """``value`` of the sums, and its interval; blocks without a judged pixel are not drawn."""
    judged = groups[0].sum(axis=(1, 2)) > 0
    groups = [g[judged] for g in groups]
    samples = [value([g[draw].sum(axis=0) for g in groups]) for draw in draws(int(judged.sum()), 1)]
    return interval(value([g.sum(axis=0) for g in groups]), samples, units=int(judged.sum()))


def score_of(counts_KK: NDArray[np.int64], key: str, name: str) -> float:
    """A score of a sum of counts."""
    ids = ROOF_PAVED.sealed_ids if key == "sealed" else (ROOF_PAVED.by_key(key).id,)
    return Confusion(legend=ROOF_PAVED, counts_KK=counts_KK).scores(ids)[name]


def iou(counts_KK: NDArray[np.int64]) -> float:
    """Of sealed."""
    return score_of(counts_KK, "sealed", "iou")


def shown(column: str, value: Any) -> str:
    """A figure as printed."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, Interval):
        form = "{:+.1%}" if column == "area bias" else "{:+.3f}" if column.startswith("over") else "{:.3f}"
        text = form.format(value.value)
        return text if math.isnan(value.low) else f"{text} [{form.format(value.low)}, {form.format(value.high)}]"
    if isinstance(value, float):
        return {"gap closed": f"{value:.0%}", "CPU min": f"{value:.1f}"}.get(column, f"{value:.3f}")
    return str(value)


def as_plain(value: Any) -> Any:
    """For JSON: intervals as three numbers."""
    if isinstance(value, Interval):
        return {"value": value.value, "low": value.low, "high": value.high}
    raise TypeError(type(value))


if __name__ == "__main__":
    print_table(Path(sys.argv[1]))
