"""Recipe × encoder weights × labels on one town, each with the same CPU minutes, scored on held-out sheets.

    python benchmarks/town_table.py --out town_table                    # all rows
    python benchmarks/town_table.py --out town_table --rows unet_lite0 fpn_lite0 --minutes 5
    python benchmarks/town_table.py --out town_table --table            # print what is there

Eight sheets of 400 m (seed 21, leaf-off): four train, two validate, two are held out. By command line only: prepare,
train (temperature and a ``zero_bias`` threshold from the validation sheets), evaluate on the held-out sheets as a user
would map them, against the exact truth, with intervals over blocks. Labels are the town's exact truth (what a
careful person would draw) or those of its cadastre by ``alkis_nrw`` (training and validation alike; the score is
against the truth all the same).

How many steps a row gets is measured first: as many as fit the minutes, all threads together, at its own speed on
this machine. Rows that are there already are not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from town_chain import sealmap

from sealmap.files.atomic import write_text
from sealmap.model.losses import combined
from sealmap.model.network import build_network
from sealmap.testing.town import TownFiles, TownSpec, write_town
from sealmap.training.precision import DTYPES, chosen_for, keep_depthwise_float32
from sealmap.training.recipes import Recipe, recipe_named

ACROSS, DOWN, SIDE_M = 4, 2, 400.0
VAL, TEST = (2, 5), (3, 4)
"""Sheets from south-west, row by row: neither split lies in one part of the town."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One line of the table."""

    recipe: str = "unet_lite0"
    weights: str = "imagenet"
    labels: str = "truth"
    changed: dict[str, str] = field(default_factory=dict)


ROWS = {
    "unet_lite0": Row(),
    "unet_lite0 none": Row(weights="none"),
    "unet_lite0 alkis": Row(labels="alkis_nrw"),
    "unet_lite0 alkis gce": Row(labels="alkis_nrw", changed={"loss": "gce"}),
    "unet_lite0 alkis smoothing": Row(labels="alkis_nrw", changed={"smoothing": "0.1"}),
    "unet_lite0 lovasz": Row(changed={"dice": "0", "lovasz": "0.5"}),
    "fpn_lite0": Row(changed={"architecture": "fpn"}),
    "deeplabv3plus_lite0": Row(changed={"architecture": "deeplabv3plus"}),
    "segformer_lite0": Row(changed={"architecture": "segformer"}),
    "unet_lite0 seed 2": Row(changed={"seed": "2"}),
    "segformer_lite0 seed 2": Row(changed={"architecture": "segformer", "seed": "2"}),
    "upernet_lite0": Row(changed={"architecture": "upernet"}),
    "unet_resnet34 none": Row(recipe="unet_resnet34", weights="none"),
    "unet_mobilenetv3 none": Row(weights="none", changed={"encoder": "timm-mobilenetv3_small_minimal_100"}),
}

COLUMNS = ("row", "encoder weights", "labels", "steps", "CPU min", "IoU sealed [95 %]", "roof", "paved",
           "boundary IoU", "ECE", "area bias [95 %]")  # fmt: skip


def ready(out: Path) -> tuple[TownFiles, dict[str, Path]]:
    """The town, and chips by kind of labels."""
    spec = TownSpec(seed=21, width_m=ACROSS * SIDE_M, height_m=DOWN * SIDE_M, sheet_m=SIDE_M)
    note = out / "town" / "files.json"
    if not note.exists():
        made = write_town(out / "town", spec)
        plain = {"sheets": made.sheets, "truths": made.truths, "cadastre": made.cadastre}
        write_text(note, json.dumps(plain, default=str), overwrite=True)
    found = json.loads(note.read_text())
    made = TownFiles(tuple(map(Path, found["sheets"])), tuple(map(Path, found["truths"])), Path(found["cadastre"]))
    assigned = []
    for i, sheet in enumerate(made.sheets):
        split = "test" if i in TEST else "val" if i in VAL else "train"
        assigned += ["--assign", f"{sheet.stem}={split}"]
    chips = {"truth": out / "chips_truth", "alkis_nrw": out / "chips_alkis_nrw"}
    common = [*made.sheets, "--bands", "red,green,blue", *assigned]
    if not chips["truth"].exists():
        truths = [item for path in made.truths for item in ("--truth", path)]
        sealmap("prepare", *common, *truths, "--legend", "roof_paved", "--out", chips["truth"])
    if not chips["alkis_nrw"].exists():
        labels = ["--cadastre", made.cadastre, "--rules", "alkis_nrw", "--legend", "roof_paved"]
        sealmap("prepare", *common, *labels, "--out", chips["alkis_nrw"])
    return made, chips


