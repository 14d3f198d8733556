"""One number that makes a network less, or more, sure of itself; and isotonic regression for what it cannot mend.

Fitted on a sample of judged pixels. What is served goes through ``model.bundle.probabilities``, as always: the shares
computed here serve the fit and the comparison only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize_scalar
from scipy.special import logsumexp

from sealmap.core.errors import DatasetError
from sealmap.evaluation.calibration import FINE, ReliabilityTally, choose_threshold

BOUNDS = (0.2, 5.0)
"""Temperatures looked at. A network at one of these ends is not over- or underconfident, but broken or one-sided."""

COARSE = 64
"""Bins that isotonic regression is fitted on: few enough not to follow the chance of single blocks."""

Knots = tuple[tuple[float, float], ...]
"""(stated probability, probability to serve), as in ``ModelCard.isotonic``."""

_LEAST_PROBABILITY = 1e-30
"""Stands for the zeros of 32-bit floats, of which there is no logarithm."""

_GAIN = 0.01
"""Isotonic regression wins measurably where its Brier score is lower by this share in both halves."""

_LEAST_SIDE = 0.05
"""A half with a smaller share of sealed, or of open, pixels says nothing of the other half."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelSample:
    """Judged pixels, each as likely to be in the sample as any other.

    logits_NK: of the model's classes, up to a constant per pixel, before any temperature. truth_NK: True for the
    classes that the label allows: one, or all of a side where the legends differ. sealed_K: True for sealed classes.
    half_N: on which half of the blocks a pixel lies, for fitting on one and judging on the other.
    """

    logits_NK: NDArray[np.float32]
    truth_NK: NDArray[np.bool_]
    sealed_K: NDArray[np.bool_]
    half_N: NDArray[np.bool_]

    @property
    def sealed_N(self) -> NDArray[np.bool_]:
        """True where a pixel is sealed in truth."""
        return np.asarray((self.truth_NK & self.sealed_K).any(axis=1))

    def of_half(self, *, second: bool) -> PixelSample:
        """The pixels of one half."""
        mine = self.half_N == second
        return PixelSample(
            logits_NK=self.logits_NK[mine], truth_NK=self.truth_NK[mine], sealed_K=self.sealed_K,
            half_N=self.half_N[mine],
        )  # fmt: skip

    def tally(self, temperature: float) -> ReliabilityTally:
        """Counts of the probability of 'sealed' at a temperature."""
        prob = np.exp(log_share(self.logits_NK, self.sealed_K, temperature))
        return ReliabilityTally.of(prob, self.sealed_N)


