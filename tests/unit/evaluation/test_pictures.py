"""The worst windows are shown, and a fair sample."""

from __future__ import annotations

import numpy as np
from tests.unit.evaluation.ground import say, tiled

from sealmap.core.legend import IGNORE, ROOF_PAVED
from sealmap.evaluation.pictures import INVENTED, MISSED, MIXED, RIGHT, UNKNOWN, Gallery, errors, paint
from sealmap.evaluation.windows import Seen, Window, score_chips


def shown(gallery: Gallery, names: str = "abcd") -> list[Window]:
    chips = tiled(names=names)
    chips.said["a"][:24, :24] = np.where(chips.truth["a"][:24, :24] == 0, 1, 0)
    return score_chips(chips, say, chips.judge, observers=[gallery])


def test_the_worst_are_those_with_most_sealed_error() -> None:
    gallery = Gallery(count=6)
    windows = shown(gallery)
    worst = [p.window.wrong_sealed for p in gallery.worst()]
    assert worst == sorted((w.wrong_sealed for w in windows), reverse=True)[:6]
    assert gallery.worst()[0].window.name == "a00"


def test_the_random_ones_come_back_with_the_seed_and_not_by_score() -> None:
    first, again, other = Gallery(count=6), Gallery(count=6), Gallery(count=6, seed=2)
    names = [[p.window.name for p in g.random()] for g in (first, again, other) if shown(g)]
    assert names[0] == names[1] != names[2]
    assert all(len(set(n)) == 6 for n in names)


def test_each_window_has_the_same_chance_to_be_random() -> None:
    seen: list[tuple[Window, Seen]] = []
    chips = tiled(names="a")
    score_chips(chips, say, chips.judge, observers=[lambda w, s: seen.append((w, s))])
    drawn: dict[str, int] = {}
    for seed in range(200):
        gallery = Gallery(count=6, seed=seed)
        for window, what in seen:
            gallery(window, what)
        for p in gallery.random():
            drawn[p.window.name] = drawn.get(p.window.name, 0) + 1
    # 16 windows, each expected 75 times of 200
    assert len(drawn) == 16
    assert min(drawn.values()) > 45
    assert max(drawn.values()) < 105


def test_few_windows_are_all_shown_and_those_without_error_are_not_worst() -> None:
    gallery = Gallery()
    chips = tiled(names="a")
    chips.said["a"] = np.where(chips.truth["a"] == IGNORE, 0, chips.truth["a"]).astype(np.uint8)
    chips.chips = chips.chips[:3]
    score_chips(chips, say, chips.judge, observers=[gallery])
    assert len(gallery.random()) == 3
    assert gallery.worst() == []


def test_pictures_are_of_one_size() -> None:
    gallery = Gallery(count=1)
    shown(gallery)
    p = gallery.worst()[0]
    assert {a.shape for a in (p.photo_HWC, p.truth_HWC, p.pred_HWC, p.errors_HWC)} == {(24, 24, 3)}


def test_errors_have_their_colours() -> None:
    truth = np.array([[0, 1, 0, 1, 1, IGNORE]], np.uint8)
    said = np.array([[0, 0, 1, 2, 1, 1]], np.uint8)
    found = [tuple(v) for v in errors(truth, said, ROOF_PAVED)[0].tolist()]
    assert found == [RIGHT, MISSED, INVENTED, MIXED, RIGHT, UNKNOWN]


def test_classes_have_the_colours_of_the_legend() -> None:
    found = paint(np.array([[0, 2, IGNORE]], np.uint8), ROOF_PAVED)[0].tolist()
    assert [tuple(v) for v in found] == [ROOF_PAVED.classes[0].color, ROOF_PAVED.classes[2].color, (255, 255, 255)]
