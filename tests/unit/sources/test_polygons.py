"""Laws of the geometry of a cadastre."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from sealmap.sources.polygons import polygons_of, without_duplicates

_coordinate = st.floats(-100, 100, allow_nan=False).map(lambda v: round(v, 2))
_rings = st.lists(st.tuples(_coordinate, _coordinate), min_size=3, max_size=9)


@given(rings=st.lists(_rings, min_size=1, max_size=4))
def test_any_ring_gives_valid_flat_polygons(rings: list[list[tuple[float, float]]]) -> None:
    shapes = np.array([shapely.Polygon([(x, y, 7.0) for x, y in ring]) for ring in rings], dtype=object)
    found, repaired = polygons_of(shapes)
    assert shapely.is_valid(found).all()
    assert not shapely.has_z(found).any()
    assert np.isin(shapely.get_type_id(found), (3, 6)).all()
    assert repaired == int((~shapely.is_valid(shapes)).sum())
    again, none = polygons_of(found)
    assert none == 0
    assert shapely.equals(found, again).all()


def test_what_is_not_finite_is_empty() -> None:
    broken = shapely.Polygon([(0, 0), (np.inf, 0), (1, 1)])
    found, _ = polygons_of(np.array([broken, shapely.Point(0, 0), None], dtype=object))
    assert shapely.is_empty(found).all()


@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["", "a", "b", "c"]), st.integers(0, 3), st.sampled_from([None, 1, 2])), max_size=12
    )
)
def test_each_object_stays_at_each_of_its_places_once(rows: list[tuple[str, int, int | None]]) -> None:
    geometry = np.array([shapely.box(10 * place, 0, 10 * place + 9, 9) for _, place, _ in rows], dtype=object)
    oids = [oid for oid, _, _ in rows]
    days = [None if day is None else date(2020, 1, day) for _, _, day in rows]
    kept = without_duplicates(geometry, oids, days).tolist()
    assert kept == sorted(set(kept))
    assert [i for i in kept if not oids[i]] == [i for i, oid in enumerate(oids) if not oid]
    for oid in set(oids) - {""}:
        mine = [i for i, o in enumerate(oids) if o == oid]
        newest = max(days[i] or date.min for i in mine)
        expected = {rows[i][1] for i in mine if (days[i] or date.min) == newest}
        places = [rows[i][1] for i in kept if oids[i] == oid]
        assert sorted(places) == sorted(expected)


@pytest.mark.parametrize(("shift", "kept"), [(0.1, 1), (4.9, 1), (5.1, 2)])
def test_half_of_the_smaller_decides(shift: float, kept: int) -> None:
    geometry = np.array([shapely.box(0, 0, 10, 10), shapely.box(shift, 0, 10 + shift, 10)], dtype=object)
    assert len(without_duplicates(geometry, ["a", "a"], [None, None])) == kept
