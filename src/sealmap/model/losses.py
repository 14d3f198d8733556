"""Losses on logits. Ignored pixels take no part: their gradient is exactly zero.

What a run uses is a ``Mix``: one loss per pixel (cross-entropy, focal, or one that forgives wrong labels), and
losses of whole regions beside it (Dice, Lovász).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sealmap.core.legend import IGNORE

PixelLoss = Literal["ce", "focal", "gce"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mix:
    """Which losses, and how much of each.

    pixel: 'ce' cross-entropy, 'focal' or 'gce'. dice, lovasz: weights beside it, 0 leaves them out. smoothing:
    share of the truth given to the other classes ('ce' only). gamma of 'focal', q of 'gce'. class_weights: above
    0, in the legend's order, for the loss per pixel; empty for all alike.
    """

    pixel: PixelLoss = "ce"
    dice: float = 0.0
    lovasz: float = 0.0
    smoothing: float = 0.0
    gamma: float = 2.0
    q: float = 0.7
    class_weights: tuple[float, ...] = ()


def combined(logits_NKHW: Tensor, label_NHW: Tensor, mix: Mix) -> Tensor:
    """The loss per pixel + ``dice`` × Dice loss + ``lovasz`` × Lovász-softmax."""
    weights = mix.class_weights
    if mix.pixel == "focal":
        loss = focal(logits_NKHW, label_NHW, gamma=mix.gamma, class_weights=weights)
    elif mix.pixel == "gce":
        loss = generalised_cross_entropy(logits_NKHW, label_NHW, q=mix.q, class_weights=weights)
    else:
        loss = cross_entropy(logits_NKHW, label_NHW, smoothing=mix.smoothing, class_weights=weights)
    if mix.dice:
        loss = loss + mix.dice * dice_loss(logits_NKHW, label_NHW)
    if mix.lovasz:
        loss = loss + mix.lovasz * lovasz_softmax(logits_NKHW, label_NHW)
    return loss


def cross_entropy(
    logits_NKHW: Tensor, label_NHW: Tensor, *, smoothing: float = 0.0, class_weights: tuple[float, ...] = ()
) -> Tensor:
    """Mean over the judged pixels; 0 where a batch has none. ``smoothing``: share given to the other classes."""
    judged = label_NHW != IGNORE
    if not judged.any():
        return _nothing(logits_NKHW)
    weight = logits_NKHW.new_tensor(class_weights, dtype=torch.float32) if class_weights else None
    return torch.nn.functional.cross_entropy(
        logits_NKHW.float(), label_NHW.long(), weight=weight, ignore_index=IGNORE, label_smoothing=smoothing
    )


def focal(
    logits_NKHW: Tensor, label_NHW: Tensor, *, gamma: float = 2.0, class_weights: tuple[float, ...] = ()
) -> Tensor:
    """Cross-entropy × (1 − p)^gamma, p of the true class (Lin et al. 2017): what is known already counts less."""
    log_p, weight = _of_truth(logits_NKHW, label_NHW, class_weights)
    if not len(log_p):
        return _nothing(logits_NKHW)
    # 1 − p never quite 0: the slope of x^gamma has no value there for a gamma below 1
    missing = -torch.expm1(log_p.clamp(max=-1e-7))
    return (weight * missing**gamma * -log_p).sum() / weight.sum()


def generalised_cross_entropy(
    logits_NKHW: Tensor, label_NHW: Tensor, *, q: float = 0.7, class_weights: tuple[float, ...] = ()
) -> Tensor:
    """(1 − p^q) / q, p of the true class (Zhang & Sabuncu 2018), for labels of which some are wrong.

    A pixel that the network is sure to be labelled wrongly pulls less than in cross-entropy, by p^q: a shed that
    the cadastre still shows must not be learned by heart. q → 0 is cross-entropy, q = 1 the mean absolute error.
    """
    log_p, weight = _of_truth(logits_NKHW, label_NHW, class_weights)
    if not len(log_p):
        return _nothing(logits_NKHW)
    return (weight * -torch.expm1(q * log_p) / q).sum() / weight.sum()


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
        return _nothing(logits_NKHW)
    return (1 - (2 * overlap + 1) / (total + 1))[present].mean()


def lovasz_softmax(logits_NKHW: Tensor, label_NHW: Tensor) -> Tensor:
    """Lovász-softmax (Berman, Rannen Triki & Blaschko 2018): 1 − IoU made smooth, mean of the classes present.

    Over the whole batch. Where every pixel is sure of a class it is exactly 1 − mean IoU.
    """
    logits_MK, label_M = _judged(logits_NKHW, label_NHW)
    if not len(label_M):
        return _nothing(logits_NKHW)
    probs_MK = torch.softmax(logits_MK, dim=1)
    losses = []
    for k in torch.unique(label_M).tolist():
        truth_M = (label_M == k).float()
        errors_M, order = torch.sort((truth_M - probs_MK[:, k]).abs(), descending=True, stable=True)
        losses.append((errors_M * _jaccard_steps(truth_M[order])).sum())
    return torch.stack(losses).mean()


def _jaccard_steps(truth_M: Tensor) -> Tensor:
    """How much the Jaccard loss grows with each further wrong pixel, worst first (the paper's algorithm 1)."""
    truth = truth_M.double()  # differences of numbers near 1, as many as there are pixels
    total = truth.sum()
    jaccard = 1 - (total - truth.cumsum(0)) / (total + (1 - truth).cumsum(0))
    return torch.diff(jaccard, prepend=jaccard.new_zeros(1)).float()


def _judged(logits_NKHW: Tensor, label_NHW: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (M, K) float32 and labels (M,) of the M judged pixels."""
    judged = label_NHW != IGNORE
    return logits_NKHW.permute(0, 2, 3, 1)[judged].float(), label_NHW[judged].long()


def _of_truth(logits_NKHW: Tensor, label_NHW: Tensor, class_weights: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Log-probability of the true class and weight of the M judged pixels."""
    logits_MK, label_M = _judged(logits_NKHW, label_NHW)
    log_p = torch.log_softmax(logits_MK, dim=1).gather(1, label_M[:, None])[:, 0]
    weights = logits_MK.new_tensor(class_weights) if class_weights else logits_MK.new_ones(logits_MK.shape[1])
    return log_p, weights[label_M]


def _nothing(logits: Tensor) -> Tensor:
    """0, and a gradient of 0. In float32: a sum of many halves would be infinite."""
    return logits.float().sum() * 0.0
