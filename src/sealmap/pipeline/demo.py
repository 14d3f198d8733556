"""A town, its map and its parcels, in one call: what sealmap does, without any data at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sealmap.core.confusion import Confusion
from sealmap.core.errors import OutputError
from sealmap.core.grid import Window
from sealmap.core.legend import ROOF_PAVED, SEALED
from sealmap.files.atomic import refuse_existing, write_text
from sealmap.files.raster import grid_of, open_raster, read_window
from sealmap.pipeline import Progress, silent
from sealmap.pipeline.maps import RunResult, run
from sealmap.settings import load_job
from sealmap.testing.town import TownSpec, write_town

_JOB = """# The job of the demo; run it again with: sealmap run job.toml --overwrite
[input]
orthophotos = ["sheets"]
parcels = "sheets/cadastre/{cadastre}:Flurstueck"
parcel_id = "flstkennz"

[output]
folder = "."
language = "{language}"
title = "{title}"
"""
MARKER = "job.toml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Demo:
    """What the demo left, and how it compares with the town's exact truth."""

    result: RunResult
    truth: Confusion


def demo(
    out: Path,
    *,
    size_m: float = 600.0,
    language: str = "en",
    overwrite: bool = False,
    progress: Progress = silent,
) -> Demo:
    """Build a town of four sheets, map it with the shipped model, compare with the truth."""
    if overwrite and out.exists() and any(out.iterdir()) and not (out / MARKER).exists():
        raise OutputError(f"{out} is a folder that no demo made", remedy="choose another --out")
    refuse_existing(out, overwrite=overwrite)
    spec = TownSpec(seed=7, width_m=size_m, height_m=size_m, sheet_m=size_m / 2)
    town = write_town(out / "sheets", spec)
    title = "Musterstadt (procedural town)" if language == "en" else "Musterstadt (erzeugte Stadt)"
    text = _JOB.format(cadastre=town.cadastre.name, language=language, title=title)
    write_text(out / MARKER, text, overwrite=True)
    result = run(load_job(out / MARKER), overwrite=overwrite, progress=progress)
    return Demo(result=result, truth=compare(result.mapped.classes, town.truths))


def compare(classes: Path, truths: tuple[Path, ...]) -> Confusion:
    """A class raster against truth sheets on the same lattice, all legends reduced to what both can say."""
    with open_raster(classes) as dataset:
        grid = grid_of(dataset)
        binary = dataset.tags().get("SEALMAP_LEGEND", "").find('"roof"') < 0
        legend = SEALED if binary else ROOF_PAVED
        total = Confusion.zero(legend)
        for path in truths:
            with open_raster(path) as truth:
                row, col = grid.offset_of(grid_of(truth))
                window = Window(row=row, col=col, height=truth.height, width=truth.width)
                wanted = read_window(truth, grid_of(truth).window, [1])[0]
            found = read_window(dataset, window, [1])[0]
            if binary:
                wanted = np.where(wanted == 2, 1, wanted).astype(np.uint8)
            total += Confusion.of(legend, wanted, found)
    return total
