from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.delivery.smallmap import SmallMap, make


@pytest.fixture
def small(tmp_path: Path) -> SmallMap:
    return make(tmp_path)
