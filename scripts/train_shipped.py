"""Train the shipped bundle: town scenes plus the hand-labelled orthophotos in ../shared/data, training parts only.

    python scripts/train_shipped.py town --out WORK --count 60      # render town scenes once
    python scripts/train_shipped.py train --out WORK --steps 2000   # resumes with --resume
    python scripts/train_shipped.py export --out WORK               # → src/sealmap/model/shipped.sealmap
    python scripts/train_shipped.py limits --out WORK               # what the guard measures by, for a bundle there is

The fixed splits of ../shared/data/README.md hold: Tallinn t15, t18, t36 and Flanders columns 704.. are never read
here. Validation: Tallinn t08 and t30, Flanders columns 448-639 (with a gap of 32 to training), the last sixth of the
town scenes. It chooses the weights, the temperature and the threshold ('zero_bias'); each flight counts alike.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sealmap.core.legend import ROOF_PAVED, Legend
from sealmap.dataset.chipset import Chip
from sealmap.files.raster import read_raster
from sealmap.model.bundle import load_bundle, save_bundle, save_card
from sealmap.model.card import BandStatistics, ModelCard
from sealmap.model.network import build_network
from sealmap.pipeline.calibrate import calibrate_on
from sealmap.training.batches import Source
from sealmap.training.looks import OtherFlight, Placed
from sealmap.training.loop import CHECKPOINT, Progress, Trained, train
from sealmap.training.recipes import Recipe, unet_lite0

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
TEST, VALIDATION = ("t15", "t18", "t36"), ("t08", "t30")
BUNDLE = ROOT / "src" / "sealmap" / "model" / "shipped.sealmap"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scenes:
    """Whole scenes in memory as chips: (pixels_CHW uint8, label_HW) each."""

    scenes: tuple[tuple[NDArray[np.uint8], NDArray[np.uint8]], ...]
    gsd_m: float
    bands: tuple[str, ...] = ("red", "green", "blue")
    legend: Legend = ROOF_PAVED
    pixel_scale: float = 255.0

    def __len__(self) -> int:
        return len(self.scenes)

    @property
    def chips(self) -> tuple[Chip, ...]:
        """Places, as calibration asks for them: each scene lies by itself."""
        return tuple(
            Chip(name=f"scene {i}", split="val", sheet=f"scene {i:03}", row=0, col=0, shares={})
            for i in range(len(self))
        )

    def read(self, index: int, /) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        return self.scenes[index]


def tallinn(names: Sequence[str]) -> Scenes:
    folder = DATA / "tallinn" / "labelled"
    pairs = [(read_raster(folder / f"{n}.tif")[0][:3], read_raster(folder / f"{n}_truth.tif")[0][0]) for n in names]
    return Scenes(scenes=tuple(pairs), gsd_m=0.2)


def tallinn_names() -> list[str]:
    return sorted(p.stem for p in (DATA / "tallinn" / "labelled").glob("t??.tif"))


def flanders(start: int, stop: int, piece: int) -> Scenes:
    """Columns of the Flanders scene, cut into pieces so that a draw picks a place evenly."""
    image, _ = read_raster(DATA / "flanders" / "ortho.tif")
    truth, _ = read_raster(DATA / "flanders" / "truth.tif")
    image, label = image[:3, :, start:stop], truth[0, :, start:stop]
    pairs = [(image[:, r : r + piece], label[r : r + piece]) for r in range(0, image.shape[1] - 191, piece)]
    return Scenes(scenes=tuple(pairs), gsd_m=0.5)


def render_town(folder: Path, count: int, first: int) -> None:
    """Town windows of 640 px at 0.2 m: another seed, season, sun and camera each, kept as .npz."""
    from sealmap.testing.town import Camera, TownSpec, plan_town, render_window

    folder.mkdir(parents=True, exist_ok=True)
    for i in range(first, first + count):
        if (folder / f"town{i:04}.npz").exists():
            continue
        rng = np.random.default_rng((77, i))
        camera = Camera(
            gains=tuple(float(v) for v in rng.uniform(0.85, 1.15, 4)),
            gamma=float(rng.uniform(0.8, 1.25)),
            saturation=float(rng.uniform(0.6, 1.3)),
            haze=float(rng.uniform(0, 0.2)),
            blur_px=float(rng.uniform(0.4, 1.1)),
            noise=float(rng.uniform(0.5, 4)),
        )
        spec = TownSpec(
            seed=1000 + i, width_m=512, height_m=512, sheet_m=512, gsd_m=0.2, rgbi=False, camera=camera,
            season=str(rng.choice(["leaf_off", "summer", "autumn", "dry"], p=[0.5, 0.2, 0.15, 0.15])),
            sun_azimuth_deg=float(rng.uniform(110, 250)), sun_elevation_deg=float(rng.uniform(22, 58)),
        )  # fmt: skip
        scene = plan_town(spec)
        for k in range(4):
            x = spec.origin[0] + float(rng.integers(0, 384))
            y = spec.origin[1] + float(rng.integers(0, 384))
            seen = render_window(scene, spec, (x, y, x + 128, y + 128))
            np.savez_compressed(folder / f"town{i:04}_{k}.npz", pixels=seen.pixels[:3], label=seen.truth)
        np.savez_compressed(folder / f"town{i:04}.npz", done=True)
        print(i, spec.season, flush=True)


def town(folder: Path) -> Scenes:
    pairs = []
    for path in sorted(folder.glob("town????_?.npz")):
        with np.load(path) as found:
            pairs.append((found["pixels"], found["label"]))
    return Scenes(scenes=tuple(pairs), gsd_m=0.2)


def varied(held_out: Sequence[Source], looks: int) -> list[Source]:
    """Each source ``looks`` times, as other flights would show it: what an unseen flight does to a model, in part."""
    return [
        Source(chips=OtherFlight(ground=s.chips, look=look), weight=s.weight) for s in held_out for look in range(looks)
    ]


def sources(work: Path) -> tuple[list[Source], list[Source]]:
    names = [n for n in tallinn_names() if n not in TEST + VALIDATION]
    invented = town(work / "town")
    last = -(-len(invented) // 6)
    train_on = [
        Source(chips=tallinn(names), weight=0.4),
        Source(chips=flanders(0, 416, 192), weight=0.2),
        Source(chips=replace(invented, scenes=invented.scenes[:-last]), weight=0.4),
    ]
    held_out = [
        Source(chips=tallinn(VALIDATION)),
        Source(chips=flanders(448, 640, 192)),
        Source(chips=replace(invented, scenes=invented.scenes[-last::4])),  # a window of each town
    ]
    return train_on, held_out


def recipe(steps: int) -> Recipe:
    return replace(
        unet_lite0(), gsd_m=0.2, patch=320, batch=6, steps=steps, warmup=100, ema=0.997, zoom=1.6, smoothing=0.05,
        domain=0.4, validate_every=200,
    )  # fmt: skip


def alike(held_out: Sequence[Source], looks: int = 3) -> list[Placed]:
    """Validation in which each flight has about as many pixels as the one with most, as it is and as of other flights.

    Calibration pools pixels; the coarse flight has few of them. Each scene is there as taken and ``looks`` times or
    more as another flight would show it, so that the threshold is not that of flights already seen alone.
    """
    seen = [(s.chips, sum(s.chips.read(i)[1].size for i in range(len(s.chips)))) for s in held_out]
    most = max(pixels for _, pixels in seen)
    found: list[Placed] = []
    for chips, pixels in seen:
        more = round((1 + looks) * most / pixels) - 1
        found += [chips, *(OtherFlight(ground=chips, look=look) for look in range(more))]
    return found


def statistics(train_on: Sequence[Source]) -> dict[str, BandStatistics]:
    """Of all training pixels, sources weighted alike as in training."""
    total = sum(s.weight for s in train_on)
    found = {}
    for b, band in enumerate(("red", "green", "blue")):
        histogram = np.zeros(256)
        for s in train_on:
            counts = sum(
                np.bincount(p[b].ravel(), minlength=256) for p, _ in (s.chips.read(i) for i in range(len(s.chips)))
            )
            histogram += s.weight / total * counts / np.sum(counts)
        level = np.arange(256) / 255
        mean = float(histogram @ level)
        std = float(np.sqrt(histogram @ (level - mean) ** 2))
        bins = tuple(round(float(v), 6) for v in histogram.reshape(64, 4).sum(1))
        found[band] = BandStatistics(mean=mean, std=std, histogram=bins)
    return found


def card_of(used: Recipe, result: Trained, train_on: Sequence[Source]) -> ModelCard:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return ModelCard(
        architecture=used.architecture, encoder=used.encoder, bands=("red", "green", "blue"),
        mean=used.mean, std=used.std, gsd_m=0.2, gsd_range_m=(0.08, 0.6), legend=ROOF_PAVED, patch=512, halo=64,
        statistics=statistics(train_on),
        training={
            "recipe": used.name,
            "script": "scripts/train_shipped.py",
            "commit": commit.stdout.strip(),
            "encoder_weights": result.encoder_source,
            "steps": used.steps, "patch": used.patch, "batch": used.batch, "seed": used.seed,
            "precision": result.precision,
            "seconds": round(result.seconds),
            "iou_sealed_validation": round(result.iou_sealed, 4),
            "data": [
                "Tallinn orthophoto, Estonian Land Board, 0.2 m, hand-labelled for this project (training tiles)",
                "Flanders orthophoto 2025, Digitaal Vlaanderen, 0.5 m, hand-labelled for this project (columns 0-639)",
                "procedural town (sealmap.testing.town)",
            ],
            "shares": [round(s.weight, 3) for s in train_on],
        },
    )  # fmt: skip


def best_so_far(work: Path, used: Recipe) -> Trained:
    """The best averaged weights of a run that has not ended, from its checkpoint."""
    found = torch.load(work / "run" / CHECKPOINT, map_location="cpu", weights_only=True)
    net = build_network(used.architecture, used.encoder, bands=3, classes=len(ROOF_PAVED))
    net.load_state_dict(found["best_weights"])
    return Trained(
        network=net,
        iou_sealed=found["best"],
        history=found["history"],
        encoder_source=found["encoder_source"],
        seconds=found["seconds"],
        precision=found["recipe"]["precision"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("town", "train", "export", "limits"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    args = parser.parse_args()
    if args.what == "town":
        render_town(args.out / "town", args.count, args.first)
        return

    def tell(p: Progress) -> None:
        if p.step % 10 == 0:
            print(f"{p.step}/{p.steps} best IoU {p.iou_sealed:.4f}", flush=True)

    train_on, held_out = sources(args.out)
    used = recipe(args.steps)
    if args.what != "limits":
        if args.what == "export":
            result = best_so_far(args.out, used)
        else:
            judged_on = [*held_out, *varied(held_out, 1)]  # weights are chosen as they are and as on other flights
            result = train(used, train_on, judged_on, args.out / "run", resume=args.resume, report=tell)
        save_bundle(args.bundle, card_of(used, result, train_on), result.network, overwrite=True, half=True)
    origin = {"split": "val", "labels": "drawn by hand; town: exact"}
    found = calibrate_on(load_bundle(args.bundle), alike(held_out), aim="zero_bias", origin=origin)
    bundle = load_bundle(args.bundle)
    card = replace(bundle.card, limits=found.card.limits) if args.what == "limits" else found.card
    save_card(args.bundle, replace(bundle, card=card), overwrite=True)
    print(json.dumps(dict(card.training), indent=1))
    print(json.dumps(dict(card.limits), indent=1))
    print({k: v for k, v in card.calibration.items() if k != "curve"})


if __name__ == "__main__":
    main()
