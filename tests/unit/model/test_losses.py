"""Losses on logits: each is what its paper says. What holds for all of them is in tests/properties."""

from __future__ import annotations

import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sealmap.core.legend import IGNORE
from sealmap.model.losses import (
    Mix,
    combined,
    cross_entropy,
    dice_loss,
    focal,
    generalised_cross_entropy,
    lovasz_softmax,
)


def some(seed: int, classes: int, ignored: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 5 * torch.randn(2, classes, 6, 7, generator=generator)
    label = torch.randint(0, classes, (2, 6, 7), generator=generator)
    label[torch.rand(2, 6, 7, generator=generator) < ignored] = IGNORE
    return logits.requires_grad_(), label


def of_truth(logits: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Probability of the true class and class of each judged pixel, one by one."""
    probs = torch.softmax(logits.detach(), dim=1)
    found = [(probs[n, label[n, r, c], r, c], label[n, r, c]) for n, r, c in torch.nonzero(label != IGNORE).tolist()]
    return torch.stack([p for p, _ in found]), torch.stack([k for _, k in found])


def hard(label: torch.Tensor, classes: int) -> torch.Tensor:
    """Logits that are sure of these classes."""
    return torch.nn.functional.one_hot(torch.where(label == IGNORE, 0, label), classes).permute(0, 3, 1, 2) * 200.0


@given(st.integers(0, 9999), st.integers(2, 4), st.floats(0, 0.9))
@settings(max_examples=30)
def test_regional_losses_lie_between_0_and_1(seed: int, classes: int, ignored: float) -> None:
    logits, label = some(seed, classes, ignored)
    assert 0 <= dice_loss(logits, label).item() <= 1
    assert 0 <= lovasz_softmax(logits, label).item() <= 1 + 1e-6


def test_the_opposite_of_the_truth_costs_the_most() -> None:
    _, label = some(1, 2, 0.3)
    right = hard(label, 2) * 0.3 - 30
    assert dice_loss(-right, label).item() > 0.9
    assert lovasz_softmax(-right, label).item() == pytest.approx(1)
    assert cross_entropy(-right, label).item() == pytest.approx(60)
    assert focal(-right, label).item() == pytest.approx(60)
    assert generalised_cross_entropy(-right, label, q=0.5).item() == pytest.approx(2)


def test_cross_entropy_is_the_mean_over_judged_pixels() -> None:
    logits, label = some(4, 3, 0.5)
    p, _ = of_truth(logits, label)
    assert cross_entropy(logits, label).item() == pytest.approx(-p.log().mean().item(), rel=1e-5)


@pytest.mark.parametrize("weights", [(), (0.5, 1.0, 4.0)])
def test_losses_per_pixel_are_what_their_papers_say(weights: tuple[float, ...]) -> None:
    logits, label = some(4, 3, 0.5)
    p, k = of_truth(logits, label)
    w = torch.tensor(weights or (1.0, 1.0, 1.0))[k]

    def mean(terms: torch.Tensor) -> float:
        return float((w * terms).sum() / w.sum())

    assert cross_entropy(logits, label, class_weights=weights).item() == pytest.approx(mean(-p.log()), rel=1e-5)
    assert focal(logits, label, gamma=2.0, class_weights=weights).item() == pytest.approx(
        mean((1 - p) ** 2 * -p.log()), rel=1e-5
    )
    assert focal(logits, label, gamma=0.0, class_weights=weights).item() == pytest.approx(mean(-p.log()), rel=1e-5)
    found = generalised_cross_entropy(logits, label, q=0.7, class_weights=weights).item()
    assert found == pytest.approx(mean((1 - p**0.7) / 0.7), rel=1e-5)


def test_generalised_cross_entropy_goes_from_cross_entropy_to_absolute_error() -> None:
    logits, label = some(5, 3, 0.2)
    p, _ = of_truth(logits, label)
    near = generalised_cross_entropy(logits, label, q=1e-4)
    assert near.item() == pytest.approx(cross_entropy(logits, label).item(), rel=1e-3)
    assert generalised_cross_entropy(logits, label, q=1.0).item() == pytest.approx((1 - p).mean().item(), rel=1e-5)


def test_a_label_that_is_surely_wrong_pulls_less_in_generalised_cross_entropy() -> None:
    logits = torch.tensor([6.0, 0.0]).reshape(1, 2, 1, 1).requires_grad_()
    wrong = torch.ones(1, 1, 1, dtype=torch.long)
    (pull,) = torch.autograd.grad(cross_entropy(logits, wrong), logits)
    (less,) = torch.autograd.grad(generalised_cross_entropy(logits, wrong), logits)
    assert less.abs().max() < 0.1 * pull.abs().max()


@given(st.integers(0, 9999), st.integers(2, 4), st.floats(0, 0.9))
@settings(max_examples=30)
def test_lovasz_is_one_less_iou_where_every_pixel_is_sure(seed: int, classes: int, ignored: float) -> None:
    _, label = some(seed, classes, ignored)
    guess = torch.randint(0, classes, label.shape, generator=torch.Generator().manual_seed(seed + 1))
    judged = label != IGNORE
    if not judged.any():
        return
    ious = []
    for k in torch.unique(label[judged]):
        both, either = ((guess == k) & (label == k) & judged).sum(), ((guess == k) | (label == k))[judged].sum()
        ious.append(float(both / either))
    assert lovasz_softmax(hard(guess, classes), label).item() == pytest.approx(1 - sum(ious) / len(ious), abs=1e-5)


@given(st.integers(0, 9999), st.floats(0, 0.9))
@settings(max_examples=30)
def test_lovasz_agrees_with_the_one_of_smp(seed: int, ignored: float) -> None:
    logits, label = some(seed, 3, ignored)
    if (label == IGNORE).all():
        return
    theirs = smp.losses.LovaszLoss("multiclass", ignore_index=IGNORE)(logits, label)
    ours = lovasz_softmax(logits, label)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)
    pulls = [torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(pulls[0], pulls[1], atol=1e-6, rtol=1e-3)


def test_a_class_that_is_not_there_takes_no_part_in_regional_losses() -> None:
    logits, label = some(2, 3, 0.0)
    label[label == 2] = 1
    two = torch.cat([logits[:, :2], torch.full_like(logits[:, :1], -50)], dim=1)
    for loss in (dice_loss, lovasz_softmax):
        assert loss(two, label).item() == pytest.approx(loss(logits[:, :2], label).item(), abs=1e-6)


def test_a_mix_is_the_sum_of_its_parts() -> None:
    logits, label = some(3, 3, 0.3)
    ce, dice, lovasz = (f(logits, label).item() for f in (cross_entropy, dice_loss, lovasz_softmax))
    assert combined(logits, label, Mix()).item() == pytest.approx(ce)
    assert combined(logits, label, Mix(dice=0.5)).item() == pytest.approx(ce + 0.5 * dice)
    assert combined(logits, label, Mix(dice=0.5, lovasz=2.0)).item() == pytest.approx(ce + 0.5 * dice + 2 * lovasz)
    for pixel, alone in (("focal", focal), ("gce", generalised_cross_entropy)):
        found = combined(logits, label, Mix(pixel=pixel, lovasz=1.0))  # type: ignore[arg-type]
        assert found.item() == pytest.approx(alone(logits, label).item() + lovasz)
    smooth = combined(logits, label, Mix(smoothing=0.1)).item()
    assert smooth == pytest.approx(cross_entropy(logits, label, smoothing=0.1).item())
    assert smooth != pytest.approx(ce)
