from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sealmap.core.errors import DatasetError
from sealmap.core.legend import SEALED
from sealmap.pipeline.learn import _two_sided


def chips(background: float, sealed: float) -> Any:
    found = SimpleNamespace(legend=SEALED, chips=[SimpleNamespace(shares={"background": background, "sealed": sealed})])
    found.select = lambda _split: found
    return found


@pytest.mark.parametrize(("background", "sealed", "side"), [(0.0, 0.4, "unsealed"), (0.9, 0.001, "sealed")])
def test_one_sided_labels_are_refused_before_training(background: float, sealed: float, side: str) -> None:
    with pytest.raises(DatasetError, match=f"is labelled {side}"):
        _two_sided([chips(background, sealed)])


def test_two_sided_labels_may_train() -> None:
    _two_sided([chips(0.2, 0.3), chips(0.0, 0.3)])
