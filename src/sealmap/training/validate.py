"""Validation of a network on held-out chips, at the ground sampling distance that it is trained for."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sealmap.core.confusion import Confusion
from sealmap.core.errors import TrainingError
from sealmap.core.legend import IGNORE, Legend
from sealmap.model.losses import combined
from sealmap.training.batches import Chips, Source
from sealmap.training.recipes import Recipe
from sealmap.training.resample import eight_bit, resized


@torch.inference_mode()
def validate(net: nn.Module, held_out: Sequence[Source], recipe: Recipe, gsd_m: float) -> tuple[float, float]:
    """(loss, IoU of sealed), both as the mean over the sources: each place counts as much as its weight.

    Within a source each judged pixel counts alike. Sealed is what a map calls sealed at the threshold 0.5: where
    the sealed classes together are at least as likely as the others. A source without a judged pixel has no say;
    TrainingError where none has one.
    """
    losses, ious, weights = [], [], []
    for source in held_out:
        loss, iou, judged = _of_one(net, source.chips, recipe, gsd_m)
        losses.append(loss)
        ious.append(iou)
        weights.append(source.weight if judged else 0.0)
    if not sum(weights):
        raise TrainingError(
            f"the {sum(len(s.chips) for s in held_out)} validation chips have no judged pixel",
            remedy="prepare them with other sheets, labels or --rules",
        )
    return float(np.average(losses, weights=weights)), float(np.average(ious, weights=weights))


def _of_one(net: nn.Module, chips: Chips, recipe: Recipe, gsd_m: float) -> tuple[float, float, int]:
    """Loss, IoU of sealed and number of judged pixels."""
    device = next(net.parameters()).device
    mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (recipe.mean, recipe.std))
    counts, loss = Confusion.zero(chips.legend), 0.0
    for i in range(len(chips)):
        x, label = _at_gsd(chips, i, gsd_m)
        x = ((x.to(device) - mean) / std).contiguous(memory_format=torch.channels_last)
        logits = net(x)
        seen = Confusion.of(chips.legend, label[0].numpy().astype(np.uint8), _sealed_or_not(logits, chips.legend))
        loss += seen.pixels * float(combined(logits, label.to(device), recipe.mix))
        counts += seen
    iou = counts.scores(chips.legend.sealed_ids)["iou"]
    return loss / max(1, counts.pixels), 0.0 if np.isnan(iou) else iou, counts.pixels


def _sealed_or_not(logits_NKHW: Tensor, legend: Legend) -> NDArray[np.uint8]:
    """(H, W) of the first of a batch: the first sealed class where p(sealed) ≥ 0.5, else the background.

    The probability is the sum over the sealed classes, so it is at least one half where the log of the summed
    exponentials of their logits is not below that of the others.
    """
    logits = logits_NKHW[0].float()
    sealed = torch.tensor([c.sealed for c in legend.classes], device=logits.device)
    is_sealed = logits[sealed].logsumexp(0) >= logits[~sealed].logsumexp(0)
    return np.where(is_sealed.cpu().numpy(), legend.sealed_ids[0], 0).astype(np.uint8)


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
