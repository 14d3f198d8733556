"""RunRecord: what was done with what. Every product carries one (DESIGN law 6)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFile:
    """A file that went in. ``sha256`` of its bytes; ``bytes`` its size."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """Inputs and hashes, model, versions, settings, timings and counts per stage."""

    verb: str
    started: str
    inputs: tuple[InputFile, ...]
    versions: dict[str, str]
    settings: dict[str, Any]
    model: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """Readable JSON, keys in the order of the fields."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, default=str)
