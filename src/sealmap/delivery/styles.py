"""Styles for QGIS, written without QGIS: values here, XML in templates. tests/qgis loads them in QGIS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sealmap.core.legend import IGNORE, Legend
from sealmap.delivery.templating import render
from sealmap.delivery.texts import Language, alias
from sealmap.files.atomic import write_text

SHARE_COLORS: tuple[tuple[int, int, int], ...] = (
    (26, 150, 65),
    (166, 217, 106),
    (255, 255, 191),
    (253, 174, 97),
    (215, 25, 28),
)
"""ColorBrewer RdYlGn, inverted: 0-20-40-60-80-100 % sealed."""

_VIRIDIS = ((0.0, "#440154"), (0.25, "#3b528b"), (0.5, "#21918c"), (0.75, "#5ec962"), (1.0, "#fde725"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of a legend. fill: (red, green, blue, alpha), 0..255.

    value: of a category; lower, upper: of a range; unused ones stay empty. outline: where it is not the style's.
    brush: QGIS's name of the pattern. level: entries of a higher level are drawn above the others.
    """

    label: str
    fill: tuple[int, int, int, int]
    value: str = ""
    lower: float = 0.0
    upper: float = 0.0
    outline: tuple[int, int, int, int] | None = None
    brush: str = "solid"
    level: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Widget:
    """How QGIS's form edits a field. kind: QGIS's name of the editor, such as 'ValueMap' or 'Hidden'.

    choices: (label, value) of a drop-down. options: (name, type, value) for the editor. default: an expression.
    required: what to say where the field is left empty, '' where it may be. reuse: start with the last value.
    """

    field: str
    kind: str
    choices: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str, str], ...] = ()
    default: str = ""
    required: str = ""
    reuse: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class VectorStyle:
    """How QGIS draws a polygon layer. renderer: 'categorizedSymbol', 'graduatedSymbol' or 'singleSymbol'.

    outline: (red, green, blue, alpha); outline_mm: its width on paper. aliases: (column, name for readers).
    widgets: of layers that people edit.
    """

    renderer: str
    attribute: str
    entries: tuple[Entry, ...]
    outline: tuple[int, int, int, int]
    outline_mm: float
    aliases: tuple[tuple[str, str], ...]
    widgets: tuple[Widget, ...] = ()

    @property
    def levels(self) -> bool:
        """Whether entries are drawn one above the other, not feature by feature."""
        return any(e.level for e in self.entries)

    def qml(self) -> str:
        """The style as a QML document."""
        return render("style.qml.j2", style=self, raster=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class RasterStyle:
    """How QGIS draws a raster.

    renderer: 'paletted', 'singlebandpseudocolor', 'multibandcolor' or 'singlebandgray'. entries: palette
    (value = class id) or ramp (lower = value, 0..1). bands: red, green, blue (1-based). stretch: pixel
    values shown as black and white, None for 0..255 as stored. opacity: 0..1.
    """

    renderer: str
    entries: tuple[Entry, ...] = ()
    bands: tuple[int, ...] = (1,)
    stretch: tuple[float, float] | None = None
    opacity: float = 1.0

    def qml(self) -> str:
        """The style as a QML document."""
        return render("style.qml.j2", style=None, raster=self)


def surfaces_style(columns: Sequence[str], legend: Legend, language: Language) -> VectorStyle:
    """Sealed surfaces by class, in the legend's colours."""
    entries = tuple(
        Entry(value=c.key, label=c.label(language), fill=(*c.color, 190)) for c in legend.classes if c.sealed
    )
    return VectorStyle(
        renderer="categorizedSymbol",
        attribute="class",
        entries=entries,
        outline=(60, 20, 20, 255),
        outline_mm=0.1,
        aliases=_aliases(columns, legend, language),
    )


def parcels_style(columns: Sequence[str], legend: Legend, language: Language) -> VectorStyle:
    """Parcels by sealed share in five steps, translucent so that the surfaces below stay visible."""
    entries = tuple(
        Entry(lower=i / 5, upper=(i + 1) / 5, label=f"{20 * i}–{20 * (i + 1)} %", fill=(*color, 70))
        for i, color in enumerate(SHARE_COLORS)
    )
    return VectorStyle(
        renderer="graduatedSymbol",
        attribute="sealed_share",
        entries=entries,
        outline=(40, 40, 40, 255),
        outline_mm=0.26,
        aliases=_aliases(columns, legend, language),
    )


def sheets_style(columns: Sequence[str], legend: Legend, language: Language) -> VectorStyle:
    """Footprints of image sheets: outlines only."""
    return VectorStyle(
        renderer="singleSymbol",
        attribute="",
        entries=(Entry(label="", fill=(255, 255, 255, 0)),),
        outline=(31, 120, 180, 255),
        outline_mm=0.4,
        aliases=_aliases(columns, legend, language),
    )


def classes_style(legend: Legend, language: Language) -> RasterStyle:
    """The class raster; unsealed classes are in the legend but transparent, so the orthophoto shows."""
    entries = tuple(
        Entry(value=str(c.id), label=c.label(language), fill=(*c.color, 255 if c.sealed else 0))
        for c in legend.classes
        if c.id != IGNORE
    )
    return RasterStyle(renderer="paletted", entries=entries, opacity=0.6)


def probability_style() -> RasterStyle:
    """Probability 0..1 on viridis. QGIS applies the scale of the band before it looks up the colour."""
    entries = tuple(Entry(lower=v, label=f"{v:.0%}", fill=_rgba(color)) for v, color in _VIRIDIS)
    return RasterStyle(renderer="singlebandpseudocolor", entries=entries)


def write_raster_styles(
    classes: Path | None, probability: Path | None, legend: Legend, language: Language, *, overwrite: bool
) -> list[Path]:
    """Write a .qml beside each raster: QGIS takes it up when the raster is opened."""
    jobs = [(classes, classes_style(legend, language)), (probability, probability_style())]
    written = []
    for path, style in jobs:
        if path is not None:
            written.append(path.with_suffix(".qml"))
            write_text(written[-1], style.qml(), overwrite=overwrite)
    return written


def _aliases(columns: Sequence[str], legend: Legend, language: Language) -> tuple[tuple[str, str], ...]:
    return tuple((c, alias(c, legend, language)) for c in columns if c != "geometry")


def _rgba(color: str) -> tuple[int, int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16), 255
