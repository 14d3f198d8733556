"""In which precision a network is trained: where sixteen bits pay, and what stays in thirty-two."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

Precision = Literal["fp32", "bf16", "fp16"]

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def chosen_for(device: torch.device) -> Precision:
    """What 'auto' means: bf16 where the hardware multiplies it, else fp32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    can = torch.cpu.get_capabilities()
    return "bf16" if can.get("amx_bf16") or can.get("avx512_bf16") else "fp32"


def keep_depthwise_float32(network: nn.Module) -> None:
    """Depthwise convolutions compute in float32 under autocast.

    On a CPU their bf16 gradients are slower than those in float32 (torch 2.15, AVX-512 and AMX): with this, U-Net with
    EfficientNet-lite0 trains 1.6 times as fast as in plain bf16, twice as fast as in fp32
    (``benchmarks/training_speed.py``). Weights and their names do not change.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1:
            module.forward = _Float32(module)  # type: ignore[assignment, method-assign]


class _Float32:
    """The forward pass of a convolution, outside autocast; gives back what it was given."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self._forward = conv.forward

    def __call__(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self._forward(x.float()).to(x.dtype)
