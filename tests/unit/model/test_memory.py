"""What a first layer remembers: exact where it can be known, and silent where it cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.unit.model.tiny import CARD as FOUR
from tests.unit.model.tiny import bundle
from torch import Tensor, nn

from sealmap.core.finding import Finding
from sealmap.model.bundle import load_bundle, save_bundle
from sealmap.model.card import BandStatistics, ModelCard
from sealmap.model.memory import first_layer_shift, normalisation

MEANS, STDS = (0.45, 0.4, 0.35), (0.2, 0.18, 0.17)
CARD = replace(
    FOUR, bands=("red", "green", "blue"), mean=MEANS, std=STDS,
    statistics={
        b: BandStatistics(mean=m, std=s) for b, m, s in zip(("red", "green", "blue"), MEANS, STDS, strict=True)
    },
)  # fmt: skip


def begins(*, bias: bool = True, bands: int = 3) -> Any:
    """A network that begins as most do."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(bands, 16, 3, bias=bias), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 2, 1))


def seen(network: Any, pixels_NCHW: Tensor) -> Any:
    """The network after it has met these pixels: batch normalisation remembers their mean and variance."""
    with torch.no_grad():
        answer = network[0](pixels_NCHW)
        network[1].running_mean.copy_(answer.mean(dim=(0, 2, 3)))
        network[1].running_var.copy_(answer.var(dim=(0, 2, 3)))
    return network


def raw_pixels(count: int = 64) -> Tensor:
    """Of the training data, 0..1: with the means and deviations of the card."""
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(count, 3, 12, 12, generator=generator)
    noise = (noise - noise.mean(dim=(0, 2, 3), keepdim=True)) / noise.std(dim=(0, 2, 3), keepdim=True)
    return noise * torch.tensor(STDS).view(1, 3, 1, 1) + torch.tensor(MEANS).view(1, 3, 1, 1)


def normalised(pixels: Tensor, card: ModelCard = CARD) -> Tensor:
    return (pixels - torch.tensor(card.mean).view(1, -1, 1, 1)) / torch.tensor(card.std).view(1, -1, 1, 1)


@dataclass
class Bundle:
    """A card, and a network that was trained in whatever way."""

    card: ModelCard
    net: nn.Module

    def network(self) -> nn.Module:
        return self.net


def judged(net: nn.Module, card: ModelCard = CARD, **more: Any) -> Finding:
    return normalisation(Bundle(card, net), **more)  # type: ignore[arg-type]


# --- the shift ---


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shift", [0.0, 0.25, 3.0])
def test_the_shift_is_exact(shift: float, *, bias: bool) -> None:
    network, means = begins(bias=bias), (0.3, -0.2, 1.5)
    with torch.no_grad():
        flat = torch.tensor(means).view(1, 3, 1, 1).expand(1, 3, 3, 3)
        answer = network[0](flat)[0, :, 0, 0]
        signs = torch.tensor([1.0, -1.0] * 8)
        network[1].running_mean.copy_(answer + signs * shift * 0.5)
        network[1].running_var.fill_(0.25)
    assert first_layer_shift(network, means) == pytest.approx(shift, abs=1e-5)


def test_the_shift_is_counted_in_deviations_that_are_remembered() -> None:
    network = begins()
    with torch.no_grad():
        network[1].running_var.fill_(1.0)
        one = first_layer_shift(network, (1, 1, 1))
        network[1].running_var.fill_(4.0)
    assert one is not None
    assert first_layer_shift(network, (1, 1, 1)) == pytest.approx(one / 2)


def test_a_network_is_not_shifted_from_the_pixels_that_it_met() -> None:
    x = normalised(raw_pixels())
    assert first_layer_shift(seen(begins(), x), x.mean(dim=(0, 2, 3)).tolist()) == pytest.approx(0, abs=0.02)


def test_asking_changes_nothing_in_the_network() -> None:
    network = seen(begins(), normalised(raw_pixels()))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first_layer_shift(network, (9.0, 9.0, 9.0))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


NOT_KNOWN = {
    "no batch norm": nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 1)),
    "group norm": nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.Conv2d(8, 2, 1)),
    "batch norm first": nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3)),
    "another layer between": nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)),
    "other bands": begins(bands=4),
    "bands apart": nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6)),
    "no memory": nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False)),
    "one layer": nn.Sequential(nn.Conv2d(3, 2, 1)),
    "no layer": nn.Identity(),
}


