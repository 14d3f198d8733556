"""Score a bundle on the held-out parts of the real hand-labelled orthophotos, with the sealmap command line's own code.

    python benchmarks/score_real.py --out real_scores [--model model.sealmap]

Test parts are fixed by ../shared/data/README.md: Tallinn t15, t18, t36 and Flanders columns 704-1151. The columns
before are predicted too (a map needs its surroundings) but never scored. Leaves scores.json and a picture per scene.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.core.confusion import Confusion
from sealmap.core.legend import IGNORE, ROOF_PAVED
from sealmap.evaluation.pictures import errors, paint
from sealmap.files.raster import read_raster
from sealmap.pipeline.maps import predict

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TALLINN_TEST = ("t15", "t18", "t36")
TALLINN_VALIDATION = ("t08", "t30")
FLANDERS_TEST_FROM = 704


def scene(name: str, *, flanders_columns: slice) -> tuple[Path, NDArray[np.uint8]]:
    """Orthophoto and truth of a scene; truth is 255 outside the part to be scored."""
    if name == "flanders":
        truth = read_raster(DATA / "flanders" / "truth.tif")[0][0]
        hidden = np.full_like(truth, IGNORE)
        hidden[:, flanders_columns] = truth[:, flanders_columns]
        return DATA / "flanders" / "ortho.tif", hidden
    folder = DATA / "tallinn" / "labelled"
    return folder / f"{name}.tif", read_raster(folder / f"{name}_truth.tif")[0][0]


def picture(path: Path, image_CHW: NDArray[np.uint8], truth: NDArray[np.uint8], pred: NDArray[np.uint8]) -> None:
    """Photo, prediction over photo, truth, error: 2 x 2."""
    photo = np.ascontiguousarray(image_CHW[:3].transpose(1, 2, 0))
    colors = paint(pred, ROOF_PAVED)
    sealed = ROOF_PAVED.sealed_HW(pred)[..., None]
    over = np.where(sealed, (0.45 * photo + 0.55 * colors).astype(np.uint8), photo)
    top = np.concatenate([photo, over], axis=1)
    bottom = np.concatenate([paint(truth, ROOF_PAVED), errors(truth, pred, ROOF_PAVED)], axis=1)
    cv2.imwrite(str(path), np.concatenate([top, bottom])[:, :, ::-1])


def main() -> None:
    """Predict, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", choices=("test", "validation"), default="test")
    args = parser.parse_args()
    test = args.part == "test"
    groups = {"tallinn": TALLINN_TEST if test else TALLINN_VALIDATION, "flanders": ("flanders",)}
    columns = slice(FLANDERS_TEST_FROM, None) if test else slice(448, 640)
    result = {}
    for group, names in groups.items():
        total = Confusion.zero(ROOF_PAVED)
        for name in names:
            path, truth = scene(name, flanders_columns=columns)
            mapped = predict([path], args.out / name, model=args.model, overwrite=True)
            pred = read_raster(mapped.classes)[0][0]
            counts = Confusion.of(ROOF_PAVED, truth, pred)
            total += counts
            result[f"{group}/{name}"] = counts.summary()
            picture(args.out / f"{name}.png", read_raster(path)[0], truth, pred)
        result[group] = total.summary()
    (args.out / "scores.json").write_text(json.dumps(result, indent=1))
    print(f"{'scene':<18}{'sealed':>8}{'roof':>8}{'paved':>8}{'area bias':>11}")
    for name, row in result.items():
        print(
            f"{name:<18}{row['sealed']['iou']:>8.3f}{row['roof']['iou']:>8.3f}{row['paved']['iou']:>8.3f}"
            f"{row['sealed']['area_bias']:>+11.1%}"
        )


if __name__ == "__main__":
    main()
