"""Models of other makers, small: ONNX graphs of one convolution, and networks that activate by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

OPSET = 17


def conv_graph(
    activations: Sequence[str] = (),
    *,
    bands: int = 3,
    channels: int = 1,
    side: int | None = None,
    spread: float = 4.0,
    bias: float = 0.0,
) -> onnx.ModelProto:
    """3 x 3 convolution, then these operators. ``side``: fixed size and batch of 1; None: any."""
    rng = np.random.default_rng(5)
    weight = (spread * rng.normal(size=(channels, bands, 3, 3)) / 9).astype(np.float32)
    stored = [
        numpy_helper.from_array(weight, "w"),
        numpy_helper.from_array(np.full(channels, bias, np.float32), "b"),
    ]
    nodes = [helper.make_node("Conv", ["x", "w", "b"], ["v0"], pads=[1, 1, 1, 1])]
    for i, name in enumerate(activations):
        more: dict[str, Any] = {"axis": 1} if name == "Softmax" else {}
        nodes.append(helper.make_node(name, [f"v{i}"], [f"v{i + 1}"], **more))
    shape = [1, None, side, side] if side else ["n", None, "h", "w"]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [shape[0], count, *shape[2:]])
        for name, count in (("x", bands), (f"v{len(activations)}", channels))
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def conv_file(path: Path, activations: Sequence[str] = (), **how: Any) -> Path:
    """The graph as a file."""
    path.write_bytes(conv_graph(activations, **how).SerializeToString())
    return path


def scripted(path: Path, module: nn.Module) -> Path:
    """The module as a TorchScript file. mypy: torch.jit.trace has no types."""
    traced = torch.jit.trace(module.eval(), torch.rand(1, 4, 64, 64), check_trace=False)  # type: ignore[no-untyped-call]
    traced.save(str(path))
    return path


class Activating(nn.Module):
    """A network in a wrapper that activates, as scripts for inference have it."""

    def __init__(self, network: nn.Module, *activations: str) -> None:
        super().__init__()
        self.net = network
        self.activations = activations

    def forward(self, x_NCHW: Tensor) -> Tensor:
        y: Tensor = self.net(x_NCHW)
        for name in self.activations:
            y = torch.sigmoid(y) if name == "sigmoid" else torch.softmax(y, dim=1)
        return y
