"""Engines: pixels as stored in, probabilities out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.model.tiny import bundle

from sealmap.core.errors import SettingsError
from sealmap.core.legend import ROOF_PAVED
from sealmap.model.engines import TorchEngine


@pytest.fixture
def engine(tmp_path: Path) -> TorchEngine:
    return TorchEngine(bundle(tmp_path / "m.sealmap", legend=ROOF_PAVED), "cpu")


def test_probabilities_add_up_to_one(engine: TorchEngine) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (2, 4, 64, 64), np.uint8)
    probs = engine.probs(pixels, 255.0)
    assert probs.shape == (2, 3, 64, 64)
    assert probs.min() >= 0
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-6)
    assert probs.std() > 0.02


def test_the_pixel_scale_makes_depths_equal(engine: TorchEngine) -> None:
    deep = np.random.default_rng(1).integers(0, 4096, (1, 4, 64, 64), np.uint16)
    same = (deep / 4095 * 65_535).round().astype(np.uint16)
    np.testing.assert_allclose(engine.probs(deep, 4095.0), engine.probs(same, 65_535.0), atol=2e-3)
    assert np.abs(engine.probs(deep, 4095.0) - engine.probs(deep, 65_535.0)).max() > 0.02


def test_a_window_does_not_depend_on_its_batch(engine: TorchEngine) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (3, 4, 64, 64), np.uint8)
    one_by_one = np.concatenate([engine.probs(p[None], 255.0) for p in pixels])
    np.testing.assert_allclose(engine.probs(pixels, 255.0), one_by_one, atol=1e-4)


def test_devices_that_are_not_there_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = bundle(tmp_path / "m.sealmap")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match=r"no CUDA device.* → use --device cpu"):
        TorchEngine(loaded, "cuda")
    with pytest.raises(SettingsError, match=r"'gpu'.* → .*auto, cpu"):
        TorchEngine(loaded, "gpu")
    assert TorchEngine(loaded, "auto").device.type == "cpu"
