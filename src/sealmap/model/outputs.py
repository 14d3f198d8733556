"""What a foreign graph gives, and how it becomes logits again. Free of torch.

A graph may end in an activation of its own. To read its probabilities as logits is to activate twice: background comes
out at σ(0) = 0.500 and sealed at σ(1) = 0.731, whatever the picture shows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_LEAST = 1e-7
"""Probabilities are taken to lie this far from 0 and 1: 32-bit floats near 1 tell no more apart. Logits of ±16."""

TWICE = (0.5, float(1 / (1 + np.exp(-1.0))))
"""Where a sigmoid puts what is a probability already: 0.5 to 0.7311."""


def twice_softmax(channels: int) -> tuple[float, float]:
    """Where a softmax over ``channels`` puts what is a probability already: 1 / (e + K − 1) to e / (e + K − 1)."""
    total = np.e + channels - 1
    return float(1 / total), float(np.e / total)


def to_logits(values_NKHW: NDArray[np.float32], output: str) -> NDArray[np.float32]:
    """Values as a graph gives them → logits over the classes (N, K, H, W), float32.

    output: one of ``card.OUTPUTS``. A single channel is the logit of 'sealed' against nothing: (N, 1, H, W) becomes
    (N, 2, H, W) with 0 for the background, so that the softmax of the two is the sigmoid of the one.
    """
    logits: NDArray[np.float32] = _BACK[output](values_NKHW.astype(np.float64)).astype(np.float32)
    if logits.shape[1] == 1:
        return np.concatenate([np.zeros_like(logits), logits], axis=1)
    return logits


def logit(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of the sigmoid, of values clipped to just inside 0..1."""
    p = np.clip(probs, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(p) - np.log1p(-p))


def _log(probs: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.clip(probs, _LEAST, None)))


def _inner_softmax(probs_NKHW: NDArray[np.float64]) -> NDArray[np.float64]:
    """The q of softmax(q) where q adds up to 1: the logarithm, moved until it does."""
    q = _log(probs_NKHW)
    return np.asarray(q + (1 - q.sum(axis=1, keepdims=True)) / q.shape[1])


_BACK: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "logits": lambda values: values,
    "sigmoid": logit,
    "softmax": _log,
    "double_sigmoid": lambda values: logit(logit(values)),
    "double_softmax": lambda values: _log(_inner_softmax(values)),
}
