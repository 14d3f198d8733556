"""Bands in another order: the network is asked in which it is surest. It mostly knows, and needs no label for it.

Mostly: on some places of a clean flight it is surer of a wrong order. So its word alone warns; it refuses where it is
drastic on several places, or where colours had raised the suspicion already.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.finding import Finding
from sealmap.model.engine import Engine
from sealmap.prediction.single import predict_array

_RATIO, _BITS = 0.85, 0.06
"""Another order is named where the entropy is lower by that ratio and by so many bits per pixel."""

_DRASTIC, _PLACES = 0.6, 4
"""It is refused where the entropy is lower by that ratio over so many places."""

_REVERSED = (2, 1, 0)


def other_order(
    engine: Engine, crops: Sequence[NDArray[Any]], gsd_m: float, scale: float, *, suspected: bool = False
) -> Finding:
    """Ask for every order of the model's first three bands.

    crops: (C, side, side) as stored, at ``gsd_m``, bands in the order of the card. scale: the value that means 1.0.
    suspected: whether the colours look like BGR; where the network says the same, it is a refusal.
    """
    bands = engine.card.bands
    if len(bands) < 3 or not crops:
        return Finding(check="order by the network", figures={"not checked": ", ".join(bands)})
    rest = list(range(3, len(bands)))
    entropy = {}
    for order in permutations(range(3)):
        bits = []
        for crop in crops:
            probs = predict_array(crop[[*order, *rest]], gsd_m, engine, scale)
            bits.append(float(-(probs * np.log2(np.maximum(probs, 1e-12))).sum(axis=0).mean()))
        entropy[order] = float(np.mean(bits))
    given = entropy[0, 1, 2]
    best = min(entropy, key=lambda order: entropy[order])
    figures = {"as given": round(given, 3), ", ".join(bands[i] for i in best): round(entropy[best], 3)}
    if entropy[best] > _RATIO * given or given - entropy[best] < _BITS:
        return Finding(check="order by the network", figures=figures)
    drastic = entropy[best] < _DRASTIC * given and len(crops) >= _PLACES
    told = ", ".join(str(i + 1) for i in best)
    return Finding(
        check="order by the network", figures=figures,
        verdict="refusal" if drastic or (suspected and best == _REVERSED) else "warning",
        cause=f"the network is much surer ({entropy[best]:.2f} instead of {given:.2f} bits per pixel) where the bands"
        f" are taken in the order {told}: bands may have changed places",
        remedy=f"put them right: gdal_translate {' '.join(f'-b {i + 1}' for i in (*best, *rest))} IN OUT.tif",
    )  # fmt: skip