def seconds_per_step(recipe: Recipe) -> float:
    """CPU seconds of a training step, all threads together: the least of five, batches in hand."""
    net = build_network(recipe.architecture, recipe.encoder, bands=3, classes=3)
    precision = chosen_for(torch.device("cpu")) if recipe.precision == "auto" else recipe.precision
    if precision == "bf16":
        keep_depthwise_float32(net)
    net = net.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-5)
    x = torch.rand(recipe.batch, 3, recipe.patch, recipe.patch).contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 3, (recipe.batch, recipe.patch, recipe.patch))
    took = []
    for _ in range(5):
        started = time.process_time()
        with torch.autocast("cpu", dtype=DTYPES.get(precision), enabled=precision != "fp32"):
            logits = net(x)
        loss = combined(logits, y, recipe.mix)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        took.append(time.process_time() - started)
    return min(took)


def make(name: str, row: Row, made: TownFiles, chips: dict[str, Path], out: Path, minutes: float) -> dict[str, Any]:
    """Train and score a row."""
    folder = out / name.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    per_step = seconds_per_step(recipe_named(row.recipe, row.changed))
    steps = max(20, round(60 * minutes / per_step))
    settings = {"steps": steps, "validate_every": max(10, steps // 3), **row.changed}
    changed = [item for key, value in settings.items() for item in ("--set", f"{key}={value}")]
    model = folder / "model.sealmap"
    cpu = sealmap(
        "train", chips[row.labels], "--recipe", row.recipe, "--encoder-weights", row.weights, "--aim", "zero_bias",
        "--out", model, "--overwrite", *changed,
    )  # fmt: skip
    truths = [item for i in TEST for item in ("--truth", made.truths[i])]
    sealmap(
        "evaluate", model, *(made.sheets[i] for i in TEST), *truths,
        "--parcels", f"{made.cadastre}:Flurstueck", "--out", folder / "test", "--overwrite",
    )  # fmt: skip
    return {
        "row": name, "recipe": row.recipe, "changed": row.changed, "weights": row.weights, "labels": row.labels,
        "steps": steps, "cpu_minutes": cpu, "threads": os.cpu_count(),
    }  # fmt: skip


def table(out: Path) -> str:
    """Markdown of all rows that are there, best first."""
    rows = []
    for note in sorted(out.glob("*/row.json")):
        facts = json.loads(note.read_text())
        found = json.loads((note.parent / "test" / "scores.json").read_text())
        rows.append((found["scores"]["sealed"]["iou"]["value"], facts, found))
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        "| --- " * len(COLUMNS) + "|",
    ]
    for _, facts, found in sorted(rows, key=lambda r: -r[0]):
        scores = found["scores"]
        sealed, bias = scores["sealed"], scores["sealed"]["area_bias"]
        iou = sealed["iou"]
        shown = [scores[k]["iou"]["value"] for k in ("roof", "paved") if k in scores]
        lines.append(
            f"| {facts['row']} | {facts['weights']} | {facts['labels']} | {facts['steps']} | {facts['cpu_minutes']:.1f}"
            f" | {iou['value']:.3f} [{iou['low']:.3f}, {iou['high']:.3f}] | "
            + " | ".join(f"{v:.3f}" for v in shown)
            + f" | {sealed['boundary_iou']['value']:.3f} | {found['probabilities']['ece']:.3f}"
            f" | {bias['value']:+.1%} [{bias['low']:+.1%}, {bias['high']:+.1%}] |"
        )
    return "\n".join(lines)


def main() -> None:
    """Make, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--minutes", type=float, default=6.0, help="CPU minutes of steps for each row")
    parser.add_argument("--table", action="store_true", help="print what is there")
    args = parser.parse_args()
    if not args.table:
        made, chips = ready(args.out)
        for name in args.rows:
            note = args.out / name.replace(" ", "_") / "row.json"
            if not note.exists():
                facts = make(name, ROWS[name], made, chips, args.out, args.minutes)
                write_text(note, json.dumps(facts, indent=1), overwrite=True)
    text = table(args.out)
    print(text)
    write_text(args.out / "town_table.md", f"{text}\n", overwrite=True)


if __name__ == "__main__":
    main()
