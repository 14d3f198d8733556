"""Where labels come from: the cadastre by rules, or a truth raster drawn by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import DatasetError, GridError
from sealmap.core.grid import Grid, Window
from sealmap.core.legend import IGNORE, Legend
from sealmap.dataset.burn import Burner, Labelling
from sealmap.dataset.rules import Labels, UnknownClass
from sealmap.files.raster import grid_of, open_raster, read_window


class Labeller(Protocol):
    """Gives labels for windows of one grid. ``rules``: name of the source, for the record."""

    @property
    def legend(self) -> Legend:
        """Legend of the labels."""
        ...

    @property
    def rules(self) -> str:
        """Name of the source."""
        ...

    @property
    def unknown(self) -> tuple[UnknownClass, ...]:
        """Classes without a rule."""
        ...

    def label(self, window: Window) -> Labelling:
        """Labels of a window, which may reach beyond the grid."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CadastreLabeller:
    """Labels burned from classified shapes. Make it with ``CadastreLabeller.on``."""

    burner: Burner
    unknown: tuple[UnknownClass, ...]

    @staticmethod
    def on(labels: Labels, legend: Legend, grid: Grid) -> CadastreLabeller:
        """Labels for windows of ``grid``; shapes are in its CRS."""
        return CadastreLabeller(burner=Burner.on(labels, legend, grid), unknown=labels.unknown)

    @property
    def legend(self) -> Legend:
        """Legend of the labels."""
        return self.burner.legend

    @property
    def rules(self) -> str:
        """Name of the rule table."""
        return self.burner.rules

    def label(self, window: Window) -> Labelling:
        """Labels of a window."""
        return self.burner.burn(window)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Truth:
    """A truth raster and its place on the grid."""

    path: Path
    window: Window


_BAD = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class RasterLabeller:
    """Labels from truth rasters on the lattice of the mosaic. Make it with ``RasterLabeller.open``.

    Where rasters overlap, the first that knows a pixel is taken; where none is, IGNORE.
    """

    legend: Legend
    truths: tuple[_Truth, ...]
    table: NDArray[np.int16]
    rules: str = "truth"
    unknown: tuple[UnknownClass, ...] = ()

    @staticmethod
    def open(paths: Sequence[Path], grid: Grid, legend: Legend, truth_legend: Legend | None = None) -> RasterLabeller:
        """Truth rasters of one band: class ids of ``truth_legend`` (None: of ``legend``), 255 ignore.

        Raises GridError where a raster is not on the lattice of ``grid``; DatasetError where none is given
        or the legends do not fit.
        """
        if not paths:
            raise DatasetError("no truth raster given", remedy="name at least one file")
        truths = []
        for path in paths:
            with open_raster(path) as dataset:
                own = grid_of(dataset)
                if dataset.count != 1 or dataset.dtypes[0] != "uint8":
                    raise DatasetError(
                        f"{path.name} is no truth raster: {dataset.count} band(s) of {dataset.dtypes[0]}",
                        remedy="give one band of uint8 with class ids, 255 for unknown",
                    )
            try:
                row, col = grid.offset_of(own)
            except GridError as error:
                raise GridError(f"{path.name}: {error.problem}", remedy=error.remedy) from error
            window = Window(row=row, col=col, height=own.height, width=own.width)
            truths.append(_Truth(path=path, window=window))
        return RasterLabeller(legend=legend, truths=tuple(truths), table=_table(truth_legend or legend, legend))

    def label(self, window: Window) -> Labelling:
        """Labels of a window; DatasetError where a truth holds a value that the legend does not have."""
        found = np.full((window.height, window.width), IGNORE, np.uint8)
        for truth in self.truths:
            part = truth.window.intersect(window)
            if part is None:
                continue
            with open_raster(truth.path) as dataset:
                values = read_window(dataset, part.shift(-truth.window.row, -truth.window.col), [1])[0]
            ids = self.table[values]
            if (ids == _BAD).any():
                raise DatasetError(
                    f"{truth.path.name} holds {int(values[ids == _BAD][0])}, a value that the legend lacks",
                    remedy=f"use 0..{int(np.flatnonzero(self.table[:IGNORE] != _BAD).max())} and {IGNORE}",
                )
            target = found[part.within(window)]
            np.copyto(target, ids.astype(np.uint8), where=target == IGNORE)
        return Labelling(label_HW=found, veto_HW=np.zeros(found.shape, np.bool_))


def _table(source: Legend, target: Legend) -> NDArray[np.int16]:
    """Value of a source legend → id of the target legend: by key, else sealed → 'sealed' and the rest → 0."""
    table = np.full(256, _BAD, np.int16)
    table[IGNORE] = IGNORE
    keys = {c.key: c.id for c in target.classes}
    sealed = keys.get("sealed")
    for c in source.classes:
        if c.sealed and c.key not in keys and sealed is None:
            raise DatasetError(
                f"the legend '{target.name}' has no place for '{c.key}' of '{source.name}'",
                remedy="use --legend sealed",
            )
        table[c.id] = keys.get(c.key, sealed if c.sealed and sealed is not None else 0)
    return table
