"""Same flight, other places: each Tallinn tile is scored by a network that saw none of its fold.

    python benchmarks/leave_place_out.py --out places --folds 4 --steps 200

Tiles are dealt into folds in turn; a network per fold is trained on the others with the recipe as it stands (the last
averaged weights, no choice by a validation part, threshold 0.5), so every tile is scored once and held out. Folds that
are there already are not trained again. Intervals: 95 %, bootstrap over tiles.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from score_real import DATA
from train_shipped import tallinn, tallinn_names
from unseen_table import scored, shown

from sealmap.core.confusion import Confusion
from sealmap.core.legend import ROOF_PAVED
from sealmap.files.atomic import write_text
from sealmap.model.bundle import ModelBundle
from sealmap.model.card import ModelCard
from sealmap.model.engines import TorchEngine
from sealmap.prediction.mosaic import classify
from sealmap.prediction.single import predict_array
from sealmap.training.batches import Source
from sealmap.training.loop import train
from sealmap.training.recipes import Recipe, recipe_named


def fold(names: list[str], held: list[str], used: Recipe, folder: Path) -> dict[str, Any]:
    """Counts of each held tile, by a network trained on the others."""
    seen = [Source(chips=tallinn([n for n in names if n not in held]))]
    done = train(used, seen, [Source(chips=tallinn(held[:1]))], folder)  # validated once, at the end: nothing is chosen
    card = ModelCard(
        architecture=used.architecture, encoder=used.encoder, bands=("red", "green", "blue"), mean=used.mean,
        std=used.std, gsd_m=used.gsd_m or 0.2, gsd_range_m=(0.1, 0.5), legend=ROOF_PAVED, patch=512, halo=64,
    )  # fmt: skip
    engine = TorchEngine(ModelBundle(card=card, weights=done.network.state_dict()))
    chips = tallinn(held)
    counts = {}
    for i, name in enumerate(held):
        pixels, truth = chips.read(i)
        found = classify(predict_array(pixels, chips.gsd_m, engine, 255.0), ROOF_PAVED, 0.5)
        counts[name] = Confusion.of(ROOF_PAVED, truth, found).counts_KK.tolist()
    return counts


def main() -> None:
    """Train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--gsd", type=float, default=0.2, help="metres that the network sees")
    parser.add_argument("--recipe", default="unet_lite0")
    args = parser.parse_args()
    if not DATA.is_dir():
        sys.exit(f"REAL DATA MISSING: no folder {DATA}; nothing was trained or scored")
    names = tallinn_names()
    used = replace(recipe_named(args.recipe), gsd_m=args.gsd, steps=args.steps, validate_every=args.steps)
    counts: dict[str, Any] = {}
    for k in range(args.folds):
        note = args.out / f"fold{k}.json"
        if not note.exists():
            print(f"fold {k + 1} of {args.folds}: training …", flush=True)
            found = fold(names, names[k :: args.folds], used, args.out / f"fold{k}")
            write_text(note, json.dumps(found), overwrite=True)
        counts.update(json.loads(note.read_text()))
    columns = {
        "IoU sealed": ("sealed", "iou"), "IoU roof": ("roof", "iou"), "IoU paved": ("paved", "iou"),
        "area bias": ("sealed", "area_bias"),
    }  # fmt: skip
    print(f"{len(counts)} tiles, each held out once, {args.folds} folds, {args.steps} steps each")
    for column, what in columns.items():
        print(f"{column:<12}{shown(column, scored(counts, *what))}")
    worst = sorted(
        counts, key=lambda n: Confusion(legend=ROOF_PAVED, counts_KK=np.array(counts[n])).summary()["sealed"]["iou"]
    )
    print("worst tiles: " + ", ".join(worst[:4]))


if __name__ == "__main__":
    main()
