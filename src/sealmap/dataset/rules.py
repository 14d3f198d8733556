"""Rule tables: which cadastre class becomes which label. Data in TOML (``rule_tables/``), not code.

The first rule that matches a shape wins; a shape that no rule matches is ignored, never background.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from sealmap.core.errors import SettingsError
from sealmap.core.legend import IGNORE, Legend
from sealmap.core.text import plain

LABELS = ("roof", "paved", "sealed", "unsealed", "ignore")
"""What a rule may say. 'sealed' is for sources that cannot tell roof from paving (binary legend only)."""

_RULE_KEYS = {
    "source",
    "class",
    "function",
    "label",
    "priority",
    "buffer_m",
    "edge_ignore_m",
    "vegetation_veto",
}
_HEAD_KEYS = {"name", "description", "default", "newer_than_flight", "layer", "fields", "rule"}
_FIELDS = {"class", "function", "updated", "id"}


class Shapes(Protocol):
    """Classified shapes, one entry per shape. ``source``: kind of layer ('building', 'use', 'layer')."""

    @property
    def geometry(self) -> NDArray[np.object_]:
        """Polygons."""
        ...

    @property
    def source(self) -> Sequence[str]:
        """Kind of layer."""
        ...

    @property
    def klass(self) -> Sequence[str]:
        """Class text."""
        ...

    @property
    def function(self) -> Sequence[str]:
        """Function text."""
        ...

    @property
    def updated(self) -> Sequence[date | None]:
        """Last change."""
        ...

    @property
    def oid(self) -> Sequence[str]:
        """The cadastre's id, '' where there is none."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """What shapes of some classes mean. Patterns are normalised text with ``*``; one must match of each.

    priority: where shapes overlap, the higher one is taken. buffer_m: shapes grow by it (negative: shrink).
    edge_ignore_m: pixels this near to the outline, on both sides, are ignored (lean, overhang, ±0.4 m).
    vegetation_veto: where the image is green there, it overrules: sealed is ignored (trees over a road,
    verges), ignored is unsealed (lawns and trees on a plot).
    """

    source: str = "*"
    classes: tuple[str, ...] = ("*",)
    functions: tuple[str, ...] = ("*",)
    label: str
    priority: int
    buffer_m: float = 0.0
    edge_ignore_m: float = 0.0
    vegetation_veto: bool = False

    def __post_init__(self) -> None:
        if self.label not in LABELS:
            raise SettingsError(f"a rule has the label '{self.label}'", remedy=f"use one of: {', '.join(LABELS)}")
        if self.edge_ignore_m < 0:
            raise SettingsError(f"a rule has edge_ignore_m = {self.edge_ignore_m}", remedy="use 0 or more metres")

    def matches(self, source: str, klass: str, function: str) -> bool:
        """Whether the rule speaks of this class; class and function are normalised text."""
        return (
            fnmatchcase(source, self.source)
            and any(fnmatchcase(klass, p) for p in self.classes)
            and any(fnmatchcase(function, p) for p in self.functions)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleTable:
    """Rules in the order in which they are tried.

    default: label of pixels that no shape covers. newer_than_flight: label of shapes that were changed after
    the flight, None to treat them like all others. layer, fields: where a layer is not known by its name: which
    it is, and which fields hold its class, function, updated and id.
    """

    name: str
    default: str
    newer_than_flight: str | None
    layer: str
    fields: Mapping[str, str]
    rules: tuple[Rule, ...]

    def match(self, source: str, klass: str, function: str) -> Rule | None:
        """The first rule that speaks of this class; texts as the cadastre has them."""
        klass, function = normalise(klass), normalise(function)
        return next((r for r in self.rules if r.matches(source, klass, function)), None)

    def ceiling(self, source: str) -> int:
        """Highest priority of a source: an unknown class must not be painted over by a known one."""
        return max((r.priority for r in self.rules if fnmatchcase(source, r.source)), default=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class UnknownClass:
    """A class that no rule speaks of, and how many shapes have it."""

    source: str
    klass: str
    function: str
    shapes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """Shapes with labels, ready to burn; one entry per shape in each array.

    geometry: polygons in map coordinates, buffers applied. label: one of LABELS. priority: higher is painted
    later.
    edge_m: width of the ignored ring on each side of the outline. veto: True where vegetation overrules the
    label. text: the class as a report names it. known: False where no rule speaks of the class. oid: the
    cadastre's id. changed: day of the last change as a proleptic ordinal, 0 where it is unknown or no matter.
    newer: label of shapes that were changed after the flight. eroded: shapes that a negative buffer left
    nothing of.
    """

    geometry: NDArray[np.object_]
    label: NDArray[np.str_]
    priority: NDArray[np.int64]
    edge_m: NDArray[np.float64]
    veto: NDArray[np.bool_]
    text: NDArray[np.str_]
    known: NDArray[np.bool_]
    oid: NDArray[np.str_]
    changed: NDArray[np.int32]
    default: str
    newer: str
    rules: str
    unknown: tuple[UnknownClass, ...] = ()
    eroded: int = 0

    def __post_init__(self) -> None:
        n = len(self.geometry)
        columns = (self.label, self.priority, self.edge_m, self.veto, self.text, self.known, self.oid, self.changed)
        if any(len(a) != n for a in columns):
            raise ValueError("labels need one entry per shape")

    def __len__(self) -> int:
        return len(self.geometry)


@cache
def normalise(text: str) -> str:
    """Text to compare: case, umlauts, ß and white space do not matter ('Straße' = 'strasse')."""
    return " ".join(plain(text).split())


def rule_table_names() -> tuple[str, ...]:
    """Names of the shipped tables."""
    folder = resources.files("sealmap.dataset") / "rule_tables"
    return tuple(sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".toml")))


def load_rules(name_or_path: str) -> RuleTable:
    """A shipped table by name, or one's own by path (.toml); SettingsError where it is missing or wrong."""
    if name_or_path in rule_table_names():
        file = resources.files("sealmap.dataset") / "rule_tables" / f"{name_or_path}.toml"
        return parse_rules(file.read_text(encoding="utf-8"), name_or_path)
    path = Path(name_or_path)
    if path.suffix != ".toml" or not path.is_file():
        raise SettingsError(
            f"no rule table '{name_or_path}'",
            remedy=f"use one of {', '.join(rule_table_names())}, or the path of a .toml file",
        )
    return parse_rules(path.read_text(encoding="utf-8"), path.stem)


