"""What can be said of predictions without truth: how sure they are, and whether they agree with themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.legend import Legend
from sealmap.model.engine import Engine

SURE = 0.9
"""A pixel is uncertain where p(sealed) lies between 1 − SURE and SURE."""

_STRIDE = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Certainty:
    """Means over the pixels of a sample, all 0..1 but entropy.

    mean_sealed: probability of 'sealed'. sealed_share: of pixels at or above the threshold. entropy: of the classes,
    in bits. uncertain: share of pixels that are not sure either way. disagreement: share of pixels whose side of
    the threshold changes when a window's inner half is predicted without its surroundings.
    """

    mean_sealed: float
    sealed_share: float
    entropy: float
    uncertain: float
    disagreement: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """Figures of a sample, and p(sealed) of its first windows (N, H, W), 0..1, to be looked at."""

    certainty: Certainty
    sealed_NHW: NDArray[np.float32]


def judge(engine: Engine, pixels_NCHW: NDArray[Any], pixel_scale: float, *, shown: int = 0) -> Judged:
    """Run the engine over windows, one by one, and sum up. ``shown``: windows whose p(sealed) is kept."""
    legend, threshold = engine.card.legend, engine.card.threshold
    rows, kept = [], []
    for i, window in enumerate(pixels_NCHW):
        probs = engine.probs(window[None], pixel_scale)[0]
        sealed = p_sealed(probs, legend)
        rows.append((*_figures(probs, sealed, threshold), _disagreement(engine, window, pixel_scale, sealed)))
        if i < shown:
            kept.append(sealed)
    mean = np.mean(rows, axis=0)
    names = Certainty.__slots__
    found = Certainty(**{name: float(v) for name, v in zip(names, mean, strict=True)})
    return Judged(certainty=found, sealed_NHW=np.stack(kept) if kept else np.zeros((0, 0, 0), np.float32))


def p_sealed(probs_KHW: NDArray[np.float32], legend: Legend) -> NDArray[np.float32]:
    """Probability that a pixel is of any sealed class (H, W)."""
    sealed: NDArray[np.float32] = probs_KHW[list(legend.sealed_ids)].sum(axis=0)
    return sealed


def _figures(
    probs_KHW: NDArray[np.float32], sealed_HW: NDArray[np.float32], threshold: float
) -> tuple[float, float, float, float]:
    """Mean, share above, entropy, uncertain: in the order of ``Certainty``."""
    entropy = -(probs_KHW * np.log2(np.maximum(probs_KHW, 1e-12))).sum(axis=0)
    unsure = (sealed_HW > 1 - SURE) & (sealed_HW < SURE)
    return (
        float(sealed_HW.mean(dtype=np.float64)),
        float((sealed_HW >= threshold).mean()),
        float(entropy.mean(dtype=np.float64)),
        float(unsure.mean()),
    )


def _disagreement(
    engine: Engine, window_CHW: NDArray[Any], pixel_scale: float, sealed_HW: NDArray[np.float32]
) -> float:
    side = window_CHW.shape[1]
    inner = max(_STRIDE, side // 2 // _STRIDE * _STRIDE)
    first = (side - inner) // 2
    part = slice(first, first + inner)
    alone = p_sealed(engine.probs(window_CHW[None, :, part, part], pixel_scale)[0], engine.card.legend)
    threshold = engine.card.threshold
    return float(((alone >= threshold) != (sealed_HW[part, part] >= threshold)).mean())
