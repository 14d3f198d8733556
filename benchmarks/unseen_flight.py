"""A flight that training never saw: what each source of training data and each remedy is worth on it.

    python benchmarks/unseen_flight.py --out unseen --targets tallinn flanders \
        --arms plain within real town both domain domain+adapt domain+match domain+self
    python benchmarks/unseen_flight.py --out unseen --targets town-season town-camera --arms shipped shipped+adapt
    python benchmarks/unseen_flight.py --out unseen --table

A target's labels are used for scores only. Trained on is the other real flight, on its training part of
../shared/data/README.md (choice of weights and threshold on its validation part), and the procedural town. An arm is
a base with remedies, in order:

    plain    cross-entropy, flips, colour jitter, the other real flight alone: the script to beat
    within   as plain, on the target's own training part, scored on its test part: how much there is to win
    real     the recipe on the other real flight    town   on the town    both   on both
    domain   as both, with the recipe's domain augmentation and more zoom
    shipped, or a FILE.sealmap: as it is. Of real targets only the test part is scored: it may have seen the rest
    +adapt   batch-norm statistics of the target flight    +match  its histograms matched when read (last)
    +self    trained again with pseudo-labels of the target (sure pixels only) by the model so far as its teacher

The sheets of the target that +adapt, +match and +self look at (never at their labels) are all of its flight, those
scored included, as for someone who maps it. Every arm leaves model.sealmap and scores.json (the model of 'town' lies
in any/); what is there is not made again, and a training that was killed goes on from its checkpoint (its CPU
minutes then count from there). Scores are given at 0.5, or the threshold of a given bundle, and at 'zero bias', which
has no area bias on the source's validation part; 'varied': on that part as four other flights would show it
(``training/domain.py``). Intervals: 95 %, bootstrap over tiles (Tallinn) or blocks of 84 to 96 m (Flanders), 64 m
(town).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from score_real import DATA, TALLINN_TEST, TALLINN_VALIDATION
from train_shipped import Scenes, flanders, render_town, statistics, tallinn, tallinn_names, town, varied
from unseen_scenes import TOWNS, Labelled, scenes_of
from unseen_table import print_table

from sealmap.core.confusion import Confusion
from sealmap.core.errors import DatasetError, SealmapError, SettingsError
from sealmap.core.legend import IGNORE, ROOF_PAVED
from sealmap.evaluation.calibration import ReliabilityTally, choose_threshold
from sealmap.files.atomic import write_text
from sealmap.files.raster import read_raster
from sealmap.model.bundle import load_bundle, save_bundle
from sealmap.model.card import ModelCard
from sealmap.model.engines import TorchEngine
from sealmap.model.losses import cross_entropy
from sealmap.model.network import build_network, load_encoder_weights
from sealmap.pipeline import shipped_bundle
from sealmap.pipeline.adapt import AdaptSpec, adapt
from sealmap.prediction.certainty import p_sealed
from sealmap.prediction.mosaic import classify
from sealmap.prediction.predict import plan_prediction, predict
from sealmap.prediction.radiometry import MatchedOrthophoto, Matching, match_to
from sealmap.prediction.sample import sample_flight
from sealmap.prediction.single import predict_array
from sealmap.sources.orthophoto import open_mosaic
from sealmap.training.batches import Source, crop
from sealmap.training.loop import CHECKPOINT, Progress, train
from sealmap.training.precision import chosen_for, keep_depthwise_float32
from sealmap.training.recipes import Recipe, recipe_named

BASES = ("plain", "within", "real", "town", "both", "domain")
SURE = 0.9
"""Pseudo-labels are taken where p(sealed) is above this or below 1 − this."""

VARIED = 4
"""Looks of the validation part as of other flights, for the threshold 'zero bias, varied'."""

SHARES = {"real": 0.7, "town": 0.3, "self": 0.5}
"""Of the draws; those of 'real' and 'town' shrink where pseudo-labels join."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """An arm's model: bundle, whether its input is matched, zero-bias threshold, CPU minutes of all its making."""

    bundle: Path
    match: bool
    thresholds: dict[str, float]
    cpu_minutes: float


# --- training ---


