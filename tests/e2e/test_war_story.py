"""The double sigmoid that this project grew from, told again: trained, doubled, refused, and imported rightly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import segmentation_models_pytorch as smp
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from sealmap.core.errors import BundleError, GuardError
from sealmap.pipeline.doctor import doctor
from sealmap.pipeline.imports import ImportJob, import_model
from sealmap.pipeline.maps import Serving, predict
from sealmap.testing.town import TownSpec, write_town

ENCODER = "timm-mobilenetv3_small_minimal_100"
MEAN, STD = 0.5, 0.25


@dataclass(frozen=True)
class Story:
    """A network that ends in a sigmoid, trained on the first sheet, and the second one with its truth."""

    network: nn.Module
    sheet: Path
    truth_HW: NDArray[np.bool_]
    folder: Path

    def scores(self, classes: Path) -> float:
        """IoU of a map's sealed class."""
        with rasterio.open(classes) as dataset:
            return iou(dataset.read(1) == 1, self.truth_HW)


def iou(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float((found & truth).sum() / (found | truth).sum())


def read(path: Path, *numbers: int) -> NDArray[Any]:
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read(list(numbers)))


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("story")
    town = write_town(folder / "town", TownSpec(seed=4, width_m=256, height_m=128, sheet_m=128, cadastre_lag=0.0))
    torch.manual_seed(3)
    network = smp.Unet(ENCODER, encoder_weights=None, in_channels=3, classes=1, activation="sigmoid")
    pixels = torch.from_numpy(read(town.sheets[0], 1, 2, 3).astype(np.float32) / 255 - MEAN) / STD
    label = torch.from_numpy((read(town.truths[0], 1) > 0).astype(np.float32))
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    rng = np.random.default_rng(1)
    for _ in range(70):
        places = rng.integers(0, pixels.shape[1] - 64, (8, 2))
        x, y = (torch.stack([t[:, r : r + 64, c : c + 64] for r, c in places]) for t in (pixels, label))
        loss = nn.functional.binary_cross_entropy(network(x), y)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Story(
        network=network.eval(), sheet=town.sheets[1], truth_HW=read(town.truths[1], 1)[0] > 0, folder=folder
    )  # fmt: skip


def direct(story: Story) -> NDArray[np.float32]:
    """What the network says of the held-out sheet, in one piece: it takes sides that are multiples of 32."""
    x = torch.from_numpy(read(story.sheet, 1, 2, 3).astype(np.float32) / 255 - MEAN) / STD
    with torch.no_grad():
        return np.asarray(story.network(x[None])[0, 0])


def job(story: Story, model: str, out: str, **how: Any) -> ImportJob:
    return ImportJob(
        model=story.folder / model, out=story.folder / out, gsd_m=0.2, mean=(MEAN,), std=(STD,), overwrite=True, **how
    )  # fmt: skip


def exported(story: Story, network: nn.Module, name: str) -> None:
    torch.onnx.export(
        network.eval(), (torch.zeros(1, 3, 64, 64),), str(story.folder / name), input_names=["x"], output_names=["y"],
        dynamic_axes={"x": {0: "n", 2: "h", 3: "w"}, "y": {0: "n", 2: "h", 3: "w"}}, dynamo=False,
    )  # fmt: skip


def test_the_doubled_model_is_refused_and_named(story: Story, tmp_path: Path) -> None:
    exported(story, nn.Sequential(story.network, nn.Sigmoid()), "doubled.onnx")
    with pytest.raises(BundleError, match="double activation"):
        import_model(job(story, "doubled.onnx", "doubled.sealmap"))

    # As the predecessor served it: a network that ends in a sigmoid, taken for one that gives logits.
    exported(story, story.network, "sigmoid.onnx")
    with pytest.raises(BundleError, match="declared logits"):
        import_model(job(story, "sigmoid.onnx", "doubled.sealmap", activation="logits"))
    import_model(job(story, "sigmoid.onnx", "doubled.sealmap", activation="logits", force=True))
    with pytest.raises(GuardError, match="double activation") as refused:
        predict([story.sheet], tmp_path / "map", model=story.folder / "doubled.sealmap")
    assert not (tmp_path / "map" / "classes.tif").exists()
    assert not (tmp_path / "map" / "probability.tif").exists()
    finding = next(f for f in refused.value.findings if f.check == "activation")
    assert finding.verdict == "refusal"
    assert finding.figures["p from"] == pytest.approx(0.5, abs=0.005)
    assert finding.figures["p to"] == pytest.approx(0.731, abs=0.005)
    assert {"share at 0.500", "share at 0.731"} <= set(finding.figures)
    assert any(f.check == "activation" for f in doctor(story.folder / "doubled.sealmap", [story.sheet]).findings)

    forced = predict(
        [story.sheet], tmp_path / "map", model=story.folder / "doubled.sealmap", serving=Serving(force=True)
    )  # fmt: skip
    assert forced.record.figures["guard"]["forced"]
    with rasterio.open(forced.classes) as dataset:
        assert "FORCED" in dataset.tags()["SEALMAP_GUARD"]
        assert (dataset.read(1) == 1).mean() > 0.99  # one polygon over the whole town


@pytest.mark.parametrize("way", ["state dict", "onnx", "double_sigmoid"])
def test_imported_as_it_is_it_maps_the_town_with_unchanged_iou(story: Story, way: str, tmp_path: Path) -> None:
    wanted = iou(direct(story) >= 0.5, story.truth_HW)
    assert wanted > 0.5
    if way == "state dict":
        save_file({k: v.contiguous() for k, v in story.network.state_dict().items()}, story.folder / "m.safetensors")
        done = import_model(job(story, "m.safetensors", "m.sealmap", architecture="unet", encoder=ENCODER))
        assert done.activation == "logits"
    elif way == "onnx":
        exported(story, story.network, "sigmoid.onnx")
        done = import_model(job(story, "sigmoid.onnx", "m.sealmap"))
        assert done.activation == "sigmoid"
    else:
        exported(story, nn.Sequential(story.network, nn.Sigmoid()), "doubled.onnx")
        done = import_model(job(story, "doubled.onnx", "m.sealmap", activation="double_sigmoid"))
    mapped = predict([story.sheet], tmp_path / "map", model=done.bundle)
    assert not [f for f in mapped.findings if f.check == "activation" and f.verdict != "ok"]
    assert story.scores(mapped.classes) == pytest.approx(wanted, abs=0.005)


def test_threshold_0_6_on_the_doubled_scale_is_0_405_on_the_true_one(story: Story) -> None:
    prob = torch.from_numpy(direct(story)).double()
    true_scale = float(torch.logit(torch.tensor(0.6, dtype=torch.float64)))
    assert round(true_scale, 3) == 0.405
    np.testing.assert_array_equal(torch.sigmoid(prob) >= 0.6, prob >= true_scale)
    assert 0 < (prob >= true_scale).double().mean() < 1