def logits_of(probs_NK: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Probabilities made at a temperature → the logits they came from, up to a constant per pixel."""
    logits: NDArray[np.float32] = np.log(np.maximum(probs_NK, _LEAST_PROBABILITY)) * np.float32(temperature)
    return logits


def log_share(logits_NK: NDArray[np.float32], members: NDArray[np.bool_], temperature: float) -> NDArray[np.float64]:
    """Logarithm of the probability of some classes together. members: (K,) or (N, K), True for those counted."""
    scaled = logits_NK.astype(np.float64) / temperature
    some = np.where(members, scaled, -np.inf)
    share: NDArray[np.float64] = logsumexp(some, axis=1) - logsumexp(scaled, axis=1)
    return np.minimum(share, 0.0)


def fit_temperature(sample: PixelSample) -> float:
    """The temperature that makes the labels likeliest (Guo et al. 2017), within BOUNDS; see ``at_bounds``.

    The negative log-likelihood of a label that names one class is convex in 1 / temperature, so the search cannot end
    on a hill's wrong side. DatasetError where a logit is not finite or there is no pixel.
    """
    if not len(sample.logits_NK):
        raise DatasetError("no judged pixel to fit a temperature on", remedy="choose other chips")
    wild = int((~np.isfinite(sample.logits_NK)).any(axis=1).sum())
    if wild:
        raise DatasetError(
            f"the network is not finite at {wild} of {len(sample.logits_NK)} pixels",
            remedy="train it again with a lower learning rate",
        )

    # The loss is the mean of logsumexp(all / T) − logsumexp(true / T), each of its own largest logit for the exponents.
    logits = sample.logits_NK.astype(np.float64)
    true = np.where(sample.truth_NK, logits, -np.inf)
    tops = logits.max(axis=1), true.max(axis=1)
    lead = float((tops[0] - tops[1]).mean())
    logits -= tops[0][:, None]
    true -= tops[1][:, None]

    def loss(log_temperature: float) -> float:
        cold = math.exp(-log_temperature)
        parts = [float(np.log(np.exp(part * cold).sum(axis=1)).mean()) for part in (logits, true)]
        return parts[0] - parts[1] + lead * cold

    limits = (math.log(BOUNDS[0]), math.log(BOUNDS[1]))
    found = minimize_scalar(loss, bounds=limits, method="bounded", options={"xatol": 1e-3})
    return math.exp(float(found.x))


def at_bounds(temperature: float) -> bool:
    """Whether a fit ran into its bounds, so that it means nothing."""
    return not BOUNDS[0] * 1.02 < temperature < BOUNDS[1] / 1.02


def isotonic(tally: ReliabilityTally) -> Knots:
    """Monotone map of probabilities that fits the counts best (Zadrozny & Elkan 2002), with straight lines between.

    Fitted on COARSE equal bins. A run of bins with one value becomes one knot at the mean of its pixels' probabilities
    (Oron & Flournoy 2017), so that pixels keep their order and a threshold finds its place.
    """
    middle = (np.arange(FINE) + 0.5) / FINE
    home = np.arange(FINE) * COARSE // FINE
    pixels, sealed, stated = (
        np.bincount(home, weights=w, minlength=COARSE)
        for w in (tally.counts_2B.sum(axis=0), tally.counts_2B[1], tally.counts_2B.sum(axis=0) * middle)
    )
    seen = np.flatnonzero(pixels)
    fitted = isotonic_regression(sealed[seen] / pixels[seen], weights=pixels[seen]).x
    values, run = np.unique(fitted.clip(0, 1), return_inverse=True)
    centres = np.bincount(run, weights=stated[seen]) / np.bincount(run, weights=pixels[seen])
    inner = tuple((float(p), float(q)) for p, q in zip(centres, values, strict=True))
    return ((0.0, inner[0][1]), *inner, (1.0, inner[-1][1]))


def moved(tally: ReliabilityTally, knots: Knots) -> ReliabilityTally:
    """Counts after the pixels' probabilities are mapped by straight lines between knots; as they are without knots."""
    if not knots:
        return tally
    stated, served = np.array(knots).T
    values_B = np.interp((np.arange(FINE) + 0.5) / FINE, stated, served)
    home = np.clip(np.floor(values_B * FINE), 0, FINE - 1).astype(np.int64)
    counts = np.zeros((2, FINE), np.int64)
    for truth in (0, 1):
        np.add.at(counts[truth], home, tally.counts_2B[truth])
    return ReliabilityTally(counts_2B=counts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Halves:
    """What a calibration fitted on one half of the blocks is worth on the other half, both ways round.

    ece, brier: by 'none' (as it was), 'temperature' and 'isotonic' (after the temperature), over both halves' pixels.
    isotonic_wins: whether isotonic regression beats the others by more than 1 % of the Brier score in each half.
    temperature_loses: whether ECE and Brier score are both worse with the temperature than without.
    area_bias: on each half, with the best of the three and a threshold chosen on the other half.
    """

    ece: dict[str, float]
    brier: dict[str, float]
    isotonic_wins: bool
    temperature_loses: bool
    area_bias: tuple[float, float]

    @property
    def best(self) -> str:
        """What is to be served: 'isotonic' where it wins, 'none' where the temperature loses, else 'temperature'."""
        return _best(isotonic_wins=self.isotonic_wins, temperature_loses=self.temperature_loses)


def _best(*, isotonic_wins: bool, temperature_loses: bool) -> str:
    return "isotonic" if isotonic_wins else "none" if temperature_loses else "temperature"


def compare_on_halves(sample: PixelSample, aim: str, *, temperature: float, knots: Knots = ()) -> Halves:
    """Fit on one half, judge on the other, both ways round. temperature, knots: of the model as it was.

    DatasetError where a half has nearly no sealed or no open pixels, or the aim cannot be reached on it.
    """
    shares = [float(sample.of_half(second=second).sealed_N.mean()) for second in (False, True)]
    if not all(_LEAST_SIDE <= share <= 1 - _LEAST_SIDE for share in shares):
        raise DatasetError(
            f"the halves are unlike: {shares[0]:.1%} of the one is sealed, {shares[1]:.1%} of the other",
            remedy="prepare more validation chips",
        )
    rounds = []
    for second in (False, True):
        there, here = sample.of_half(second=not second), sample.of_half(second=second)
        fitted = fit_temperature(there)
        warm = [part.tally(fitted) for part in (there, here)]
        bent = isotonic(warm[0])
        was = [moved(part.tally(temperature), knots) for part in (there, here)]
        rounds.append({"none": was, "temperature": warm, "isotonic": [moved(part, bent) for part in warm]})
    first, last = rounds
    both = {how: (first[how][1] + last[how][1]).reliability() for how in first}
    ece, brier = {how: r.ece for how, r in both.items()}, {how: r.brier for how, r in both.items()}
    single = [{how: here.reliability().brier for how, (_, here) in ways.items()} for ways in rounds]
    wins = all(s["isotonic"] < (1 - _GAIN) * min(s["none"], s["temperature"]) for s in single)
    loses = ece["temperature"] > ece["none"] and brier["temperature"] > brier["none"]
    best = _best(isotonic_wins=wins, temperature_loses=loses)
    biases = [ways[best][1].curve().at(choose_threshold(ways[best][0].curve(), aim))["area_bias"] for ways in rounds]
    return Halves(
        ece=ece, brier=brier, isotonic_wins=wins, temperature_loses=loses, area_bias=(biases[0], biases[1])
    )  # fmt: skip
