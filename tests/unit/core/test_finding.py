"""A finding says why, the gravest comes first, and nothing of it is lost in a record."""

from __future__ import annotations

import itertools
import json

import pytest

from sealmap.core.errors import GuardError, SealmapError
from sealmap.core.finding import Finding, Verdict, gravest_first, worst

OK = Finding(check="a")
WARNING = Finding(check="b", verdict="warning", cause="it is dark", remedy="wait")
REFUSAL = Finding(check="c", verdict="refusal", cause="it is night", remedy="sleep")


@pytest.mark.parametrize("verdict", ["warning", "refusal"])
def test_no_warning_and_no_refusal_is_without_a_cause(verdict: Verdict) -> None:
    with pytest.raises(ValueError, match="check 'light': a cause"):
        Finding(check="light", verdict=verdict)


def test_what_is_ok_has_no_cause() -> None:
    with pytest.raises(ValueError, match="check 'light'"):
        Finding(check="light", cause="none")


def test_the_worst_of_nothing_is_ok() -> None:
    assert worst([]) == "ok"


@pytest.mark.parametrize("order", list(itertools.permutations([OK, WARNING, REFUSAL])))
def test_the_gravest_is_found_and_put_first_in_any_order(order: tuple[Finding, ...]) -> None:
    assert worst(order) == "refusal"
    assert gravest_first(order) == [REFUSAL, WARNING, OK]
    assert worst([f for f in order if f != REFUSAL]) == "warning"
    assert worst([OK, OK]) == "ok"


def test_findings_alike_in_gravity_keep_their_order() -> None:
    other = Finding(check="d", verdict="refusal", cause="no moon", remedy="lamp")
    fine = Finding(check="e")
    assert gravest_first([OK, REFUSAL, fine, other]) == [REFUSAL, other, OK, fine]
    assert gravest_first([fine, other, OK, REFUSAL]) == [other, REFUSAL, fine, OK]


def test_a_record_gets_all_that_there_is_and_nothing_empty() -> None:
    full = Finding(check="c", verdict="refusal", figures={"n": 0}, cause="why", remedy="how", where="sheet_1")
    assert full.to_json() == {
        "check": "c", "verdict": "refusal", "where": "sheet_1", "figures": {"n": 0}, "cause": "why", "remedy": "how",
    }  # fmt: skip
    assert OK.to_json() == {"check": "a", "verdict": "ok"}
    assert json.loads(json.dumps(full.to_json())) == full.to_json()


def test_a_record_does_not_change_with_what_is_done_to_it() -> None:
    found = Finding(check="a", figures={"n": 1})
    found.to_json()["figures"]["n"] = 2
    assert found.figures == {"n": 1}


def test_the_error_of_the_guard_carries_findings_and_is_one_of_ours() -> None:
    error = GuardError("refused", remedy="look", findings=[REFUSAL, OK])
    assert error.findings == (REFUSAL, OK)
    assert isinstance(error, SealmapError)
    assert str(error) == "refused → look"
