"""How wrong the labels of a rule table are, and what a model makes of them: on a town whose truth is known exactly.

    python benchmarks/label_quality.py --out label_quality               # labels, and one training per rule table
    python benchmarks/label_quality.py --out label_quality --no-train    # labels only, in all seasons

Three sheets: one trains (labels from the cadastre), one validates, the third is held out; its score is against the
exact truth, yards and drives included. Wrong: share of the labelled pixels (not 255) of all chips that differ from it,
sealed or not. ``alkis_nrw+drawn`` has 40 plots of the first two sheets drawn on top (here: copied from the truth).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import geopandas as gpd
import rasterio
from rasterio.features import geometry_mask
from rasterio.features import shapes as features
from rasterio.windows import from_bounds
from shapely.geometry import box, shape
from town_chain import sealmap

from sealmap.core.legend import IGNORE
from sealmap.dataset.chipset import ChipSet
from sealmap.testing.town import SEASONS, Season, TownFiles, TownSpec, write_town

DRAWN = "alkis_nrw+drawn"
TABLES = ("alkis_nrw", "outlines_only", DRAWN)
SHEETS, PLOTS = 3, 40
CLASSES = {0: "unsealed", 1: "roof", 2: "paved"}


def town(folder: Path, side: float, season: Season) -> TownFiles:
    """Three sheets in a row; the last one is for the test."""
    spec = TownSpec(seed=21, width_m=SHEETS * side, height_m=side, sheet_m=side, season=season)
    return write_town(folder, spec)


def chips_of(folder: Path, made: TownFiles, rules: str) -> Path:
    """Chips by a rule table: two sheets for training and validation, the third for the test."""
    out = folder / f"chips_{rules}"
    drawn = ["--labels", draw_plots(folder / "drawn.gpkg", made)] if rules == DRAWN else []
    sealmap(
        "prepare", folder / "town", "--bands", "red,green,blue", "--cadastre", made.cadastre,
        "--rules", rules.partition("+")[0], *drawn, "--assign", f"{made.sheets[-1].stem}=test",
        "--out", out, "--overwrite",
    )  # fmt: skip
    return out


def draw_plots(path: Path, made: TownFiles) -> Path:
    """Plots as a person would outline them with time and good eyes: 20 of each of the first two sheets.

    Some of each kind of use, as docs/labelling.md says; roads are left out, the cadastre knows them.
    """
    parcels = gpd.read_file(made.cadastre, layer="NutzungFlurstueck")
    parcels = parcels[(parcels.area > 200) & ~parcels["nutzart"].isin(["Straßenverkehr", "Weg"])]
    rows, shapes = [], []
    for truth in made.truths[:-1]:
        with rasterio.open(truth) as dataset:
            label, transform, bounds = dataset.read(1), dataset.transform, box(*dataset.bounds)
        inside = parcels[parcels.within(bounds)]
        shuffled = inside.sample(frac=1, random_state=0)
        in_turn = shuffled.assign(turn=shuffled.groupby("nutzart").cumcount()).sort_values("turn", kind="stable")
        for plot in in_turn.geometry[: PLOTS // 2]:
            rows.append("unsealed")  # the frame
            shapes.append(plot)
            mask = geometry_mask([plot], label.shape, transform, invert=True)
            for found, value in features(label, mask=mask & (label > 0), transform=transform):
                rows.append(CLASSES[int(value)])
                shapes.append(shape(found))
    gpd.GeoDataFrame({"class": rows}, geometry=shapes, crs=parcels.crs).to_file(path, layer="labels")
    return path


def wrong_labels(chips: ChipSet, truths: tuple[Path, ...]) -> dict[str, float]:
    """judged: share of pixels with a label. wrong: share of these; sealed_wrong: of those labelled sealed."""
    by_sheet = {path.stem.removesuffix("_truth"): path for path in truths}
    judged = wrong = pixels = sealed = sealed_wrong = 0
    for i, chip in enumerate(chips.chips):
        label, grid = chips.read(i)[1], chips.grid(i)
        with rasterio.open(by_sheet[chip.sheet]) as dataset:
            window = from_bounds(*grid.bounds, dataset.transform)
            truth = dataset.read(1, window=window, boundless=True, fill_value=IGNORE)
        known = (label != IGNORE) & (truth != IGNORE)
        differs = known & ((label > 0) != (truth > 0))
        pixels, judged, wrong = pixels + label.size, judged + known.sum(), wrong + differs.sum()
        sealed += (known & (label > 0)).sum()
        sealed_wrong += (differs & (label > 0)).sum()
    return {
        "judged": float(judged / pixels),
        "wrong": float(wrong / judged),
        "sealed_wrong": float(sealed_wrong / max(sealed, 1)),
        "unsealed_wrong": float((wrong - sealed_wrong) / max(judged - sealed, 1)),
    }


def trained(folder: Path, made: TownFiles, chips: Path, steps: int) -> dict[str, dict[str, float]]:
    """Train the recipe on chips and score it on the held-out sheet's exact truth."""
    truth = folder / "truth_chips"
    if not truth.exists():
        named = [item for path in made.truths for item in ("--truth", path)]
        sealmap(
            "prepare", folder / "town", "--bands", "red,green,blue", *named, "--legend", "roof_paved",
            "--assign", f"{made.sheets[-1].stem}=test", "--out", truth,
        )  # fmt: skip
    model = chips.with_suffix(".sealmap")
    changed = ["--set", f"steps={steps}"] if steps else []
    sealmap("train", chips, "--recipe", "unet_lite0", "--out", model, "--overwrite", *changed)
    scores = chips.with_name(f"scores_{chips.name}")
    sealmap("evaluate", model, truth, "--split", "test", "--out", scores, "--overwrite")
    found: dict[str, dict[str, float]] = json.loads((scores / "scores.json").read_text())["scores"]["sealed"]
    return found


def main() -> None:
    """Print wrong shares per season and rule table, then scores of models trained on each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--side", type=float, default=600.0, help="side of a sheet in metres")
    parser.add_argument("--steps", type=int, default=0, help="0: as the recipe says")
    parser.add_argument("--train", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--rules", nargs="+", default=list(TABLES), choices=TABLES)
    args = parser.parse_args()
    scores = {}
    print(f"{'season':<10}{'rules':<18}{'judged':>8}{'wrong':>8}{'of sealed':>11}{'of unsealed':>13}", flush=True)
    for season in SEASONS if not args.train else SEASONS[:1]:
        folder = args.out / season
        made = town(folder / "town", args.side, season)
        for rules in args.rules:
            chips = chips_of(folder, made, rules)
            w = wrong_labels(ChipSet.open(chips), made.truths)
            print(
                f"{season:<10}{rules:<18}{w['judged']:>8.1%}{w['wrong']:>8.2%}{w['sealed_wrong']:>11.2%}"
                f"{w['unsealed_wrong']:>13.2%}",
                flush=True,
            )
            if args.train:
                scores[rules] = trained(folder, made, chips, args.steps)
    for rules, score in scores.items():
        iou, bias = score["iou"], score["area_bias"]
        interval = f"[{iou['low']:.3f}, {iou['high']:.3f}]"
        print(f"{rules:<18} IoU sealed {iou['value']:.3f} {interval}, area bias {bias['value']:+.1%}")


if __name__ == "__main__":
    main()
