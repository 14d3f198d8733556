"""The tree of errors. Each says what is wrong with the numbers, and what to do about it.

    SealmapError
    ├── InputError        a file given by the user cannot be used
    │   ├── GridError     georeference: CRS, pixel size, orientation, alignment
    │   └── BandError     bands are missing, or not what the model was trained on
    ├── OutputError       a result cannot be written (exists already, disk full)
    ├── BundleError       a model bundle is broken, of another version, or does not fit
    ├── DatasetError      chips, labels or splits cannot be used
    ├── TrainingError     training cannot start or go on
    ├── GuardError        the map that came out is not to be handed over
    └── SettingsError     a job file or option is wrong

The CLI prints any of them as one line and exits 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealmap.core.finding import Finding


class SealmapError(Exception):
    """An error that the user can act on: one line, the numbers, the remedy."""

    def __init__(self, problem: str, *, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem} → {remedy}" if remedy else problem)


class InputError(SealmapError):
    """A file given by the user cannot be used."""


class GridError(InputError):
    """The georeference does not fit: CRS, pixel size, orientation or alignment."""


class BandError(InputError):
    """Bands are missing or not those a model was trained on."""


class OutputError(SealmapError):
    """A result cannot be written."""


class BundleError(SealmapError):
    """A model bundle is broken, of another version, or does not fit."""


class DatasetError(SealmapError):
    """Chips, labels or splits cannot be used."""


class TrainingError(SealmapError):
    """Training cannot start or go on."""


class GuardError(SealmapError):
    """The map that came out is not to be handed over. ``findings``: all that the guard found."""

    def __init__(self, problem: str, *, remedy: str = "", findings: Sequence[Finding] = ()) -> None:
        super().__init__(problem, remedy=remedy)
        self.findings = tuple(findings)


class SettingsError(SealmapError):
    """A job file or an option is wrong."""
