"""The whole chain on a two-sheet town, by command line only: prepare → train → evaluate against the exact truth.

    python benchmarks/town_chain.py --out town_chain --weights imagenet none

The first sheet trains (labels from the cadastre by ``alkis_nrw``), the second is held out; its score is against the
town's exact truth, not the cadastre's. Prints IoU with intervals and CPU minutes for each kind of encoder weights.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

from sealmap.testing.town import TownSpec, write_town


def sealmap(*arguments: object) -> float:
    """Run a verb; returns the CPU minutes it took, all threads and children together."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "sealmap", *map(str, arguments)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60


def main() -> None:
    """Build, train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--side", type=float, default=600.0, help="side of a sheet in metres")
    parser.add_argument("--steps", type=int, default=0, help="0: as the recipe says")
    parser.add_argument("--weights", nargs="+", default=["imagenet", "none"])
    args = parser.parse_args()
    out = args.out
    town = write_town(out / "town", TownSpec(seed=21, width_m=2 * args.side, height_m=args.side, sheet_m=args.side))
    common = [out / "town", "--bands", "red,green,blue", "--overwrite"]
    sealmap("prepare", *common, "--cadastre", town.cadastre, "--rules", "alkis_nrw", "--out", out / "chips")
    truths = [item for path in town.truths for item in ("--truth", path)]
    sealmap("prepare", *common, *truths, "--legend", "roof_paved", "--out", out / "truth_chips")
    rows = []
    for weights in args.weights:
        model = out / f"{weights}.sealmap"
        steps = ["--set", f"steps={args.steps}"] if args.steps else []
        cpu = sealmap(
            "train", out / "chips", "--recipe", "unet_lite0", "--encoder-weights", weights, "--out", model,
            "--overwrite", *steps,
        )  # fmt: skip
        sealmap(
            "evaluate",
            model,
            out / "truth_chips",
            "--split",
            "test",
            "--out",
            out / f"{weights}_test",
            "--overwrite",
        )
        found = json.loads((out / f"{weights}_test" / "scores.json").read_text())["scores"]["sealed"]
        rows.append((weights, cpu, found))
    print(f"{'encoder weights':<18}{'IoU sealed':>11}{'95 %':>18}{'area bias':>11}{'CPU min':>9}")
    for weights, cpu, found in rows:
        iou, bias = found["iou"], found["area_bias"]
        interval = f"{iou['low']:.3f} – {iou['high']:.3f}" if iou["low"] is not None else "–"
        print(f"{weights:<18}{iou['value']:>11.3f}{interval:>18}{bias['value']:>+11.1%}{cpu:>9.1f}")


if __name__ == "__main__":
    main()
