"""Losses on logits: what is ignored has no say."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sealmap.core.legend import IGNORE
from sealmap.model.losses import combined, cross_entropy, dice_loss


def some(seed: int, classes: int, ignored: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(2, classes, 6, 7, generator=generator)
    label = torch.randint(0, classes, (2, 6, 7), generator=generator)
    label[torch.rand(2, 6, 7, generator=generator) < ignored] = IGNORE
    return logits.requires_grad_(), label


@given(st.integers(0, 9999), st.integers(2, 4), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.3))
@settings(max_examples=60)
def test_ignored_pixels_have_exactly_no_gradient(
    seed: int, classes: int, ignored: float, dice: float, smoothing: float
) -> None:
    logits, label = some(seed, classes, ignored)
    loss = combined(logits, label, dice=dice, smoothing=smoothing)
    (gradient,) = torch.autograd.grad(loss, logits)
    out = (label == IGNORE).unsqueeze(1).expand_as(gradient)
    assert (gradient[out] == 0).all()
    if not out.all():
        assert (gradient[~out] != 0).any()
    # … nor does what the network says there change the loss
    with torch.no_grad():
        other = torch.where(out, logits * -3 + 1, logits)
        torch.testing.assert_close(combined(other, label, dice=dice, smoothing=smoothing), loss.detach())


@pytest.mark.parametrize("dice", [0.0, 0.5])
def test_a_batch_that_nobody_judges_costs_nothing(dice: float) -> None:
    logits, label = some(1, 3, 0.0)
    loss = combined(logits, torch.full_like(label, IGNORE), dice=dice, smoothing=0.1)
    assert loss.item() == 0
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient == 0).all()


@given(st.integers(0, 9999), st.integers(2, 4), st.floats(0, 0.9))
@settings(max_examples=60)
def test_dice_lies_between_0_and_1(seed: int, classes: int, ignored: float) -> None:
    logits, label = some(seed, classes, ignored)
    assert 0 <= dice_loss(logits, label).item() <= 1


def test_the_truth_costs_nothing_and_its_opposite_the_most() -> None:
    _, label = some(1, 2, 0.3)
    right = torch.nn.functional.one_hot(torch.where(label == IGNORE, 0, label), 2).permute(0, 3, 1, 2) * 60.0 - 30
    assert combined(right, label, dice=1.0, smoothing=0.0).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(-right, label).item() > 0.9
    assert cross_entropy(-right, label).item() == pytest.approx(60)


def test_cross_entropy_is_the_mean_over_judged_pixels() -> None:
    logits, label = some(4, 3, 0.5)
    log_p = torch.log_softmax(logits.detach(), dim=1)
    terms = [
        -log_p[n, label[n, r, c], r, c]
        for n, r, c in torch.nonzero(label != IGNORE).tolist()
    ]  # fmt: skip
    assert cross_entropy(logits, label).item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


def test_a_class_that_is_not_there_takes_no_part_in_dice() -> None:
    logits, label = some(2, 3, 0.0)
    label[label == 2] = 1
    two = dice_loss(torch.cat([logits[:, :2], torch.full_like(logits[:, :1], -50)], dim=1), label)
    assert two.item() == pytest.approx(dice_loss(logits[:, :2], label).item(), abs=1e-6)
