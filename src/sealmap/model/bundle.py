"""ModelBundle: one file, safetensors with the card in its header. No pickle, so opening one runs no code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sealmap.core.errors import BundleError
from sealmap.files.atomic import staged
from sealmap.model.card import KEY, ONNX, ModelCard, digest, read_card
from sealmap.model.network import build_network

_LEAST = 1e-12
"""Far below what 32-bit floats tell from 0 in a probability of other pixels' size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelBundle:
    """A card and the weights it speaks of. ``weights``: state dict of the network, floats as stored."""

    card: ModelCard
    weights: dict[str, Tensor]

    def network(self) -> nn.Module:
        """The network in float32 and evaluation mode; it returns logits. BundleError for a graph made elsewhere."""
        if self.card.architecture == ONNX:
            raise BundleError(
                "the bundle holds an ONNX graph: there is no network of sealmap's to train or to adapt",
                remedy="predict, evaluate and calibrate take it; to adapt, import weights of a network",
            )
        net = build_network(
            self.card.architecture,
            self.card.encoder,
            bands=len(self.card.bands),
            classes=len(self.card.legend),
        )
        state = {name: w.float() if w.is_floating_point() else w for name, w in self.weights.items()}
        try:
            net.load_state_dict(state)
        except RuntimeError as error:
            raise BundleError(
                f"the weights do not fit {self.card.architecture} with {self.card.encoder}",
                remedy="the bundle is damaged or made with another version of its libraries",
            ) from error
        return net.eval()


def probabilities(logits_NKHW: Tensor, card: ModelCard) -> Tensor:
    """The one activation of the house: softmax over the legend's classes, after division by the temperature.

    Where the card has an isotonic calibration, 'sealed' and its opposite get the probabilities that it serves instead;
    classes of one side keep their shares of it.
    logits (N, K, H, W), any range → probabilities (N, K, H, W), 0..1, adding up to 1 over K.
    """
    probs_NKHW = torch.softmax(logits_NKHW.float() / card.temperature, dim=1)
    return _isotonic(probs_NKHW, card) if card.isotonic else probs_NKHW


def _isotonic(probs_NKHW: Tensor, card: ModelCard) -> Tensor:
    stated, served = torch.tensor(card.isotonic, device=probs_NKHW.device).T.contiguous()
    sealed = torch.tensor([c.sealed for c in card.legend.classes], device=probs_NKHW.device)
    probs = probs_NKHW + _LEAST  # so that a side of zeros can be shared out, too
    sealed_N1HW = probs[:, sealed].sum(dim=1, keepdim=True)
    open_N1HW = probs[:, ~sealed].sum(dim=1, keepdim=True)  # not 1 − sealed, which cancels out near 1
    share = sealed_N1HW / (sealed_N1HW + open_N1HW)
    right = torch.bucketize(share, stated[1:-1]) + 1
    low, high = stated[right - 1], stated[right]
    wanted = torch.lerp(served[right - 1], served[right], ((share - low) / (high - low)).clamp(0, 1))
    return probs * torch.where(sealed.view(1, -1, 1, 1), wanted / sealed_N1HW, (1 - wanted) / open_N1HW)


def save_bundle(path: Path, card: ModelCard, network: nn.Module, *, overwrite: bool, half: bool = False) -> ModelCard:
    """Write a bundle; returns its card with the hash of the weights. ``half``: store floats in 16 bits."""
    weights = {
        name: (w.half() if half and w.is_floating_point() else w).detach().cpu().contiguous()
        for name, w in network.state_dict().items()
    }
    return save_weights(path, card, weights, overwrite=overwrite)


def save_weights(path: Path, card: ModelCard, weights: dict[str, Tensor], *, overwrite: bool) -> ModelCard:
    """Write a bundle of these tensors; returns its card with their hash."""
    signed = replace(card, weights_sha256=weights_digest(weights))
    with staged(path, overwrite=overwrite) as scratch:
        save_file(weights, scratch, metadata={KEY: signed.to_json()})
    return signed


def save_card(path: Path, bundle: ModelBundle, *, overwrite: bool) -> None:
    """Write a bundle whose card was changed; the weights stay as they are, bit for bit, and so does their hash.

    BundleError where the card speaks of other weights: those of a changed network are written by ``save_bundle``.
    """
    found = weights_digest(bundle.weights)
    if found != bundle.card.weights_sha256:
        raise BundleError(
            f"the card speaks of weights {bundle.card.weights_sha256[:12] or 'unknown'}, these are {found[:12]}",
            remedy="write a changed network with save_bundle",
        )
    with staged(path, overwrite=overwrite) as scratch:
        save_file(bundle.weights, scratch, metadata={KEY: bundle.card.to_json()})


def load_bundle(path: Path) -> ModelBundle:
    """Read a bundle and check its hash; BundleError where it is damaged."""
    card = read_card(path)
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path} is damaged ({error})", remedy="fetch the bundle again") from error
    found = weights_digest(weights)
    if found != card.weights_sha256:
        raise BundleError(
            f"{path}: the weights' hash is {found[:12]}…, the card says {card.weights_sha256[:12]}…",
            remedy="the bundle was changed or damaged: fetch it again",
        )
    return ModelBundle(card=card, weights=weights)


def weights_digest(weights: dict[str, Tensor]) -> str:
    """SHA-256 over names and bytes of the weights."""
    return digest({name: w.numpy().tobytes() for name, w in weights.items()})
