"""Hausumringe: outlines of buildings and structures, told in the words of the simplified ALKIS.

A product of all German states, one shapefile each: field OI (id), GFK (function, '31001_1000'), AKTUALITAE (date);
older ones have nothing but the key of the municipality (AGS). Nothing in it lies below the ground.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import geopandas as gpd

from sealmap.core.text import plain
from sealmap.sources.fields import OID, UPDATED, find_field, texts
from sealmap.sources.nas import ObjectType, Simplified, object_types

_NAME = re.compile(r"(^|[^a-z])(hu|hu_shp|hu_de|hausumringe?|hausumriss?e?)$")
_FUNCTION = ("gfk", "gfkzshh")


def are_outlines(layer: str, fields: Iterable[str]) -> bool:
    """Whether a layer holds Hausumringe: by its name, or by a function code and an id or municipality."""
    names = list(fields)
    coded = find_field(names, _FUNCTION) is not None
    known = find_field(names, ("oi", "ags")) is not None
    return (coded and known) or _NAME.search(plain(layer)) is not None


def simplify(frame: gpd.GeoDataFrame) -> Simplified:
    """Outlines in the fields of the simplified ALKIS; without a function they are buildings."""
    types = {kind.kennung: kind for kind in object_types().values()}
    unknown: Counter[str] = Counter()
    rows = [_words(key, types, unknown) for key in texts(frame, find_field(frame.columns, _FUNCTION))]
    told = gpd.GeoDataFrame(
        {
            "oid": texts(frame, find_field(frame.columns, ("oi", *OID))),
            "aktualit": texts(frame, find_field(frame.columns, UPDATED)),
            "gebnutzbez": [klass for klass, _ in rows],
            "funktion": [function for _, function in rows],
        },
        geometry=frame.geometry.to_numpy(),
        crs=frame.crs,
        index=frame.index,
    )
    return Simplified(frame=told, unknown=unknown)


def _words(key: str, types: dict[str, ObjectType], unknown: Counter[str]) -> tuple[str, str]:
    """Class and function (gebnutzbez, funktion) of a key such as '31001_1000'."""
    kennung, _, code = key.partition("_")
    house = types["31001"]
    if key and (kennung not in types or (code and code not in types[kennung].codes)):
        unknown[key] += 1
    kind = types.get(kennung, house)
    return kind.klass, kind.codes.get(code, code or ("" if kennung in types else key))
