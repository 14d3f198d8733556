"""A map from JPEG 2000 sheets: nothing of the input's profile is in it (DESIGN law 8)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from tests.unit.model.tiny import bundle

from sealmap.core.errors import BundleError, InputError, OutputError, SealmapError
from sealmap.core.legend import IGNORE, ROOF_PAVED
from sealmap.pipeline.inspect import inspect
from sealmap.pipeline.maps import Mapped, Serving, predict


@pytest.fixture(scope="module")
def mapped(town: Any, tmp_path_factory: pytest.TempPathFactory) -> Mapped:
    folder = tmp_path_factory.mktemp("map")
    bundle(folder / "m.sealmap", legend=ROOF_PAVED)
    serving = Serving(device="cpu", force=True)  # random weights give no map that the guard would let pass
    return predict(town.sheets, folder / "out", model=folder / "m.sealmap", serving=serving)


def test_a_jp2_gives_lossless_geotiffs_on_its_own_grid(mapped: Mapped, town: Any) -> None:
    with rasterio.open(town.sheets[0]) as sheet:
        assert sheet.driver == "JP2OpenJPEG"
        crs = sheet.crs
    lefts = [rasterio.open(p).bounds.left for p in town.sheets]
    with rasterio.open(mapped.classes) as hard, rasterio.open(mapped.probability) as soft:
        for dataset in (hard, soft):
            assert dataset.driver == "GTiff"
            assert dataset.profile["compress"] == "deflate"
            assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert dataset.shape == (640, 1280)
            assert dataset.crs == crs
            assert dataset.bounds.left == min(lefts)
            assert dataset.nodata == IGNORE
            assert dataset.tags()["SEALMAP_MODEL"] == mapped.card.weights_sha256
        classes, bands = hard.read(1), soft.read()
        assert hard.colorinterp == (ColorInterp.palette,)
        assert hard.colormap(1)[1] == (*ROOF_PAVED.classes[1].color, 255)
        assert soft.descriptions == ("sealed", "roof", "paved")
        assert soft.dtypes[0] == "uint8"
    assert set(np.unique(classes)) <= {0, 1, 2, IGNORE}
    assert set(np.unique(classes)) >= {0, 1}
    level = mapped.card.threshold * 254
    sure = (classes != IGNORE) & (np.abs(bands[0] - level) > 0.5)
    np.testing.assert_array_equal((classes > 0)[sure], (bands[0] > level)[sure])
    assert mapped.areas.known_m2 == pytest.approx((classes != IGNORE).sum() * 0.04)
    assert mapped.areas.sealed_m2 == pytest.approx(np.isin(classes, (1, 2)).sum() * 0.04)


def test_the_record_names_inputs_and_model(mapped: Mapped, town: Any) -> None:
    record = json.loads((mapped.classes.parent / "run.json").read_text(encoding="utf-8"))
    assert [i["name"] for i in record["inputs"]] == [p.name for p in town.sheets]
    assert record["model"]["weights_sha256"] == mapped.card.weights_sha256
    assert str(mapped.classes.parent) not in json.dumps(record)  # paths are private
    assert sorted(p.suffix for p in mapped.classes.parent.iterdir()) == [".json", ".qml", ".qml", ".tif", ".tif"]


def test_a_map_says_what_it_is(mapped: Mapped, town: Any) -> None:
    assert inspect(mapped.classes)["kind"] == "class raster"
    assert inspect(mapped.probability)["bands"] == ["sealed", "roof", "paved"]
    folder = mapped.classes.parents[1]
    assert inspect(folder / "m.sealmap")["bands"] == ["red", "green", "blue", "nir"]
    found = inspect(town.sheets[0], folder / "m.sealmap")
    assert (found["kind"], found["fits the model"]) == ("orthophoto", "yes")
    assert inspect(folder / "out" / "run.json")["kind"] == "record"


@pytest.mark.parametrize("text", ["{", "[1, 2]", "3"])
def test_other_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json is no record"):
        inspect(tmp_path / "a.json")


def test_a_map_is_refused_before_any_work(mapped: Mapped, town: Any, tmp_path: Path) -> None:
    folder = mapped.classes.parents[1]
    with pytest.raises(OutputError, match="exists already"):
        predict([tmp_path / "not_even_looked_at.tif"], folder / "out", model=folder / "none.sealmap")
    with pytest.raises(BundleError, match="does not exist"):
        predict(town.sheets, tmp_path / "out", model=tmp_path / "none.sealmap")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_map_leaves_nothing(mapped: Mapped, town: Any, tmp_path: Path) -> None:
    def stop(_done: int, _all: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(
            town.sheets,
            tmp_path / "out",
            model=mapped.classes.parents[1] / "m.sealmap",
            serving=Serving(device="cpu"),
            progress=stop,
        )
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_errors_are_one_line_each() -> None:
    assert str(SealmapError("a", remedy="b")) == "a → b"


def test_matching_is_off_unless_asked_for_and_in_the_record(mapped: Mapped, town: Any, tmp_path: Path) -> None:
    assert "match" not in mapped.record.settings
    found = predict(
        town.sheets,
        tmp_path / "out",
        model=mapped.classes.parents[1] / "m.sealmap",
        serving=Serving(device="cpu", match=True, force=True),
    )
    assert found.record.settings["match"] == "histogram"
    assert set(found.record.settings["distance_before"]) == set(found.card.bands)
