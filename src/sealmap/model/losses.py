"""Losses on logits. Ignored pixels take no part: their gradient is exactly zero."""

from __future__ import annotations

import torch
from torch import Tensor

from sealmap.core.legend import IGNORE


def cross_entropy(logits_NKHW: Tensor, label_NHW: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Mean over the judged pixels; 0 where a batch has none. ``smoothing``: share given to the other classes."""
    judged = label_NHW != IGNORE
    if not judged.any():
        return logits_NKHW.sum() * 0.0
    return torch.nn.functional.cross_entropy(
        logits_NKHW.float(), label_NHW.long(), ignore_index=IGNORE, label_smoothing=smoothing
    )


def dice_loss(logits_NKHW: Tensor, label_NHW: Tensor) -> Tensor:
    """1 − soft Dice over the whole batch, mean of the classes present (Milletari 2016). Logits in, softmax here."""
    judged = (label_NHW != IGNORE).unsqueeze(1)
    classes = logits_NKHW.shape[1]
    safe = torch.where(label_NHW == IGNORE, 0, label_NHW).long()
    truth = torch.nn.functional.one_hot(safe, classes).permute(0, 3, 1, 2) * judged
    probs = torch.softmax(logits_NKHW.float(), dim=1) * judged
    overlap = (probs * truth).sum(dim=(0, 2, 3))
    total = (probs + truth).sum(dim=(0, 2, 3))
    present = truth.sum(dim=(0, 2, 3)) > 0
    if not present.any():
        return logits_NKHW.sum() * 0.0
    return (1 - (2 * overlap + 1) / (total + 1))[present].mean()


def combined(logits_NKHW: Tensor, label_NHW: Tensor, *, dice: float, smoothing: float) -> Tensor:
    """Cross-entropy + ``dice`` × Dice loss."""
    loss = cross_entropy(logits_NKHW, label_NHW, smoothing=smoothing)
    return loss + dice * dice_loss(logits_NKHW, label_NHW) if dice else loss
