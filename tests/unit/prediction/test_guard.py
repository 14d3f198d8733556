"""The guard at work: what it says of a flight and its sheets, when it stops, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.prediction.fakes import CARD, RGB, ArrayOrtho, Canvas, ConstantEngine, IdentityEngine, grid_of_size
from tests.unit.prediction.scenes import binary, cut, everywhere, ground, seen, tiled
from tests.unit.prediction.test_checks_pixels import trained
from tests.unit.prediction.test_watch import Sheet, sheet

from sealmap.core.errors import GuardError
from sealmap.core.finding import Finding, worst
from sealmap.core.patch import Patch
from sealmap.core.tiling import Tile, Tiling
from sealmap.model.card import ModelCard
from sealmap.prediction import guard as module
from sealmap.prediction.checks_output import ENOUGH as ENOUGH_OUTPUT
from sealmap.prediction.checks_output import OUTPUT_CHECKS
from sealmap.prediction.checks_pixels import ENOUGH as ENOUGH_PIXELS
from sealmap.prediction.checks_pixels import PIXEL_CHECKS, brightness
from sealmap.prediction.facts import OutputFacts, pixel_facts
from sealmap.prediction.guard import CROPS, Ground, Guard, Watched, judge_output, judge_pixels, refuse
from sealmap.prediction.mosaic import MapWriter
from sealmap.prediction.plan import plan_for
from sealmap.prediction.predict import predict

STEP = 192
"""Side of a window. Every 8th pixel of it is 576, and the guard is told that these are just enough."""

WARNING = Finding(check="light", verdict="warning", cause="dim", remedy="wait")
REFUSAL = Finding(check="names", verdict="refusal", cause="a wrong CRS", remedy="set it", where="sheet_7")


def answer(seed: int = 1, side: int = STEP) -> NDArray[np.float32]:
    """Probabilities of a network that looks at its input."""
    rows, cols = np.indices((side, side))
    logits = 6 * np.sin(rows / 30) * np.cos(cols / 40) + np.random.default_rng(seed).normal(0, 1, (side, side))
    return binary(1 / (1 + np.exp(-logits)))


GROUND, ANSWER = ground(1, STEP), answer()
BLACK = np.where(np.arange(STEP) < STEP // 2, np.uint8(0), GROUND).astype(np.uint8)
DEAD = binary(np.full((STEP, STEP), 0.3))


def row_of(count: int) -> tuple[Tiling, tuple[Sheet, ...]]:
    """So many sheets of one window each, side by side."""
    sheets = tuple(sheet(f"sheet_{i}", 0, STEP * i, STEP, STEP) for i in range(count))
    return tiled(STEP, STEP * count, STEP), sheets


def guard_of(count: int, *, card: ModelCard = CARD, **more: Any) -> Guard:
    tiling, sheets = row_of(count)
    return Guard(card, Ground(tiling=tiling, gsd_m=0.2, sheets=sheets), **more)


def fly(
    guard: Guard,
    count: int,
    *,
    pictures: dict[int, NDArray[Any]] | None = None,
    answers: dict[int, NDArray[np.float32]] | None = None,
) -> list[Finding]:
    """Let the guard see a row of sheets, healthy ones but for those given by number."""
    tiling, _ = row_of(count)
    grid = grid_of_size(tiling.height, tiling.width)
    for i, tile in enumerate(tiling):
        picture = (pictures or {}).get(i, GROUND)
        patch = Patch(pixels_CHW=picture, valid_HW=everywhere(picture), window=tile.read, grid=grid)
        guard.see(tile, patch, (answers or {}).get(i, ANSWER), 255.0)
    return guard.findings()


def bad(findings: Sequence[Finding]) -> dict[str, Finding]:
    found = [f for f in findings if f.verdict != "ok"]
    assert len({f.check for f in found}) == len(found)
    return {f.check: f for f in found}


@pytest.fixture(autouse=True)
def _small_windows_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENOUGH_PIXELS", (STEP // 8) ** 2)
    monkeypatch.setattr(module, "ENOUGH_OUTPUT", (STEP // 8) ** 2)
    monkeypatch.setattr("sealmap.prediction.checks_pixels.SURELY", (STEP // 8) ** 2)


# --- the flight ---


def test_a_healthy_flight_passes_every_check() -> None:
    found = fly(guard_of(3), 3)
    assert worst(found) == "ok", bad(found)
    assert len(found) == len(PIXEL_CHECKS) + len(OUTPUT_CHECKS)


def test_of_few_pixels_little_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    facts, few = seen(ground(1)), seen(ground(1, 480))
    assert facts.counted >= ENOUGH_PIXELS > few.counted
    assert len(judge_pixels(facts, CARD)) == len(PIXEL_CHECKS)
    assert [f.check for f in judge_pixels(few, CARD)] == ["pixel scale", "no data"]
    assert [f.check for f in judge_pixels(seen(ground(1, 64)), CARD)] == ["no data"]
    assert len(judge_output(OutputFacts(pixels=ENOUGH_OUTPUT), CARD)) == len(OUTPUT_CHECKS)
    assert [f.check for f in judge_output(OutputFacts(pixels=ENOUGH_OUTPUT - 1, broken=1), CARD)] == ["values"]


def test_what_was_known_before_is_told_first() -> None:
    found = fly(guard_of(1, before=[WARNING, REFUSAL]), 1)
    assert found[:2] == [WARNING, REFUSAL]
    assert list(bad(found)) == ["light", "names"]


def test_a_swapped_flight_is_refused_unless_it_was_looked_at_before_it_was_matched() -> None:
    swapped = dict.fromkeys(range(3), GROUND[::-1])
    assert bad(fly(guard_of(3), 3, pictures=swapped))["band order"].verdict == "refusal"
    # What is seen then has been matched: it is the facts given that count, for better or worse.
    assert bad(fly(guard_of(3, unmatched=seen(ground(1))), 3, pictures=swapped)) == {}
    assert bad(fly(guard_of(3, unmatched=seen(ground(1)[::-1])), 3))["band order"].verdict == "refusal"


def test_the_card_says_how_probabilities_are_read() -> None:
    shown = fly(guard_of(1), 1), fly(guard_of(1, card=replace(CARD, threshold=0.9)), 1)
    low, high = ({f.check: f for f in found}["sealed share"].figures["sealed"] for found in shown)
    assert low == pytest.approx(float((ANSWER[1, ::8, ::8] >= 0.5).mean()), abs=1e-4)
    assert high == pytest.approx(float((ANSWER[1, ::8, ::8] >= 0.9).mean()), abs=1e-4)
    hot = guard_of(1, card=replace(CARD, temperature=3.0))
    fly(hot, 1)
    cool = guard_of(1)
    fly(cool, 1)
    assert hot._watch.flight.output.spread == pytest.approx(3 * cool._watch.flight.output.spread)


# --- sheets ---


@pytest.mark.parametrize(("count", "verdict"), [(1, "warning"), (2, "warning"), (3, "refusal")])
def test_one_bad_sheet_of_a_hundred_is_named_and_three_are_refused(count: int, verdict: str) -> None:
    found = bad(fly(guard_of(100), 100, answers=dict.fromkeys(range(40, 40 + count), DEAD)))
    assert list(found) == ["constant output"]
    mine = found["constant output"]
    assert mine.verdict == verdict
    assert mine.where == ", ".join(f"sheet_{i}" for i in range(40, 40 + count))
    assert mine.figures["sheets"] == f"{count} of 100"
    assert "same everywhere" in mine.cause


def test_a_sheet_of_ten_is_more_than_a_few() -> None:
    assert bad(fly(guard_of(10), 10, answers={3: DEAD}))["constant output"].verdict == "refusal"


def test_sheets_with_swapped_bands_are_named() -> None:
    found = bad(fly(guard_of(60), 60, pictures={7: GROUND[::-1]}))
    assert (found["band order"].verdict, found["band order"].where) == ("warning", "sheet_7")


def test_five_sheets_are_named_and_the_others_counted() -> None:
    found = bad(fly(guard_of(30), 30, answers=dict.fromkeys(range(8), DEAD)))
    assert found["constant output"].where == "sheet_0, sheet_1, sheet_2, sheet_3, sheet_4 and 3 more"
    assert found["constant output"].figures["sheets"] == "8 of 30"


def test_sheets_of_which_only_some_are_refused_name_these_first() -> None:
    edge, worse = GROUND.copy(), GROUND.copy()
    edge[:, :32, :32] = 0  # a cell of 36: a warning
    worse[:, :32, :64] = 0
    found = bad(fly(guard_of(100), 100, pictures={2: edge, 50: worse}))["black border"]
    assert (found.verdict, found.where) == ("warning", "sheet_50, sheet_2")
    assert found.figures["sheets"] == "2 of 100"


def test_many_sheets_that_are_only_warned_of_are_no_refusal() -> None:
    edge = GROUND.copy()
    edge[:, :32, :32] = 0
    found = bad(fly(guard_of(40), 40, pictures=dict.fromkeys(range(4), edge)))["black border"]
    assert (found.verdict, found.figures["sheets"]) == ("warning", "4 of 40")


def test_many_bad_sheets_are_refused_although_the_flight_as_a_whole_is_only_warned_of() -> None:
    # 5 of 100 sheets are half black: 2.5% of the flight, which alone is a warning. They are to be named.
    found = [f for f in fly(guard_of(100), 100, pictures=dict.fromkeys(range(5), BLACK)) if f.check == "black border"]
    assert worst(found) == "refusal"
    assert any("sheet_0" in f.where for f in found)


def test_a_check_that_the_whole_flight_failed_does_not_name_every_sheet() -> None:
    found = fly(guard_of(20), 20, answers=dict.fromkeys(range(20), DEAD))
    assert [f.where for f in found if f.check == "constant output"] == [""]


def test_brightness_is_of_flights_and_not_of_sheets() -> None:
    dark = (GROUND // 2).astype(np.uint8)
    card = trained(60, distance_red=0.65, distance_green=0.65, distance_blue=0.65)
    assert brightness(seen(dark), card).verdict == "warning"
    assert bad(fly(guard_of(60, card=card), 60, pictures={4: dark})) == {}


def test_sheets_of_matched_pixels_are_judged_by_their_probabilities_alone() -> None:
    found = fly(guard_of(60, unmatched=seen(ground(1))), 60, pictures={1: GROUND[::-1]}, answers={2: DEAD})
    assert list(bad(found)) == ["constant output"]


def test_findings_can_be_asked_for_twice() -> None:
    guard = guard_of(60)
    assert fly(guard, 60, answers={5: DEAD}) == guard.findings()


# --- stopping early ---


def flown(guard: Guard, answers: Sequence[NDArray[np.float32]]) -> int:
    """Windows until the guard stops; all of them where it does not."""
    tiling, _ = row_of(len(answers))
    for i, (tile, probs) in enumerate(zip(tiling, answers, strict=True)):
        guard.see(tile, Patch(pixels_CHW=GROUND, valid_HW=everywhere(GROUND), window=tile.read,
                              grid=grid_of_size(tiling.height, tiling.width)), probs, 255.0)  # fmt: skip
        try:
            guard.stop_early()
        except GuardError:
            return i + 1
    return len(answers)


def test_a_dead_network_is_stopped_after_sixteen_windows() -> None:
    assert flown(guard_of(40), [DEAD] * 40) == 16


def test_a_network_that_dies_later_is_stopped_at_the_next_look() -> None:
    nan = np.full_like(DEAD, np.nan)
    assert flown(guard_of(40), [ANSWER] * 17 + [nan] * 23) == 32
    assert flown(guard_of(31), [ANSWER] * 17 + [nan] * 14) == 31


def test_a_double_activation_is_stopped() -> None:
    squeezed = binary(1 / (1 + np.exp(-np.asarray(ANSWER[1], np.float64))))
    assert flown(guard_of(20), [squeezed] * 20) == 16


def test_a_healthy_flight_and_a_forced_one_are_not_stopped() -> None:
    assert flown(guard_of(40), [ANSWER] * 40) == 40
    assert flown(guard_of(40, force=True), [DEAD] * 40) == 40


def test_a_lake_at_the_beginning_does_not_stop_a_flight() -> None:
    assert flown(guard_of(40), [DEAD] * 15 + [ANSWER] * 25) == 40


def test_nothing_is_stopped_on_the_word_of_a_few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    tiling = tiled(64, 64 * 20, 64)
    guard = Guard(CARD, Ground(tiling=tiling, gsd_m=0.2))
    picture = ground(1, 64 * 20)[:, :64]
    for tile in tiling:
        guard.see(tile, cut(tile, picture, grid_of_size(64, 1280)), binary(np.full((64, 64), 0.3)), 255.0)
        guard.stop_early()
    assert worst(guard.findings()) == "ok"


@dataclass
class Sink:
    """Counts what reaches it."""

    taken: list[Tile] = field(default_factory=list)

    def take(self, tile: Tile, *_: Any) -> None:
        self.taken.append(tile)


def watched_run(engine: Any, *, force: bool = False) -> tuple[Watched, Sink, Guard]:
    ortho = ArrayOrtho(ground(1, 640), grid_of_size(640, 640))
    plan = plan_for(ortho.grid, model_gsd_m=0.2, halo_m=0, step=128, halo=16)
    guard, sink = Guard(CARD, Ground(tiling=plan.tiling, gsd_m=0.2), force=force), Sink()
    watched = Watched(sink, guard)  # type: ignore[arg-type]
    predict(ortho, engine, plan, watched)
    return watched, sink, guard


def test_prediction_ends_where_the_guard_stops_it() -> None:
    engine = ConstantEngine(0.3)
    with pytest.raises(GuardError, match="constant output"):
        watched_run(engine)
    assert len(engine.batches) == 16


def test_the_writer_gets_every_window_of_a_watched_run() -> None:
    watched, sink, guard = watched_run(IdentityEngine())
    assert len(set(map(repr, sink.taken))) == len(sink.taken) == 25
    assert watched.seconds > 0
    assert guard._watch.flight.output.overlap > 0
    assert guard._watch.flight.output.differ == 0
    _, sink, guard = watched_run(ConstantEngine(0.3), force=True)
    assert len(sink.taken) == 25
    assert worst(guard.findings()) == "refusal"


def test_a_watched_writer_writes_what_an_unwatched_one_does() -> None:
    ortho = ArrayOrtho(ground(1, 192), grid_of_size(192, 192))
    plan = plan_for(ortho.grid, model_gsd_m=0.2, halo_m=0, step=64, halo=16)
    found = []
    for watch in (False, True):
        soft, hard = Canvas(1, ortho.grid), Canvas(1, ortho.grid)
        writer = MapWriter(soft, hard, CARD.legend, 0.5)
        guard = Guard(CARD, Ground(tiling=plan.tiling, gsd_m=0.2))
        predict(ortho, IdentityEngine(), plan, Watched(writer, guard) if watch else writer)
        found.append((soft.values, hard.values))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


class WindowEngine:
    """Says what a pixel is in relation to its window: its place in it."""

    card = CARD

    def probs(self, pixels_NCHW: NDArray[Any], _scale: float) -> NDArray[np.float32]:
        side = pixels_NCHW.shape[-1]
        return np.stack([binary(np.broadcast_to(np.linspace(0.05, 0.95, side), (side, side))) for _ in pixels_NCHW])


def test_a_network_that_depends_on_the_window_is_refused_for_its_seams() -> None:
    _, _, guard = watched_run(WindowEngine())
    found = bad(guard.findings())["overlap"]
    assert found.verdict == "refusal"
    assert "halo" in found.cause


# --- refusing ---


def test_a_refusal_is_an_error_with_the_gravest_the_others_and_the_remedy() -> None:
    other = replace(REFUSAL, check="values", where="")
    with pytest.raises(GuardError) as caught:
        refuse([WARNING, REFUSAL, other], force=False)
    assert caught.value.problem == "the map is refused, names on sheet_7: a wrong CRS (and 1 more: values)"
    assert caught.value.remedy == "set it. To make it all the same: --force"
    assert caught.value.findings == (WARNING, REFUSAL, other)


def test_warnings_refuse_nothing_and_neither_does_anything_that_is_forced() -> None:
    refuse([], force=False)
    refuse([WARNING], force=False)
    refuse([WARNING, REFUSAL], force=True)


# --- pieces for the network to be asked about ---


def kept(*shares: float, gsd_m: float = 0.2, valid: NDArray[np.bool_] | None = None) -> tuple[list[int], Guard]:
    """Windows of some shares of sealed ground, each as bright as its number; the numbers of those that are kept."""
    side, count = 320, len(shares)
    tiling = tiled(side, side * count, side, 16)
    guard = Guard(CARD, Ground(tiling=tiling, gsd_m=gsd_m))
    picture = np.repeat(np.arange(count, dtype=np.uint8), side)[None, None].repeat(side, 1).repeat(3, 0)
    for tile, share in zip(tiling, shares, strict=True):
        probs = binary(np.full((tile.read.height, tile.read.width), share))
        guard.see(tile, cut(tile, picture, grid_of_size(side, side * count), valid), probs, 255.0)
    return [int(crop.max()) for crop in guard.crops], guard


def test_pieces_of_the_most_mixed_windows_are_kept_the_best_first() -> None:
    found, guard = kept(0.1, 0.99, 0.4, 0.0, 0.7, 0.5, 1.0, 0.05, 0.8, 0.02)
    assert len(found) == CROPS
    assert found == [5, 2, 4, 8]
    assert [c.shape for c in guard.crops] == [(3, 192, 192)] * CROPS
    assert all((c == c.flat[0]).all() for c in guard.crops)
    assert all(c.base is None for c in guard.crops)  # no window is held in memory for them
    assert kept(0.0, 1.0, 0.3)[0] == [2, 0, 1]


def test_pieces_are_of_the_side_that_the_network_sees() -> None:
    assert kept(0.3, 0.3, gsd_m=0.4)[1].crops[0].shape == (3, 96, 96)
    assert kept(0.3, 0.3, gsd_m=0.1)[1].crops == []  # 384 pixels, more than a window keeps


def test_no_piece_is_kept_of_ground_without_data() -> None:
    valid = np.ones((320, 320 * 3), np.bool_)
    valid[160, 320 + 160] = False
    assert kept(0.3, 0.3, 0.3, valid=valid)[0] == [0, 2]


def test_the_bands_of_the_card_are_those_that_are_watched() -> None:
    four = replace(CARD, bands=(*RGB, "nir"), mean=(0.5,) * 4, std=(0.5,) * 4)
    guard = Guard(four, Ground(tiling=tiled(64, 64, 64), gsd_m=0.2))
    picture = np.concatenate([ground(1, 64), ground(2, 64)[:1]])
    (tile,) = tiled(64, 64, 64)
    guard.see(tile, cut(tile, picture, grid_of_size(64, 64)), answer(1, 64), 255.0)
    np.testing.assert_array_equal(
        guard._watch.flight.pixels.levels_CL, pixel_facts(picture, everywhere(picture), 255.0).levels_CL
    )
