"""One file, no pickle, nothing changed unnoticed."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tests.unit.model.tiny import CARD, bundle, network

from sealmap.core.errors import BundleError, OutputError
from sealmap.core.legend import ROOF_PAVED
from sealmap.model.bundle import load_bundle, probabilities, save_bundle, save_card, weights_digest
from sealmap.model.card import KEY, read_card
from sealmap.model.engines import TorchEngine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.sealmap"


def pixels(bands: int = 4, seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (2, bands, 64, 96), np.uint8)


def test_save_load_predict_is_identical(path: Path) -> None:
    net = network()
    card = save_bundle(path, CARD, net, overwrite=False)
    loaded = load_bundle(path)
    assert loaded.card == card == read_card(path)
    x = (torch.from_numpy(pixels()).float() / 255 - torch.tensor(CARD.mean).view(1, -1, 1, 1)) / torch.tensor(
        CARD.std
    ).view(1, -1, 1, 1)
    with torch.inference_mode():
        logits = net.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    expected = torch.softmax(logits / CARD.temperature, dim=1).numpy()
    found = TorchEngine(loaded, "cpu").probs(pixels(), 255.0)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32
    assert found.std() > 0.02  # a test on equal values would prove nothing
    for name, weight in net.state_dict().items():
        assert torch.equal(weight, loaded.weights[name])


def test_half_precision_is_half_the_size_and_nearly_the_same(tmp_path: Path) -> None:
    whole, half = bundle(tmp_path / "a.sealmap"), bundle(tmp_path / "b.sealmap", half=True)
    sizes = [(tmp_path / f"{n}.sealmap").stat().st_size for n in "ab"]
    assert sizes[1] < 0.55 * sizes[0]
    assert {w.dtype for w in half.weights.values() if w.is_floating_point()} == {torch.float16}
    assert {p.dtype for p in half.network().parameters()} == {torch.float32}
    a, b = (TorchEngine(x, "cpu").probs(pixels(), 255.0) for x in (whole, half))
    assert 0 < np.abs(a - b).mean() < 0.005
    assert np.abs(a - b).max() < 0.1
    assert whole.card.weights_sha256 != half.card.weights_sha256


def test_the_header_is_json_that_others_can_read(path: Path) -> None:
    bundle(path)
    with safe_open(path, framework="pt") as opened:
        card = json.loads(opened.metadata()[KEY])
    assert card["weights_sha256"] == weights_digest(load_file(path))
    assert card["bands"] == list(CARD.bands)


def test_the_card_is_read_without_torch(path: Path) -> None:
    bundle(path)
    code = (
        "import sys, pathlib; from sealmap.model.card import read_card;"
        f"print(read_card(pathlib.Path({str(path)!r})).encoder, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [CARD.encoder, "False"], done.stderr


def test_a_bundle_is_not_written_over_another_unless_told_to(path: Path) -> None:
    bundle(path)
    with pytest.raises(OutputError, match="exists already"):
        save_bundle(path, CARD, network(seed=2), overwrite=False)
    save_bundle(path, CARD, network(seed=2), overwrite=True)
    load_bundle(path)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("bits", [32, 16])
def test_another_card_leaves_the_weights_alone(tmp_path: Path, bits: int) -> None:
    old = bundle(tmp_path / "old.sealmap", half=bits == 16)
    changed = replace(old, card=replace(old.card, temperature=2.0, threshold=0.25, calibration={"aim": "iou"}))
    save_card(tmp_path / "new.sealmap", changed, overwrite=False)
    new = load_bundle(tmp_path / "new.sealmap")
    assert new.card == changed.card
    assert new.card.weights_sha256 == old.card.weights_sha256
    assert {n: w.dtype for n, w in new.weights.items()} == {n: w.dtype for n, w in old.weights.items()}
    with pytest.raises(OutputError, match="exists already"):
        save_card(tmp_path / "new.sealmap", old, overwrite=False)
    save_card(tmp_path / "old.sealmap", replace(load_bundle(tmp_path / "old.sealmap"), card=new.card), overwrite=True)
    assert (tmp_path / "old.sealmap").read_bytes() == (tmp_path / "new.sealmap").read_bytes()


def test_a_card_of_other_weights_is_refused(tmp_path: Path) -> None:
    old = bundle(tmp_path / "old.sealmap")
    name = next(iter(old.weights))
    other = replace(old, weights=old.weights | {name: old.weights[name] + 1})
    with pytest.raises(BundleError, match=f"the card speaks of weights {old.card.weights_sha256[:12]}, these are"):
        save_card(tmp_path / "new.sealmap", other, overwrite=False)
    assert not (tmp_path / "new.sealmap").exists()


def refused(path: Path, words: str) -> None:
    with pytest.raises(BundleError, match=words) as error:
        load_bundle(path)
    assert " → " in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_bundle_is_refused(path: Path) -> None:
    refused(path, "does not exist")


@pytest.mark.parametrize("size", [0, 5, 8, 100, 3000, 30_000, -1])
def test_a_bundle_cut_short_is_refused(path: Path, size: int) -> None:
    bundle(path)
    data = path.read_bytes()
    path.write_bytes(data[:size])
    refused(path, "no sealmap bundle|damaged")


def test_changed_weights_are_noticed(path: Path) -> None:
    bundle(path)
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(bytes(data))
    refused(path, "hash is .*the card says .*changed or damaged")


def test_a_tensor_renamed_is_noticed(path: Path) -> None:
    loaded = bundle(path)
    weights = dict(loaded.weights)
    name = next(iter(weights))
    weights[f"{name}_"] = weights.pop(name)
    save_file(weights, path, metadata={KEY: loaded.card.to_json()})
    refused(path, "hash is")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.sealmap"
    save_bundle(other, CARD, torch.nn.Linear(3, 4), overwrite=False)
    with pytest.raises(BundleError, match=f"do not fit unet with {CARD.encoder} →"):
        load_bundle(other).network()
    wide = tmp_path / "wide.sealmap"  # a network of two classes and a card of three
    card = bundle(tmp_path / "two.sealmap").card
    save_bundle(wide, replace(card, legend=ROOF_PAVED), network(card), overwrite=False)
    with pytest.raises(BundleError, match="do not fit"):
        load_bundle(wide).network()


def test_a_newer_format_is_refused(path: Path) -> None:
    loaded = bundle(path)
    card = json.loads(loaded.card.to_json()) | {"format": 99}
    save_file(loaded.weights, path, metadata={KEY: json.dumps(card)})
    refused(path, "format 99, this version reads")


def test_other_files_are_no_bundles(path: Path) -> None:
    path.write_text("not a model, just some words that go on for longer than eight bytes\n" * 99)
    refused(path, "no sealmap bundle → bundles are made by: sealmap train")
    save_file({"a": torch.zeros(3)}, path)  # safetensors of someone else
    refused(path, "no sealmap bundle")
    path.write_bytes(struct.pack("<Q", 4) + b"null")
    refused(path, "no sealmap bundle")


class Mine:
    """Unpickling me leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def test_a_pickle_is_refused_and_not_run(path: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    torch.save({"weights": Mine(trace)}, path)
    refused(path, "no sealmap bundle")
    assert not trace.exists()
    torch.load(path, weights_only=False)
    assert trace.exists()  # it would have run


def test_probabilities_are_softmax_of_logits_over_temperature() -> None:
    logits = torch.tensor([[[[0.0]], [[2.0]]]])
    cold, warm = replace(CARD, temperature=1.0), replace(CARD, temperature=2.0)
    assert probabilities(logits, cold)[0, 1].item() == pytest.approx(0.880797, abs=1e-6)
    assert probabilities(logits, warm)[0, 1].item() == pytest.approx(0.731059, abs=1e-6)
    assert probabilities(logits.half(), warm).dtype == torch.float32


def test_isotonic_knots_move_the_sides_and_keep_the_classes_shares() -> None:
    card = replace(CARD, temperature=1.0, legend=ROOF_PAVED, isotonic=((0.0, 0.02), (0.5, 0.2), (1.0, 0.9)))
    logits = torch.tensor([[1.0, 0.0, 0.5], [0.0, 9.0, 4.0], [200.0, 0.0, -9.0], [-200.0, 0.0, 1.0]])[:, :, None, None]
    plain, served = (probabilities(logits, c)[:, :, 0, 0].double() for c in (replace(card, isotonic=()), card))
    assert served.sum(dim=1).tolist() == pytest.approx([1, 1, 1, 1], abs=1e-6)
    stated = plain[:, 1:].sum(dim=1).tolist()
    wanted = [0.02 + 0.36 * p if p < 0.5 else 0.2 + 1.4 * (p - 0.5) for p in stated]
    assert served[:, 1:].sum(dim=1).tolist() == pytest.approx(wanted, abs=1e-6)
    assert (served[:2, 1] / served[:2, 2]).tolist() == pytest.approx((plain[:2, 1] / plain[:2, 2]).tolist(), rel=1e-5)
