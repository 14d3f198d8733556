"""Where sixteen bits are used, and that depthwise convolutions are left out of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.unit.training.arraychips import ArrayChips
from torch import nn

from sealmap.core.errors import TrainingError
from sealmap.training.batches import Source
from sealmap.training.loop import CHECKPOINT, train
from sealmap.training.precision import chosen_for, keep_depthwise_float32
from sealmap.training.recipes import tiny

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"amx_bf16": True}, "bf16"),
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"avx512_bf16": False}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_a_cpu_gets_what_it_multiplies(
    capabilities: dict[str, bool], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert chosen_for(CPU) == expected


class Seen(nn.Module):
    """Depthwise, then pointwise; notes in what type each computed."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.pointwise(self.depthwise(x))
        return out


def test_depthwise_computes_in_float32_and_gives_back_what_it_was_given() -> None:
    torch.manual_seed(1)
    net, x = Seen(), torch.randn(2, 8, 16, 16)
    names = list(net.state_dict())
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        low = net.depthwise(x)
        keep_depthwise_float32(net)
        high, given16 = net.depthwise(x), net.depthwise(x.bfloat16())
        out = net(x)
    exact = nn.functional.conv2d(x, net.depthwise.weight, net.depthwise.bias, padding=1, groups=8)
    assert low.dtype == torch.bfloat16
    assert torch.equal(high, exact.detach())
    assert given16.dtype == torch.bfloat16
    assert out.dtype == torch.bfloat16
    assert list(net.state_dict()) == names


def test_gradients_pass_through() -> None:
    net, x = Seen(), torch.randn(1, 8, 8, 8)
    keep_depthwise_float32(net)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        net(x).float().square().sum().backward()
    for parameter in net.parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
        assert bool(parameter.grad.abs().sum() > 0)


def test_auto_is_resolved_once_and_a_resumed_run_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(tiny(), precision="auto", patch=32, steps=1, validate_every=1)
    sources = [Source(chips=ArrayChips())]
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert train(recipe, sources, sources, tmp_path).precision == "fp32"
    assert torch.load(tmp_path / CHECKPOINT, weights_only=True)["recipe"]["precision"] == "fp32"
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    with pytest.raises(TrainingError, match=r"another recipe \(precision: fp32 → bf16\)"):
        train(recipe, sources, sources, tmp_path, resume=True)
