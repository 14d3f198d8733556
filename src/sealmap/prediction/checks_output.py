"""Checks of what a model says: one function each, facts → finding. The first is what the predecessor lacked."""

from __future__ import annotations

import math

import numpy as np

from sealmap.core.finding import Finding
from sealmap.model.card import ModelCard
from sealmap.prediction.facts import ATOMS, OutputFacts

ENOUGH = 4_000
"""Pixels taken, below which nothing is said of shares."""

_FLAT = 0.05
"""A logit of 'sealed' that deviates less over a flight does not depend on what it sees."""

_ATOM = 0.02
"""Half the width of an atom of probability."""

_HECTARES = 2.0
"""On less ground a share of sealed surface says nothing: a market place is all sealed."""


def values(facts: OutputFacts, _card: ModelCard) -> Finding:
    """Probabilities are numbers of 0..1."""
    share = facts.broken / max(1, facts.pixels)
    if not facts.broken:
        return Finding(check="values", figures={"not within 0..1": 0})
    return Finding(
        check="values", verdict="refusal", figures={"not within 0..1": round(share, 5)},
        cause=f"{share:.1%} of the probabilities are not numbers within 0..1: logits read as probabilities, or a"
        " network that breaks down (NaN)",
        remedy="import the model with its right activation (sealmap import --activation logits), or train it again",
    )  # fmt: skip


def activation(facts: OutputFacts, card: ModelCard) -> Finding:
    """A second activation squeezes all logits into 0..1: p lies within 0.500..0.731 (sigmoid), and on its ends.

    sigmoid(0) = 0.500, sigmoid(1) = 0.731; with softmax twice over K classes, within 1/(e+K−1)..e/(e+K−1).
    """
    share = facts.atoms / max(1, facts.atoms.sum())
    middle = (np.arange(ATOMS) + 0.5) / ATOMS
    seen = middle[facts.atoms > 0]
    if not len(seen):
        return Finding(check="activation")
    lowest, highest = float(seen[0]), float(seen[-1])
    low, high = _ends(card, one_sided=len(card.legend) == 2 and lowest >= 0.5 - _ATOM)
    atoms = [float(share[np.abs(middle - end) <= _ATOM].sum()) for end in (low, high)]
    figures = {
        "p from": round(lowest, 3), "p to": round(highest, 3), f"share at {low:.3f}": round(atoms[0], 3),
        f"share at {high:.3f}": round(atoms[1], 3),
    }  # fmt: skip
    squeezed = facts.spread <= 1.02 and facts.logit_deviation > 1e-3
    if not squeezed:
        return Finding(check="activation", figures={"p from": round(lowest, 3), "p to": round(highest, 3)})
    if sum(atoms) > 0.5:
        return Finding(
            check="activation", verdict="refusal", figures=figures,
            cause=f"double activation: every probability lies between {lowest:.3f} and {highest:.3f},"
            f" {sum(atoms):.0%} of them at {low:.3f} or {high:.3f}: what the network gives had gone"
            " through a sigmoid or softmax already",
            remedy="import the model again and let the activation be found: sealmap import MODEL --activation auto;"
            " do not raise the threshold instead",
        )  # fmt: skip
    return Finding(
        check="activation", verdict="refusal", figures=figures,
        cause=f"the network hardly decides: every probability lies between {lowest:.3f} and {highest:.3f}, as after a"
        " double activation, or in a model that learnt nothing",
        remedy="check how the model ends (sealmap import --activation auto), or train it longer",
    )  # fmt: skip


def _ends(card: ModelCard, *, one_sided: bool) -> tuple[float, float]:
    """Where a second activation puts sure answers, of p(sealed) with the temperature undone."""
    if one_sided:
        return 0.5, 1 / (1 + math.exp(-1))
    classes, sealed = len(card.legend), len(card.legend.sealed_ids)
    sure = math.exp(1 / card.temperature)  # what a class of 1 weighs beside one of 0
    logits = math.log(sealed / (classes - sealed - 1 + sure)), math.log((sealed - 1 + sure) / (classes - sealed))
    low, high = (1 / (1 + math.exp(-card.temperature * logit)) for logit in logits)
    return low, high


