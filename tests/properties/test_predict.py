"""With a model that returns its input, predict → mosaic gives the raster back, however it is cut (DESIGN laws 2, 3)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.unit.prediction.fakes import (
    ArrayOrtho,
    ConstantEngine,
    IdentityEngine,
    draw,
    grid_of_size,
    noise,
    read_all,
    write_sheet,
)

from sealmap.core.grid import Window
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED, Legend
from sealmap.core.tiling import Tiling
from sealmap.prediction import strips
from sealmap.prediction.mosaic import PROBABILITY_LEVELS, MapFiles, bands_of, classify, open_maps, quantise
from sealmap.prediction.plan import plan_for
from sealmap.prediction.predict import predict
from sealmap.prediction.single import predict_array
from sealmap.prediction.strips import read_tiles
from sealmap.sources.orthophoto import open_mosaic

sides = st.integers(1, 150)
sizes = st.tuples(sides, sides)
steps = st.integers(1, 90)
halos = st.integers(0, 50)
batch_sizes = st.integers(1, 5)
seeds = st.integers(0, 2**16)
legends = st.sampled_from([SEALED, ROOF_PAVED])


@given(sizes, steps, halos, batch_sizes, legends, seeds)
@example((1, 1), 1, 0, 1, SEALED, 0)
@example((33, 150), 32, 50, 3, ROOF_PAVED, 1)
@settings(max_examples=60)
def test_what_goes_in_comes_out(
    size: tuple[int, int], step: int, halo: int, batch: int, legend: Legend, seed: int
) -> None:
    height, width = size
    tiles = -(-height // step) * -(-width // step)
    step = step if tiles <= 150 else max(height, width)
    ortho = ArrayOrtho(noise(3, height, width, seed), grid_of_size(height, width))
    plan = plan_for(ortho.grid, model_gsd_m=0.2, halo_m=0, step=step, halo=halo)
    engine = IdentityEngine(legend)
    drawn = draw(ortho, engine, plan, batch=batch)
    bands = len(legend.sealed_ids)
    np.testing.assert_array_equal(drawn.soft.values[-bands:], ortho.pixels[:bands])
    if bands > 1:
        np.testing.assert_array_equal(drawn.soft.values[0], ortho.pixels[:bands].sum(axis=0))
    assert (drawn.soft.authors == 1).all()
    assert (drawn.hard.authors == 1).all()
    assert (ortho.reads == 1).all()
    assert sum(shape[0] for shape in engine.batches) == len(plan.tiling) == drawn.done.tiles
    assert max(shape[0] for shape in engine.batches) <= batch
    assert {shape[2] % 32 for shape in engine.batches} | {shape[3] % 32 for shape in engine.batches} == {0}
    assert drawn.counts.sum() == drawn.done.pixels == height * width
    counted = np.bincount(drawn.hard.values.ravel(), minlength=256)
    np.testing.assert_array_equal(drawn.counts, counted)


@given(st.integers(2, 90), st.integers(2, 90), st.integers(8, 60), st.integers(0, 30), st.data())
@settings(max_examples=15)
def test_one_sheet_or_four_give_the_same_map_to_the_bit(
    height: int, width: int, step: int, halo: int, data: st.DataObject
) -> None:
    row, col = data.draw(st.integers(1, height - 1)), data.draw(st.integers(1, width - 1))
    legend, batch = data.draw(legends), data.draw(batch_sizes)
    pixels, grid = noise(3, height, width, data.draw(seeds)), grid_of_size(height, width)
    corners = [(0, 0, row, col), (0, col, row, width - col), (row, 0, height - row, col)]
    corners.append((row, col, height - row, width - col))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = [write_sheet(folder / "whole.tif", pixels, grid)]
        parts = []
        for i, (r, c, h, w) in enumerate(data.draw(st.permutations(corners))):
            part = grid.subgrid(Window(row=r, col=c, height=h, width=w))
            parts.append(write_sheet(folder / f"part{i}.tif", pixels[:, r : r + h, c : c + w], part))
        for kind, sheets in (("one", whole), ("four", parts)):
            engine = IdentityEngine(legend)
            finals = MapFiles(probability=folder / f"{kind}_p.tif", classes=folder / f"{kind}_c.tif")
            with open_mosaic(sheets) as mosaic:
                assert mosaic.grid == grid
                plan = plan_for(mosaic.grid, model_gsd_m=0.2, halo_m=0, step=step, halo=halo)
                with open_maps(finals, grid, legend, 0.5) as writer:
                    predict(mosaic, engine, plan, writer, batch=batch)
            np.testing.assert_array_equal(
                read_all(finals.probability)[-len(legend.sealed_ids) :], pixels[: len(legend.sealed_ids)]
            )
        np.testing.assert_array_equal(read_all(folder / "one_c.tif"), read_all(folder / "four_c.tif"))
        assert not list(folder.glob(".*"))


@given(sides, sides, steps, halos, st.integers(0, PROBABILITY_LEVELS))
@settings(max_examples=40)
def test_a_constant_stays_constant_corners_too(height: int, width: int, step: int, halo: int, level: int) -> None:
    step = step if (height // step + 1) * (width // step + 1) <= 150 else max(height, width)
    ortho = ArrayOrtho(noise(3, height, width, 1), grid_of_size(height, width))
    plan = plan_for(ortho.grid, model_gsd_m=0.2, halo_m=0, step=step, halo=halo)
    drawn = draw(ortho, ConstantEngine(level / PROBABILITY_LEVELS), plan)
    assert (drawn.soft.values == level).all()
    assert (drawn.hard.values == int(level >= PROBABILITY_LEVELS / 2)).all()


@given(sides, sides, steps, halos)
@settings(max_examples=40)
def test_memory_holds_strips_only(height: int, width: int, step: int, halo: int) -> None:
    ortho = ArrayOrtho(np.ones((3, height, width), np.uint8), grid_of_size(height, width))
    tiling = Tiling(height=height, width=width, step=step, halo=halo)
    held = []
    for tile, patch in read_tiles(ortho, tiling, ("red",)):
        assert patch.window == tile.read
        base = patch.valid_HW if patch.valid_HW.base is None else patch.valid_HW.base
        held.append(base.shape[0])
    assert max(held) <= step + 2 * halo
    first, *later = ortho.windows
    assert first.height == step + 2 * halo
    assert {window.height for window in later} <= {step, step + 2 * halo}
    assert (ortho.reads == 1).all()


@given(st.integers(1, 60), st.integers(60, 150), st.integers(5, 40), st.integers(0, 20), st.integers(5, 80))
@settings(max_examples=40)
def test_wide_mosaics_are_read_in_bands_of_columns(height: int, width: int, step: int, halo: int, limit: int) -> None:
    ortho = ArrayOrtho(noise(3, height, width, 3), grid_of_size(height, width))
    plan = plan_for(ortho.grid, model_gsd_m=0.2, halo_m=0, step=step, halo=halo)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "STRIP_COLUMNS", limit)
        drawn = draw(ortho, IdentityEngine(), plan)
    np.testing.assert_array_equal(drawn.soft.values, ortho.pixels[:1])
    assert (drawn.soft.authors == 1).all()
    assert max(w.width for w in ortho.windows) <= max(limit, step) + 2 * halo
    rows_once = [row.max() <= 1 + 2 * -(-halo // step) for row in ortho.reads]
    assert all(rows_once)  # a halo between two bands of columns is read by both, rows never twice


@given(st.integers(1, 100), st.integers(1, 100), st.integers(8, 60), st.integers(0, 30), seeds)
@settings(max_examples=40)
def test_unknown_pixels_are_255_in_both_rasters_and_nothing_else_is(
    height: int, width: int, step: int, halo: int, seed: int
) -> None:
    valid = np.random.default_rng(seed).random((height, width)) < 0.7
    valid[0, 0] = True
    ortho = ArrayOrtho(noise(3, height, width, seed), grid_of_size(height, width), valid=valid)
    plan = plan_for(ortho.grid, model_gsd_m=0.2, halo_m=0, step=step, halo=halo)
    drawn = draw(ortho, IdentityEngine(ROOF_PAVED), plan, batch=2)
    np.testing.assert_array_equal((drawn.hard.values == IGNORE)[0], ~valid)
    for band in drawn.soft.values:
        np.testing.assert_array_equal(band == IGNORE, ~valid)
    np.testing.assert_array_equal(drawn.soft.values[1][valid], ortho.pixels[0][valid])


@given(st.integers(1, 100), st.integers(1, 100), seeds)
@settings(max_examples=40)
def test_an_array_alone_is_predicted_like_a_sheet(height: int, width: int, seed: int) -> None:
    pixels = noise(3, height, width, seed)
    probs = predict_array(pixels, 0.2, IdentityEngine(), 255.0)
    np.testing.assert_array_equal(quantise(bands_of(probs, SEALED))[0], pixels[0])


@given(st.integers(1, 254), seeds)
def test_classes_follow_the_threshold_on_the_sum_of_the_sealed(level: int, seed: int) -> None:
    threshold = level / 255
    raw = np.random.default_rng(seed).dirichlet((1, 1, 1), (9, 9)).astype(np.float32)
    probs = np.ascontiguousarray(raw.transpose(2, 0, 1))
    classes = classify(probs, ROOF_PAVED, threshold)
    np.testing.assert_array_equal(classes > 0, probs[1] + probs[2] >= threshold)
    sealed = classes > 0
    np.testing.assert_array_equal(classes[sealed] == 2, (probs[2] > probs[1])[sealed])


@given(st.integers(0, PROBABILITY_LEVELS))
def test_every_level_survives_quantisation(level: int) -> None:
    stored = quantise(np.array([level / PROBABILITY_LEVELS], np.float32))
    assert stored[0] == level  # 0 and 1 among them
    again = stored * np.float64(1 / PROBABILITY_LEVELS)
    assert quantise(again.astype(np.float32))[0] == level
    assert quantise(np.array([-0.1, 1.1], np.float32)).tolist() == [0, PROBABILITY_LEVELS]
