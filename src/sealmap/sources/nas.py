"""NAS, the exchange format of ALKIS: object types and codes, told in the words of the simplified ALKIS.

One rule table then serves both. The tables of codes are data: code_tables/.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

import geopandas as gpd

from sealmap.core.text import plain
from sealmap.sources.fields import find_field, texts

_VERSION = re.compile(r"(DE[A-Z0-9]{14})\d{8}T\d{6}Z")
"""The id of a version of an object: the object's id and when the version begins."""
_LIFE = ("beginnt", "endet")


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectType:
    """A type of objects (AX_...). source: 'building' or 'use'. klass: gebnutzbez or nutzart.

    attributes: where the code stands, the first that is filled counts. codes: what each says.
    """

    name: str
    kennung: str
    source: str
    klass: str
    attributes: tuple[str, ...]
    codes: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """Attributes that are read."""
        return ("gml_id", *_LIFE, *self.attributes, "lageZurErdoberflaeche")


@dataclass(frozen=True, kw_only=True, slots=True)
class Simplified:
    """A layer in the fields of the simplified ALKIS; rows keep their index.

    historic: objects that have ended, left out. unknown: codes that no table has and how often; they stand as
    they are in place of the text.
    """

    frame: gpd.GeoDataFrame
    historic: int = 0
    unknown: Counter[str] = field(default_factory=Counter)


@cache
def object_types() -> Mapping[str, ObjectType]:
    """Types that are read, by plain name ('ax_gebaeude')."""
    found = {}
    for source, file in (("building", "buildings.toml"), ("use", "uses.toml")):
        text = resources.files("sealmap.sources").joinpath("code_tables", file).read_text("utf-8")
        for name, table in tomllib.loads(text).items():
            found[plain(name)] = ObjectType(
                name=name,
                kennung=table["kennung"],
                source=source,
                klass=table["class"],
                attributes=tuple(table.get("attributes", ())),
                codes=table.get("codes", {}),
            )
    return found


def type_of_layer(layer: str) -> ObjectType | None:
    """The object type of a layer, by its name."""
    return object_types().get(plain(layer.rpartition(":")[2]))


def simplify(frame: gpd.GeoDataFrame, kind: ObjectType) -> Simplified:
    """Objects of one type in the fields of the simplified ALKIS."""
    alive, historic = living(frame)
    codes = [""] * len(alive)
    for attribute in kind.attributes:
        values = texts(alive, find_field(alive.columns, (plain(attribute),)))
        codes = [code or value for code, value in zip(codes, values, strict=True)]
    unknown = Counter(f"{kind.name} {code}" for code in codes if code and code not in kind.codes)
    words = ("gebnutzbez", "funktion") if kind.source == "building" else ("nutzart", "bez")
    told = gpd.GeoDataFrame(
        {
            "oid": object_ids(alive),
            "aktualit": texts(alive, find_field(alive.columns, ("beginnt",))),
            words[0]: [kind.klass] * len(alive),
            words[1]: [kind.codes.get(code, code) for code in codes],
            "rellage": texts(alive, find_field(alive.columns, ("lagezurerdoberflaeche",))),
        },
        geometry=alive.geometry.to_numpy(),
        crs=alive.crs,
        index=alive.index,
    )
    return Simplified(frame=told, historic=historic, unknown=unknown)


def living(frame: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, int]:
    """Objects that have not ended (lebenszeitintervall), and how many had."""
    ended = [bool(text) for text in texts(frame, find_field(frame.columns, ("endet",)))]
    return (frame[[not e for e in ended]], sum(ended)) if any(ended) else (frame, 0)


def object_ids(frame: gpd.GeoDataFrame) -> list[str]:
    """gml:id without the time that marks a version."""
    ids = texts(frame, find_field(frame.columns, ("gml_id", "gmlid")))
    return [m[1] if (m := _VERSION.fullmatch(oid)) else oid for oid in ids]
