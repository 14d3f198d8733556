"""Statistics of another flight in place of those of training, and nothing else touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.unit.model.tiny import CARD, bundle, network

from sealmap.core.errors import BundleError, SettingsError
from sealmap.model.adapt import adapt_batch_norm, batch_norm_layers
from sealmap.model.bundle import ModelBundle, load_bundle, save_bundle
from sealmap.model.engines import TorchEngine

STATISTICS = ("running_mean", "running_var")


def flight(seed: int, count: int = 4) -> NDArray[np.float32]:
    """Smooth windows (N, 4, 64, 64) of 0..255."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(20, 230, (count, 4, 8, 8)).astype(np.float32)
    return np.repeat(np.repeat(coarse, 8, axis=2), 8, axis=3) + rng.normal(0, 4, (count, 4, 64, 64)).astype(np.float32)


def halves(pixels: NDArray[Any]) -> list[NDArray[Any]]:
    return np.array_split(pixels, 2)


def contrast(pixels: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """About the card's mean, which is what the zeros at a window's border stand for."""
    middle = 255 * np.array(CARD.mean, np.float32).reshape(1, -1, 1, 1)
    found: NDArray[np.float32] = middle + np.float32(factor) * (pixels - middle)
    return found


def test_the_first_layer_gets_the_mean_of_the_batches_statistics(tmp_path: Path) -> None:
    source = bundle(tmp_path / "m.sealmap")
    batches = [flight(1), flight(2) * 0.5]
    found = adapt_batch_norm(source, batches, 255.0).bundle
    name = next(iter(batch_norm_layers(source.network())))
    net: Any = source.network()
    convolution = net.encoder.model.conv_stem
    mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (CARD.mean, CARD.std))
    with torch.inference_mode():
        outs = [convolution((torch.from_numpy(b) / 255 - mean) / std) for b in batches]
    means = torch.stack([o.mean(dim=(0, 2, 3)) for o in outs]).mean(0)
    variances = torch.stack([o.transpose(0, 1).flatten(1).var(dim=1) for o in outs]).mean(0)
    torch.testing.assert_close(found.weights[f"{name}.running_mean"], means, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.weights[f"{name}.running_var"], variances, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("half", [False, True])
def test_nothing_but_statistics_changes(tmp_path: Path, *, half: bool) -> None:
    source = bundle(tmp_path / "m.sealmap", half=half)
    before = {name: w.clone() for name, w in source.weights.items()}
    found = adapt_batch_norm(source, halves(flight(1)), 255.0)
    assert found.bundle.card == source.card
    assert found.bundle.weights.keys() == before.keys()
    changed = {name for name, w in found.bundle.weights.items() if not torch.equal(w, before[name])}
    layers = batch_norm_layers(source.network())
    every = {f"{layer}.{part}" for layer in layers for part in STATISTICS}
    assert changed <= every
    assert len(changed) > 0.9 * len(every)  # in 16 bits, a mean of a random network may round to the 0 it was
    assert all(w.dtype == before[name].dtype for name, w in found.bundle.weights.items())
    assert all(torch.equal(w, before[name]) for name, w in source.weights.items())  # the bundle given is left alone
    assert [s.layer for s in found.shifts] == list(layers)
    assert found.batches == 2


def test_a_contrast_that_training_did_not_have_is_undone(tmp_path: Path) -> None:
    """Convolutions without bias scale with their input, and batch norm divides the scale out again."""
    here = adapt_batch_norm(bundle(tmp_path / "m.sealmap"), halves(flight(1)), 255.0).bundle
    pixels, other = flight(1), contrast(flight(1), 2.5)
    there = adapt_batch_norm(here, halves(other), 255.0).bundle
    wanted = TorchEngine(here, "cpu").probs(pixels, 255.0)
    unadapted = TorchEngine(here, "cpu").probs(other, 255.0)
    found = TorchEngine(there, "cpu").probs(other, 255.0)
    assert np.abs(unadapted - wanted).mean() > 0.02
    assert np.abs(found - wanted).mean() < 0.1 * np.abs(unadapted - wanted).mean()


def test_the_mix_lies_between_source_and_target(tmp_path: Path) -> None:
    source = bundle(tmp_path / "m.sealmap")
    none, half, full = (
        adapt_batch_norm(source, halves(flight(1)), 255.0, mix=mix).bundle.weights for mix in (0, 0.5, 1)
    )
    assert all(torch.equal(w, source.weights[name]) for name, w in none.items())
    for name, w in half.items():
        if name.rpartition(".")[2] in STATISTICS:
            torch.testing.assert_close(w, (source.weights[name] + full[name]) / 2)


def test_shifts_are_in_deviations_of_the_source(tmp_path: Path) -> None:
    once = adapt_batch_norm(bundle(tmp_path / "m.sealmap"), halves(flight(1)), 255.0).bundle
    same = adapt_batch_norm(once, halves(flight(1)), 255.0)
    assert max(s.mean for s in same.shifts) < 1e-4
    assert max(s.log_std for s in same.shifts) < 1e-4
    first = adapt_batch_norm(once, halves(contrast(flight(1), 0.5)), 255.0).shifts[0]
    assert first.log_std == pytest.approx(np.log(2), rel=1e-3)
    assert first.mean > 0


def test_it_says_how_far_it_is(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    adapt_batch_norm(
        bundle(tmp_path / "m.sealmap"), halves(flight(1)), 255.0, report=lambda done, of: seen.append((done, of))
    )
    assert seen == [(1, 2), (2, 2)]


def test_a_network_without_batch_norm_is_refused_by_name() -> None:
    card = replace(
        CARD, architecture="fpn", encoder="mit_b0", bands=CARD.bands[:3], mean=CARD.mean[:3], std=CARD.std[:3]
    )
    weights = network(card).state_dict()
    with pytest.raises(BundleError, match="fpn with mit_b0 has no batch normalisation"):
        adapt_batch_norm(ModelBundle(card=card, weights=dict(weights)), halves(flight(1)[:, :3]), 255.0)


@pytest.mark.parametrize("mix", [-0.1, 1.1, float("nan")])
def test_an_impossible_mix_is_refused(tmp_path: Path, mix: float) -> None:
    with pytest.raises(SettingsError, match="share of the target"):
        adapt_batch_norm(bundle(tmp_path / "m.sealmap"), halves(flight(1)), 255.0, mix=mix)


def test_statistics_that_16_bits_cannot_hold_are_refused(tmp_path: Path) -> None:
    source = bundle(tmp_path / "m.sealmap", half=True)
    with pytest.raises(BundleError, match=r"not finite in torch\.float16"):
        adapt_batch_norm(source, halves(flight(1)), 0.01)


def test_an_adapted_bundle_is_saved_as_it_ran(tmp_path: Path) -> None:
    adapted = adapt_batch_norm(bundle(tmp_path / "m.sealmap", half=True), halves(flight(1)), 255.0).bundle
    card = save_bundle(tmp_path / "a.sealmap", adapted.card, adapted.network(), overwrite=False, half=True)
    again = load_bundle(tmp_path / "a.sealmap")
    assert all(torch.equal(w, again.weights[name]) for name, w in adapted.weights.items())
    assert card.weights_sha256 != adapted.card.weights_sha256
