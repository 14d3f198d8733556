"""Sheets of another pixel size than the model's, and runs that must not happen."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.prediction.fakes import (
    CARD,
    ArrayOrtho,
    Canvas,
    ConstantEngine,
    IdentityEngine,
    draw,
    grid_of_size,
    noise,
)

from sealmap.core.errors import BundleError, InputError, SettingsError
from sealmap.core.legend import IGNORE
from sealmap.files.raster import BLOCK
from sealmap.prediction.mosaic import MapWriter
from sealmap.prediction.plan import plan_for
from sealmap.prediction.predict import plan_prediction, predict


@pytest.mark.parametrize("gsd", [0.1, 0.5])
@pytest.mark.parametrize("level", [0, 1, 100, 127, 254])
def test_a_constant_stays_constant_on_the_sheets_own_grid(gsd: float, level: int) -> None:
    pixels = np.full((3, 130, 170), level, np.uint8)
    ortho = ArrayOrtho(pixels, grid_of_size(130, 170, gsd))
    plan = plan_prediction(ortho, IdentityEngine(), step=64, halo=16)
    assert plan.resampled
    drawn = draw(ortho, IdentityEngine(), plan, batch=2)
    assert drawn.soft.values.shape == (1, 130, 170)
    assert (drawn.soft.values == level).all()
    assert (drawn.soft.authors == 1).all()
    assert drawn.done.resampled_to_m == 0.2


@pytest.mark.parametrize("gsd", [0.1, 0.5])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_ramp_stays_a_ramp_in_its_place(gsd: float, axis: int) -> None:
    # Steps of 2: the mean of two neighbours is a whole number, so rounding cannot pass for a shift.
    ramp = 10 + 2 * np.arange(100)
    plane = np.broadcast_to(ramp if axis else ramp[:, None], (100, 100))
    pixels = np.stack([plane.astype(np.uint8)] * 3)
    ortho = ArrayOrtho(pixels, grid_of_size(100, 100, gsd))
    plan = plan_prediction(ortho, IdentityEngine(), step=64, halo=16)
    drawn = draw(ortho, IdentityEngine(), plan)
    error = drawn.soft.values[0].astype(int) - pixels[0]
    assert np.abs(error).max() <= 3  # at the mirrored rim
    assert np.abs(error[16:-16, 16:-16]).max() <= 2
    assert abs(error.mean()) < 0.2  # half a pixel of shift would be 1


@pytest.mark.parametrize(("gsd", "net"), [(0.1, 64), (0.2, 96), (0.5, 256)])
def test_the_network_sees_its_own_pixel_size(gsd: float, net: int) -> None:
    engine = ConstantEngine(0.7)
    ortho = ArrayOrtho(noise(3, 100, 100, 1), grid_of_size(100, 100, gsd))
    plan = plan_prediction(ortho, engine, step=64, halo=16)
    draw(ortho, engine, plan)
    assert {shape[2:] for shape in engine.batches} == {(net, net)}
    assert plan.side_px == 96


def test_a_sheet_within_a_percent_of_the_models_pixel_size_is_not_resampled() -> None:
    assert not plan_for(grid_of_size(64, 64, 0.2001), model_gsd_m=0.2, halo_m=2).resampled
    assert plan_for(grid_of_size(64, 64, 0.21), model_gsd_m=0.2, halo_m=2).resampled


@pytest.mark.parametrize("gsd", [0.1, 0.15, 0.2, 0.5])
def test_steps_are_multiples_of_the_output_block(gsd: float) -> None:
    plan = plan_for(grid_of_size(20_000, 9_000, gsd), model_gsd_m=0.2, halo_m=12.8)
    assert plan.tiling.step % BLOCK == 0
    assert plan.tiling.halo * gsd >= 12.8
    small = plan_for(grid_of_size(70, 40, gsd), model_gsd_m=0.2, halo_m=12.8)
    assert len(small.tiling) == 1
    assert small.tiling.step < 100  # what lies beyond a small sheet is not computed


def test_windows_without_data_are_not_given_to_the_engine() -> None:
    valid = np.zeros((96, 96), np.bool_)
    valid[:32, 64:] = True
    ortho = ArrayOrtho(noise(3, 96, 96, 1), grid_of_size(96, 96), valid=valid)
    engine = IdentityEngine()
    plan = plan_for(ortho.grid, model_gsd_m=0.2, halo_m=0, step=32, halo=0)
    drawn = draw(ortho, engine, plan, batch=4)
    assert sum(shape[0] for shape in engine.batches) == 1
    assert (drawn.done.tiles, drawn.done.empty) == (9, 8)
    np.testing.assert_array_equal(drawn.hard.values[0] == IGNORE, ~valid)


def test_an_orthophoto_without_data_is_refused() -> None:
    ortho = ArrayOrtho(noise(3, 50, 50, 1), grid_of_size(50, 50), valid=np.zeros((50, 50), np.bool_))
    plan = plan_prediction(ortho, IdentityEngine())
    with pytest.raises(InputError, match="no pixel of the orthophoto has data → check nodata"):
        draw(ortho, IdentityEngine(), plan)


def test_what_the_model_does_not_fit_is_refused_with_numbers() -> None:
    coarse = ArrayOrtho(noise(3, 50, 50, 1), grid_of_size(50, 50, 2.0))
    with pytest.raises(BundleError, match=r"2 m pixels; .*0\.08 to 0\.5 m → .*gdalwarp -tr 0\.2 0\.2"):
        plan_prediction(coarse, IdentityEngine())
    grey = ArrayOrtho(noise(3, 50, 50, 1), grid_of_size(50, 50), bands=("red", "green", "nir"))
    with pytest.raises(BundleError, match=r"red, green, nir.*blue is missing →"):
        plan_prediction(grey, IdentityEngine())
    with pytest.raises(SettingsError, match="step 0"):
        plan_for(grid_of_size(9, 9), model_gsd_m=0.2, halo_m=0, step=0)


def test_progress_counts_windows_to_the_end() -> None:
    ortho = ArrayOrtho(noise(3, 100, 100, 1), grid_of_size(100, 100))
    plan = plan_for(ortho.grid, model_gsd_m=0.2, halo_m=0, step=32, halo=0)
    writer = MapWriter(Canvas(1, ortho.grid), Canvas(1, ortho.grid), CARD.legend, 0.5)
    told: list[tuple[int, int]] = []
    predict(ortho, IdentityEngine(), plan, writer, batch=3, report=lambda done, of: told.append((done, of)))
    assert told == [(3, 16), (6, 16), (9, 16), (12, 16), (15, 16), (16, 16)]
