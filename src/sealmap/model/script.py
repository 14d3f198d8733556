"""TorchScript beside the network rebuilt from its weights: which activation lies between the two, proved by values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sealmap.core.errors import BundleError
from sealmap.model.foreign import TO_ONNX, Rebuilt

NEAR = 1e-4
"""How far outputs may lie apart, as a share of the largest, to be called the same."""

_AFTER: dict[str, Callable[[Tensor], Tensor]] = {
    "logits": lambda z: z,
    "sigmoid": torch.sigmoid,
    "softmax": lambda z: torch.softmax(z, dim=1),
    "double_sigmoid": lambda z: torch.sigmoid(torch.sigmoid(z)),
    "double_softmax": lambda z: torch.softmax(torch.softmax(z, dim=1), dim=1),
    "sigmoid_of_softmax": lambda z: torch.sigmoid(torch.softmax(z, dim=1)),
}


@torch.inference_mode()
def activation_of(program: Any, rebuilt: Rebuilt, x_NCHW: NDArray[np.float32]) -> tuple[str, float]:
    """(what the program does to the logits of the network, how far apart the two then are).

    x: probe windows, normalised. The first is one of ``card.OUTPUTS`` or 'sigmoid_of_softmax'. BundleError, with the
    numbers, where nothing fits, or more than one thing does.
    """
    x = torch.from_numpy(x_NCHW)
    z_NKHW = rebuilt.network(x)
    try:
        # Compiling for one run takes longer than the run. mypy: torch.jit does not list it
        with torch.jit.optimized_execution(should_optimize=False):  # type: ignore[attr-defined]
            given = program(x)
    except Exception as error:
        raise BundleError(
            f"the program does not run on {tuple(x_NCHW.shape)} ({type(error).__name__})", remedy=TO_ONNX
        ) from error
    if not isinstance(given, Tensor) or given.shape != z_NKHW.shape:
        what = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise BundleError(f"the program gives {what}, the network {tuple(z_NKHW.shape)}", remedy=TO_ONNX)
    for name, values in (("network rebuilt from its weights", z_NKHW), ("program", given)):
        if not bool(torch.isfinite(values).all()):
            raise BundleError(f"the {name} gives NaN or infinity on probe windows", remedy="check --mean and --std")
    apart = {
        name: float((after(z_NKHW) - given).abs().max() / given.abs().max().clamp_min(1e-6))
        for name, after in _AFTER.items()
        if rebuilt.channels > 1 or "softmax" not in name
    }
    near = [name for name, distance in apart.items() if distance < NEAR]
    told = ", ".join(f"{name} {distance:.2g}" for name, distance in apart.items())
    if len(near) != 1:
        raise BundleError(
            f"the program gives {float(given.min()):.4g} to {float(given.max()):.4g}, the network rebuilt as"
            f" {rebuilt.architecture} with {rebuilt.encoder} {float(z_NKHW.min()):.4g} to {float(z_NKHW.max()):.4g};"
            f" {len(near)} activations fit between them (apart by: {told})",
            remedy=f"if it normalises or rescales by itself, {TO_ONNX}",
        )
    return near[0], apart[near[0]]
