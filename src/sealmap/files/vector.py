"""Vector files: the only pyogrio. Layers come as GeoDataFrames, GeoPackages go out whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from sealmap.core.errors import GridError, InputError, OutputError

_GPKG = {"VERSION": "1.3"}
"""QGIS 3.22 warns about the 1.4 that newer GDALs write (DOMAIN §4.1)."""


def split_layer(text: str) -> tuple[Path, str | None]:
    """'FILE' or 'FILE:LAYER' as path and layer. A Windows drive letter is no layer."""
    path = Path(text)
    if path.exists() or ":" not in text:
        return path, None
    for at in (i for i, letter in enumerate(text) if letter == ":"):
        if Path(text[:at]).is_file():  # a layer's name may hold colons, too: ave:Flurstueck
            return Path(text[:at]), text[at + 1 :]
    head, _, layer = text.rpartition(":")
    if len(head) == 1 or "/" in layer or "\\" in layer:
        return path, None
    return Path(head), layer


def list_layers(path: Path) -> list[str]:
    """Names of the layers in a vector file; InputError where it is missing or none."""
    if not path.exists():
        raise InputError(f"{path} does not exist", remedy="check the path")
    try:
        return [str(name) for name, _ in pyogrio.list_layers(path)]
    except DataSourceError as error:
        raise InputError(
            f"{path} is no vector file that can be read ({str(error).splitlines()[0]})",
            remedy="give a GeoPackage, Shapefile, GeoJSON or FlatGeobuf",
        ) from error


def read_layer(
    path: Path, layer: str | None = None, *, bbox: tuple[float, float, float, float] | None = None
) -> gpd.GeoDataFrame:
    """One layer, with a CRS. ``bbox`` in the layer's CRS; ``layer`` None takes the only one."""
    layers = list_layers(path)
    if layer is None:
        if len(layers) != 1:
            raise InputError(
                f"{path} has {len(layers)} layers: {', '.join(layers)}", remedy=f"name one: {path.name}:LAYER"
            )
        layer = layers[0]
    if layer not in layers:
        raise InputError(f"{path} has no layer '{layer}'", remedy=f"it has: {', '.join(layers)}")
    try:
        frame: Any = pyogrio.read_dataframe(path, layer=layer, bbox=bbox)
    except (DataSourceError, DataLayerError) as error:
        raise InputError(f"{path}:{layer} cannot be read ({str(error).splitlines()[0]})") from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise InputError(f"{path}:{layer} has no geometry", remedy="name a layer with polygons")
    if frame.crs is None:
        raise GridError(
            f"{path}:{layer} has no CRS",
            remedy=f"give it one with: ogr2ogr -a_srs EPSG:25832 OUT.gpkg {path.name}",
        )
    return frame


def write_layer(path: Path, layer: str, frame: gpd.GeoDataFrame, *, append: bool) -> None:
    """Write a layer of a GeoPackage (1.3). ``path`` is a scratch path; ``append`` adds to the file."""
    options: dict[str, Any] = {} if append else {"dataset_options": _GPKG}
    geometry_type = "MultiPolygon" if (frame.geom_type == "MultiPolygon").any() else "Polygon"
    try:
        pyogrio.write_dataframe(
            frame,
            path,
            layer=layer,
            driver="GPKG",
            append=append,
            geometry_type=geometry_type,
            promote_to_multi=geometry_type == "MultiPolygon",
            **options,
        )
    except DataSourceError as error:
        raise OutputError(
            f"{path} cannot be written ({str(error).splitlines()[0]})", remedy="check space and rights"
        ) from error
