"""A picture of the map: orthophoto, translucent classes, parcel outlines, legend and scale bar.

Rasters of any size are read decimated (through their overviews where they have some), never whole.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow
from shapely import get_coordinates, get_parts

from sealmap.core.grid import Grid
from sealmap.core.legend import IGNORE, Legend
from sealmap.delivery.texts import Language, number, text
from sealmap.files.atomic import staged
from sealmap.files.raster import grid_of, open_raster
from sealmap.files.tags import legend_of

_ALPHA = 0.5
_UNKNOWN = (70, 70, 70)
_PAPER = (236, 236, 232)
"""Where there is no orthophoto."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What the picture shows.

    parcels: drawn as outlines. longest_px: longest side of the map in the picture.
    """

    classes: Path
    orthophotos: tuple[Path, ...] = ()
    parcels: gpd.GeoDataFrame | None = None
    title: str = ""
    language: Language = "en"
    longest_px: int = 1400


def write_preview(path: Path, preview: Preview, *, overwrite: bool = False) -> None:
    """Write the picture as PNG, at most about 200 px longer than ``longest_px``."""
    with open_raster(preview.classes) as dataset:
        grid, legend = grid_of(dataset), legend_of(dataset)
        shape = _shape(grid, preview.longest_px)
        class_HW = _decimated(dataset, grid, shape, [1], Resampling.mode)[0].filled(IGNORE)
    picture = np.empty((*shape, 3), np.uint8)
    picture[:] = _PAPER
    for orthophoto in preview.orthophotos:
        _lay(picture, orthophoto, grid)
    _tint(picture, class_HW, legend)
    figure = _draw(picture, grid, preview, _legend(legend, class_HW, preview))
    with staged(path, overwrite=overwrite) as scratch:
        figure.savefig(scratch, format="png", dpi=100, metadata={"Software": None})


def _shape(grid: Grid, longest_px: int) -> tuple[int, int]:
    scale = min(1.0, longest_px / max(grid.height, grid.width))
    if max(grid.height, grid.width) < longest_px // 2:
        scale = longest_px / 2 / max(grid.height, grid.width)  # a tiny map would be a stamp
    return max(1, round(grid.height * scale)), max(1, round(grid.width * scale))


def _decimated(
    dataset: DatasetReader | WarpedVRT,
    grid: Grid,
    shape: tuple[int, int],
    bands: list[int],
    resampling: Resampling,
) -> Any:
    """Bands of the whole of ``grid`` at ``shape``, as a masked array (band, row, column)."""
    area = RasterioWindow(0, 0, grid.width, grid.height)
    return dataset.read(bands, window=area, out_shape=(len(bands), *shape), resampling=resampling, masked=True)


def _lay(picture: NDArray[np.uint8], path: Path, grid: Grid) -> None:
    """Put an orthophoto where it lies in the picture; parts beyond the map are left out."""
    with ExitStack() as stack:
        dataset: Any = stack.enter_context(open_raster(path))
        own = grid_of(dataset)
        if own.crs != grid.crs:
            dataset = stack.enter_context(WarpedVRT(dataset, crs=grid.crs.to_wkt()))
            own = grid_of(dataset)
        x0, y0, x1, y1 = grid.bounds
        common = (
            max(x0, own.bounds[0]),
            max(y0, own.bounds[1]),
            min(x1, own.bounds[2]),
            min(y1, own.bounds[3]),
        )
        if common[0] >= common[2] or common[1] >= common[3]:
            return
        size_m = (x1 - x0) / picture.shape[1]
        rows = slice(round((y1 - common[3]) / size_m), round((y1 - common[1]) / size_m))
        cols = slice(round((common[0] - x0) / size_m), round((common[2] - x0) / size_m))
        target = picture[rows, cols]
        if target.size == 0:
            return
        left, top = ~own.transform @ (common[0], common[3])
        right, bottom = ~own.transform @ (common[2], common[1])
        area = RasterioWindow(left, top, right - left, bottom - top)
        bands = [1, 2, 3] if dataset.count >= 3 else [1, 1, 1]
        found = dataset.read(
            bands,
            window=area,
            out_shape=(3, *target.shape[:2]),
            resampling=Resampling.average if own.gsd_m < size_m else Resampling.bilinear,
            masked=True,
        )
    known = ~np.ma.getmaskarray(found).any(axis=0)
    target[known] = np.moveaxis(_eight_bit(found), 0, -1)[known]


def _eight_bit(pixels: Any) -> NDArray[np.uint8]:
    """Pixels as 0..255; more than 8 bits are stretched between the 2nd and 98th percentile."""
    if pixels.dtype == np.uint8:
        return np.asarray(pixels.filled(0), np.uint8)
    known = pixels.compressed()
    low, high = np.percentile(known, [2, 98]) if known.size else (0.0, 1.0)
    scaled = (pixels.filled(0).astype(np.float64) - low) / max(high - low, 1.0) * 255
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)


def _tint(picture: NDArray[np.uint8], class_HW: NDArray[np.uint8], legend: Legend) -> None:
    """Blend the colours of sealed classes, and grey for unknown, over the picture."""
    layers = [(c.id, c.color) for c in legend.classes if c.sealed] + [(IGNORE, _UNKNOWN)]
    for value, color in layers:
        here = class_HW == value
        alpha = _ALPHA if value != IGNORE else _ALPHA / 2
        blended = (1 - alpha) * picture[here] + alpha * np.array(color)
        picture[here] = np.rint(blended).astype(np.uint8)


def _legend(legend: Legend, class_HW: NDArray[np.uint8], preview: Preview) -> list[Any]:
    """What the legend below the map shows: the sealed classes, and what else there is in the picture."""
    handles: list[Any] = [
        Patch(facecolor=_unit(c.color), edgecolor="none", label=c.label(preview.language))
        for c in legend.classes
        if c.sealed
    ]
    if (class_HW == IGNORE).any():
        label = text("preview.unknown", preview.language)
        handles.append(Patch(facecolor=_unit(_UNKNOWN), alpha=0.4, edgecolor="none", label=label))
    if preview.parcels is not None:
        label = text("preview.parcels", preview.language)
        handles.append(Patch(facecolor="none", edgecolor="black", label=label))
    return handles


def _unit(color: tuple[int, int, int]) -> tuple[float, float, float]:
    """A colour in 0..1, as matplotlib wants it."""
    return color[0] / 255, color[1] / 255, color[2] / 255


def _draw(picture: NDArray[np.uint8], grid: Grid, preview: Preview, handles: list[Any]) -> Figure:
    """The map with title above and legend below, one picture pixel per pixel of the figure."""
    height, width = picture.shape[:2]
    head, foot = 60 if preview.title else 10, 60
    figure = Figure(figsize=((width + 20) / 100, (height + head + foot) / 100), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    total = height + head + foot
    axes = figure.add_axes((10 / (width + 20), foot / total, width / (width + 20), height / total))
    x0, y0, x1, y1 = grid.bounds
    axes.imshow(picture, extent=(x0, x1, y0, y1), interpolation="nearest", aspect="auto")
    if preview.parcels is not None and not preview.parcels.empty:
        _outline(axes, preview.parcels.to_crs(grid.crs))
    axes.set(xlim=(x0, x1), ylim=(y0, y1), xticks=[], yticks=[])
    _scale_bar(axes, grid, width, preview.language)
    if preview.title:
        top = 1 - head / 2 / total
        figure.text(0.5, top, preview.title, ha="center", va="center", fontsize=18, weight="bold")
    place = (0.5, foot / 2 / total)
    figure.legend(handles=handles, loc="center", bbox_to_anchor=place, ncols=len(handles), frameon=False, fontsize=13)
    return figure


def _outline(axes: Axes, parcels: gpd.GeoDataFrame) -> None:
    """Parcel boundaries: dark on a light halo, to be seen on roofs and meadows alike."""
    lines = [get_coordinates(part) for part in get_parts(parcels.boundary.to_numpy())]
    lines = [line for line in lines if len(line)]
    axes.add_collection(LineCollection(lines, colors="white", linewidths=1.8, alpha=0.6))
    axes.add_collection(LineCollection(lines, colors="black", linewidths=0.7))


def _scale_bar(axes: Axes, grid: Grid, width_px: int, language: Language) -> None:
    """A bar of a round length (1, 2 or 5 times a power of ten), about a fifth of the map wide."""
    x0, y0, x1, _ = grid.bounds
    aim = (x1 - x0) / 5
    power = 10.0 ** np.floor(np.log10(aim))
    length = float(max(step * power for step in (1, 2, 5) if step * power <= aim))
    unit = f"{number(length / 1000, language)} km" if length >= 1000 else f"{length:g} m"
    pixel = (x1 - x0) / width_px  # so the bar is as thick on a street as on a county
    left, bottom = x0 + 24 * pixel, y0 + 20 * pixel
    above = 5  # over parcel outlines
    corner = (x0 + 10 * pixel, y0 + 10 * pixel)
    axes.add_patch(Rectangle(corner, length + 28 * pixel, 46 * pixel, color="white", alpha=0.85, lw=0, zorder=above))
    for i, color in enumerate(("black", "white")):
        start = (left + i * length / 2, bottom)
        axes.add_patch(Rectangle(start, length / 2, 7 * pixel, fc=color, ec="black", zorder=above))
    middle = left + length / 2
    axes.text(middle, bottom + 11 * pixel, unit, ha="center", va="bottom", fontsize=11, zorder=above)
