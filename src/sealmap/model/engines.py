"""Engines that run a bundle: what runs the network is chosen here and nowhere else. See ``engine.Engine``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sealmap.core.errors import SettingsError
from sealmap.model.bundle import ModelBundle, probabilities
from sealmap.model.card import ModelCard


class TorchEngine:
    """PyTorch on CPU or CUDA, float32 weights, channels last; mixed precision on CUDA only."""

    def __init__(self, bundle: ModelBundle, device: str = "auto") -> None:
        self._card = bundle.card
        self.device = _device(device)
        # mypy: Module.to has overloads that forget memory_format
        self._net = bundle.network().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mean = torch.tensor(bundle.card.mean).view(1, -1, 1, 1).to(self.device)
        self._std = torch.tensor(bundle.card.std).view(1, -1, 1, 1).to(self.device)

    @property
    def card(self) -> ModelCard:
        """The card of the model that runs."""
        return self._card

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


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"no device '{name}'", remedy="use one of: auto, cpu, cuda")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise SettingsError("there is no CUDA device that torch can use", remedy="use --device cpu")
    return torch.device(name)
