"""Weights of the guard's two colour scores, fitted on clean pictures and on the same with bands in other places.

    python scripts/learn_guard.py --towns 40 --real ../shared/data --out guard_sources

Towns of all seasons, suns and cameras are made by code; real pictures are read where they lie. Prints the weights for
``sealmap/prediction/colours.py`` and, source by source, how weights fitted on the other sources do on it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy.optimize import minimize

from sealmap.prediction.colours import INFRARED, REVERSED, infrared_figures, reversed_figures
from sealmap.prediction.facts import pixel_facts
from sealmap.testing.model import TownSpec
from sealmap.testing.town import write_town

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from guard_matrix import varied

SIDE = 576
"""Large pictures are cut into squares of this side, for more samples of few flights."""


def town_spec(number: int) -> TownSpec:
    """A town of its own season, sun, camera and ground sampling distance."""
    rng = np.random.default_rng(1000 + number)
    return varied(rng, number, seed=300 + number, side_m=240.0, gsd_m=(0.2, 0.2, 0.2, 0.1, 0.3)[number % 5])


def pictures(out: Path, towns: int, real: Path) -> Iterator[tuple[str, NDArray[Any], NDArray[np.bool_]]]:
    """(source, pixels as red, green, blue and perhaps nir, valid)."""
    for number in range(towns):
        folder = out / f"town{number:02}"
        if not folder.exists():
            write_town(folder, town_spec(number))
        for path in sorted(folder.glob("*.jp2")):
            yield "town", *_read(path)
    for path in sorted((real / "tallinn").glob("*/t??.tif")):
        yield "tallinn", *_read(path)
    flights = [("flanders", real / "flanders" / "ortho.tif")]
    flights += [(path.stem.split("_")[0], path) for path in sorted((real / "edge_rasters").glob("*.tif"))]
    for source, path in flights:
        if path.exists():
            yield from ((source, *part) for part in _squares(*_read(path)))


def _squares(pixels: NDArray[Any], valid: NDArray[np.bool_]) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]:
    for row in range(0, pixels.shape[1], SIDE):
        for col in range(0, pixels.shape[2], SIDE):
            part = (slice(row, row + SIDE), slice(col, col + SIDE))
            if valid[part].sum() > SIDE * SIDE / 4:
                yield pixels[:, *part], valid[part]


def _read(path: Path) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    with rasterio.open(path) as dataset:
        pixels = dataset.read()
    valid = pixels[:3].any(axis=0)
    if "alpha" in path.name:
        return pixels[:3], valid & (pixels[3] > 0)
    return pixels, valid


def fitted(rows: NDArray[np.float64], weights: NDArray[np.float64], shrink: float) -> NDArray[np.float64]:
    """Logistic regression through the origin: weights for which rows come out above 0."""
    scale = rows.std(axis=0) + 1e-9
    unit = rows / scale
    loss = lambda w: float(weights @ np.log1p(np.exp(-unit @ w)) / weights.sum() + shrink * w @ w)  # noqa: E731
    found: NDArray[np.float64] = minimize(loss, np.zeros(rows.shape[1])).x / scale
    return found


def report(
    name: str, rows: NDArray[np.float64], source: NDArray[np.str_], columns: tuple[str, ...], shrink: float
) -> None:
    """Print the weights, and how those of the other sources do on each. Sources weigh alike, and so do both kinds."""
    share = np.array([1 / (source == s).sum() for s in source])
    faulty = np.array([s.endswith(" nir") for s in source.tolist()])
    if faulty.any():
        share[faulty] *= share[~faulty].sum() / share[faulty].sum()
    for held_out in dict.fromkeys(source.tolist()):
        here = source == held_out
        away = here | (source == f"{held_out} nir") | (source == held_out.removesuffix(" nir"))
        scores = rows[here] @ fitted(rows[~away], share[~away], shrink)
        least, low, middle = np.quantile(scores, [0, 0.05, 0.5])
        right = (scores > 0).mean()
        print(
            f"{name:<9} {held_out:<9} {here.sum():>4} rows: {right:.1%} right, least {least:.2f}, 5 % {low:.2f},"
            f" median {middle:.2f}"
        )
    weights = fitted(rows, share, shrink)
    scores = rows @ weights
    print(f"{name.upper()}_WEIGHTS = {tuple(round(float(w), 3) for w in weights)}  # {', '.join(columns)}")
    low = np.quantile(scores, 0.01)
    print(f"{name:<9} all: {(scores > 0).mean():.1%} right, least {scores.min():.2f}, 1 % {low:.2f}\n")


def main() -> None:
    """Gather, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the towns")
    parser.add_argument("--towns", type=int, default=40)
    parser.add_argument("--real", type=Path, default=Path("../shared/data"))
    args = parser.parse_args()
    order, infrared, sources, kinds = [], [], [], []
    for source, pixels, valid in pictures(args.out, args.towns, args.real):
        clean = pixel_facts(pixels[:3], valid, 255.0)
        order.append(reversed_figures(clean))
        sources.append(source)
        # Infrared is had of towns only: they are halved, to see how one half's weights do on the other.
        half = f"{source} {len(order) % 2}" if source == "town" else source
        infrared.append(-infrared_figures(clean))
        kinds.append(half)
        if len(pixels) > 3:
            for picked in ([3, 1, 2], [3, 0, 1]):
                infrared.append(infrared_figures(pixel_facts(pixels[picked], valid, 255.0)))
                kinds.append(f"{half} nir")
    report("reversed", np.array(order), np.array(sources), REVERSED, 0.02)
    report("infrared", np.array(infrared), np.array(kinds), INFRARED, 0.0005)


if __name__ == "__main__":
    main()
