"""Numbers of the evaluation page as they are printed; an en dash where there is none."""

from __future__ import annotations

from collections.abc import Mapping

from sealmap.delivery.evaluation_texts import BLANK
from sealmap.delivery.texts import Language, number

_NONE = "–"


def score(value: float | None, language: Language, decimals: int = 3) -> str:
    """'0.912'."""
    return _NONE if value is None else number(value, language, decimals)


def share(value: float | None, language: Language, *, signed: bool = False) -> str:
    """'91.2 %'; signed: '+1.2 %'."""
    return _NONE if value is None else f"{_with_sign(100 * value, language, 1, signed=signed)}{BLANK}%"


def area(value: float | None, language: Language, *, signed: bool = False, decimals: int = 0) -> str:
    """'1,234' m², without the unit."""
    return _NONE if value is None else _with_sign(value, language, decimals, signed=signed)


def spread(
    found: Mapping[str, float | None],
    language: Language,
    *,
    signed: bool = False,
    percent: bool = False,
    m2: bool = False,
    decimals: int = 1,
) -> tuple[str, str] | None:
    """Low and high end of a 95 % interval as printed, None where there is none.

    Signed scores are in percent, unless they are of m²; decimals: of m².
    """
    low, high = found["low"], found["high"]
    if low is None or high is None:
        return None
    if m2:
        low_m2, high_m2 = (area(end, language, signed=signed, decimals=decimals) for end in (low, high))
        return low_m2, high_m2
    if signed or percent:
        return share(low, language, signed=signed), share(high, language, signed=signed)
    return score(low, language), score(high, language)


def _with_sign(value: float, language: Language, decimals: int, *, signed: bool) -> str:
    text = number(abs(value), language, decimals)
    zero = text == number(0.0, language, decimals)
    if value < 0 and not zero:
        return f"−{text}"
    return f"+{text}" if signed and not zero else text
