"""The evaluation page: what it prints is in scores.json, every text from outside is escaped, nothing is fetched."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from string import Formatter
from typing import Any

import numpy as np
import pytest

from sealmap.core.errors import SettingsError
from sealmap.core.legend import ROOF_PAVED
from sealmap.delivery.evaluation_charts import MOST_POINTS, SIDE, dot, scatter
from sealmap.delivery.evaluation_notices import notices
from sealmap.delivery.evaluation_numbers import area, score, share, spread
from sealmap.delivery.evaluation_page import EvaluationPage, WindowPicture, html, png, write_evaluation_page
from sealmap.delivery.evaluation_texts import _TEXTS, say
from sealmap.delivery.texts import LANGUAGES, Language

EVIL = "<script>alert('x')</script>_&_ß"
NAMES = ("iou", "f1", "precision", "recall", "accuracy", "boundary_iou", "area_bias", "area_bias_m2")


def value(v: float | None, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": v, "low": low, "high": high}


def found(**changes: Any) -> dict[str, Any]:
    """As pipeline.evaluate writes it."""
    row = {name: value(0.75, 0.7, 0.8) for name in NAMES} | {"area_bias": value(-0.052, -0.081, -0.02)}
    row["area_bias_m2"] = value(-1300.0, -2600.4, -611.0)
    sheet = dict.fromkeys(NAMES, 0.8) | {
        "intervals": {name: [None, None] for name in NAMES}, "truth_m2": 60.0, "predicted_m2": 54.0,
    }  # fmt: skip
    size = {"number": 4, "found": 3, "recall_number": 0.75, "m2": 41.0, "recall_m2": 0.5}
    window = {
        "name": EVIL, "sheet": "a", "judged_m2": 40.0, "sealed_m2": 20.0, "missed_m2": 7.0, "invented_m2": 3.0,
        "iou": None,
    }  # fmt: skip
    sizes = ("below_20", "20_to_100", "100_to_500", "from_500", "cut")
    parcels = {
        name: value(0.5, 0.4, 0.6)
        for name in ("area_bias", "bias_m2", "mae_m2", "rmse_m2", "within_5_m2", "within_10_percent", "within_either")
    }
    return {
        "pixels": 1_234_567, "judged_m2": 49_382.7, "blocks": 12, "resamples": 1000, "seed": 7, "mode": "sheets",
        "scores": dict.fromkeys(("sealed", "background", "roof", "paved"), row),
        "sealed_m2": {"truth": 100.0, "predicted": 95.0, "both": 90.0},
        "by_sheet": {"sheet_a": sheet, EVIL: sheet | {"iou": None}},
        "by_class": {
            "roof": {"m2": 50.0, "called_sealed_m2": 45.0, "share": 0.9},
            "other": {"m2": 0.0, "called_sealed_m2": 0.0, "share": None},
        },
        "objects": {
            "truth": {"sealed": dict.fromkeys(sizes, size), "roof": dict.fromkeys(sizes, size)},
            "false_sealed": {s: {"number": 2, "m2": 5.0} for s in sizes},
        },
        "confusion": {
            "classes": ["background", "roof", "paved"], "truth_by_prediction": [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        },
        "facts": {"model": EVIL, "sheets": "2: …", "flight": "2025", "labels": EVIL, "unheard": "of"},
        "inputs": [{"name": EVIL, "bytes": 3, "sha256": "abc"}],
        "training": {"status": "seen", "sheets": [EVIL]},
        "probabilities": None,
        "boundary_judged": {"sealed": 0.9, "background": 0.8, "roof": None, "paved": 0.7},
        "parcels": {
            "parcels": 2500, "blocks": 17, "left_out": 3, "scores": parcels,
            "by_size": [{"from_m2": 0.0, "below_m2": 200.0, "parcels": 9, "scores": parcels},
                        {"from_m2": 200.0, "below_m2": 500.0, "parcels": 9, "scores": parcels},
                        {"from_m2": 5000.0, "below_m2": None, "parcels": 1, "scores": parcels}],
        },
        "windows": {"worst": [window], "random": []},
    } | changes  # fmt: skip


def page(language: Language = "en", **changes: Any) -> EvaluationPage:
    picture = np.full((20, 30, 3), 99, np.uint8)
    shown = WindowPicture(photo_HWC=picture, truth_HWC=picture, pred_HWC=picture, errors_HWC=picture)
    points = np.random.default_rng(1).uniform(0, 900, (2500, 2))
    return EvaluationPage(
        scores=found(**changes), legend=ROOF_PAVED, colors={"missed": (1, 2, 3)}, worst=[shown], points_N2=points,
        language=language,
    )  # fmt: skip


class Tags(HTMLParser):
    """Opened and not yet closed elements, and all addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href")]
        if tag not in ("meta", "img", "wbr", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_escaped_and_needs_no_other_file(language: Language) -> None:
    text = html(page(language))
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert "script" not in tags.seen
    assert all(a.startswith("data:image/") for a in tags.addresses)
    assert len(tags.addresses) == 4
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", text).replace("http://www.w3.org", "")
    assert f'<html lang="{language}">' in text
    assert "None" not in text
    assert not re.search(r"\bnan\b", re.sub(r"base64,[A-Za-z0-9+/=]+", "", text), re.IGNORECASE)


def test_numbers_are_those_of_the_scores() -> None:
    text = re.sub(r"\s+", " ", html(page()).replace("\u00a0", " "))
    for printed in (
        "−5.2 %", "95 %: −8.1 % to −2.0 %", "Of 100 m² that are sealed in truth and 95 m²", "90 m² are the same",
        "10 m² are missed, 5 m² invented", "49,383 m²", "1,234,567", "The worst windows (1)",
        "missed 7 m², invented 3 m²", "below 200 m²", "from 5,000 m²", "2,500 parcels",
        "Shown are 2,000 of 2,500 parcels", "draws over the 17 blocks", "<small>−2,600 … −611</small>",
    ):  # fmt: skip
        assert printed in text, printed
    assert "Drawn at random" not in text  # there are no random windows
    assert "what a user gets" in text


def test_german_has_german_numbers() -> None:
    text = html(page("de")).replace("\u00a0", " ")
    assert "0,750" in text
    assert "1.234.567" in text
    assert "−5,2 %" in text
    assert "Mind:" not in text


@pytest.mark.parametrize(
    ("training", "words", "doubted"),
    [
        ({"status": "unknown", "sheets": []}, "does not tell", False),
        ({"status": "not_seen", "sheets": []}, "none of these sheets was in training", False),
        ({"status": "seen", "sheets": ["s_7"]}, "validation: s_7", True),
        ({"status": "unknown", "sheets": [], "split": "train"}, "what is learnt from", True),
        ({"status": "unknown", "sheets": [], "split": "val"}, "somewhat too good", True),
        ({"status": "unknown", "sheets": [], "split": "test"}, "What is scored is the split “test”", False),
    ],
)
def test_it_is_said_whether_the_ground_was_learnt_from(training: dict[str, Any], words: str, doubted: bool) -> None:  # noqa: FBT001
    text = html(page(training=training))
    assert words in text
    assert ('<div class="box warn">\n<p>Of ' in text) == doubted


def test_a_page_without_parcels_objects_and_pictures() -> None:
    bare = EvaluationPage(
        scores=found(parcels=None, objects=None, mode="chips", windows={"worst": [], "random": []}),
        legend=ROOF_PAVED, colors={},
    )  # fmt: skip
    text = html(bare)
    assert "By parcel" not in text
    assert "By size of object" not in text
    assert "see nothing of what surrounds them" in text


# --- notices ---


def test_a_bias_whose_interval_holds_zero_is_not_told() -> None:
    def told(low: float, high: float) -> bool:
        sealed = {name: value(0.75, 0.7, 0.8) for name in NAMES} | {"area_bias": value((low + high) / 2, low, high)}
        return any("zero is not within" in line for line in notices(found(scores={"sealed": sealed}), "en"))

    assert told(-0.04, -0.01)
    assert told(0.01, 0.04)
    assert not told(-0.01, 0.04)


def test_what_strikes_is_told() -> None:
    sheets = {"bad": {"iou": 0.5}, "good": {"iou": 0.9}, "empty": {"iou": None}}
    lines = notices(found(blocks=2, by_sheet=sheets, probabilities={"ece": 0.08}), "en")
    assert sum("Only 2 blocks" in line for line in lines) == 1
    assert sum("from 0.500 (bad) to 0.900 (good)" in line for line in lines) == 1
    assert sum("wrong by 0.080" in line for line in lines) == 1
    assert sum("3 parcels were left out" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Boundary IoU not given: labels ignore the surroundings of edges. Only 12.0 % of the true outline"),
        ("de", "Keine IoU der Umrisse: Die Labels lassen die Umgebung der Kanten aus. Nur 12,0 % des wahren"),
    ],
)
def test_why_there_is_no_boundary_iou_is_told(language: Language, words: str) -> None:
    row = found()["scores"]["sealed"] | {"boundary_iou": value(None)}
    changes = {"scores": {"sealed": row}, "boundary_judged": {"sealed": 0.12}}
    text = html(page(language, **changes)).replace("\u00a0", " ")
    assert words in text
    assert f"<b>–</b><span>{say('card.boundary', language)}</span></div>" in text  # and no word on an interval
    assert words not in html(page(language)).replace("\u00a0", " ")
    no_outline = changes | {"boundary_judged": {"sealed": None}}
    assert not any("outline" in line for line in notices(found(**no_outline), "en"))


