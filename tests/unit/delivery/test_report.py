from __future__ import annotations

import base64
import re

import pytest
from tests.unit.delivery.smallmap import SmallMap

from sealmap.core.errors import OutputError
from sealmap.delivery.report import RunReport, html, write_report


def report(small: SmallMap, **other: object) -> RunReport:
    parts: dict[str, object] = {"balance": small.balance, "parcels": small.parcels, "language": "de"} | other
    return RunReport(record=small.record, areas=small.areas, **parts)  # type: ignore[arg-type]


def cells(page: str) -> str:
    """The page without tags and with single blanks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_key_figures_are_those_given(small: SmallMap) -> None:
    text = cells(html(report(small)))
    assert "768 m² Kartierte Fläche" in text
    assert "180 m² Versiegelt" in text
    assert "23,6 % Versiegelungsgrad der bekannten Fläche" in text  # 180 of 764
    assert "4 m² Unbekannt" in text
    assert "Hochbau (Dach) 84,0 11,0 %" in text


def test_the_balance_closes_on_the_page(small: SmallMap) -> None:
    text = cells(html(report(small)))
    assert "Versiegelte Pixel 180,0" in text
    assert "hinzugefügt 0,5" in text
    assert "entfernt −0,2" in text or "entfernt −0,3" in text
    assert "Polygone an Pixelkanten 180,2" in text
    assert "vereinfacht 180,5 +0,14 %" in text
    assert "in Flurstücken (Pixel) 180,0" in text
    assert "außerhalb (Pixel) 0,0" in text


def test_inputs_and_model_are_on_the_page(small: SmallMap) -> None:
    text = cells(html(report(small)))
    assert "ortho.tif 57.600 " + "ab" * 32 in text
    assert "cd" * 32 in text
    assert "clean.open_m 0.4" in text


def test_everything_from_outside_is_escaped(small: SmallMap) -> None:
    page = html(report(small, title="<img src=x>"))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<img src=x>" not in page
    assert "&lt;b&gt;3&amp;4&lt;/b&gt;" in page


def test_parcels_are_listed_by_sealed_area(small: SmallMap) -> None:
    page = html(report(small))
    order = [page.index(i) for i in ("3&amp;4", "05123400100012", "05123400100013")]
    assert order == sorted(order)
    text = cells(page)
    assert "Anzahl der Flurstücke: 4" in text
    assert "0–20 % 1" in text
    assert "20–40 % 1" in text
    assert "80–100 % 1" in text
    assert "unbekannt 1" in text


def test_the_page_needs_nothing_else(small: SmallMap) -> None:
    png = small.folder / "p.png"
    png.write_bytes(b"\x89PNG picture")
    page = html(report(small, preview=png))
    assert "data:image/png;base64," + base64.b64encode(b"\x89PNG picture").decode() in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "http" not in page
    assert str(small.folder) not in page


def test_english_and_the_caveat(small: SmallMap) -> None:
    text = cells(html(report(small, language="en")))
    assert "768 m² Mapped area" in text
    assert "not a decision on a fee" in text
    assert "under tree crowns cannot be seen" in text
    assert "keine Festsetzung einer Gebühr" in cells(html(report(small)))


def test_parts_that_are_not_given_are_left_out(small: SmallMap) -> None:
    text = cells(html(report(small, balance=None, parcels=None)))
    assert "Flurstücke" not in text
    assert "Flächenbilanz" not in text
    empty = cells(html(report(small, parcels=small.parcels.iloc[:0])))
    assert "Anzahl der Flurstücke" not in empty


def test_an_existing_report_stays_unless_told(small: SmallMap) -> None:
    path = small.folder / "report.html"
    write_report(path, report(small))
    with pytest.raises(OutputError):
        write_report(path, report(small))
    write_report(path, report(small, language="en"), overwrite=True)
    assert 'lang="en"' in path.read_text(encoding="utf-8")
