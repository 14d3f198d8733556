from __future__ import annotations

import math
import re
from dataclasses import replace
from importlib.resources import files
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import escape
from PIL import Image
from tests.unit.delivery.labelpages import Unlisted, candidate, full, heaps, picture, sheet, vegetation

from sealmap.core.errors import OutputError, SettingsError
from sealmap.core.legend import ROOF_PAVED, SEALED
from sealmap.delivery import label_texts
from sealmap.delivery.label_account import account, whole_parts
from sealmap.delivery.label_charts import CAUSE_COLORS, WIDTH, bar, index_curve, kinds, outline, scale_bar
from sealmap.delivery.label_notices import notices, percent
from sealmap.delivery.label_page import html, write_label_page
from sealmap.delivery.label_texts import CAUSES, INDICES, KINDS, words
from sealmap.delivery.label_values import IgnoredArea, LabelPage, SheetLabels, SplitLabels, Vegetation
from sealmap.delivery.texts import LANGUAGES, Language

EVIL = '<img src=x onerror="alert(1)">&{x}$'


def cells(page: str) -> str:
    """The page without tags and with single blanks."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.replace("<wbr>", "")))


def numbers(row: str) -> list[int]:
    """Whole square metres of a row of a table (German), shares left out."""
    found = re.findall(r'<td class="n">([\d.]+)<', row)
    return [int(n.replace(".", "")) for n in found]


def rows(page: str, start: str, stop: str) -> list[list[int]]:
    part = page[page.index(start) : page.index(stop)]
    return [n for row in re.findall(r"<tr.*?</tr>", part, re.DOTALL) if (n := numbers(row))]


def single(**other: object) -> LabelPage:
    """A page with one sheet and nothing else."""
    one = SheetLabels(
        name="a", flight="2023-01-01", area_m2=100.0, label_m2={"background": 60.0, "sealed": 40.0}, ignored=(),
        vegetation=vegetation(),
    )  # fmt: skip
    return LabelPage(legend=SEALED, sheets=(replace(one, **other),))  # type: ignore[arg-type]


# --- sums ---


@given(st.lists(st.floats(0, 1e7), max_size=40))
def test_whole_parts_add_up_and_are_off_by_less_than_one(parts: list[float]) -> None:
    found = whole_parts(parts)
    assert sum(found) == round(math.fsum(parts))
    assert all(abs(w - p) < 1 and w >= 0 for w, p in zip(found, parts, strict=True))


def test_whole_parts_leave_nothing_where_nothing_is() -> None:
    assert whole_parts([0.4, 0.4, 0.0, 0.2]) == [1, 0, 0, 0]
    assert whole_parts([]) == []


def test_rows_and_columns_of_the_table_of_labels_add_up() -> None:
    table = rows(html(full()), '<h2 id="labels">', '<h2 id="ignored">')
    assert len(table) == 4  # three sheets and their sum
    assert all(sum(row[:-1]) == row[-1] for row in table)
    assert [sum(column) for column in zip(*table[:-1], strict=True)] == table[-1]
    assert table[0][-1] == 1_000_000


def test_the_reasons_add_up_to_what_is_ignored_and_with_what_is_judged_to_the_area() -> None:
    page = html(full())
    part = page[page.index('class="causes"') : page.index('class="matrix"')]
    heads = [numbers(r)[0] for r in re.findall(r'<tr class="head">.*?</tr>', part, re.DOTALL)]
    classes = [numbers(r)[0] for r in re.findall(r'<tr class="class">.*?</tr>', part, re.DOTALL)]
    ignored, judged, area = [n[0] for n in rows(page, 'class="causes"', 'class="matrix"')[-3:]]
    assert sum(heads) == ignored
    assert sum(classes) == ignored - 6_000  # what lies outside has no class
    assert ignored + judged == area == 3_000_000
    by_sheet = rows(page, 'class="matrix"', '<h2 id="vegetation">')[:4]
    assert all(sum(row[:-1]) == row[-1] for row in by_sheet)
    assert by_sheet[-1][:-1] == heads
    assert by_sheet[-1][-1] == ignored


def test_classes_beyond_the_list_are_one_line_so_that_sums_stay_right() -> None:
    many = tuple(IgnoredArea(cause="rule", text=f"Klasse {i:02d}", area_m2=1.0) for i in range(20))
    page = replace(single(area_m2=120.0, ignored=many), language="de")
    assert "weitere Klassen (12) 12 10,0 %" in cells(html(page))


def test_labels_that_do_not_make_up_the_sheet_are_refused() -> None:
    with pytest.raises(ValueError, match="sheet 'a'"):
        single(area_m2=150.0)
    with pytest.raises(ValueError, match="less than 0"):
        single(label_m2={"background": 140.0, "sealed": -40.0})
    with pytest.raises(ValueError, match="cause 'fog'"):
        IgnoredArea(cause="fog", area_m2=1.0)
    with pytest.raises(ValueError, match="roof"):
        LabelPage(legend=SEALED, sheets=(sheet("a"),))


def test_percentages_do_not_hide_what_is_there() -> None:
    assert percent(123, 1000, "de") == "12,3\u00a0%"
    assert percent(1, 1e6, "en") == "< 0.1\u00a0%"
    assert percent(999_999, 1e6, "en") == "> 99.9\u00a0%"
    assert percent(0, 10, "en") == "0.0\u00a0%"
    assert percent(10, 10, "de") == "100,0\u00a0%"
    assert percent(0, 0, "de") == "–"


# --- the page ---


def test_the_head_says_what_the_tables_say() -> None:
    text = cells(html(full()))
    sums = account(full())
    assert (sums.judged, sums.sealed, sums.area) == (1_463_528, 759_491, 3_000_000)
    assert "48,8 % beurteilt: hat ein Label (1.463.528 m²)" in text
    assert "51,9 % des Beurteilten ist versiegelt (759.491 m²)" in text
    assert "51,2 % nicht beurteilt (1.536.472 m²)" in text
    assert "29,9 % größter Grund: Regel: nicht beurteilen (Wohnbaufläche)" in text
    assert "564.001 m² (80,1 %) allein aus dem Bild" in text
    assert "DENW19AL00000000" in text
    assert "Lage 366116,5615022" in text
    assert "alkis_nrw" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_written_in_both_languages(language: Language) -> None:
    page = html(full(language=language))
    assert f'lang="{language}"' in page
    text = cells(page)
    assert ("Not judged" in text) == (language == "en")
    assert ("Nicht beurteilt" in text) == (language == "de")
    assert "{" not in page[page.index("<body>") :]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_without_anything_is_a_page(language: Language) -> None:
    text = cells(html(LabelPage(legend=SEALED, sheets=(), language=language)))
    for key in ("no_candidates", "no_vegetation", "no_splits", "note.no_sheets"):
        assert words(key, language) in text
    assert words("facts", language) not in text


def test_a_sheet_without_a_check_of_vegetation_says_so() -> None:
    sheets = (sheet("a"), sheet("b", vegetation=None))
    text = cells(html(full(sheets=sheets)))
    assert "b 2023-06-04 nicht geprüft" in text
    assert "Ohne Prüfung auf Vegetation: 1 von 2 Kacheln" in text


def test_everything_from_outside_is_escaped() -> None:
    one = sheet(EVIL, flight=EVIL, chips={EVIL: 3})
    one = replace(one, ignored=tuple(replace(i, text=EVIL) for i in one.ignored))
    page = html(
        full(
            sheets=(one, one), title=EVIL, crs=EVIL, candidates_file=EVIL, facts={EVIL: EVIL},
            candidates=tuple(candidate(k, 1, sheet=EVIL, text=EVIL, oid=EVIL) for k in KINDS),
            unknown_classes=(Unlisted(source=EVIL, klass=EVIL, function=EVIL, shapes=1),),
            splits=(SplitLabels(name=EVIL, chips=1, sheets=(EVIL,), label_m2={}, ignored_m2=1.0),),
            bands=(replace(full().bands[0], name=EVIL),),
        )
    )  # fmt: skip
    assert "<img src=x" not in page
    assert page.count("&lt;img src=x onerror=&#34;alert(1)&#34;&gt;&amp;{x}$") > 20


def test_the_page_needs_nothing_else() -> None:
    page = html(full())
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert not re.search(r"https?:|@import|url\(", page)
    assert "<script" not in page
    for target in re.findall(r'href="#(\w+)"', page):
        assert f'id="{target}"' in page


def test_places_are_shown_by_kind_with_outline_and_scale_and_a_count_of_the_others() -> None:
    page = html(full())
    part = page[page.index('<h2 id="candidates">') : page.index('<h2 id="splits">')]
    assert part.count('<figure class="place">') == 3 + 10 + 12
    assert "und 5 weitere" in part
    assert part.count('class="edge"') == 25
    assert "10 m</span>" in part
    order = [part.index(f'<h3><span class="swatch" style="background: {c}') for c in ("#e31a1c", "#ff7f00")]
    assert order == sorted(order)


def test_a_place_without_a_picture_is_told() -> None:
    text = cells(html(full(candidates=(candidate("paved_green", 0, picture_HWC=None),))))
    assert "kein Bild 300 m²" in text


def test_unknown_classes_are_listed_those_with_most_shapes_first() -> None:
    many = tuple(Unlisted(source="use", klass=f"K{i}", function="", shapes=i) for i in range(1, 51))
    text = cells(html(full(unknown_classes=many)))
    assert "Nutzung K50 – 50 Nutzung K49 – 49" in text
    assert "und 10 weitere Klassen" in text


# --- drawings ---


def test_the_segments_of_a_bar_fill_it() -> None:
    sums = account(full())
    for sheets in ([sums.sheets[0]], list(sums.sheets)):
        segments = bar(sheets, kinds(sums, "de"), "de")
        assert segments[0].start == 0
        assert segments[-1].start + segments[-1].width == pytest.approx(1000)
        for a, b in pairwise(segments):
            assert a.start + a.width == pytest.approx(b.start)


def test_the_line_of_the_threshold_lies_between_the_heaps() -> None:
    curve = index_curve(vegetation(), "de")
    (_, left), (right, _) = curve.shaded
    assert left < curve.mark < right
    assert 0 < left < right < WIDTH
    steps = [(float(y), float(x)) for y, x in re.findall(r"V([\d.]+)H([\d.]+)", curve.path)]
    height_at_mark = next(y for y, x in steps if x >= curve.mark)
    assert height_at_mark > 70  # low, that is: y runs downwards
    assert min(y for y, _ in steps) == 0
    assert curve.ticks[0][1].startswith("−0,")


def test_fine_histograms_are_thinned_and_empty_ones_drawn_flat() -> None:
    fine = replace(vegetation(), counts=tuple(n for n in heaps(0.0, 0.5) for _ in range(16)))
    assert index_curve(fine, "en").path.count("H") <= 64
    assert index_curve(fine, "en").mark == pytest.approx(index_curve(vegetation(low=0.0, high=0.5), "en").mark, abs=6)
    empty = replace(vegetation(), counts=(0,) * 64)
    assert "nan" not in index_curve(empty, "en").path
    assert empty.green_share == 0


def test_the_green_share_counts_what_lies_above_the_threshold() -> None:
    quarter = Vegetation(
        index="NDVI", threshold=0.25, limits=(0.05, 0.45), counts=(10, 10, 10, 10), value_range=(-1.0, 1.0)
    )
    assert quarter.green_share == pytest.approx(0.375)
    assert replace(quarter, threshold=-1.0).green_share == 1
    assert replace(quarter, threshold=1.0).green_share == 0


def test_an_outline_lies_where_its_polygon_lies_in_the_picture() -> None:
    place = candidate("roof_green", 0)  # 32 m in 96 pixels: 3 pixels to a metre
    path = outline(place)
    assert path.startswith("M24.0 48.0L72.0 48.0L72.0 24.0L24.0 22.5Z")
    assert path.count("M") == path.count("Z") == 2  # the hole, too
    assert outline(replace(place, bounds=None)) == ""
    assert scale_bar(place) == (31.25, "10 m")
    assert scale_bar(replace(place, bounds=None)) == (0.0, "")


# --- notices ---


def notice_of(page: LabelPage) -> str:
    return " | ".join(notices(page, account(page)))


def test_labels_in_order_give_no_notice_and_the_page_says_what_that_is_worth() -> None:
    page = single()
    assert notice_of(page) == ""
    assert words("no_notice", "en") in cells(html(page))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"flight": ""}, "No flight date for 1 of 1 sheets"),
        ({"vegetation": vegetation(0.45)}, "at its limit for: a"),
        ({"vegetation": None}, "Not checked for vegetation: 1 of 1"),
        (
            {"area_m2": 126.0, "ignored": (IgnoredArea(cause="newer", area_m2=26.0),)},
            "20.6 % of the area that would have a label is newer than the flight (26 m²)",
        ),
        (
            {"area_m2": 121.0, "ignored": (IgnoredArea(cause="vegetation", area_m2=21.0),)},
            "34.4 % of what is sealed by the cadastre is green",
        ),
        (
            {"area_m2": 102.0, "ignored": (IgnoredArea(cause="contradiction", area_m2=2.0),)},
            "On 2.0 % of the area the cadastre contradicts itself (2 m²)",
        ),
        (
            {"area_m2": 1100.0, "ignored": (IgnoredArea(cause="rule", area_m2=1000.0),)},
            "Only 9.1 % of the area with image is judged",
        ),
        ({"area_m2": 101.0, "ignored": (IgnoredArea(cause="unknown", area_m2=1.0),)}, "Classes without a rule: 1"),
    ],
)
def test_what_strikes_is_said_with_its_numbers(other: dict[str, object], said: str) -> None:
    assert said in notice_of(single(**other)).replace("\u00a0", " ")


@pytest.mark.parametrize(
    "other",
    [
        {"area_m2": 124.0, "ignored": (IgnoredArea(cause="newer", area_m2=24.0),)},
        {"area_m2": 119.0, "ignored": (IgnoredArea(cause="vegetation", area_m2=19.0),)},
        {"area_m2": 1100.0, "ignored": (IgnoredArea(cause="nodata", area_m2=1000.0),)},
    ],
)
def test_what_is_usual_is_not_said(other: dict[str, object]) -> None:
    assert notice_of(single(**other)) == ""


def test_splits_that_can_teach_or_measure_nothing_are_named() -> None:
    def split(name: str, background: float, sealed: float) -> SplitLabels:
        labels = {"background": background, "sealed": sealed}
        return SplitLabels(name=name, chips=2, sheets=("a",), label_m2=labels, ignored_m2=5.0)

    good = split("train", 9.0, 5.0)
    said = notice_of(replace(single(), splits=(good, split("val", 9.0, 0.0))))
    assert "Validation: no sealed pixel" in said
    assert "Test: no chip" in said
    assert "Training" not in said
    assert "Training: no unsealed pixel" in notice_of(replace(single(), splits=(split("train", 0.0, 5.0),)))
    assert "no chip" not in notice_of(single())  # nothing was split


# --- words ---


def test_every_text_is_there_in_both_languages() -> None:
    for key, pair in label_texts._TEXTS.items():
        assert len(pair) == len(LANGUAGES), key
        assert all(said.strip() for said in pair), key
        holes = [set(re.findall(r"{(\w+)}", said)) for said in pair]
        assert holes[0] == holes[1], key


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_cause_kind_and_index_has_its_words_and_colours(language: Language) -> None:
    for cause in CAUSES:
        assert all(words(f"{part}.{cause}", language) for part in ("cause", "why", "todo"))
    for kind in KINDS:
        assert words(f"kind.{kind}", language)
        assert words(f"kindtext.{kind}", language)
    assert all(words(f"index.{i}", language) for i in INDICES)
    assert set(CAUSE_COLORS) == set(CAUSES)
    ignored = tuple(IgnoredArea(cause=c, area_m2=1.0) for c in CAUSES)
    text = cells(html(replace(single(area_m2=108.0, ignored=ignored), language=language)))
    for cause in CAUSES:
        assert cells(words(f"why.{cause}", language)) in text
        assert cells(escape(words(f"todo.{cause}", language))) in text


def test_the_template_asks_for_texts_that_there_are() -> None:
    template = (files("sealmap.delivery") / "templates" / "labels.html.j2").read_text(encoding="utf-8")
    asked = re.findall(r'\bt\("(\w+)"\)', template)
    assert len(asked) > 20
    assert all(key in label_texts._TEXTS for key in asked)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(SettingsError, match="'fr'"):
        html(full(language="fr"))


# --- files ---


def test_the_page_and_its_pictures_are_written_and_stay_unless_told(tmp_path: Path) -> None:
    path, chips = tmp_path / "labels.html", picture(7)
    written = write_label_page(path, full(contact_sheet_HWC=chips), overwrite=False)
    assert [p.name for p in written] == ["labels.html", "labels_shares.png", "labels_chips.png"]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    with Image.open(written[2]) as image:
        assert np.array_equal(np.asarray(image), chips)
    before = path.read_bytes()
    written[1].unlink()
    with pytest.raises(OutputError, match="exists already"):
        write_label_page(path, full(language="en"), overwrite=False)
    assert path.read_bytes() == before
    assert not written[1].exists()
    write_label_page(path, full(language="en"), overwrite=True)
    assert 'lang="en"' in path.read_text(encoding="utf-8")


def test_a_page_without_chips_has_one_picture_and_strange_names_are_drawn(tmp_path: Path) -> None:
    page = full(contact_sheet_HWC=None, sheets=(sheet("$\\frac{a$ " + "x" * 80), sheet(EVIL)))
    written = write_label_page(tmp_path / "l.html", page, overwrite=False)
    assert [p.name for p in written] == ["l.html", "l_shares.png"]


def test_the_bars_are_in_the_colours_of_the_legend(tmp_path: Path) -> None:
    written = write_label_page(tmp_path / "l.html", full(), overwrite=False)
    with Image.open(BytesIO(written[1].read_bytes())) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    share = {c.key: np.all(pixels == c.color, axis=1).sum() for c in ROOF_PAVED.classes}
    assert share["background"] > share["roof"] > share["paved"] > 0


def test_pictures_are_in_the_page() -> None:
    page = html(full(candidates=(), contact_sheet_HWC=picture(1)))
    assert page.count("data:image/png;base64,") == 1
