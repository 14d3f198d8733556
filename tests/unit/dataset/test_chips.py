from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sealmap.core.errors import BandError, DatasetError
from sealmap.core.grid import Window
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED
from sealmap.dataset.chips import prepare_chips
from sealmap.dataset.chipset import ChipSet
from sealmap.dataset.contact import contact_sheet
from sealmap.dataset.cuts import ChipSpec, chip_starts
from sealmap.dataset.labellers import CadastreLabeller
from sealmap.dataset.rules import apply_rules, load_rules
from sealmap.dataset.split import SplitSpec
from sealmap.dataset.strips import SheetReader
from sealmap.files.raster import read_raster

SPEC = ChipSpec(patch=64, overlap=16)
COLOURS = ("red", "green", "blue", "nir")


def labeller_of(fakes: Any, mosaic: Any, legend: Any = ROOF_PAVED) -> CadastreLabeller:
    """A roof and a road through all sheets, a wood below."""
    g = mosaic.grid
    shapes = fakes.shapes_of(
        (fakes.box_px(g, 10, 10, 60, g.width - 20), "building", "Gebäude", "Wohnhaus"),
        (fakes.box_px(g, 80, 0, 30, g.width), "use", "Straßenverkehr", ""),
        (fakes.box_px(g, 110, 0, g.height - 110, g.width), "use", "Wald", ""),
        (fakes.box_px(g, 0, 0, 5, 5), "use", "Marsbasis", ""),
    )
    return CadastreLabeller.on(apply_rules(load_rules("alkis_nrw"), shapes), legend, g)


