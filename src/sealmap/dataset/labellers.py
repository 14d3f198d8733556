"""Where labels come from: the cadastre by rules, or a truth raster drawn by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from sealmap.core.errors import DatasetError, GridError
from sealmap.core.grid import Grid, Window
from sealmap.core.legend import IGNORE, Legend
from sealmap.dataset.burn import CELL_PX, Burner, Cause, Labelling
from sealmap.dataset.rules import Labels, UnknownClass
from sealmap.files.raster import grid_of, open_raster, read_window

_COARSE = 8
"""Pixels of the grid per pixel, each way, where only shares are wanted."""


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

    @property
    def causes(self) -> tuple[Cause, ...]:
        """What ``Labelling.cause_HW`` points into."""
        ...

    def label(self, window: Window, flight: date | None = None, /) -> Labelling:
        """Labels of a window, which may reach beyond the grid, for an image of that day."""
        ...

    def shares(self, window: Window) -> tuple[float, float]:
        """(sealed share of the judged pixels, judged share) of a window, roughly: to balance splits by."""
        ...

    def oid_at(self, col: float, row: float, cause: int, /) -> str:
        """The cadastre's id of the shape over a point (in pixels) that gave a cause, '' where there is none."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class CadastreLabeller:
    """Labels burned from classified shapes. Make it with ``CadastreLabeller.on``."""

    burner: Burner
    coarse: Burner
    unknown: tuple[UnknownClass, ...]

    @staticmethod
    def on(labels: Labels, legend: Legend, grid: Grid) -> CadastreLabeller:
        """Labels for windows of ``grid``; shapes are in its CRS."""
        coarse = Grid(
            height=-(-grid.height // _COARSE),
            width=-(-grid.width // _COARSE),
            transform=grid.transform @ Affine.scale(_COARSE),
            crs=grid.crs,
        )
        return CadastreLabeller(
            burner=Burner.on(labels, legend, grid),
            coarse=Burner.on(labels, legend, coarse, cell_px=CELL_PX // _COARSE),
            unknown=labels.unknown,
        )

    @property
    def legend(self) -> Legend:
        """Legend of the labels."""
        return self.burner.legend

    @property
    def rules(self) -> str:
        """Name of the rule table."""
        return self.burner.rules

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Why pixels have their labels."""
        return self.burner.causes

    def label(self, window: Window, flight: date | None = None) -> Labelling:
        """Labels of a window."""
        return self.burner.burn(window, flight)

    def shares(self, window: Window) -> tuple[float, float]:
        """(sealed share of the judged pixels, judged share), from every eighth pixel each way."""
        part = Window(
            row=window.row // _COARSE,
            col=window.col // _COARSE,
            height=max(1, window.height // _COARSE),
            width=max(1, window.width // _COARSE),
        )
        return _shares(self.coarse.burn(part), self.legend)

    def oid_at(self, col: float, row: float, cause: int) -> str:
        """The cadastre's id of the shape over a point."""
        return self.burner.oid_at(col, row, cause)


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
    causes: tuple[Cause, ...] = (Cause(kind="outside"), Cause(kind="unsealed", text="truth"))

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

    def label(self, window: Window, _flight: date | None = None, /) -> Labelling:
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
        cause = (found != IGNORE).astype(np.uint16)
        return Labelling(label_HW=found, veto_HW=np.zeros(found.shape, np.bool_), cause_HW=cause)

    def shares(self, window: Window) -> tuple[float, float]:
        """(sealed share of the judged pixels, judged share) of a window."""
        return _shares(self.label(window), self.legend)

    def oid_at(self, _col: float, _row: float, _cause: int, /) -> str:
        """No ids here."""
        return ""


def _shares(burnt: Labelling, legend: Legend) -> tuple[float, float]:
    """What vegetation may overrule counts as judged: some of it will be."""
    judged = int(((burnt.label_HW != IGNORE) | burnt.veto_HW).sum())
    sealed = int(np.isin(burnt.label_HW, [c.id for c in legend.classes if c.sealed]).sum())
    return sealed / max(judged, 1), judged / burnt.label_HW.size


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
