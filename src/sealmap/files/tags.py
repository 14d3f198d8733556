"""Tags of class rasters: the legend travels in the file, so no later stage has to be told it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from rasterio.io import DatasetReader

from sealmap.core.errors import InputError
from sealmap.core.grid import Window
from sealmap.core.legend import IGNORE, ROOF_PAVED, SEALED, Legend
from sealmap.files.raster import read_window

LEGEND_TAG = "SEALMAP_LEGEND"
"""GeoTIFF tag of a class raster: ``Legend.to_json`` as JSON text."""


def legend_tags(legend: Legend) -> dict[str, str]:
    """The tags to write into a class raster with ``dataset.update_tags(**legend_tags(legend))``."""
    return {LEGEND_TAG: json.dumps(legend.to_json(), ensure_ascii=True)}


def legend_of(dataset: DatasetReader) -> Legend:
    """The legend of a class raster: from its tag, else by its values ({0,1} or {0,1,2}, 255 apart).

    InputError where the raster is no class raster (type, number of bands, values), or its tag is broken.
    """
    name = Path(dataset.name).name
    if dataset.count != 1 or dataset.dtypes[0] != "uint8":
        raise InputError(
            f"{name} is no class raster: {dataset.count} bands of {dataset.dtypes[0]}",
            remedy="give classes.tif: one band of uint8",
        )
    text = dataset.tags().get(LEGEND_TAG)
    if text is None:
        return _by_values(dataset, name)
    try:
        return Legend.from_json(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{name}: its tag {LEGEND_TAG} is no legend ({error})", remedy="write the class raster again"
        ) from error


def _by_values(dataset: DatasetReader, name: str) -> Legend:
    found = _values(dataset)
    for legend in (SEALED, ROOF_PAVED):
        if found <= set(range(len(legend))):
            return legend
    shown = ", ".join(str(v) for v in sorted(found)[:8])
    raise InputError(
        f"{name} has no tag {LEGEND_TAG} and values that no shipped legend has: {shown}",
        remedy="give a raster with 0 = unsealed, 1 = sealed (or 1 = roof, 2 = paved) and 255 = unknown",
    )


def _values(dataset: DatasetReader) -> set[int]:
    """All values of band 1 but 255, read block row by block row."""
    seen = np.zeros(256, bool)
    step = max(dataset.block_shapes[0][0], 256)
    for row in range(0, dataset.height, step):
        window = Window(row=row, col=0, height=min(step, dataset.height - row), width=dataset.width)
        seen |= np.bincount(read_window(dataset, window, [1]).ravel(), minlength=256) > 0
    return set(np.flatnonzero(seen).tolist()) - {IGNORE}
