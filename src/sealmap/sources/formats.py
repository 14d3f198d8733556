"""Which layers of a source hold the cadastre, by what is in it: names of layers and fields, never the file's suffix."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

import geopandas as gpd

from sealmap.core.errors import InputError
from sealmap.core.text import plain
from sealmap.files.vector import VectorSource
from sealmap.sources import nas, outlines
from sealmap.sources.fields import CLASS, find_field
from sealmap.sources.nas import Simplified, type_of_layer

_KINDS = {
    # NRW and Brandenburg misspell the layer in their GeoPackages; services and other states do not.
    "building": ("gebauedebauwerk", "gebaeudebauwerk", "gebaeudebauwerke", "gebaeude"),
    "use": ("nutzung", "tatsaechlichenutzung"),
    "use_by_parcel": ("nutzungflurstueck",),
    "parcel": ("flurstueck", "flurstuecke", "liegenschaften", "parcels", "parcelle"),
}
_CODED = ("gfk", "gfkzshh")


class Format(Enum):
    """What a cadastre comes as, in words for a report."""

    SIMPLIFIED = "ALKIS vereinfacht"
    NAS = "NAS"
    OUTLINES = "Hausumringe"
    LAYER = "layer"


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A layer to read. source: 'building', 'use' or 'layer' (any other)."""

    name: str
    source: str
    format: Format

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Fields to read, None for all."""
        kind = type_of_layer(self.name) if self.format is Format.NAS else None
        return kind.columns if kind else None

    def simplify(self, frame: gpd.GeoDataFrame) -> Simplified:
        """The layer in the fields of the simplified ALKIS, or as it is where it is no cadastre that is known."""
        kind = type_of_layer(self.name)
        if self.format is Format.NAS and kind is not None:
            return nas.simplify(frame, kind)
        if self.format is Format.OUTLINES:
            return outlines.simplify(frame)
        return Simplified(frame=frame)


def kind_of_layer(name: str) -> str:
    """'building', 'use', 'use_by_parcel', 'parcel' or, any other, 'layer', by the end of a layer's name."""
    for kind, endings in _KINDS.items():
        # What stands before must not be a letter: 'NutzungFlurstueck' is no 'Flurstueck'.
        if any(re.search(rf"(^|[^a-z]){ending}$", plain(name)) for ending in endings):
            return kind
    return "layer"


def layers_with_classes(source: VectorSource, layer: str | None) -> list[Layer]:
    """The layers to learn from: the one named, or those of a cadastre that is known."""
    if layer is not None:
        return [_layer(source, source.find(layer))]
    objects = [name for name in source.layers if type_of_layer(name) is not None]
    if objects:
        return [_layer(source, name) for name in objects]
    kinds = {name: kind_of_layer(name) for name in source.layers}
    uses = [n for n, k in kinds.items() if k == "use"] or [n for n, k in kinds.items() if k == "use_by_parcel"]
    found = [n for n, k in kinds.items() if k == "building"] + uses
    if not found:
        found = [n for n in source.layers if outlines.are_outlines(n, source.fields(n))]
    if not found and len(source.layers) == 1 and kinds[source.layers[0]] != "parcel":
        found = source.layers
    if not found:
        raise InputError(
            f"{source.path.name} has no building or use layer of a simplified ALKIS or of NAS; its layers:"
            f" {', '.join(source.layers)}",
            remedy=f"name the one with the classes: {source.path.name}:LAYER",
        )
    return [_layer(source, name) for name in found]


def parcel_layers(source: VectorSource, layer: str | None) -> list[str]:
    """The layers with parcels: the one named, or the first of each file that is known by its name."""
    if layer is not None:
        return [source.find(layer)]
    found = source.one_per_file([name for name in source.layers if kind_of_layer(name) == "parcel"])
    if not found and len(source.layers) == 1:
        found = source.layers
    if not found:
        raise InputError(
            f"{source.path.name} has no parcel layer that is known by its name; its layers: {', '.join(source.layers)}",
            remedy=f"name it: {source.path.name}:LAYER",
        )
    return found


def _layer(source: VectorSource, name: str) -> Layer:
    kind = type_of_layer(name)
    if kind is not None:
        return Layer(name=name, source=kind.source, format=Format.NAS)
    known = {"building": "building", "use": "use", "use_by_parcel": "use"}.get(kind_of_layer(name), "layer")
    names = source.fields(name)
    if known == "building" and find_field(names, CLASS["building"]) is None and find_field(names, _CODED) is not None:
        return Layer(name=name, source="building", format=Format.OUTLINES)  # classes as codes only
    if known != "layer":
        return Layer(name=name, source=known, format=Format.SIMPLIFIED)
    if outlines.are_outlines(name, names):
        return Layer(name=name, source="building", format=Format.OUTLINES)
    return Layer(name=name, source="layer", format=Format.LAYER)