# --- numbers, drawings, words ---


def test_numbers_as_printed() -> None:
    assert score(None, "en") == "–"
    assert share(0.1234, "en", signed=True) == "+12.3\u00a0%"
    assert share(-0.00004, "en", signed=True) == "0.0\u00a0%"
    assert area(-1234.4, "de", signed=True) == "−1.234"
    assert spread(value(1.0), "en") is None
    assert spread(value(1.0, -0.5, 0.5), "en", signed=True) == ("−50.0\u00a0%", "+50.0\u00a0%")
    assert spread(value(1.0, 0.5, 2.5), "en", m2=True) == ("0.5", "2.5")
    assert spread(value(1.0, -1234.4, 2.5), "de", signed=True, m2=True, decimals=0) == ("−1.234", "+2")


def test_the_scatter_keeps_zero_and_is_thinned() -> None:
    drawn = scatter(np.array([[0.0, 0.0], [100.0, 100.0], [400.0, 0.0]]))
    assert list(drawn.points[0]) == [0, SIDE]
    x, y = drawn.points[1]
    assert x == pytest.approx(SIDE - y)
    assert drawn.points[2][0] == pytest.approx(2 * x, abs=0.2)  # a square root
    assert list(drawn.ticks[0]) == [0, 0]
    assert all(0 <= place <= SIDE for place, _ in drawn.ticks)
    assert len(scatter(np.ones((MOST_POINTS + 5, 2))).points) == MOST_POINTS
    assert scatter(np.zeros((1, 2))).points == [(0.0, float(SIDE))]


def test_dots() -> None:
    assert dot(None, (None, None)) is None
    alone = dot(0.5, (None, None))
    assert alone is not None
    assert (alone.at, alone.low, alone.high) == (50, 50, 50)


def test_every_text_is_there_in_both_languages_with_the_same_blanks() -> None:
    for key, pair in _TEXTS.items():
        blanks = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in pair]
        assert blanks[0] == blanks[1], key
        assert all(pair), key
    with pytest.raises(SettingsError, match="no language 'fr'"):
        say("title", "fr")  # type: ignore[arg-type]


def test_the_page_is_written_whole(tmp_path: Any) -> None:
    write_evaluation_page(tmp_path / "e.html", page(), overwrite=False)
    assert [p.name for p in tmp_path.iterdir()] == ["e.html"]
    assert png(np.zeros((2, 3, 3), np.uint8))[:4] == b"\x89PNG"
