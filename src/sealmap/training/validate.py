"""Validation of a network on held-out chips, at the ground sampling distance that it is trained for."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from sealmap.core.confusion import Confusion
from sealmap.core.legend import IGNORE
from sealmap.model.losses import combined
from sealmap.training.batches import Chips, Source, eight_bit
from sealmap.training.recipes import Recipe
from sealmap.training.resample import resized


@torch.inference_mode()
def validate(net: nn.Module, held_out: Sequence[Source], recipe: Recipe, gsd_m: float) -> tuple[float, float]:
    """(mean loss, IoU of sealed), both as the mean over the sources: each place counts as much as its weight."""
    losses, ious, weights = [], [], []
    for source in held_out:
        loss, iou = _of_one(net, source.chips, recipe, gsd_m)
        losses.append(loss)
        ious.append(iou)
        weights.append(source.weight)
    return float(np.average(losses, weights=weights)), float(np.average(ious, weights=weights))


def _of_one(net: nn.Module, chips: Chips, recipe: Recipe, gsd_m: float) -> tuple[float, float]:
    device = next(net.parameters()).device
    mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (recipe.mean, recipe.std))
    counts, losses = Confusion.zero(chips.legend), []
    for i in range(len(chips)):
        x, label = _at_gsd(chips, i, gsd_m)
        x = ((x.to(device) - mean) / std).contiguous(memory_format=torch.channels_last)
        logits = net(x)
        losses.append(float(combined(logits, label.to(device), recipe.mix)))
        pred = logits.argmax(1)[0].to(torch.uint8).cpu().numpy()
        counts += Confusion.of(chips.legend, label[0].numpy().astype(np.uint8), pred)
    iou = counts.scores(chips.legend.sealed_ids)["iou"]
    return float(np.mean(losses)), 0.0 if np.isnan(iou) else iou


def _at_gsd(chips: Chips, index: int, gsd_m: float) -> tuple[Tensor, Tensor]:
    """A whole chip as the network sees it: resampled, sides cropped to multiples of 32."""
    pixels, label = chips.read(index)
    image = eight_bit(pixels, chips.pixel_scale)
    factor = chips.gsd_m / gsd_m
    if abs(factor - 1) > 1e-3:
        height, width = (round(n * factor) for n in label.shape)
        image = resized(image, (height, width), cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
        label = np.asarray(cv2.resize(label, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    height, width = (max(32, n // 32 * 32) for n in label.shape)
    pad = [max(0, n - m) for n, m in zip((height, width), label.shape, strict=True)]
    if any(pad):
        image = np.pad(image, ((0, pad[0]), (0, pad[1]), (0, 0)), mode="symmetric")
        label = np.pad(label, ((0, pad[0]), (0, pad[1])), constant_values=IGNORE)
    x = image[:height, :width].transpose(2, 0, 1).astype(np.float32) / 255
    y = label[:height, :width].astype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(x))[None], torch.from_numpy(np.ascontiguousarray(y))[None]
