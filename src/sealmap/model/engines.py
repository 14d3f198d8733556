"""Engines that run a bundle: what runs the network is chosen here and nowhere else. See ``engine.Engine``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sealmap.core.errors import BundleError, SettingsError
from sealmap.model.bundle import ModelBundle, probabilities
from sealmap.model.card import ONNX, ModelCard
from sealmap.model.engine import Engine
from sealmap.model.graph import CHANNELS, graph_of
from sealmap.model.outputs import to_logits


def engine_for(bundle: ModelBundle, device: str = "auto") -> Engine:
    """The engine that runs a bundle. device: auto, cpu or cuda; a graph runs on the CPU only."""
    return OnnxEngine(bundle, device) if bundle.card.architecture == ONNX else TorchEngine(bundle, device)


class TorchEngine:
    """PyTorch on CPU or CUDA, float32 weights, channels last; mixed precision on CUDA only."""

    def __init__(self, bundle: ModelBundle, device: str = "auto") -> None:
        self._card = bundle.card
        self.device = _device(device)
        # mypy: Module.to has overloads that forget memory_format
        net: nn.Module = bundle.network().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._net = net
        self._mean = torch.tensor(bundle.card.mean).view(1, -1, 1, 1).to(self.device)
        self._std = torch.tensor(bundle.card.std).view(1, -1, 1, 1).to(self.device)

    @property
    def card(self) -> ModelCard:
        """The card of the model that runs."""
        return self._card

    @property
    def network(self) -> nn.Module:
        """The network that runs."""
        return self._net

    @torch.inference_mode()
    def probs(self, pixels_NCHW: NDArray[Any], pixel_scale: float) -> NDArray[np.float32]:
        """See ``Engine``."""
        x = torch.from_numpy(pixels_NCHW.astype(np.float32)).to(self.device)
        x = ((x / pixel_scale) - self._mean) / self._std
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            logits = self._net(x)
        out: NDArray[np.float32] = probabilities(logits, self._card).cpu().numpy()
        return out


class OnnxEngine:
    """onnxruntime on the CPU, for graphs that were made elsewhere. What the graph gives is turned back into logits."""

    def __init__(self, bundle: ModelBundle, device: str = "auto") -> None:
        if _device(device).type != "cpu" and device != "auto":
            raise SettingsError("an ONNX graph runs on the CPU", remedy="use --device cpu")
        self._card = bundle.card
        self._graph = graph_of(bundle)
        self._order = bundle.weights[CHANNELS].tolist() if CHANNELS in bundle.weights else None
        given = max(2, self._graph.channels)  # a single channel becomes two
        order = self._order or list(range(given))
        fits = len(order) == len(self._card.legend) and max(order) < given
        if self._graph.bands != len(self._card.bands) or not fits:
            raise BundleError(
                f"the graph has {self._graph.bands} bands and {self._graph.channels} channels, its card"
                f" {len(self._card.bands)} and {len(self._card.legend)}",
                remedy="the bundle is damaged: import the model again",
            )
        self._mean, self._std = (np.array(v, np.float32)[:, None, None] for v in (bundle.card.mean, bundle.card.std))

    @property
    def card(self) -> ModelCard:
        """The card of the model that runs."""
        return self._card

    def probs(self, pixels_NCHW: NDArray[Any], pixel_scale: float) -> NDArray[np.float32]:
        """See ``Engine``. BundleError where the graph gives what is no number."""
        x = ((pixels_NCHW.astype(np.float32) / np.float32(pixel_scale)) - self._mean) / self._std
        values = self._graph.raw(x)
        if not np.isfinite(values).all():
            raise BundleError(
                f"the graph gives NaN or infinity for {1 - np.isfinite(values).mean():.1%} of a window's values",
                remedy="export the model in 32 bits",
            )
        logits = to_logits(values, self._card.output)
        if self._order is not None:
            logits = logits[:, self._order]
        out: NDArray[np.float32] = probabilities(torch.from_numpy(logits), self._card).numpy()
        return out


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"no device '{name}'", remedy="use one of: auto, cpu, cuda")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError("there is no CUDA device that torch can use", remedy="use --device cpu")
    return torch.device(name)
