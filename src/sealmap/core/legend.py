"""Legend: the classes a map may hold, their names in two languages and their colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import SettingsError

IGNORE = 255
"""Label and class value of a pixel that is not judged: ignored in training, nodata in a class raster."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SurfaceClass:
    """One class. ``sealed``: whether its area counts as sealed. ``color``: (red, green, blue), 0..255."""

    id: int
    key: str
    label_en: str
    label_de: str
    color: tuple[int, int, int]
    sealed: bool

    def __post_init__(self) -> None:
        if not 0 <= self.id < IGNORE:
            raise ValueError(f"class id {self.id} is outside 0..254")

    def label(self, language: str) -> str:
        """The name to print; ``language`` is 'de' or 'en'."""
        return self.label_de if language == "de" else self.label_en


@dataclass(frozen=True, kw_only=True, slots=True)
class Legend:
    """Classes in the order of a network's outputs; ids are 0, 1, 2 … and 0 is the background."""

    name: str
    classes: tuple[SurfaceClass, ...]

    def __post_init__(self) -> None:
        if [c.id for c in self.classes] != list(range(len(self.classes))) or len(self.classes) < 2:
            raise ValueError(f"legend '{self.name}': ids must be 0, 1, 2 … and at least two")
        if self.classes[0].sealed or not any(c.sealed for c in self.classes):
            raise ValueError(f"legend '{self.name}': class 0 is the background and some class must be sealed")

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def sealed_ids(self) -> tuple[int, ...]:
        """Ids of the classes that count as sealed."""
        return tuple(c.id for c in self.classes if c.sealed)

    def by_key(self, key: str) -> SurfaceClass:
        """The class of that key; KeyError where there is none."""
        for c in self.classes:
            if c.key == key:
                return c
        raise KeyError(key)

    def sealed_HW(self, class_HW: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """True where a class raster is sealed."""
        return np.isin(class_HW, self.sealed_ids)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a bundle or a record."""
        return {
            "name": self.name,
            "classes": [
                {
                    "id": c.id,
                    "key": c.key,
                    "label_en": c.label_en,
                    "label_de": c.label_de,
                    "color": list(c.color),
                    "sealed": c.sealed,
                }
                for c in self.classes
            ],
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> Legend:
        """The inverse of ``to_json``."""
        classes = tuple(
            SurfaceClass(
                id=int(c["id"]),
                key=str(c["key"]),
                label_en=str(c["label_en"]),
                label_de=str(c["label_de"]),
                color=(int(c["color"][0]), int(c["color"][1]), int(c["color"][2])),
                sealed=bool(c["sealed"]),
            )
            for c in data["classes"]
        )
        return Legend(name=str(data["name"]), classes=classes)


_BACKGROUND = SurfaceClass(
    id=0, key="background", label_en="Unsealed", label_de="Unversiegelt", color=(204, 224, 190), sealed=False
)

SEALED = Legend(
    name="sealed",
    classes=(
        _BACKGROUND,
        SurfaceClass(id=1, key="sealed", label_en="Sealed", label_de="Versiegelt", color=(204, 51, 51), sealed=True),
    ),
)
"""Binary, the default of training from a cadastre."""

ROOF_PAVED = Legend(
    name="roof_paved",
    classes=(
        _BACKGROUND,
        SurfaceClass(id=1, key="roof", label_en="Roof", label_de="Hochbau (Dach)", color=(204, 51, 51), sealed=True),
        SurfaceClass(
            id=2,
            key="paved",
            label_en="Paved",
            label_de="Tiefbau (Belag)",
            color=(120, 120, 120),
            sealed=True,
        ),
    ),
)
"""Hochbau and Tiefbau, as the AdV land cover and adois name them (DOMAIN §0, 10)."""

LEGENDS = {legend.name: legend for legend in (SEALED, ROOF_PAVED)}


def legend_named(name: str) -> Legend:
    """A shipped legend by name; SettingsError names those there are."""
    if name not in LEGENDS:
        raise SettingsError(f"no legend '{name}'", remedy=f"use one of: {', '.join(LEGENDS)}")
    return LEGENDS[name]
