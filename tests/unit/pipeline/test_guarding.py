"""What the chain does around the guard: names summed up, the network asked where it pays, a line for the record."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.prediction.fakes import CARD, grid_of_size
from tests.unit.prediction.scenes import binary
from tests.unit.prediction.test_watch import Sheet, sheet

from sealmap.core.finding import Finding, Verdict
from sealmap.model.card import ModelCard
from sealmap.pipeline.guarding import asked_again, guard_facts, names_of, one_polygon

OK = Finding(check="values", figures={"n": 1})
WARNING = Finding(check="band order", verdict="warning", cause="c", remedy="r")
REFUSAL = Finding(check="activation", verdict="refusal", cause="c", remedy="r")


# --- names ---

KM = 5000


def mosaic(*names: str) -> Any:
    """Sheets of 1 km side by side, from 364 km east and 5619 km north on."""
    sheets: tuple[Sheet, ...] = tuple(sheet(name, 0, KM * i, KM, KM) for i, name in enumerate(names))
    return SimpleNamespace(sheets=sheets, grid=grid_of_size(KM, KM * len(names)))


def named(east: int, gsd: int = 20) -> str:
    return f"dop{gsd}rgbi_32_{east}_5619_1_nw_2025"


def test_sheets_that_lie_where_their_names_say_are_one_finding() -> None:
    (found,) = names_of(mosaic(named(364), named(365), "sheet"))
    assert (found.check, found.verdict, found.where) == ("georeference", "ok", "")
    assert found.figures["west"] == 364_000


def test_sheets_elsewhere_are_named_and_counted() -> None:
    (found,) = names_of(mosaic(named(364), named(400), named(401), named(367)))
    assert (found.verdict, found.where) == ("refusal", f"{named(400)}, {named(401)}")
    assert found.figures["sheets"] == "2 of 4"
    assert "a wrong place" in found.cause


def test_the_gravest_name_speaks_for_all() -> None:
    (found,) = names_of(mosaic(named(364, gsd=10), named(400)))
    assert (found.verdict, found.where) == ("refusal", f"{named(400)}, {named(364, gsd=10)}")
    assert found.figures["sheets"] == "2 of 2"
    (mild,) = names_of(mosaic(named(364, gsd=10), named(365)))
    assert (mild.verdict, mild.where) == ("warning", named(364, gsd=10))


def test_of_many_names_five_are_told() -> None:
    (found,) = names_of(mosaic(*(named(400 + i) for i in range(7))))
    assert found.where == ", ".join(named(400 + i) for i in range(5)) + " and 2 more"


# --- asking the network ---


@dataclass
class Engine:
    """Surest of the order blue, green, red, if asked."""

    asked: list[int] = field(default_factory=list)

    @property
    def card(self) -> ModelCard:
        return CARD

    def probs(self, pixels_NCHW: NDArray[Any], _scale: float) -> NDArray[np.float32]:
        self.asked.append(len(pixels_NCHW))
        swapped = pixels_NCHW[0, 0, 0, 0] > pixels_NCHW[0, 1, 0, 0] > pixels_NCHW[0, 2, 0, 0]
        return binary(np.full(pixels_NCHW.shape[2:], 0.02 if swapped else 0.3))[None]


CROPS = [np.broadcast_to(np.array([10, 20, 30], np.uint8)[:, None, None], (3, 32, 32))] * 4
ORDERS = 6


def ask(findings: list[Finding], engine: Engine, height: int = 1000, width: int = 1000) -> list[Finding]:
    return asked_again(findings, engine, CROPS, grid_of_size(height, width), 255.0)


@pytest.mark.parametrize("check", ["band order", "infrared", "brightness", "certainty"])
def test_a_suspicion_of_the_colours_is_taken_to_the_network_with_all_pieces(check: str) -> None:
    engine, hint = Engine(), replace(WARNING, check=check)
    found = ask([OK, hint], engine)
    assert found[:2] == [OK, hint]
    assert (found[2].check, found[2].verdict) == ("order by the network", "refusal")
    assert len(engine.asked) == ORDERS * 4


@pytest.mark.parametrize(
    "findings", [[], [OK], [OK, replace(WARNING, check="no data")], [replace(OK, check="band order")]]
)
def test_without_a_suspicion_it_is_asked_about_one_piece(findings: list[Finding]) -> None:
    engine = Engine()
    assert [f.check for f in ask(findings, engine)[len(findings) :]] == ["order by the network"]
    assert len(engine.asked) == ORDERS


def test_after_a_refusal_the_network_is_not_asked() -> None:
    engine = Engine()
    assert ask([WARNING, REFUSAL], engine) == [WARNING, REFUSAL]
    assert engine.asked == []


@pytest.mark.parametrize(
    ("width", "gsd", "pieces"),
    [(10_000, 0.2, 1), (49_999, 0.2, 1), (50_000, 0.2, 2), (25_000, 0.4, 2), (99_999, 0.1, 1), (900_000, 0.2, 4)],
)
def test_on_a_larger_map_it_is_asked_about_more(width: int, gsd: float, pieces: int) -> None:
    engine = Engine()
    # So many pixels as the network sees them: what is coarser costs it more.
    found = asked_again([OK], engine, CROPS, grid_of_size(round(1000 * 0.2 / gsd), width, gsd), 255.0)
    assert len({id(f) for f in found}) == 2
    # Pieces of another resolution are resampled, which does not change how many there are.
    assert len(engine.asked) == ORDERS * pieces


# --- for the record ---


@pytest.mark.parametrize(
    ("findings", "verdict", "told"),
    [
        ([OK, OK], "ok", "ok: 2 checks"),
        ([OK, WARNING], "warning", "warning: band order"),
        ([OK, WARNING, REFUSAL], "refusal", "FORCED against the guard's refusal: activation"),
        ([], "ok", "ok: 0 checks"),
    ],
)
def test_the_record_says_in_a_line_what_the_guard_said(findings: list[Finding], verdict: Verdict, told: str) -> None:
    found = guard_facts(findings)
    assert (found["verdict"], found["told"], found["forced"]) == (verdict, told, verdict == "refusal")
    assert len(found["findings"]) == len(findings)


def test_the_record_holds_all_findings_gravest_first() -> None:
    found = guard_facts([OK, WARNING, REFUSAL])["findings"]
    assert found == [f.to_json() for f in (REFUSAL, WARNING, OK)]
    assert json.loads(json.dumps(found)) == found


# --- polygons ---


@pytest.mark.parametrize(("largest", "verdict"), [(0, "ok"), (500, "ok"), (501, "warning"), (1000, "warning")])
def test_half_of_the_map_is_no_polygon(largest: float, verdict: str) -> None:
    found = one_polygon(largest, 1000)
    assert (found.verdict, found.figures) == (verdict, {"largest polygon": largest / 1000})


def test_a_map_of_nothing_has_no_polygon() -> None:
    assert one_polygon(0, 0).verdict == "ok"
