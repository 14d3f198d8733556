"""The doctor: every check on a sample of the flight, gravest first, and no map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.unit.model.tiny import CARD, bundle
from tests.unit.prediction.fakes import IdentityEngine, grid_of_size, write_sheet
from tests.unit.prediction.scenes import ByBrightness, ground

from sealmap.core.errors import BundleError, InputError
from sealmap.core.finding import Finding
from sealmap.core.grid import Window
from sealmap.core.legend import ROOF_PAVED
from sealmap.model.bundle import probabilities
from sealmap.model.engines import TorchEngine
from sealmap.pipeline.doctor import Diagnosis, doctor, sample_facts
from sealmap.pipeline.guarding import pixels_of
from sealmap.prediction.facts import Served
from sealmap.prediction.sample import FlightSample

RGB = CARD.bands[:3]
SIDE = 640
WINDOWS = 18


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, and two sheets side by side: as they should be, and with red and blue in each other's place."""
    root = tmp_path_factory.mktemp("doctor")
    bundle(root / "m.sealmap", bands=RGB, patch=256, statistics={})
    bundle(root / "small.sealmap", bands=RGB, statistics={})
    picture = ground(1, 2 * SIDE)[:, :SIDE]
    whole = grid_of_size(SIDE, 2 * SIDE)
    for name, order in (("rgb", slice(None)), ("bgr", slice(None, None, -1))):
        (root / name).mkdir()
        for i in range(2):
            window = Window(row=0, col=SIDE * i, height=SIDE, width=SIDE)
            write_sheet(root / name / f"s{i}.tif", picture[order, :, SIDE * i : SIDE * (i + 1)], whole.subgrid(window))
    return root


@pytest.fixture(autouse=True, scope="module")
def _quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sealmap.model.engines.engine_for", ByBrightness)
        yield


@pytest.fixture(scope="module")
def found(folder: Path) -> Diagnosis:
    return doctor(folder / "m.sealmap", [folder / "rgb"], windows=WINDOWS)


def by_check(found: Diagnosis) -> dict[str, Finding]:
    assert len({f.check for f in found.findings}) == len(found.findings)
    return {f.check: f for f in found.findings}


def test_every_check_is_made_once(found: Diagnosis) -> None:
    assert set(by_check(found)) == {
        "georeference", "normalisation",
        "pixel scale", "band order", "infrared", "black border", "clouds or snow", "no data", "brightness",
        "values", "activation", "constant output", "sealed share", "certainty", "overlap", "checkerboard",
        "order by the network",
    }  # fmt: skip
    assert (found.sheets, found.windows) == (2, WINDOWS)


def test_pixels_as_they_should_be_pass(found: Diagnosis) -> None:
    checks = "georeference", "normalisation", "pixel scale", "band order", "infrared", "black border", "brightness"
    assert {by_check(found)[name].verdict for name in checks} == {"ok"}
    assert by_check(found)["normalisation"].figures["by"] == "this flight"


def test_the_gravest_comes_first(found: Diagnosis) -> None:
    rank = ["refusal", "warning", "ok"]
    order = [rank.index(f.verdict) for f in found.findings]
    assert order == sorted(order)
    assert found.verdict == found.findings[0].verdict


def test_swapped_bands_are_refused(folder: Path, found: Diagnosis) -> None:
    told: list[tuple[int, int]] = []
    swapped = doctor(folder / "m.sealmap", [folder / "bgr"], windows=WINDOWS, progress=lambda *n: told.append(n))
    assert swapped.verdict == "refusal"
    assert by_check(swapped)["band order"].verdict == "refusal"
    assert told == [(i, WINDOWS) for i in range(1, WINDOWS + 1)]
    # The same windows are looked at each time.
    levels = [by_check(d)["pixel scale"].figures["levels used"] for d in (found, swapped)]
    assert levels[0] == levels[1]


def test_a_healthy_model_on_its_ground_is_ok(found: Diagnosis) -> None:
    assert {f.check: f.verdict for f in found.findings if f.verdict != "ok"} == {}


def test_a_network_that_is_activated_twice_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice(ByBrightness):
        def probs(self, pixels_NCHW: NDArray[Any], pixel_scale: float) -> NDArray[np.float32]:
            once = super().probs(pixels_NCHW, pixel_scale)
            return probabilities(torch.from_numpy(once), self.card).numpy()

    monkeypatch.setattr("sealmap.model.engines.engine_for", Twice)
    found = doctor(folder / "m.sealmap", [folder / "rgb"], windows=6)
    assert [f.check for f in found.findings if f.verdict == "refusal"] == ["activation"]


def test_the_real_network_is_run_where_nothing_stands_in_for_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sealmap.model.engines.engine_for", TorchEngine)
    found = by_check(doctor(folder / "small.sealmap", [folder / "rgb"], windows=2))
    assert found["values"].verdict == "ok"
    assert next(iter(found["order by the network"].figures)) == "as given"


@pytest.mark.parametrize("windows", [-1, 0, 1])
def test_one_window_says_nothing_of_a_flight(folder: Path, windows: int) -> None:
    with pytest.raises(InputError, match=f"{windows} windows say nothing"):
        doctor(folder / "m.sealmap", [folder / "rgb"], windows=windows)


def test_what_does_not_fit_at_all_is_an_error_as_in_predict(folder: Path, tmp_path: Path) -> None:
    bundle(tmp_path / "four.sealmap")
    with pytest.raises(BundleError, match="nir is missing"):
        doctor(tmp_path / "four.sealmap", [folder / "rgb"])
    with pytest.raises(InputError, match="does not exist"):
        doctor(folder / "m.sealmap", [tmp_path / "none.tif"])


# --- parts ---


def sample(pixels_NCHW: NDArray[Any]) -> FlightSample:
    count, bands, height, width = pixels_NCHW.shape
    return FlightSample(
        pixels_NCHW=pixels_NCHW, windows=(Window(row=0, col=0, height=height, width=width),) * count,
        candidates=count, skipped=0, histogram_CB=np.zeros((bands, 64), np.int64), pixel_scale=255.0,
    )  # fmt: skip


def test_facts_of_a_sample_are_of_all_its_windows() -> None:
    engine = IdentityEngine()
    windows = np.stack([ground(i, 64) // 2 for i in range(3)])
    pixels, output = sample_facts(engine, sample(windows))
    assert (pixels.pixels, pixels.valid, pixels.counted) == (3 * 4096, 3 * 4096, 3 * 64)
    assert output.pixels == 3 * 64
    assert output.sealed == sum(int((w[0, ::8, ::8] / np.float32(254) >= 0.5).sum()) for w in windows)
    assert [b[0] for b in engine.batches] == [1, 1, 1]
    alone = pixels_of(sample(windows))
    np.testing.assert_array_equal(alone.levels_CL, pixels.levels_CL)
    np.testing.assert_array_equal(alone.tints, pixels.tints)


def test_facts_are_taken_as_the_card_says() -> None:
    card = replace(CARD, legend=ROOF_PAVED, gsd_m=0.1, threshold=0.3, temperature=2.0)
    served = Served.by(card, card.gsd_m)
    assert (served.sealed, served.threshold, served.temperature, served.gsd_m) == ((1, 2), 0.3, 2.0, 0.1)


def test_the_verdict_of_a_diagnosis_is_the_gravest() -> None:
    fine = Finding(check="a")
    grave = Finding(check="b", verdict="refusal", cause="x", remedy="y")
    assert Diagnosis(findings=(fine,), sheets=1, windows=2).verdict == "ok"
    assert Diagnosis(findings=(fine, grave), sheets=1, windows=2).verdict == "refusal"
