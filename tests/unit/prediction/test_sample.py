"""A sample of a flight: spread over it, real data only, and the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.unit.prediction.fakes import CARD, ArrayOrtho, IdentityEngine, grid_of_size, noise

from sealmap.core.errors import BundleError, InputError
from sealmap.core.grid import Window
from sealmap.core.legend import ROOF_PAVED
from sealmap.prediction.certainty import judge
from sealmap.prediction.plan import plan_for
from sealmap.prediction.sample import sample_flight


@dataclass
class Flight(ArrayOrtho):
    """Sheets of 200 px side by side."""

    @property
    def sheets(self) -> Any:
        number = self.grid.width // 200
        return [SimpleNamespace(window=Window(row=0, col=200 * i, height=200, width=200)) for i in range(number)]


def flight(sheets: int = 4, *, gsd: float = 0.2, **more: Any) -> Flight:
    return Flight(pixels=noise(3, 200, 200 * sheets, 1), grid=grid_of_size(200, 200 * sheets, gsd), **more)


def test_every_part_of_the_flight_has_its_window() -> None:
    found = sample_flight(flight(8), CARD, count=8, seed=3)
    assert found.pixels_NCHW.shape == (8, 3, 64, 64)
    assert sorted(w.col // 200 for w in found.windows) == list(range(8))
    assert found.candidates == 8 * 16
    assert found.skipped == 0
    assert found.histogram_CB.sum() == 8 * 3 * 64 * 64


def test_windows_hold_the_pixels_of_their_place() -> None:
    ortho = flight()
    found = sample_flight(ortho, CARD, count=5, seed=1)
    for window, pixels in zip(found.windows, found.pixels_NCHW, strict=True):
        rows, cols = window.within(ortho.grid.window)
        np.testing.assert_array_equal(pixels, ortho.pixels[:, rows, cols])


def test_windows_stay_inside_their_sheet() -> None:
    found = sample_flight(flight(), CARD, count=1000, seed=1)
    assert len(found.windows) == found.candidates
    assert all(w.row >= 0 and w.stop_row <= 200 and w.col // 200 == (w.stop_col - 1) // 200 for w in found.windows)
    covered = np.zeros((200, 800), bool)
    for w in found.windows:
        covered[w.within(flight().grid.window)] = True
    assert covered.all()


def test_the_seed_decides() -> None:
    a, b, c = (sample_flight(flight(), CARD, count=6, seed=s).windows for s in (1, 1, 2))
    assert a == b
    assert a != c


def test_windows_are_seen_at_the_models_resolution() -> None:
    ortho = flight(gsd=0.4)
    found = sample_flight(ortho, CARD, count=3, seed=1)
    assert found.pixels_NCHW.shape[1:] == (3, 64, 64)
    assert found.windows[0].height == 32  # 12.8 m, as 64 px of 0.2 m
    plan = plan_for(ortho.grid, model_gsd_m=0.2, halo_m=0, step=32, halo=0)
    rows, cols = found.windows[0].within(ortho.grid.window)
    np.testing.assert_array_equal(found.pixels_NCHW[0], plan.to_network(ortho.pixels[:, rows, cols]))


def test_windows_without_data_are_passed_over() -> None:
    valid = np.ones((200, 800), np.bool_)
    valid[:, 400:] = False
    found = sample_flight(flight(valid=valid), CARD, count=16, seed=1)
    assert all(w.stop_col <= 400 for w in found.windows)
    assert found.skipped > 0
    assert (found.pixels_NCHW > 0).all()


def test_a_flight_without_data_enough_is_refused() -> None:
    valid = np.zeros((200, 800), np.bool_)
    valid[:70, :70] = True
    with pytest.raises(InputError, match=r"1 of 64 windows of 64 x 64 px"):
        sample_flight(flight(valid=valid), CARD, count=64, seed=1)


def test_sheets_that_do_not_fit_the_model_are_refused() -> None:
    with pytest.raises(BundleError, match="nir"):
        sample_flight(flight(), replace(CARD, bands=("red", "nir"), mean=(0.5,) * 2, std=(0.5,) * 2), count=4, seed=1)
    with pytest.raises(BundleError, match="trained for"):
        sample_flight(flight(gsd=2.0), CARD, count=4, seed=1)


@pytest.mark.parametrize(("count", "size", "wanted"), [(9, 4, [5, 4]), (8, 4, [4, 4]), (3, 8, [3]), (5, 2, [3, 2])])
def test_batches_are_even_and_never_a_window_alone(count: int, size: int, wanted: list[int]) -> None:
    found = sample_flight(flight(12), CARD, count=count, seed=1)
    assert [len(b) for b in found.batches(size)] == wanted


def test_figures_of_certainty() -> None:
    """Probabilities as the band values say: 0 and 1 are sure, 1/2 is one bit."""
    pixels = np.zeros((2, 3, 64, 64), np.uint8)
    pixels[0, 0, :, :32] = 254
    pixels[1, 0] = 127
    found = judge(IdentityEngine(), pixels, 255.0, shown=1)
    c = found.certainty
    assert (c.mean_sealed, c.sealed_share, c.entropy, c.uncertain) == pytest.approx((0.5, 0.75, 0.5, 0.5))
    assert c.disagreement == 0  # it looks at single pixels, so surroundings do not matter
    assert found.sealed_NHW.shape == (1, 64, 64)
    assert found.sealed_NHW[0].mean() == pytest.approx(0.5)


def test_sealed_is_the_sum_of_the_sealed_classes() -> None:
    pixels = np.full((1, 3, 64, 64), 100, np.uint8)
    found = judge(IdentityEngine(legend=ROOF_PAVED), pixels, 255.0).certainty
    assert found.mean_sealed == pytest.approx(200 / 254)
    assert found.sealed_share == 1
    assert found.uncertain == 1


def test_a_network_that_needs_surroundings_disagrees_with_itself() -> None:
    class Edges(IdentityEngine):
        def probs(self, pixels_NCHW: Any, pixel_scale: float) -> Any:
            bright = np.full_like(pixels_NCHW, 254 if pixels_NCHW.shape[-1] == 64 else 0)
            return super().probs(bright, pixel_scale)

    assert judge(Edges(), np.zeros((2, 3, 64, 64), np.uint8), 255.0).certainty.disagreement == 1