def parts(target: str, base: str, args: argparse.Namespace) -> tuple[list[Source], list[Source]]:
    """(train, validation) of a base for this target."""
    used = [flight for flight in ("tallinn", "flanders") if (flight == target) == (base == "within")]
    fresh = [n for n in tallinn_names() if n not in TALLINN_TEST + TALLINN_VALIDATION]
    made = {"tallinn": lambda: (tallinn(fresh), tallinn(TALLINN_VALIDATION)),
            "flanders": lambda: (flanders(0, 416, 192), flanders(448, 640, 192))}  # fmt: skip
    train_on, held_out = [], []
    if base != "town":
        for flight in used:
            a, b = made[flight]()
            train_on.append(Source(chips=a, weight=SHARES["real"] / len(used)))
            held_out.append(Source(chips=b))
    if base in ("town", "both", "domain"):
        invented = town_scenes(args)
        last = -(-len(invented) // 6)
        train_on.append(Source(chips=replace(invented, scenes=invented.scenes[:-last]), weight=SHARES["town"]))
        if base == "town":
            held_out.append(Source(chips=replace(invented, scenes=invented.scenes[-last:])))
    return train_on, held_out


def town_scenes(args: argparse.Namespace) -> Scenes:
    """Windows of invented towns, rendered once (``scripts/train_shipped.py town`` leaves the same)."""
    folder = args.town or args.out / "town"
    if not any(folder.glob("town????_?.npz")):
        render_town(folder, args.town_scenes, 0)
    return town(folder)


def recipe_of(base: str, args: argparse.Namespace) -> Recipe:
    """The named recipe at the common ground sampling distance; --set has the last word."""
    used = recipe_named(args.recipe)
    used = replace(
        used, gsd_m=args.gsd, steps=args.steps, seed=args.seed, warmup=min(used.warmup, max(1, args.steps // 5)),
        validate_every=min(used.validate_every, args.steps),
    )  # fmt: skip
    if base == "domain":
        if "domain" not in {f.name for f in dataclasses.fields(Recipe)}:
            raise SettingsError("recipes of this version have no field 'domain'", remedy="leave the arm 'domain' out")
        used = replace(used, domain=args.domain, zoom=max(used.zoom, 1.6))
    wishes = dict(pair.split("=", 1) for pair in args.set)
    named = recipe_named(args.recipe, wishes)
    return replace(used, **{key: getattr(named, key) for key in wishes})


def train_plain(used: Recipe, train_on: Sequence[Source]) -> tuple[torch.nn.Module, str]:
    """As a first script would: no averaging, no schedule, the last weights."""
    torch.manual_seed(used.seed)
    rng = np.random.default_rng(used.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = build_network(used.architecture, used.encoder, bands=3, classes=len(ROOF_PAVED))
    origin = load_encoder_weights(net, used.encoder, used.encoder_weights, bands=3)
    net = net.to(device, memory_format=torch.channels_last).train()
    precision = chosen_for(device) if used.precision == "auto" else used.precision
    if precision == "bf16" and device.type == "cpu":
        keep_depthwise_float32(net)
    mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (used.mean, used.std))
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    augment = A.Compose([A.HorizontalFlip(), A.VerticalFlip(), A.ColorJitter((0.8, 1.2), (0.8, 1.2), (0.8, 1.2), 0.02)])
    augment.set_random_seed(used.seed)
    shares = np.array([s.weight for s in train_on]) / sum(s.weight for s in train_on)
    for step in range(used.steps):
        images, labels = [], []
        for _ in range(used.batch):
            chips = train_on[rng.choice(len(train_on), p=shares)].chips
            pixels, label = chips.read(int(rng.integers(len(chips))))
            image, label = crop(pixels.transpose(1, 2, 0), label, used.patch, used.gsd_m / chips.gsd_m, rng)
            done = augment(image=np.ascontiguousarray(image), mask=np.ascontiguousarray(label))
            images.append(done["image"])
            labels.append(done["mask"])
        x = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float() / 255
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
            logits = net(((x - mean) / std).contiguous(memory_format=torch.channels_last))
        loss = cross_entropy(logits, torch.from_numpy(np.stack(labels)).long().to(device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 20 == 0:
            print(f"  {step}/{used.steps} loss {loss.item():.3f}", flush=True)
    return net.eval(), origin


def train_arm(base: str, target: str, folder: Path, pseudo: Source | None, args: argparse.Namespace) -> None:
    """Train a base, with pseudo-labels where there are any, into ``model.sealmap`` and ``made.json``."""
    used, started = recipe_of(base, args), cpu_minutes()
    train_on, held_out = parts(target, base, args)
    if pseudo is not None:
        train_on = [replace(s, weight=s.weight * (1 - pseudo.weight)) for s in train_on] + [pseudo]
    if base in ("plain", "within"):
        net, origin = train_plain(used, train_on)
        facts: dict[str, Any] = {"encoder_weights": origin}
    else:

        def tell(p: Progress) -> None:
            if p.step % 20 == 0:
                print(f"  {p.step}/{p.steps} best IoU of the source {p.iou_sealed:.3f}", flush=True)

        run = folder / "run"
        done = train(used, train_on, held_out, run, resume=(run / CHECKPOINT).exists(), report=tell)
        net = done.network
        facts = {"encoder_weights": done.encoder_source, "iou_sealed_validation": round(done.iou_sealed, 4)}
    card = ModelCard(
        architecture=used.architecture, encoder=used.encoder, bands=("red", "green", "blue"), mean=used.mean,
        std=used.std, gsd_m=args.gsd, gsd_range_m=(0.08, 0.9), legend=ROOF_PAVED, patch=512, halo=64,
        statistics=statistics(train_on), training={"arm": base, "unseen": target, "steps": used.steps, **facts},
    )  # fmt: skip
    save_bundle(folder / "model.sealmap", card, net, overwrite=True)
    made = {"cpu_minutes": cpu_minutes() - started, "settings": settings_of(args)}
    write_text(folder / "made.json", json.dumps(made, indent=1), overwrite=True)


def thresholds_of(base: str, target: str, folder: Path, args: argparse.Namespace) -> dict[str, float]:
    """0.5 and those without area bias on the source's validation part; found once, from the model alone."""
    note = folder / "thresholds.json"
    if not note.exists():
        _, held_out = parts(target, base, args)
        engine = TorchEngine(load_bundle(folder / "model.sealmap"))
        found = {"0.5": 0.5}
        for name, seen in (("zero bias", held_out), ("zero bias, varied", varied(held_out, VARIED))):
            try:
                found[name] = choose_threshold(tally_of(engine, seen).curve(), "zero_bias")
            except DatasetError as error:
                print(f"  no threshold '{name}': {error}", flush=True)
        write_text(note, json.dumps(found), overwrite=True)
    found = json.loads(note.read_text())
    return dict(found)


def tally_of(engine: TorchEngine, held_out: Sequence[Source]) -> ReliabilityTally:
    """Probabilities of sealed against labels, pooled."""
    tally = ReliabilityTally.zero()
    for source in held_out:
        for i in range(len(source.chips)):
            pixels, label = source.chips.read(i)
            sealed = p_sealed(predict_array(pixels, source.chips.gsd_m, engine, 255.0), ROOF_PAVED)
            tally += ReliabilityTally.of(sealed, ROOF_PAVED.sealed_HW(label), label != IGNORE)
    return tally


def settings_of(args: argparse.Namespace) -> dict[str, Any]:
    """What decides a training, besides its arm and target."""
    names = ("gsd", "steps", "recipe", "set", "seed", "domain")
    return {name: getattr(args, name) for name in names}


def cpu_minutes() -> float:
    """Of this process and of its workers that have ended, all threads together."""
    return sum(os.times()[:4]) / 60


# --- arms ---


def make(arm: str, target: str, flight: Sequence[Path], args: argparse.Namespace) -> Made:
    """The model of an arm; what is not there yet is made, what it is made from first."""
    base, _, remedy = arm.rpartition("+") if "+" in arm else (arm, "", "")
    folder = args.out / ("any" if arm == "town" else target) / slug(arm)  # the town alone knows no target
    if not remedy:
        return given(base) if base not in BASES else trained(base, target, folder, None, args)
    teacher = make(base, target, flight, args)
    if remedy == "match":
        return replace(teacher, match=True)
    if teacher.match:
        raise SettingsError(f"arm '{arm}': +match changes no model", remedy="put it last")
    if remedy == "adapt":
        bundle, started = folder / "model.sealmap", cpu_minutes()
        if not bundle.exists():
            spec = AdaptSpec(windows=args.windows, mix=args.mix, seed=args.seed)
            adapt(teacher.bundle, flight, bundle, spec=spec, overwrite=True)
        return replace(teacher, bundle=bundle, cpu_minutes=teacher.cpu_minutes + cpu_minutes() - started)
    if remedy != "self" or base.partition("+")[0] not in BASES:
        raise SettingsError(f"no remedy '{remedy}' for '{base}'", remedy="use +adapt, +match, and +self of a base")
    again = trained(base.partition("+")[0], target, folder, lambda: pseudo_labels(teacher, flight), args)
    return replace(again, cpu_minutes=again.cpu_minutes + teacher.cpu_minutes)


def slug(arm: str) -> str:
    """An arm as the name of a folder."""
    return Path(arm).name.replace("+", "_") if ".sealmap" in arm else arm.replace("+", "_")


def given(base: str) -> Made:
    """A bundle that is there already, with its own threshold."""
    path = shipped_bundle() if base == "shipped" else Path(base)
    if not path.exists():
        raise SettingsError(f"no arm '{base}'", remedy=f"use {', '.join(BASES)}, shipped or FILE.sealmap")
    return Made(bundle=path, match=False, thresholds={"own": load_bundle(path).card.threshold}, cpu_minutes=0.0)


def trained(
    base: str, target: str, folder: Path, pseudo: Callable[[], Source] | None, args: argparse.Namespace
) -> Made:
    """A trained arm from its folder, trained now if need be; never with other settings than asked for."""
    note = folder / "made.json"
    if not note.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{target}/{folder.name}: training …", flush=True)
        train_arm(base, target, folder, pseudo() if pseudo else None, args)
    found = json.loads(note.read_text())
    if found["settings"] != settings_of(args):
        raise SettingsError(
            f"{folder} was made with {found['settings']}, asked for is {settings_of(args)}",
            remedy="choose another --out or remove the folder",
        )
    return Made(
        bundle=folder / "model.sealmap", match=False, thresholds=thresholds_of(base, target, folder, args),
        cpu_minutes=found["cpu_minutes"],
    )  # fmt: skip


def pseudo_labels(teacher: Made, flight: Sequence[Path]) -> Source:
    """The target's sheets, labelled where the teacher is sure, 255 between."""
    engine = TorchEngine(load_bundle(teacher.bundle))
    pairs, kept = [], []
    for path in flight:
        probs, valid, gsd_m = probabilities(path, engine, None)
        sealed = p_sealed(probs, ROOF_PAVED)
        label = np.where(sealed > SURE, classify(probs, ROOF_PAVED, SURE), np.where(sealed < 1 - SURE, 0, IGNORE))
        label = np.where(valid, label, IGNORE).astype(np.uint8)
        pairs.append((read_raster(path)[0][:3], label))
        kept.append(float((label != IGNORE).mean()))
    print(f"  pseudo-labels on {np.mean(kept):.1%} of {len(pairs)} sheets", flush=True)
    return Source(chips=Scenes(scenes=tuple(pairs), gsd_m=gsd_m), weight=SHARES["self"])


# --- scores ---


class Memory:
    """Takes what prediction would write into a map."""

    def __init__(self, classes: int, height: int, width: int) -> None:
        self.probs = np.zeros((classes, height, width), np.float32)
        self.valid = np.zeros((height, width), np.bool_)

    def write(self, window: Any, probs_KHW: NDArray[np.float32], valid_HW: NDArray[np.bool_]) -> None:
        """As ``MapWriter.write``."""
        rows, cols = (slice(window.row, window.stop_row), slice(window.col, window.stop_col))
        self.probs[:, rows, cols], self.valid[rows, cols] = probs_KHW, valid_HW


def probabilities(path: Path, engine: TorchEngine, matching: Matching | None) -> tuple[Any, Any, float]:
    """Probabilities (K, H, W) and validity of a sheet, as ``sealmap predict`` finds them, and its pixel size."""
    with open_mosaic([path]) as mosaic:
        seen = MatchedOrthophoto(mosaic, matching) if matching else mosaic
        memory = Memory(len(engine.card.legend), mosaic.grid.height, mosaic.grid.width)
        predict(seen, engine, plan_prediction(seen, engine), memory)
        return memory.probs, memory.valid, mosaic.grid.gsd_m


def score(arm: str, made: Made, scenes: Sequence[Labelled], flight: Sequence[Path], seed: int) -> dict[str, Any]:
    """Counts by threshold and block, from which the table is made, and the calibration error on the target."""
    engine = TorchEngine(load_bundle(made.bundle))
    matching = None
    if made.match:
        with open_mosaic(flight) as mosaic:
            sample = sample_flight(mosaic, engine.card, count=64, seed=seed)
        matching = match_to(engine.card, sample.histogram_CB, sample.pixel_scale)
    may_have_seen = arm.partition("+")[0] not in BASES or arm.startswith("within")
    tally = ReliabilityTally.zero()
    counts: dict[str, dict[str, Any]] = {name: {} for name in made.thresholds}
    test = []
    for one in scenes:
        probs, valid, _ = probabilities(one.ortho, engine, matching)
        truth = np.where(valid, one.truth_HW, IGNORE).astype(np.uint8)
        maps = {name: classify(probs, ROOF_PAVED, t) for name, t in made.thresholds.items()}
        for block, in_test, at in one.blocks():
            if may_have_seen and not in_test:
                continue
            test += [block] if in_test else []
            tally += ReliabilityTally.of(
                p_sealed(probs, ROOF_PAVED)[at], ROOF_PAVED.sealed_HW(truth[at]), truth[at] != IGNORE
            )
            for name, found in maps.items():
                counts[name][block] = Confusion.of(ROOF_PAVED, truth[at], found[at]).counts_KK.tolist()
    try:
        oracle = choose_threshold(tally.curve(), "zero_bias")
    except DatasetError:
        oracle = float("nan")
    return {
        "arm": arm, "thresholds": made.thresholds, "cpu_minutes": made.cpu_minutes, "test_blocks": test,
        "ece": tally.reliability().ece, "zero_bias_threshold_of_the_target": oracle, "counts": counts,
    }  # fmt: skip


def main() -> None:
    """Make, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--targets", nargs="+", default=["tallinn", "flanders"], choices=["tallinn", "flanders", *TOWNS]
    )
    parser.add_argument("--arms", nargs="+", default=["plain", "within", "real", "town", "both", "both+adapt"])
    parser.add_argument("--gsd", type=float, default=0.3, help="metres; all arms see all flights at this")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--recipe", default="unet_lite0")
    parser.add_argument("--set", nargs="*", default=[], help="KEY=VALUE of the recipe")
    parser.add_argument("--domain", type=float, default=0.5, help="of the recipe, in the arm 'domain'")
    parser.add_argument("--windows", type=int, default=64, help="of +adapt")
    parser.add_argument("--mix", type=float, default=1.0, help="of +adapt")
    parser.add_argument("--town", type=Path, help="folder of rendered windows; made in --out where left out")
    parser.add_argument("--town-scenes", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="print what is there")
    args = parser.parse_args()
    if not args.table and not DATA.is_dir():
        sys.exit(f"REAL DATA MISSING: no folder {DATA}; nothing was trained or scored")
    for target in [] if args.table else args.targets:
        scenes, flight = scenes_of(target, args.out)
        for arm in args.arms:
            final = args.out / target / slug(arm) / "scores.json"
            started = time.perf_counter()
            try:
                made = make(arm, target, flight, args)
                if final.exists():
                    print(f"{target}/{arm}: there already", flush=True)
                    continue
                found = score(arm, made, scenes, flight, args.seed)
            except SealmapError as error:
                print(f"SKIPPED {target}/{arm}: {error}", flush=True)
                continue
            write_text(final, json.dumps({"target": target, **found}), overwrite=True)
            minutes = (time.perf_counter() - started) / 60
            print(f"{target}/{arm}: {made.cpu_minutes:.1f} CPU min to make, {minutes:.1f} min just now", flush=True)
    print_table(args.out)


if __name__ == "__main__":
    main()
