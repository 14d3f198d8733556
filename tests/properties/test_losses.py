"""Whatever the mix of losses: what is ignored has no say, and the truth costs nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sealmap.core.legend import IGNORE
from sealmap.model.losses import Mix, PixelLoss, combined


@st.composite
def mixes(draw: st.DrawFn, *, classes: int | None = None) -> Mix:
    pixel: PixelLoss = draw(st.sampled_from(["ce", "focal", "gce"]))
    weights = st.lists(st.floats(0.1, 10), min_size=classes or 0, max_size=classes or 0)
    return Mix(
        pixel=pixel,
        dice=draw(st.sampled_from([0.0, 0.5, 2.0])),
        lovasz=draw(st.sampled_from([0.0, 1.0])),
        smoothing=draw(st.floats(0, 0.3)) if pixel == "ce" else 0.0,
        gamma=draw(st.floats(0, 5)),
        q=draw(st.floats(0.05, 1)),
        class_weights=tuple(draw(weights)) if draw(st.booleans()) else (),
    )


def some(
    seed: int, classes: int, ignored: float, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(2, classes, 6, 7, generator=generator)
    label = torch.randint(0, classes, (2, 6, 7), generator=generator)
    label[torch.rand(2, 6, 7, generator=generator) < ignored] = IGNORE
    return logits.to(dtype).requires_grad_(), label


seeds, shares = st.integers(0, 9999), st.floats(0, 1)
dtypes = st.sampled_from([torch.float32, torch.float16])


@given(seeds, shares, mixes(classes=3), dtypes)
@settings(max_examples=50)
@example(seed=1, ignored=1.0, mix=Mix(lovasz=1.0, dice=1.0), dtype=torch.float16)
def test_ignored_pixels_have_exactly_no_gradient(seed: int, ignored: float, mix: Mix, dtype: torch.dtype) -> None:
    logits, label = some(seed, 3, ignored, dtype)
    loss = combined(logits, label, mix)
    assert torch.isfinite(loss)
    (gradient,) = torch.autograd.grad(loss, logits)
    out = (label == IGNORE).unsqueeze(1).expand_as(gradient)
    assert (gradient[out] == 0).all()
    assert torch.isfinite(gradient).all()
    if not out.all():
        assert (gradient[~out] != 0).any()


@given(seeds, st.floats(0.1, 0.9), mixes(classes=3), st.floats(-1e4, 1e4))
@settings(max_examples=30)
def test_what_is_said_under_ignored_pixels_does_not_matter(seed: int, ignored: float, mix: Mix, other: float) -> None:
    logits, label = some(seed, 3, ignored)
    out = (label == IGNORE).unsqueeze(1)
    changed = torch.where(out, other * logits.detach(), logits.detach())
    assert torch.equal(combined(changed, label, mix), combined(logits.detach(), label, mix))


@given(seeds, mixes(classes=4), dtypes)
@settings(max_examples=30)
def test_a_batch_that_nobody_judges_costs_nothing(seed: int, mix: Mix, dtype: torch.dtype) -> None:
    logits, label = some(seed, 4, 1.0, dtype)
    loss = combined(logits, label, mix)
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient == 0).all()


def test_nothing_stays_nothing_where_a_sum_of_halves_is_infinite() -> None:
    logits = torch.full((8, 2, 64, 64), 1000.0, dtype=torch.float16, requires_grad=True)
    label = torch.full((8, 64, 64), IGNORE)
    assert torch.isinf(logits.sum())
    assert combined(logits, label, Mix(dice=1.0, lovasz=1.0)).item() == 0


@given(seeds, st.integers(2, 4), st.floats(0, 0.9), mixes())
@settings(max_examples=30)
def test_the_truth_costs_nothing(seed: int, classes: int, ignored: float, mix: Mix) -> None:
    _, label = some(seed, classes, ignored)
    right = torch.nn.functional.one_hot(torch.where(label == IGNORE, 0, label), classes).permute(0, 3, 1, 2) * 60.0
    mix = Mix(pixel=mix.pixel, dice=mix.dice, lovasz=mix.lovasz, gamma=mix.gamma, q=mix.q)
    assert combined(right, label, mix).item() == pytest.approx(0, abs=1e-5)


@given(seeds, st.integers(2, 4), st.floats(0, 0.9), mixes())
@settings(max_examples=30)
def test_a_step_against_the_gradient_lowers_the_loss(seed: int, classes: int, ignored: float, mix: Mix) -> None:
    logits, label = some(seed, classes, ignored)
    loss = combined(logits, label, mix)
    (gradient,) = torch.autograd.grad(loss, logits)
    steps = (1e-2, 1e-3, 1e-4)
    after = [combined(logits.detach() - s * gradient / (gradient.norm() + 1e-12), label, mix).item() for s in steps]
    assert min(after) <= loss.item()
    if gradient.norm() > 1e-2:
        assert min(after) < loss.item()
