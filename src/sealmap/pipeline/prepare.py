"""Orthophoto + cadastre → chips. Free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sealmap.core.errors import SettingsError
from sealmap.core.legend import legend_named
from sealmap.dataset.chips import ChipSpec, prepare_chips
from sealmap.dataset.chipset import ChipSet
from sealmap.dataset.labellers import CadastreLabeller, Labeller, RasterLabeller
from sealmap.dataset.rules import apply_rules, load_rules
from sealmap.files.atomic import refuse_existing
from sealmap.files.vector import split_layer
from sealmap.pipeline import Progress, silent
from sealmap.sources.cadastre import read_cadastre
from sealmap.sources.orthophoto import Mosaic, open_mosaic


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """Where labels come from: ``cadastre`` (FILE or FILE:LAYER) by ``rules``, or ``truth`` rasters of class ids.

    flight: date of the orthophoto; cadastre objects that are newer are ignored.
    """

    cadastre: str = ""
    rules: str = "alkis_nrw"
    truth: tuple[Path, ...] = ()
    legend: str = "sealed"
    flight: date | None = None


def prepare(
    orthos: Sequence[Path],
    labels: Labels,
    out: Path,
    spec: ChipSpec,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
) -> ChipSet:
    """Cut chips and masks; see ``dataset.chips.prepare_chips``."""
    refuse_existing(out, overwrite=overwrite)
    with open_mosaic(orthos) as mosaic:
        return prepare_chips(mosaic, _labeller(mosaic, labels), out, spec, overwrite=overwrite, progress=progress)


def _labeller(mosaic: Mosaic, labels: Labels) -> Labeller:
    legend = legend_named(labels.legend)
    if bool(labels.cadastre) == bool(labels.truth):
        raise SettingsError("labels come from a cadastre or from truth rasters", remedy="give --cadastre or --truth")
    if labels.truth:
        return RasterLabeller.open(labels.truth, mosaic.grid, legend)
    table = load_rules(labels.rules)
    path, layer = split_layer(labels.cadastre)
    found = read_cadastre(path, crs=mosaic.grid.crs, bounds=mosaic.grid.bounds, layer=layer, field=table.field)
    return CadastreLabeller.on(apply_rules(table, found.shapes, flight=labels.flight), legend, mosaic.grid)
