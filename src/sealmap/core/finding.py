"""Finding: what a check of the guard says of a flight, a model or a map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "warning", "refusal"]

_RANK: tuple[Verdict, ...] = ("ok", "warning", "refusal")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One check's answer. figures: what was measured. cause: the likely one, in a sentence. remedy: what to do.

    where: the sheet it is about; empty for the flight as a whole. Both sentences are empty where the verdict is 'ok'.
    """

    check: str
    verdict: Verdict = "ok"
    figures: Mapping[str, Any] = field(default_factory=dict)
    cause: str = ""
    remedy: str = ""
    where: str = ""

    def __post_init__(self) -> None:
        if (self.verdict == "ok") != (not self.cause):
            raise ValueError(f"check '{self.check}': a cause goes with a warning or a refusal, and with nothing else")

    def to_json(self) -> dict[str, Any]:
        """Plain values for a record; empty entries are left out."""
        plain = {
            "check": self.check, "verdict": self.verdict, "where": self.where, "figures": dict(self.figures),
            "cause": self.cause, "remedy": self.remedy,
        }  # fmt: skip
        return {key: value for key, value in plain.items() if value not in ("", {})}


_NAMED = 5
"""Sheets named in one line."""


def named(findings: Sequence[Finding]) -> str:
    """Where findings are: the first ones by name, and how many more there are."""
    more = f" and {len(findings) - _NAMED} more" if len(findings) > _NAMED else ""
    return ", ".join(f.where for f in findings[:_NAMED]) + more


def worst(findings: Iterable[Finding]) -> Verdict:
    """The gravest verdict; 'ok' of none."""
    return max((f.verdict for f in findings), key=_RANK.index, default="ok")


def gravest_first(findings: Iterable[Finding]) -> list[Finding]:
    """Refusals, then warnings, then the rest; in the given order otherwise."""
    return sorted(findings, key=lambda f: -_RANK.index(f.verdict))