@pytest.mark.parametrize("network", NOT_KNOWN.values(), ids=NOT_KNOWN.keys())
def test_where_nothing_is_remembered_nothing_is_checked(network: nn.Module) -> None:
    assert first_layer_shift(network, (0.0, 0.0, 0.0)) is None
    found = judged(network)
    assert found.verdict == "ok"
    assert list(found.figures) == ["not checked"]


# --- what follows from it ---


def test_the_right_mean_and_deviation_are_ok() -> None:
    found = judged(seen(begins(), normalised(raw_pixels())))
    assert found.verdict == "ok"
    assert found.figures["shift of the first layer"] < 0.05
    assert found.figures["by"] == "training data"


def test_a_division_by_255_left_out_is_refused() -> None:
    trained = seen(begins(), raw_pixels())
    as_it_was = replace(CARD, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert judged(trained, as_it_was).verdict == "ok"
    found = judged(trained, replace(CARD, mean=(0.0,) * 3, std=(1 / 255,) * 3))
    assert found.verdict == "refusal"
    assert "division by 255 left out" in found.cause
    assert found.figures["shift of the first layer"] > 20
    assert "--mean --std" in found.remedy


def test_means_of_0_to_255_on_pixels_of_0_to_1_are_refused() -> None:
    card = replace(CARD, mean=tuple(255 * m for m in MEANS))
    found = judged(seen(begins(), normalised(raw_pixels())), card)
    assert found.verdict == "refusal"
    assert "another scale" in found.cause


def test_pixels_normalised_twice_are_refused() -> None:
    twice = replace(
        CARD, mean=tuple(m + s * m for m, s in zip(MEANS, STDS, strict=True)), std=tuple(s * s for s in STDS)
    )
    found = judged(seen(begins(), normalised(raw_pixels())), twice)
    assert found.verdict == "refusal"
    assert "normalised twice" in found.cause
    assert "another scale" not in found.cause


def shifted(by: float) -> Any:
    """A network whose memory lies so many deviations from the training data's mean."""
    network = begins()
    with torch.no_grad():
        network[1].running_mean.copy_(network[0].bias + by)
        network[1].running_var.fill_(1.0)
    return network


@pytest.mark.parametrize(("by", "verdict"), [(0.49, "ok"), (0.51, "refusal")])
def test_by_the_training_data_half_a_deviation_is_allowed(by: float, verdict: str) -> None:
    found = judged(shifted(by))
    assert found.verdict == verdict
    assert found.figures["shift of the first layer"] == by
    assert judged(shifted(by), flown=[9.0, 9.0, 9.0]).verdict == verdict  # the training data goes before a flight


@pytest.mark.parametrize(("by", "verdict"), [(1.19, "ok"), (1.21, "refusal")])
def test_by_a_flight_or_after_adaptation_more_is_allowed(by: float, verdict: str) -> None:
    assert judged(shifted(by), adapted=True).verdict == verdict
    unknown = replace(CARD, statistics={"red": CARD.statistics["red"]})
    found = judged(shifted(by), unknown, flown=list(MEANS))
    assert (found.verdict, found.figures["by"]) == (verdict, "this flight")
    assert list(judged(shifted(by), unknown).figures) == ["not checked"]


@pytest.mark.parametrize(("by", "words"), [(19.9, "normalised twice"), (20.1, "division by 255")])
def test_the_cause_depends_on_how_far_it_is(by: float, words: str) -> None:
    assert words in judged(shifted(by)).cause


def test_weights_that_are_no_numbers_are_refused() -> None:
    network = shifted(0.0)
    with torch.no_grad():
        network[0].weight.fill_(float("nan"))
    assert judged(network).verdict == "refusal"


def test_a_real_network_is_judged_by_its_stem(tmp_path: Path) -> None:
    made = bundle(tmp_path / "m.sealmap", bands=CARD.bands, statistics=CARD.statistics, mean=MEANS, std=STDS)
    assert judged(made.network(), made.card).verdict == "ok"
    net = made.network()
    first = next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    with torch.no_grad():
        assert first.running_mean is not None
        first.running_mean += 0.8
    save_bundle(tmp_path / "n.sealmap", made.card, net, overwrite=False)
    found = normalisation(load_bundle(tmp_path / "n.sealmap"))
    assert found.verdict == "refusal"
    assert found.figures["shift of the first layer"] == pytest.approx(0.8, abs=0.01)
