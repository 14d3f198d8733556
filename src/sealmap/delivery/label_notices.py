"""What to look at before training: checks of the labels, each a sentence with its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sealmap.delivery.label_account import LabelAccount
from sealmap.delivery.label_texts import BLANK, words
from sealmap.delivery.label_values import LabelPage, SplitLabels
from sealmap.delivery.texts import Language, number

NEWER = 0.20
"""A town does not rebuild a fifth of itself between flight and extract."""

JUDGED = 0.10
"""A cadastre of buildings and roads alone judges more than a tenth of a town."""

VEGETATION = 1 / 3
"""Crowns and verges cover less than a third of roads, even in summer."""

CONTRADICTION = 0.01

SPLITS = ("train", "val", "test")

_NAMED = 5
"""Sheets named in one line."""


def notices(page: LabelPage, account: LabelAccount) -> list[str]:
    """Sentences for what strikes, the gravest first; none where nothing does."""
    return [*_about_labels(page, account), *_about_splits(page), *_about_sheets(page)]


def percent(part: float, whole: float, language: Language) -> str:
    """'12.3 %'; a part too small to be printed is '< 0.1 %', a rest too small '> 99.9 %'; '–' of nothing."""
    if whole <= 0:
        return "–"
    share = 100 * part / whole
    if part > 0 and share < 0.05:
        return f"< {number(0.1, language, 1)}{BLANK}%"
    if part < whole and share >= 99.95:
        return f"> {number(99.9, language, 1)}{BLANK}%"
    return f"{number(share, language, 1)}{BLANK}%"


def some(names: Sequence[str]) -> str:
    """Names in a line: the first ones, and how many more there are."""
    more = f", … (+{len(names) - _NAMED})" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _about_labels(page: LabelPage, account: LabelAccount) -> Iterator[str]:
    language, judged = page.language, account.judged
    with_image = account.area - account.cause("nodata")
    checks = (
        ("newer", account.cause("newer"), judged + account.cause("newer"), NEWER),
        ("vegetation", account.cause("vegetation"), account.sealed + account.cause("vegetation"), VEGETATION),
        ("contradiction", account.cause("contradiction"), account.area, CONTRADICTION),
    )
    for cause, part, whole, limit in checks:
        if part > limit * whole:
            share = percent(part, whole, language)
            yield words(f"note.{cause}", language, share=share, m2=number(part, language))
    if page.unknown_classes or account.cause("unknown"):
        n = len(page.unknown_classes) or len(account.texts("unknown"))
        share = percent(account.cause("unknown"), account.area, language)
        yield words("note.unknown", language, n=number(n, language), share=share)
    if page.sheets and judged < JUDGED * with_image:
        yield words("note.judged", language, share=percent(judged, with_image, language))


def _about_splits(page: LabelPage) -> Iterator[str]:
    """Splits without chips or with one kind of label only."""
    if not page.splits:
        return
    by_name = {s.name: s for s in page.splits}
    for name in SPLITS:
        split, title = by_name.get(name), words(f"split.{name}", page.language)
        if split is None or not split.chips:
            yield words("note.empty_split", page.language, split=title)
            continue
        sealed, unsealed = sealed_and_not(split, page)
        if sealed <= 0:
            yield words("note.no_sealed", page.language, split=title)
        if unsealed <= 0:
            yield words("note.no_unsealed", page.language, split=title)


def sealed_and_not(split: SplitLabels, page: LabelPage) -> tuple[float, float]:
    """Square metres of a split with a sealed label, and with another one."""
    sealed = sum(split.label_m2.get(c.key, 0.0) for c in page.legend.classes if c.sealed)
    return sealed, sum(split.label_m2.values()) - sealed


def _about_sheets(page: LabelPage) -> Iterator[str]:
    language, count = page.language, number(len(page.sheets), page.language)
    if not page.sheets:
        yield words("note.no_sheets", language)
    undated = sum(not s.flight for s in page.sheets)
    if undated:
        yield words("note.no_flight", language, n=number(undated, language), all=count)
    limited = [s.name for s in page.sheets if s.vegetation is not None and s.vegetation.at_limit]
    if limited:
        yield words("note.at_limit", language, sheets=some(limited))
    unchecked = sum(s.vegetation is None for s in page.sheets)
    if unchecked:
        yield words("note.unchecked", language, n=number(unchecked, language), all=count)
