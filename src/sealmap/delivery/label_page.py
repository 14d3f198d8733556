"""The label report: can the labels made from a cadastre be trusted? One HTML page and two pictures beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.delivery.candidates import KIND_COLORS, LAYER, Candidate
from sealmap.delivery.evaluation_page import png
from sealmap.delivery.label_account import LabelAccount, WholeSheet, account
from sealmap.delivery.label_charts import (
    CAUSE_COLORS,
    HEIGHT,
    WIDTH,
    Curve,
    Kind,
    Segment,
    bar,
    brightness_curve,
    hex_of,
    index_curve,
    kinds,
    outline,
    scale_bar,
    write_bars,
)
from sealmap.delivery.label_notices import notices, percent, sealed_and_not, some
from sealmap.delivery.label_texts import BLANK, KINDS, words, words_or
from sealmap.delivery.label_values import LabelPage, SheetLabels
from sealmap.delivery.templating import render
from sealmap.delivery.texts import Language, number
from sealmap.files.atomic import refuse_existing, staged, write_text

_CLASSES = 8
"""Classes of the cadastre listed for one cause; the others are one line, so that sums stay right."""

_UNKNOWN = 40
"""Classes without a rule in the list."""

_CARDS = 12
"""Places of each kind in the gallery; all are in the GeoPackage."""

_BAND_COLORS = {"red": "#c33", "green": "#2e8b45", "blue": "#2b6cb0", "nir": "#8c4a9e"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cell:
    """An area as printed: m², and its share."""

    m2: str
    share: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _SheetRow:
    """A line of the table of labels. cells: each class, what is ignored, the sum."""

    name: str
    note: str
    segments: list[Segment]
    cells: list[_Cell]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Cause:
    """A reason with the classes of the cadastre that fell to it."""

    key: str
    name: str
    color: str
    cell: _Cell
    classes: list[tuple[str, _Cell]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Figure:
    """A drawing with what is said of it."""

    name: str
    note: str
    lines: list[str]
    curve: Curve | None
    color: str = ""
    alarm: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Card:
    """A place of the gallery. picture: base64 of a PNG, empty without. size: width, height of it in pixels."""

    area: str
    text: str
    oid: str
    sheet: str
    at: str
    picture: str
    size: tuple[int, int]
    outline: str
    bar: tuple[float, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Gallery:
    """The places of one kind."""

    key: str
    name: str
    color: str
    count: str
    m2: str
    cards: list[_Card]
    more: str


def write_label_page(path: Path, page: LabelPage, *, overwrite: bool) -> tuple[Path, ...]:
    """Write the page and, beside it, PNGs of the stacked bars and of the contact sheet (if there is one).

    The page needs no other file. Returns what was written: NAME.html, NAME_shares.png, NAME_chips.png.
    """
    shares, chips = path.with_name(f"{path.stem}_shares.png"), path.with_name(f"{path.stem}_chips.png")
    written = (path, shares) if page.contact_sheet_HWC is None else (path, shares, chips)
    refuse_existing(*written, overwrite=overwrite)
    write_text(path, html(page), overwrite=overwrite)
    write_bars(shares, account(page), page.language, overwrite=overwrite)
    if page.contact_sheet_HWC is not None:
        with staged(chips, overwrite=overwrite) as scratch:
            scratch.write_bytes(png(page.contact_sheet_HWC))
    return written


def html(page: LabelPage) -> str:
    """The page as HTML. Every text from outside is escaped."""
    language, sums = page.language, account(page)
    shown = kinds(sums, language)
    return render(
        "labels.html.j2",
        t=lambda key: words(key, language),
        language=language,
        title=page.title or words("title", language),
        cards=_cards(page, sums),
        notices=notices(page, sums),
        key=shown,
        head=[k.name for k in shown if not k.ignored] + [words("ignored_column", language), words("sum", language)],
        sheets=[_sheet_row(s, [s], shown, language) for s in sums.sheets],
        total=_sheet_row(None, sums.sheets, shown, language),
        recovered=_recovered(page, sums),
        causes=[_cause(c, sums, language) for c in sums.causes],
        by_sheet=_by_sheet(sums, language),
        sums={
            "ignored": _cell(sums.area - sums.judged, sums.area, language),
            "judged": _cell(sums.judged, sums.area, language),
            "area": _cell(sums.area, sums.area, language),
        },
        unknown=_unknown(page),
        vegetation=[_vegetation(s, language) for s in sums.sheets],
        checked=any(s.vegetation is not None for s in page.sheets),
        galleries=list(_galleries(page)),
        coordinates=words("coordinates", language, crs=page.crs) if page.crs else "",
        candidates_file=words("candidates_file", language, file=page.candidates_file, layer=LAYER)
        if page.candidates_file
        else "",
        splits=_splits(page),
        bands=_bands(page),
        contact="" if page.contact_sheet_HWC is None else _base64(page.contact_sheet_HWC),
        facts=page.facts,
        width=WIDTH,
        height=HEIGHT,
    )


def _cell(m2: float, whole: float, language: Language) -> _Cell:
    return _Cell(m2=number(m2, language), share=percent(m2, whole, language))


def _cards(page: LabelPage, sums: LabelAccount) -> list[tuple[str, str]]:
    """The verdict in numbers: (value, what it is)."""
    language = page.language

    def card(key: str, part: float, whole: float, **more: str) -> tuple[str, str]:
        return percent(part, whole, language), words(f"card.{key}", language, m2=number(part, language), **more)

    ignored, biggest = sums.area - sums.judged, sums.biggest()
    n, m2 = number(len(sums.sheets), language), number(sums.area, language)
    found = [
        (f"{number(sums.area / 1e6, language, 2)}{BLANK}km²", words("card.area", language, n=n, m2=m2)),
        card("judged", sums.judged, sums.area),
        card("sealed", sums.sealed, sums.judged),
        card("ignored", ignored, sums.area),
    ]
    if biggest is not None:
        cause, text, most = biggest
        what = words(f"cause.{cause}", language) + (f" ({text})" if text else "")
        found.append(card("biggest", most, sums.area, what=what))
    return [*found, (number(len(page.candidates), language), words("card.candidates", language))]


def _sheet_row(
    one: WholeSheet | None, sheets: Sequence[WholeSheet], shown: Sequence[Kind], language: Language
) -> _SheetRow:
    """The line of one sheet, or (``one`` None) of all together."""
    area = sum(s.area for s in sheets)
    parts = [sum(k.of(s) for s in sheets) for k in shown if not k.ignored]
    return _SheetRow(
        name=one.sheet.name if one else words("all_sheets", language),
        note=_sheet_note(one.sheet, language) if one else "",
        segments=bar(sheets, shown, language),
        cells=[_cell(m2, area, language) for m2 in (*parts, area - sum(parts), area)],
    )


def _sheet_note(sheet: SheetLabels, language: Language) -> str:
    flight = f"{words('flight', language)} {sheet.flight}" if sheet.flight else words("no_flight", language)
    chips = ", ".join(
        f"{words_or(f'split.{s}', language, s)} {number(n, language)}" for s, n in sheet.chips.items() if n
    )
    return f"{flight} · {words('chips_of', language)}: {chips}" if chips else flight


def _recovered(page: LabelPage, sums: LabelAccount) -> str:
    if not sums.recovered:
        return ""
    unsealed = sums.judged - sums.sealed
    share = percent(sums.recovered, unsealed, page.language)
    return words("recovered", page.language, m2=number(sums.recovered, page.language), share=share)


def _cause(cause: str, sums: LabelAccount, language: Language) -> _Cause:
    classes = [(text or words("no_class", language), m2) for text, m2 in sums.texts(cause)]
    rest = classes[_CLASSES:]
    if len(rest) > 1:
        others = words("others", language, n=number(len(rest), language))
        classes = [*classes[:_CLASSES], (others, sum(m2 for _, m2 in rest))]
    if len(classes) == 1 and not sums.texts(cause)[0][0]:
        classes = []  # one line that says nothing new
    return _Cause(
        key=cause,
        name=words(f"cause.{cause}", language),
        color=CAUSE_COLORS[cause],
        cell=_cell(sums.cause(cause), sums.area, language),
        classes=[(text, _cell(m2, sums.area, language)) for text, m2 in classes],
    )


def _by_sheet(sums: LabelAccount, language: Language) -> list[tuple[str, list[str]]]:
    """Square metres per sheet and cause with their sum; the last line is of all sheets. Empty for one sheet."""
    causes = sums.causes
    if len(sums.sheets) < 2 or not causes:
        return []
    rows = [(s.sheet.name, [s.cause(c) for c in causes]) for s in sums.sheets]
    rows.append((words("all_sheets", language), [sums.cause(c) for c in causes]))
    return [(name, [number(m2, language) for m2 in (*parts, sum(parts))]) for name, parts in rows]


def _unknown(page: LabelPage) -> dict[str, Any]:
    """Classes without a rule, those with most shapes first."""
    order = sorted(page.unknown_classes, key=lambda u: (-u.shapes, u.source, u.klass, u.function))
    rows = [
        (words_or(f"source.{u.source}", page.language, u.source), u.klass, u.function, number(u.shapes, page.language))
        for u in order[:_UNKNOWN]
    ]
    left = len(order) - len(rows)
    more = words("more_classes", page.language, n=number(left, page.language)) if left else ""
    return {"rows": rows, "more": more}


def _vegetation(whole: WholeSheet, language: Language) -> _Figure:
    sheet, vegetation = whole.sheet, whole.sheet.vegetation
    flight = sheet.flight or words("no_flight", language)
    if vegetation is None:
        return _Figure(name=sheet.name, note=flight, lines=[words("not_checked", language)], curve=None)
    threshold = f"{words(f'index.{vegetation.index}', language)} > {number(vegetation.threshold, language, 3)}"
    at_limit = f" ({words('at_limit', language)})" if vegetation.at_limit else ""
    return _Figure(
        name=sheet.name,
        note=flight,
        lines=[
            threshold + at_limit,
            words("green_share", language, share=percent(vegetation.green_share, 1, language)),
            words("vetoed", language, m2=number(whole.cause("vegetation"), language)),
            words("found", language, m2=number(sheet.recovered_m2, language)),
        ],
        curve=index_curve(vegetation, language),
        alarm=vegetation.at_limit,
    )


def _galleries(page: LabelPage) -> Iterator[_Gallery]:
    for kind in KINDS:
        places = [c for c in page.candidates if c.kind == kind]
        if not places:
            continue
        left = len(places) - _CARDS
        yield _Gallery(
            key=kind,
            name=words(f"kind.{kind}", page.language),
            color=hex_of(KIND_COLORS[kind]),
            count=number(len(places), page.language),
            m2=number(sum(c.area_m2 for c in places), page.language),
            cards=[_card(c, page) for c in places[:_CARDS]],
            more=words("more_places", page.language, n=number(left, page.language)) if left > 0 else "",
        )


def _card(candidate: Candidate, page: LabelPage) -> _Card:
    point = candidate.polygon.representative_point()
    picture = candidate.picture_HWC
    return _Card(
        area=f"{number(candidate.area_m2, page.language)}{BLANK}m²",
        text=candidate.text or words("no_class", page.language),
        oid=candidate.oid,
        sheet=candidate.sheet,
        at=f"{point.x:.0f},{point.y:.0f}",  # as QGIS's coordinate field takes it, whatever the language
        picture="" if picture is None else _base64(picture),
        size=(1, 1) if picture is None else (picture.shape[1], picture.shape[0]),
        outline=outline(candidate),
        bar=scale_bar(candidate),
    )


def _splits(page: LabelPage) -> list[list[str]]:
    """Name, chips, sheets, judged share, sealed share of each split."""
    language, rows = page.language, []
    for split in page.splits:
        sealed, unsealed = sealed_and_not(split, page)
        judged = sealed + unsealed
        rows.append(
            [
                words_or(f"split.{split.name}", language, split.name),
                number(split.chips, language),
                some(split.sheets),
                percent(judged, judged + split.ignored_m2, language),
                percent(sealed, judged, language),
            ]
        )
    return rows


def _bands(page: LabelPage) -> list[_Figure]:
    language = page.language
    return [
        _Figure(
            name=words_or(f"band.{b.name}", language, b.name),
            note="",
            lines=[words("mean", language, mean=number(b.mean, language, 3), std=number(b.std, language, 3))],
            curve=brightness_curve(b.counts, b.mean),
            color=_BAND_COLORS.get(b.name, "#777"),
        )
        for b in page.bands
    ]


def _base64(picture_HWC: NDArray[np.uint8]) -> str:
    return base64.b64encode(png(picture_HWC)).decode("ascii")
