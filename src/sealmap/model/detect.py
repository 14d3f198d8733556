"""Which activation a foreign graph ends in: decided from the values that it gives, and said with their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import BundleError, SettingsError
from sealmap.model.card import OUTPUTS
from sealmap.model.outputs import TWICE, logit, twice_softmax

ACTIVATIONS = ("auto", *OUTPUTS)

_NEAR = 1e-4
_SUM = 1e-3
_STILL = 1e-6

_DOUBLE = {"sigmoid": "double_sigmoid", "softmax": "double_softmax"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a graph gave on probe windows.

    low, high: of all values. off_one: how far, at most, the channels' sum is from 1. inner_off_one: the same after one
    sigmoid was taken back. windows, values: how many.
    """

    channels: int
    low: float
    high: float
    off_one: float
    inner_off_one: float
    windows: int
    values: int

    def __str__(self) -> str:
        more = f", {self.channels} channels whose sum is off 1 by up to {self.off_one:.2g}" if self.channels > 1 else ""
        return f"{self.low:.4g} to {self.high:.4g} on {self.windows} windows{more}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """output: one of ``OUTPUTS``. how: for people and the card. forced: contradictions that were overridden."""

    output: str
    how: str
    forced: tuple[str, ...] = ()


def evidence(outputs: Sequence[NDArray[np.float32]]) -> Evidence:
    """Weigh outputs (N, K, H, W) on probe windows. BundleError where a value is not finite, or all are the same."""
    values = np.concatenate([np.moveaxis(o, 1, 0).reshape(o.shape[1], -1) for o in outputs], axis=1).astype(np.float64)
    finite = np.isfinite(values)
    if not finite.all():
        raise BundleError(
            f"{1 - finite.mean():.1%} of the values on {sum(map(len, outputs))} probe windows are NaN or infinite",
            remedy="check --mean and --std, and export the model in 32 bits",
        )
    low, high = float(values.min()), float(values.max())
    if high - low < _STILL:
        one = ": a softmax over one channel is always 1" if len(values) == 1 and abs(low - 1) < _NEAR else ""
        raise BundleError(
            f"the model gives {low:.4g} everywhere on {sum(map(len, outputs))} probe windows{one}",
            remedy="check --mean and --std, and export the model without its activation",
        )
    inner = logit(values).sum(axis=0) if low >= 0 and high <= 1 else values.sum(axis=0)
    return Evidence(
        channels=len(values), low=low, high=high, off_one=float(np.abs(values.sum(axis=0) - 1).max()),
        inner_off_one=float(np.abs(inner - 1).max()), windows=sum(map(len, outputs)), values=values.size,
    )  # fmt: skip


def check_activation(declared: str) -> None:
    """SettingsError where it is none of ``ACTIVATIONS``."""
    if declared not in ACTIVATIONS:
        raise SettingsError(f"no activation '{declared}'", remedy=f"use one of: {', '.join(ACTIVATIONS)}")


def judge(e: Evidence) -> str:
    """What the values look like, one of ``OUTPUTS``. What lies in the range of two activations is called double."""
    if e.low < -_NEAR or e.high > 1 + _NEAR:
        return "logits"
    if e.channels > 1 and e.off_one < _SUM:
        return "double_softmax" if _inside(e, twice_softmax(e.channels)) else "softmax"
    return "double_sigmoid" if _inside(e, TWICE) else "sigmoid"


def decide(declared: str, e: Evidence, tail: str | None, *, force: bool = False) -> Decision:
    """Settle what the graph gives, from what its owner says, its values, and its last nodes.

    tail: what the nodes at the end of the graph amount to, one of ``OUTPUTS``; None where they do not tell. A narrow
    range alone may be hesitation: where the nodes show a single activation, it is taken for that.
    BundleError for two activations, and where the three contradict each other; ``force`` overrides the latter for a
    declared output, never for 'auto'.
    """
    check_activation(declared)
    found = judge(e)
    nodes = f"; its last nodes say {tail}" if tail else ""
    if tail in _DOUBLE and found == _DOUBLE[tail]:
        found = tail
    if declared == "auto":
        _refuse_double(found, e)
        if tail and tail != found and not (tail == "sigmoid" and found == "softmax"):
            raise BundleError(
                f"the graph gives {e}, which looks like {found}, but its last nodes say {tail}",
                remedy="say which with --activation, or show it pictures of its kind with --probe SHEET",
            )
        return Decision(output=found, how=f"found from its values: {e}{nodes}")
    if declared == found:
        if declared == "double_sigmoid" and e.channels > 1 and e.inner_off_one < 20 * _SUM:
            raise BundleError(
                f"the graph gives {e}: a sigmoid over a softmax, which cannot be told from two sigmoids",
                remedy="export the model without its activations",
            )
        return Decision(output=declared, how=f"declared, and its values agree: {e}{nodes}")
    if not force:
        raise _contradiction(declared, found, e)
    return Decision(
        output=declared,
        how=f"declared and forced, against its values: {e}{nodes}",
        forced=(f"declared {declared}, but the values look like {found}: {e}",),
    )


def _inside(e: Evidence, bounds: tuple[float, float]) -> bool:
    return bounds[0] - _NEAR <= e.low and e.high <= bounds[1] + _NEAR


def _refuse_double(found: str, e: Evidence) -> None:
    if not found.startswith("double_"):
        return
    low, high = TWICE if found == "double_sigmoid" else twice_softmax(e.channels)
    name = found.removeprefix("double_")
    raise BundleError(
        f"double activation: all values lie between {low:.3f} and {high:.3f} ({e}), where a {name} puts what went"
        f" through a {name} before",
        remedy=f"export the model without its second {name}, or take both back with --activation {found}; if it is"
        f" one {name} that hesitates, --activation {name} --force",
    )


def _contradiction(declared: str, found: str, e: Evidence) -> BundleError:
    if found.startswith("double_"):
        low, high = TWICE if found == "double_sigmoid" else twice_softmax(e.channels)
        why = f"double activation, all lie between {low:.3f} and {high:.3f}"
    elif found == "logits":
        why = "they are logits, and would be read as probabilities"
    elif declared == "logits":
        low, high = TWICE
        why = f"they are probabilities already, and a second activation would give {low:.3f} for 0 and {high:.3f} for 1"
    else:
        why = f"they look like {found}"
    return BundleError(
        f"declared {declared}, but the values are {e}: {why}",
        remedy=f"use --activation {found}, or override with --force, which the bundle will say",
    )
