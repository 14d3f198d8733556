"""Bands in another order: the network is asked in which it is surest. It knows, and needs no label for it.

Of twenty-four clean pictures (town, Tallinn, Flanders, Poznan) the shipped network was surest of the given order in
twenty, and elsewhere surer of another by less than the limits here.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np

from sealmap.core.finding import Finding
from sealmap.model.engine import Engine
from sealmap.prediction.sample import FlightSample

_WINDOWS = 4

_RATIO, _BITS = 0.85, 0.06
"""Another order is named where the entropy is lower by that ratio and by so many bits per pixel."""


def other_order(engine: Engine, sample: FlightSample) -> Finding:
    """Ask for every order of the model's first three bands on some windows of the sample."""
    bands = engine.card.bands
    if len(bands) < 3:
        return Finding(check="order by the network", figures={"not checked": ", ".join(bands)})
    rest = list(range(3, len(bands)))
    entropy = {}
    for order in permutations(range(3)):
        bits = []
        for window in sample.pixels_NCHW[:_WINDOWS]:
            probs = engine.probs(window[[*order, *rest]][None], sample.pixel_scale)[0]
            bits.append(float(-(probs * np.log2(np.maximum(probs, 1e-12))).sum(axis=0).mean()))
        entropy[order] = float(np.mean(bits))
    given = entropy[0, 1, 2]
    best = min(entropy, key=lambda order: entropy[order])
    figures = {"as given": round(given, 3), ", ".join(bands[i] for i in best): round(entropy[best], 3)}
    if entropy[best] > _RATIO * given or given - entropy[best] < _BITS:
        return Finding(check="order by the network", figures=figures)
    told = ", ".join(str(i + 1) for i in best)
    return Finding(
        check="order by the network", verdict="refusal", figures=figures,
        cause=f"the network is much surer ({entropy[best]:.2f} instead of {given:.2f} bits per pixel) where the bands"
        f" are taken in the order {told}: bands have changed places",
        remedy=f"put them right: gdal_translate {' '.join(f'-b {i + 1}' for i in best)} IN OUT.tif",
    )  # fmt: skip