def constant(facts: OutputFacts, _card: ModelCard) -> Finding:
    """The same answer everywhere, or nothing but 0 and 1."""
    certain = facts.certain / max(1, facts.pixels)
    figures = {"deviation of the logit": round(facts.logit_deviation, 3), "surer than 1 : 1,000,000": round(certain, 4)}
    if facts.logit_deviation < _FLAT:
        side = "sealed" if facts.sealed_share > 0.5 else "unsealed"
        return Finding(
            check="constant output", verdict="refusal", figures=figures,
            cause=f"the answer is the same everywhere ({side}): the network does not see the picture",
            remedy="check the bundle on a sheet that it was trained on (sealmap doctor), or train it again",
        )  # fmt: skip
    if certain > 0.9:
        return Finding(
            check="constant output", verdict="refusal", figures=figures,
            cause=f"{certain:.0%} of the probabilities are 0 or 1 to six digits: logits scaled up, pixels on a wrong"
            " scale (division by 255 left out), or a class map taken for probabilities",
            remedy="check mean, deviation and pixel scale of the bundle: sealmap doctor",
        )  # fmt: skip
    return Finding(check="constant output", figures=figures)


def sealed_share(facts: OutputFacts, card: ModelCard) -> Finding:
    """How much is sealed, against what the model met on held-out ground."""
    share = facts.sealed_share
    hectares = facts.ground_m2 / 1e4
    low, high = card.limits.get("sealed_low"), card.limits.get("sealed_high")
    figures: dict[str, object] = {"sealed": round(share, 4)}
    if low is not None and high is not None:
        figures["held-out"] = f"{low:.2f} to {high:.2f}"
    if hectares < _HECTARES:
        return Finding(check="sealed share", figures=figures)
    if share > 0.985:
        return Finding(
            check="sealed share", verdict="refusal", figures=figures,
            cause=f"{share:.1%} of {hectares:,.0f} ha is called sealed: no town is; one polygon would cover the map",
            remedy="look at probability.tif; check threshold, activation and brightness of the flight",
        )  # fmt: skip
    if share < 0.0005:
        return Finding(
            check="sealed share", verdict="warning", figures=figures,
            cause=f"only {share:.2%} of {hectares:,.0f} ha is called sealed: forest or water, or a model that sees"
            " nothing here",
            remedy="look at the picture; where there are houses, the map is wrong",
        )  # fmt: skip
    return Finding(check="sealed share", figures=figures)


def certainty(facts: OutputFacts, card: ModelCard) -> Finding:
    """How sure the model is, against how sure it was on held-out sheets."""
    found, limit = facts.mean_entropy, card.limits.get("entropy")
    figures = {"entropy": round(found, 3)} | ({} if limit is None else {"limit": round(limit, 3)})
    if limit is None or found <= limit:
        return Finding(check="certainty", figures=figures)
    return Finding(
        check="certainty", verdict="warning", figures=figures,
        cause=f"the model is less sure ({found:.2f} bits per pixel) than on any held-out sheet ({limit:.2f}): ground,"
        " light or sharpness that it has not met",
        remedy="compare with --match, or adapt the model (sealmap adapt), and check the map on some sheets",
    )  # fmt: skip


def overlaps(facts: OutputFacts, _card: ModelCard) -> Finding:
    """Whether two windows say the same of the ground that both see; steps along the seams."""
    if not facts.overlap:
        return Finding(check="overlap", figures={"windows": "one"})
    across, inside = facts.across / max(1, facts.seams), facts.inside / max(1, facts.seams)
    ratio = across / max(inside, 1e-4)
    figures = {
        "disagreement": round(facts.disagreement, 4),
        "step at seams": round(across, 4),
        "beside": round(inside, 4),
    }
    bad = facts.disagreement > 0.10 or (ratio > 8 and across > 0.05)
    worse = facts.disagreement > 0.25 or (ratio > 20 and across > 0.15)
    if not bad:
        return Finding(check="overlap", figures=figures)
    return Finding(
        check="overlap", verdict="refusal" if worse else "warning", figures=figures,
        cause=f"windows that overlap disagree on {facts.disagreement:.1%} of the ground, and p steps by {across:.2f} at"
        f" seams ({inside:.2f} beside them): the halo is too small for this network, or it depends on the window as a"
        " whole",
        remedy="give the bundle a larger halo (sealmap train --set halo=128), or a network without global pooling",
    )  # fmt: skip


def checkerboard(facts: OutputFacts, _card: ModelCard) -> Finding:
    """The pattern that a transposed convolution leaves where it learnt badly."""
    ratio = facts.checks / max(facts.steps, 1e-9)
    figures = {"checkerboard ÷ steps": round(ratio, 3)}
    if ratio < 0.8 or facts.steps / max(1, facts.pixels) < 1e-3:
        return Finding(check="checkerboard", figures=figures)
    return Finding(
        check="checkerboard", verdict="warning", figures=figures,
        cause="the probabilities alternate from pixel to pixel: an upsampling that learnt badly, or noise",
        remedy="train the model longer, or use a network that interpolates (unet, fpn)",
    )  # fmt: skip


OUTPUT_CHECKS = (values, activation, constant, sealed_share, certainty, overlaps, checkerboard)
