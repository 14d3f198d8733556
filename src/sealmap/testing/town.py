"""A procedural town: orthophoto sheets, exact truth and a cadastre, all from one seed.

It stands in for DOP sheets and ALKIS data in tests and in training. Plan a scene with :func:`plan_town`, draw
any window of it with :func:`render_window`, or write everything with :func:`write_town`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from rasterio.shutil import copy as raster_copy
from rasterio.transform import from_origin

from sealmap.testing.cadastre import CRS, write_cadastre
from sealmap.testing.model import SEASONS, Camera, Scene, Season, TownSpec
from sealmap.testing.render import Rendered, render_window
from sealmap.testing.scene import plan_town

Driver = Literal["JP2OpenJPEG", "GTiff"]
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class TownFiles:
    """What :func:`write_town` wrote; ``truths`` in the order of ``sheets``."""

    sheets: tuple[Path, ...]
    truths: tuple[Path, ...]
    cadastre: Path


def sheet_bounds(spec: TownSpec) -> tuple[Bounds, ...]:
    """Bounds (minx, miny, maxx, maxy) of every sheet, EPSG:25832 metres, south to north, west to east."""
    x0, y0 = spec.origin
    out = []
    for r in range(math.ceil(spec.height_m / spec.sheet_m - 1e-9)):
        for c in range(math.ceil(spec.width_m / spec.sheet_m - 1e-9)):
            west, south = x0 + c * spec.sheet_m, y0 + r * spec.sheet_m
            east, north = (
                min(west + spec.sheet_m, x0 + spec.width_m),
                min(south + spec.sheet_m, y0 + spec.height_m),
            )
            out.append((west, south, east, north))
    return tuple(out)


def sheet_name(spec: TownSpec, bounds: Bounds) -> str:
    """File stem in NRW's manner, such as ``dop20rgbi_32_364_5620_1_nw_2025``.

    Sheets below 1 km carry their offset inside the kilometre (``_x000_y250``), so that names stay unique.
    """
    bands = "rgbi" if spec.rgbi else "rgb"
    east, north = (int(v // 1000) for v in bounds[:2])
    side = max(1, math.ceil(spec.sheet_m / 1000 - 1e-9))
    stem = f"dop{round(spec.gsd_m * 100):02d}{bands}_32_{east}_{north}_{side}_nw_{spec.year}"
    if spec.sheet_m < 1000:
        stem += f"_x{round(bounds[0] - east * 1000):03d}_y{round(bounds[1] - north * 1000):03d}"
    return stem


def write_town(out: Path, spec: TownSpec, *, driver: Driver = "JP2OpenJPEG", quality: int = 25) -> TownFiles:
    """Write all sheets into ``out``, truths into ``out/truth``, the cadastre into ``out/cadastre``.

    ``quality``: percent of the uncompressed size that a JP2 may take (1-100; 25 is mild loss). Existing files
    of the same names are replaced.
    """
    scene = plan_town(spec)
    (out / "truth").mkdir(parents=True, exist_ok=True)
    sheets, truths = [], []
    for bounds in sheet_bounds(spec):
        drawn = render_window(scene, spec, bounds)
        stem = sheet_name(spec, drawn.bounds)
        sheet = out / f"{stem}{'.jp2' if driver == 'JP2OpenJPEG' else '.tif'}"
        _write_sheet(sheet, drawn, spec, driver, quality)
        truth = out / "truth" / f"{stem}_truth.tif"
        _write_truth(truth, drawn, spec)
        sheets.append(sheet)
        truths.append(truth)
    cadastre = write_cadastre(out / "cadastre" / "gru_vereinf_town_EPSG25832.gpkg", scene, spec)
    return TownFiles(tuple(sheets), tuple(truths), cadastre)


def _profile(image: NDArray[np.uint8], bounds: Bounds, gsd: float) -> dict[str, Any]:
    count, height, width = image.shape
    transform = from_origin(bounds[0], bounds[3], gsd, gsd)
    return {
        "driver": "GTiff", "dtype": "uint8", "count": count, "height": height, "width": width,
        "crs": CRS, "transform": transform, "tiled": True, "blockxsize": 512, "blockysize": 512,
    }  # fmt: skip


def _write_sheet(path: Path, drawn: Rendered, spec: TownSpec, driver: Driver, quality: int) -> None:
    profile = _profile(drawn.pixels, drawn.bounds, spec.gsd_m)
    path.unlink(missing_ok=True)
    bands = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined)
    if driver == "GTiff":
        with rasterio.open(path, "w", **profile, compress="deflate") as sheet:
            sheet.colorinterp = bands[: profile["count"]]
            sheet.write(drawn.pixels)
        return
    # JP2 can only be copied from a finished raster; the copy source lives in memory.
    with MemoryFile() as memory:
        with memory.open(**profile) as source:
            source.colorinterp = bands[: profile["count"]]
            source.write(drawn.pixels)
        with memory.open() as source:
            tile = min(1024, *drawn.pixels.shape[1:])
            raster_copy(
                source, path, driver="JP2OpenJPEG", QUALITY=str(quality), REVERSIBLE="NO",
                BLOCKXSIZE=str(tile), BLOCKYSIZE=str(tile),
            )  # fmt: skip


def _write_truth(path: Path, drawn: Rendered, spec: TownSpec) -> None:
    label = drawn.truth[None]
    with rasterio.open(path, "w", **_profile(label, drawn.bounds, spec.gsd_m), compress="deflate") as sheet:
        sheet.write(label)


__all__ = [
    "SEASONS",
    "Camera",
    "Rendered",
    "Scene",
    "Season",
    "TownFiles",
    "TownSpec",
    "plan_town",
    "render_window",
    "sheet_bounds",
    "sheet_name",
    "write_town",
]