def parse_rules(text: str, name: str) -> RuleTable:
    """A rule table from TOML text; SettingsError with the nearest key where one is unknown."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"rule table '{name}' is no TOML: {error}") from error
    _known(data, _HEAD_KEYS, name)
    if not data.get("rule"):
        raise SettingsError(f"rule table '{name}' has no rules", remedy="add at least one [[rule]]")
    default, newer = str(data.get("default", "ignore")), str(data.get("newer_than_flight", "ignore"))
    for label in (default, *([] if newer == "keep" else [newer])):
        if label not in LABELS:
            raise SettingsError(f"rule table '{name}' has the label '{label}'", remedy=f"use: {', '.join(LABELS)}")
    return RuleTable(
        name=str(data.get("name", name)),
        default=default,
        newer_than_flight=None if newer == "keep" else newer,
        layer=str(data.get("layer", "")),
        fields=_fields(data.get("fields", {}), name),
        rules=tuple(_rule(r, name, i) for i, r in enumerate(data["rule"], 1)),
    )


def _fields(data: Any, name: str) -> dict[str, str]:
    if not isinstance(data, dict):
        raise SettingsError(f"rule table '{name}': fields is no section", remedy='write: [fields] class = "art"')
    _known(data, _FIELDS, f"{name}, [fields]")
    return {key: str(value) for key, value in data.items()}


def _rule(data: dict[str, Any], name: str, number: int) -> Rule:
    where = f"{name}, rule {number}"
    _known(data, _RULE_KEYS, where)
    if "label" not in data or "priority" not in data:
        raise SettingsError(f"{where} has no label or no priority", remedy="give both")
    return Rule(
        source=str(data.get("source", "*")),
        classes=_patterns(data.get("class", "*")),
        functions=_patterns(data.get("function", "*")),
        label=str(data["label"]),
        priority=int(data["priority"]),
        buffer_m=float(data.get("buffer_m", 0.0)),
        edge_ignore_m=float(data.get("edge_ignore_m", 0.0)),
        vegetation_veto=bool(data.get("vegetation_veto", False)),
    )


def _patterns(value: str | list[str]) -> tuple[str, ...]:
    return tuple(normalise(str(v)) for v in ([value] if isinstance(value, str) else value))


def _known(data: dict[str, Any], keys: set[str], where: str) -> None:
    for key in data:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1)
            raise SettingsError(
                f"{where}: unknown key '{key}'",
                remedy=f"did you mean '{near[0]}'?" if near else f"keys are: {', '.join(sorted(keys))}",
            )


def label_ids(legend: Legend) -> dict[str, int]:
    """Label → class id of a legend; 'ignore' is IGNORE. A label that the legend cannot hold is left out."""
    keys = {c.key for c in legend.classes}
    ids = {"unsealed": 0, "ignore": IGNORE}
    for label in ("roof", "paved", "sealed"):
        # A binary legend holds both kinds as 'sealed'; one that tells them apart cannot hold a mere 'sealed'.
        key = label if label in keys else "sealed"
        if key in keys:
            ids[label] = legend.by_key(key).id
    return ids


def apply_rules(table: RuleTable, shapes: Shapes) -> Labels:
    """Label shapes by a table."""
    n = len(shapes.geometry)
    geometry = shapes.geometry.copy()
    label, known = np.full(n, "ignore", dtype="<U8"), np.ones(n, np.bool_)
    priority, edge_m, veto = np.zeros(n, np.int64), np.zeros(n, np.float64), np.zeros(n, np.bool_)
    unknown: list[UnknownClass] = []
    for kind, members in _by_class(shapes).items():
        rule = table.match(*kind)
        if rule is None:
            unknown.append(UnknownClass(source=kind[0], klass=kind[1], function=kind[2], shapes=len(members)))
            priority[members], known[members] = table.ceiling(kind[0]), False
            continue
        label[members], priority[members], edge_m[members] = rule.label, rule.priority, rule.edge_ignore_m
        veto[members] = rule.vegetation_veto
        if rule.buffer_m:
            geometry[members] = shapely.buffer(geometry[members], rule.buffer_m, quad_segs=4)
    dated = table.newer_than_flight is not None
    left = ~shapely.is_empty(geometry)
    return Labels(
        geometry=geometry[left],
        label=label[left],
        priority=priority[left],
        edge_m=edge_m[left],
        veto=veto[left],
        text=np.array([_text(k, f) for k, f in zip(shapes.klass, shapes.function, strict=True)], np.str_)[left],
        known=known[left],
        oid=np.array(shapes.oid, np.str_)[left],
        changed=np.array([u.toordinal() if u and dated else 0 for u in shapes.updated], np.int32)[left],
        default=table.default,
        newer=table.newer_than_flight or "ignore",
        rules=table.name,
        unknown=tuple(sorted(unknown, key=lambda u: (u.source, u.klass, u.function))),
        eroded=int((~left).sum()),
    )


def join_labels(below: Labels, above: Labels) -> Labels:
    """Labels of two sources, such as a cadastre and what was drawn by hand; their priorities decide who wins.

    What no shape covers is as ``below`` has it.
    """
    return Labels(
        **{
            name: np.concatenate([getattr(below, name), getattr(above, name)])
            for name in ("geometry", "label", "priority", "edge_m", "veto", "text", "known", "oid", "changed")
        },
        default=below.default,
        newer=below.newer,
        rules=f"{below.rules} + {above.rules}",
        unknown=below.unknown + above.unknown,
        eroded=below.eroded + above.eroded,
    )


def _text(klass: str, function: str) -> str:
    return " / ".join(part for part in (klass, function) if part) or "(no class)"


def _by_class(shapes: Shapes) -> dict[tuple[str, str, str], list[int]]:
    """Indices of the shapes of each (source, class, function): a Kreis has 10⁵ shapes in about 100."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for i, kind in enumerate(zip(shapes.source, shapes.klass, shapes.function, strict=True)):
        groups.setdefault(kind, []).append(i)
    return groups