@pytest.fixture
def made(fakes: Any, tmp_path: Path) -> tuple[Any, ChipSet, dict[str, Any]]:
    mosaic = fakes.row_of_sheets(3, 160)
    chips = prepare_chips(mosaic, labeller_of(fakes, mosaic), tmp_path / "chips", SPEC).chips
    return mosaic, chips, json.loads((tmp_path / "chips" / "dataset.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("length", "expected"),
    [(64, [0]), (40, [0]), (65, [0, 1]), (112, [0, 48]), (160, [0, 48, 96]), (170, [0, 48, 96, 106])],
)
def test_chips_cover_a_side_and_fit_it(length: int, expected: list[int]) -> None:
    assert chip_starts(length, 64, 16) == expected


def test_chips_are_the_pixels_of_the_mosaic_where_they_say_they_are(made: Any) -> None:
    mosaic, chips, facts = made
    assert len(chips) + facts["counts"]["dropped_in_gaps"] == 3 * 3 * 3
    assert len(chips) > 15
    for i, chip in enumerate(chips.chips):
        pixels, label = chips.read(i)
        sheet = next(s for s in mosaic.sheets if s.name == chip.sheet)
        row, col = sheet.window.row + chip.row, sheet.window.col + chip.col
        np.testing.assert_array_equal(pixels, mosaic.pixels[:, row : row + 64, col : col + 64])
        assert mosaic.grid.offset_of(chips.grid(i)) == (row, col)
        assert label.shape == (64, 64)
        assert label.dtype == np.uint8
        counts = np.bincount(label.ravel(), minlength=256) / label.size
        assert [chip.shares[c.key] for c in chips.legend.classes] == pytest.approx(counts[:3], abs=1e-6)
        assert chip.shares["ignore"] == pytest.approx(counts[IGNORE], abs=1e-6)
        assert sum(chip.shares.values()) == pytest.approx(1.0, abs=1e-5)


def test_the_folder_is_as_promised(made: Any) -> None:
    _, chips, facts = made
    root = chips.root
    assert sorted(p.name for p in root.iterdir()) == ["dataset.json", "images", "index.csv", "masks"]
    names = [c.name for c in chips.chips]
    assert "s0_r00048_c00048" in names
    for folder in ("images", "masks"):
        assert sorted(p.stem for p in (root / folder).iterdir()) == sorted(names)
    with (root / "index.csv").open(encoding="utf-8") as stream:
        header = next(csv.reader(stream))
    assert header == [
        "chip", "split", "sheet", "row", "col",
        "share_background", "share_roof", "share_paved", "share_ignore",
    ]  # fmt: skip
    assert sorted(facts) == [
        "bands", "counts", "crs", "dtype", "flights", "format", "gsd_m", "histogram", "legend", "mean", "overlap",
        "patch", "pixel_scale", "rules", "seed", "sheets", "split_gap_px", "split_mode", "split_sealed_share",
        "statistics_of", "std", "unknown_classes", "vegetation_index", "vegetation_thresholds",
    ]  # fmt: skip
    assert facts["unknown_classes"] == [{"source": "use", "klass": "Marsbasis", "function": "", "shapes": 1}]
    assert set(facts["vegetation_thresholds"]) == {"s0", "s1", "s2"}
    assert contact_sheet(chips).std() > 10


def test_statistics_are_of_the_training_chips(made: Any) -> None:
    _, chips, facts = made
    train = chips.select("train")
    pixels = np.concatenate([train.read(i)[0].reshape(4, -1) for i in range(len(train))], axis=1) / 255
    np.testing.assert_allclose(chips.mean, pixels.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(chips.std, pixels.std(axis=1), rtol=1e-9)
    for band, counts in zip(pixels, chips.histogram, strict=True):
        assert list(counts) == np.histogram(band, bins=64, range=(0, 1))[0].tolist()
    assert facts["statistics_of"] == "train"


def test_open_gives_back_what_prepare_made(made: Any) -> None:
    _, chips, _ = made
    assert ChipSet.open(chips.root) == chips
    assert (chips.gsd_m, chips.pixel_scale, chips.rules) == (0.2, 255.0, "alkis_nrw")
    assert (chips.patch, chips.overlap, chips.bands) == (64, 16, COLOURS)
    assert sum(chips.split_counts().values()) == len(chips)
    assert {c.split for c in chips.select("val").chips} == {"val"}


def test_the_same_again_is_the_same_to_the_byte(fakes: Any, tmp_path: Path) -> None:
    mosaic = fakes.row_of_sheets(3, 112)
    for name in ("a", "b"):
        prepare_chips(mosaic, labeller_of(fakes, mosaic), tmp_path / name, SPEC)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) > 20
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_each_pixel_is_read_once(fakes: Any, tmp_path: Path) -> None:
    mosaic = fakes.row_of_sheets(2, 1500)
    mosaic.reads.clear()
    reader = SheetReader(mosaic, mosaic.sheets[1].window, COLOURS)
    for row in chip_starts(1500, 512, 128):
        for col in chip_starts(1500, 512, 128):
            window = Window(row=row, col=1500 + col, height=512, width=512)
            patch = reader.read(window)
            np.testing.assert_array_equal(patch.pixels_CHW, mosaic.pixels[:, row : row + 512, 1500 + col : 2012 + col])
    assert sum(w.pixels for w in mosaic.reads) == 1500 * 1500
    assert max(w.pixels for w in mosaic.reads) < 1500 * 1500


def test_small_sheets_are_padded_without_the_neighbour(fakes: Any, tmp_path: Path) -> None:
    mosaic = fakes.row_of_sheets(3, 50)
    shapes = fakes.shapes_of((fakes.box_px(mosaic.grid, 0, 0, 50, 150), "layer", "", ""))
    labeller = CadastreLabeller.on(apply_rules(load_rules("outlines_only"), shapes), SEALED, mosaic.grid)
    chips = prepare_chips(mosaic, labeller, tmp_path / "chips", SPEC).chips
    assert len(chips) == 3
    for i in range(3):
        pixels, label = chips.read(i)
        assert (label[:50, :50] == 1).all()
        assert (label[50:] == IGNORE).all()
        assert (label[:, 50:] == IGNORE).all()
        assert not pixels[:, :, 50:].any()
    assert chips.mean == pytest.approx([100 / 255] * 4, rel=0.02)  # the padding is in no statistic


def test_pixels_without_data_are_ignored_and_empty_chips_left_out(fakes: Any, tmp_path: Path) -> None:
    mosaic = fakes.row_of_sheets(3, 160)
    mosaic.valid = np.ones((160, 480), bool)
    mosaic.valid[:, :70] = False
    chips = prepare_chips(mosaic, labeller_of(fakes, mosaic), tmp_path / "chips", SPEC).chips
    names = {c.name for c in chips.chips}
    assert "s0_r00048_c00000" not in names
    index = next(i for i, c in enumerate(chips.chips) if c.name == "s0_r00048_c00048")
    pixels, label = chips.read(index)
    assert (label[:, :22] == IGNORE).all()
    assert not pixels[:, :, :22].any()
    assert (label[:, 22:] != IGNORE).any()
    counts = json.loads((chips.root / "dataset.json").read_text())["counts"]
    assert counts["skipped_empty"] == 3


def test_green_paving_is_ignored_by_near_infrared_that_the_model_does_not_get(fakes: Any, tmp_path: Path) -> None:
    mosaic = fakes.row_of_sheets(3, 160)
    mosaic.pixels[:] = 100
    mosaic.pixels[3, 85:95] = 220  # a tree's crown along the road
    mosaic.pixels[3, 30:40] = 220  # and one over the roof, which has no veto
    spec = ChipSpec(patch=160, overlap=0, bands=("red", "green", "blue"))
    chips = prepare_chips(mosaic, labeller_of(fakes, mosaic), tmp_path / "chips", spec).chips
    pixels, label = chips.read(1)
    assert chips.bands == ("red", "green", "blue")
    assert pixels.shape[0] == 3
    assert (label[85:95] == IGNORE).all()
    assert (label[96:106] == 2).all()
    assert (label[30:40, 20:140] == 1).all()
    facts = json.loads((chips.root / "dataset.json").read_text())
    assert 0.05 < facts["vegetation_thresholds"]["s1"] < 0.36
    vetoed = sum(i["area_m2"] for s in facts["sheets"].values() for i in s["ignored_m2"] if i["kind"] == "vegetation")
    assert vetoed == pytest.approx(10 * (3 * 160 - 2 * 2) * 0.04, abs=0.2)  # not the ring at its ends


def test_sixteen_bits_are_scaled_by_the_depth_in_use(fakes: Any, tmp_path: Path) -> None:
    mosaic = fakes.row_of_sheets(3, 112, dtype="uint16")
    mosaic.pixels *= 30  # up to 3570: 12 bits
    chips = prepare_chips(mosaic, labeller_of(fakes, mosaic), tmp_path / "chips", SPEC).chips
    assert (chips.dtype, chips.pixel_scale) == ("uint16", 4095.0)
    assert chips.mean == pytest.approx([99.5 * 30 / 4095] * 4, rel=0.01)
    assert chips.read(0)[0].dtype == np.uint16


def test_labels_elsewhere_are_refused_with_what_the_rules_do_not_know(fakes: Any, tmp_path: Path) -> None:
    mosaic = fakes.row_of_sheets(3, 112)
    unknown = fakes.shapes_of((fakes.box_px(mosaic.grid, 0, 0, 112, 336), "use", "Marsbasis", ""))
    wood = fakes.shapes_of((fakes.box_px(mosaic.grid, 0, 0, 112, 336), "use", "Wald", ""))
    for shapes, words in (
        (unknown, r"say nothing about any of the 12 chips.*Marsbasis ×1"),
        (wood, "training chips holds a sealed pixel"),
    ):
        labeller = CadastreLabeller.on(apply_rules(load_rules("alkis_nrw"), shapes), SEALED, mosaic.grid)
        with pytest.raises(DatasetError, match=words):
            prepare_chips(mosaic, labeller, tmp_path / words[:4], SPEC)


def test_bands_and_sheet_names_are_checked_first(fakes: Any, tmp_path: Path) -> None:
    mosaic = fakes.row_of_sheets(3, 112)
    labeller = labeller_of(fakes, mosaic)
    with pytest.raises(BandError, match="swir missing"):
        prepare_chips(mosaic, labeller, tmp_path / "chips", ChipSpec(bands=("red", "swir")))
    mosaic.sheets = (mosaic.sheets[0],) * 2
    with pytest.raises(DatasetError, match="two sheets are named 's0'"):
        prepare_chips(mosaic, labeller, tmp_path / "chips", SPEC)
    with pytest.raises(DatasetError, match="overlap"):
        ChipSpec(patch=64, overlap=64)


def test_a_set_of_test_chips_only_is_allowed(fakes: Any, tmp_path: Path) -> None:
    mosaic = fakes.row_of_sheets(2, 112)
    named = SplitSpec(named={"s0": "test", "s1": "test"})
    spec = ChipSpec(patch=64, overlap=16, split=named)
    chips = prepare_chips(mosaic, labeller_of(fakes, mosaic), tmp_path / "chips", spec).chips
    assert chips.split_counts() == {"train": 0, "val": 0, "test": 8}
    assert chips.mean == pytest.approx([99.5 / 255] * 4, rel=0.02)
    with pytest.raises(DatasetError, match=r"no chips for 'train'.*test 8"):
        chips.select("train")
    with pytest.raises(DatasetError, match="train, val, test"):
        chips.select("training")


def test_chips_without_sealed_pixels_are_drawn_less_often_but_drawn(made: Any) -> None:
    _, chips, _ = made
    sealed = replace(chips.chips[0], shares={"background": 0.5, "roof": 0.1, "paved": 0.0, "ignore": 0.4})
    empty = replace(sealed, shares={"background": 1.0, "roof": 0.0, "paved": 0.0, "ignore": 0.0})
    mixed = replace(chips, chips=(sealed,) * 4 + (empty,) * 96).draw_odds()
    assert mixed[:4] == (1.0,) * 4
    assert sum(mixed[4:]) / sum(mixed) == pytest.approx(0.2)
    assert replace(chips, chips=(sealed,) * 9 + (empty,)).draw_odds() == (1.0,) * 10  # few as they are
    assert replace(chips, chips=(empty,) * 3).draw_odds() == (1.0,) * 3


def test_folders_that_are_no_chips_are_refused(made: Any, tmp_path: Path) -> None:
    _, chips, facts = made
    with pytest.raises(DatasetError, match="no chip folder"):
        ChipSet.open(tmp_path)
    path = chips.root / "dataset.json"
    path.write_text(json.dumps(facts | {"format": 0}))
    with pytest.raises(DatasetError, match="of chip format 0, this version reads 1"):
        ChipSet.open(chips.root)
    path.write_text("{")
    with pytest.raises(DatasetError, match="cannot be read"):
        ChipSet.open(chips.root)
    path.write_text(json.dumps({k: v for k, v in facts.items() if k != "mean"}))
    with pytest.raises(DatasetError, match=r"damaged.*mean"):
        ChipSet.open(chips.root)
    path.write_text(json.dumps(facts))
    next((chips.root / "masks").iterdir()).unlink()
    with pytest.raises(DatasetError, match="lacks masks"):
        ChipSet.open(chips.root)


def test_masks_open_in_a_gis(made: Any) -> None:
    _, chips, _ = made
    values, grid = read_raster(chips.mask_path(chips.chips[4]))
    assert grid == chips.grid(4)
    assert set(np.unique(values)) <= {0, 1, 2, IGNORE}
