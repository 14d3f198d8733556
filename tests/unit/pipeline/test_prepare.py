"""prepare as a whole: files, flights, labels drawn by hand, areas of the split, and nothing half-written."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from sealmap.core.errors import DatasetError, OutputError, SettingsError
from sealmap.core.legend import IGNORE
from sealmap.dataset.chipset import ChipSet
from sealmap.dataset.cuts import ChipSpec
from sealmap.dataset.split import SplitSpec
from sealmap.pipeline.prepare import Ground, Labels, PrepareJob, prepare

SPEC = ChipSpec(patch=160, overlap=32)


def job_of(town: Any, out: Path, **labels: Any) -> PrepareJob:
    return PrepareJob(
        orthos=list(town.sheets), out=out, labels=Labels(cadastre=str(town.cadastre), **labels), spec=SPEC
    )


@pytest.fixture(scope="module")
def made(town: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return prepare(job_of(town, tmp_path_factory.mktemp("prepare") / "chips", legend="roof_paved"))


def facts_of(chips: ChipSet) -> Any:
    return json.loads((chips.root / "dataset.json").read_text(encoding="utf-8"))


def test_the_folder_holds_chips_and_their_report(made: Any) -> None:
    names = sorted(p.name for p in made.chips.root.iterdir())
    assert names == [
        "dataset.json", "disagreements.gpkg", "images", "index.csv", "labels.html", "labels_chips.png",
        "labels_shares.png", "masks", "record.json",
    ]  # fmt: skip
    page = made.page.read_text(encoding="utf-8")
    assert "Straßenverkehr" in page
    assert "gru_vereinf_town" in page
    places = pyogrio.read_dataframe(made.candidates, layer="disagreements")
    assert len(places) == sum(len(s.candidates) for s in made.prepared.sheets)


def test_the_record_has_hashes_of_what_went_in(town: Any, made: Any) -> None:
    record = json.loads((made.chips.root / "record.json").read_text(encoding="utf-8"))
    assert [i["name"] for i in record["inputs"]] == [*(p.name for p in town.sheets), town.cadastre.name]
    assert all(len(i["sha256"]) == 64 for i in record["inputs"])
    assert record["settings"]["rules"] == "alkis_nrw"
    assert record["figures"]["alkis_nrw: format"] == "ALKIS vereinfacht"


def test_the_record_adds_up_and_knows_the_flight_by_the_sheets_names(made: Any) -> None:
    facts = facts_of(made.chips)
    assert set(facts["flights"].values()) == {"2025-01-01"}  # a year is known: what changed in it may be newer
    for sheet in facts["sheets"].values():
        parts = sum(sheet["label_m2"].values()) + sum(i["area_m2"] for i in sheet["ignored_m2"])
        assert parts == pytest.approx(sheet["area_m2"], abs=1.0)
    assert sum(s["area_m2"] for s in facts["sheets"].values()) == pytest.approx(256 * 128, abs=1.0)


def test_what_changed_after_the_flight_is_ignored(town: Any, made: Any, tmp_path: Path) -> None:
    early = prepare(job_of(town, tmp_path / "early", legend="roof_paved", flight=date(2016, 6, 1)))
    newer = sum(i.area_m2 for s in early.prepared.sheets for i in s.ignored if i.kind == "newer")
    assert newer > 200
    assert not any(i.kind == "newer" for s in made.prepared.sheets for i in s.ignored)
    table = tmp_path / "dates.csv"
    table.write_text("sheet;date\n" + "".join(f"{p.stem};2016-06-01\n" for p in town.sheets[:1]), encoding="utf-8")
    mixed = prepare(job_of(town, tmp_path / "mixed", legend="roof_paved", dop_metadata=table))
    by_sheet = {s.name: sum(i.area_m2 for i in s.ignored if i.kind == "newer") for s in mixed.prepared.sheets}
    assert by_sheet[town.sheets[0].stem] > 50
    assert by_sheet[town.sheets[1].stem] == 0


def test_a_cadastre_that_is_all_newer_is_refused_with_the_reason(town: Any, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no judged pixel") as caught:
        prepare(job_of(town, tmp_path / "chips", flight=date(1990, 6, 1)))
    assert "changed after the flight" in caught.value.remedy
    assert "newer_than_flight" in caught.value.remedy


def test_flight_dates_of_other_sheets_are_refused(town: Any, tmp_path: Path) -> None:
    table = tmp_path / "dates.csv"
    table.write_text("sheet;date\ndop10rgbi_32_478_5740_1_nw_2024;2024-04-06\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="none of the 2 sheets that"):
        prepare(job_of(town, tmp_path / "chips", dop_metadata=table))


def test_labels_drawn_by_hand_lie_above_the_cadastre(town: Any, made: Any, tmp_path: Path) -> None:
    grid = made.chips.grid(0)
    x0, _, _, y1 = grid.bounds
    plot = shapely.box(x0 + 2, y1 - 12, x0 + 12, y1 - 2)
    yard = shapely.box(x0 + 4, y1 - 10, x0 + 8, y1 - 6)
    drawn = gpd.GeoDataFrame(
        {"class": ["unsealed", "paved"]}, geometry=[plot, yard], crs=grid.crs
    )  # as in the template: a frame, and what is sealed in it on top
    drawn.to_file(tmp_path / "drawn.gpkg", layer="labels")
    both = prepare(job_of(town, tmp_path / "both", legend="roof_paved", manual=str(tmp_path / "drawn.gpkg")))
    assert facts_of(both.chips)["rules"] == "alkis_nrw + manual"
    index = next(i for i, c in enumerate(both.chips.chips) if c.name == made.chips.chips[0].name)
    label = both.chips.read(index)[1]
    frame, inner = label[10:60, 10:60], label[30:50, 20:40]
    assert (inner == 2).all()
    assert (frame == 0).sum() == 50 * 50 - 20 * 20
    alone = replace(
        job_of(town, tmp_path / "alone", legend="roof_paved", manual=str(tmp_path / "drawn.gpkg")),
        spec=replace(SPEC, split=SplitSpec(named={p.stem: "train" for p in town.sheets})),
    )
    alone = replace(alone, labels=replace(alone.labels, cadastre=""))
    only = prepare(alone)
    assert len(only.chips) < len(both.chips)  # chips without a drawn label are left out
    outside = [c.shares["ignore"] for c in only.chips.chips]
    assert max(outside) > 0.5


def test_areas_say_who_judges(town: Any, tmp_path: Path) -> None:

    with rasterio.open(town.sheets[0]) as sheet:
        x0, y0, x1, y1 = sheet.bounds
        crs = sheet.crs
    areas = gpd.GeoDataFrame(
        {"split": ["Test", "val"]},
        geometry=[shapely.box(x0 - 1, y0 - 1, x0 + 50, y1 + 1), shapely.box(x1 - 50, y0 - 1, x1 + 60, y1 + 1)],
        crs=crs,
    )
    areas.to_file(tmp_path / "areas.gpkg", layer="areas")
    job = job_of(town, tmp_path / "chips")
    ground = Ground(areas=str(tmp_path / "areas.gpkg"), gap_m=4.0)
    found = prepare(replace(job, ground=ground)).chips
    assert found.split_counts()["test"] > 0
    assert found.split_counts()["val"] > 0
    for i, chip in enumerate(found.chips):
        west, _, east, _ = found.grid(i).bounds
        if chip.split == "test":
            assert east <= x0 + 50 + 0.01
        if chip.split == "train":
            assert west >= x0 + 50 - 32 + 4
    areas.rename(columns={"split": "part"}).to_file(tmp_path / "other.gpkg", layer="areas")
    with pytest.raises(DatasetError, match="no field 'split'"):
        prepare(replace(job, out=tmp_path / "x", ground=Ground(areas=str(tmp_path / "other.gpkg"))))


def test_nothing_is_overwritten_unless_told_to_and_a_failed_run_leaves_nothing(town: Any, tmp_path: Path) -> None:
    job = job_of(town, tmp_path / "chips")

    def stop(done: int, _total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(job, progress=stop)
    assert list(tmp_path.iterdir()) == []
    job.out.mkdir()
    with pytest.raises(OutputError, match="exists already"):
        prepare(job)
    assert len(prepare(job, overwrite=True).chips) > 0


def test_labels_come_from_somewhere(town: Any, tmp_path: Path) -> None:
    for labels in (Labels(), Labels(cadastre="c.gpkg", truth=town.truths)):
        with pytest.raises(SettingsError, match="labels come from"):
            prepare(PrepareJob(orthos=list(town.sheets), out=tmp_path / "chips", labels=labels))


def test_a_truth_raster_has_a_report_too(town: Any, tmp_path: Path) -> None:
    labels = Labels(truth=town.truths, legend="roof_paved")
    made = prepare(PrepareJob(orthos=list(town.sheets), out=tmp_path / "chips", labels=labels, spec=SPEC))
    assert "truth" in made.page.read_text(encoding="utf-8")
    labels_of = np.concatenate([made.chips.read(i)[1].ravel() for i in range(len(made.chips))])
    assert not (labels_of == IGNORE).all()
