"""Tracing: the polygons do not know where the strips were, and their area is the pixels'."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sealmap.core.legend import IGNORE, ROOF_PAVED
from sealmap.vectorization.clean import CleanSpec, clean
from sealmap.vectorization.simplify import simplify_coverage
from sealmap.vectorization.trace import Strip, Traced, trace

Classes = NDArray[np.uint8]

maps = st.tuples(st.integers(1, 24), st.integers(1, 24)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, IGNORE]))
)


def strips(class_HW: Classes, prob_HW: NDArray[np.float32], rows: int) -> Iterator[Strip]:
    for row in range(0, class_HW.shape[0], rows):
        part = slice(row, row + rows)
        yield Strip(row=row, class_HW=class_HW[part], prob_HW=prob_HW[part])


def same(a: Traced, b: Traced) -> bool:
    names = ("class_id", "pixels", "prob_sum", "prob_count", "shared")
    return bool(shapely.equals_exact(a.polygons_px, b.polygons_px, 0).all()) and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in names
    )


@given(maps, st.integers(1, 25), st.integers(0, 2**32 - 1))
@settings(max_examples=80)
def test_strip_height_changes_nothing(class_HW: Classes, rows: int, seed: int) -> None:
    prob = np.random.default_rng(seed).integers(0, 255, class_HW.shape).astype(np.float32)
    prob[prob > 240] = np.nan
    whole = trace(strips(class_HW, prob, class_HW.shape[0]), ROOF_PAVED)
    assert same(trace(strips(class_HW, prob, rows), ROOF_PAVED), whole)


@given(maps, st.integers(1, 25))
@settings(max_examples=80)
def test_traced_area_is_the_pixels(class_HW: Classes, rows: int) -> None:
    prob = np.full(class_HW.shape, 100, np.float32)
    found = trace(strips(class_HW, prob, rows), ROOF_PAVED)
    for k in ROOF_PAVED.sealed_ids:
        of_class = found.class_id == k
        assert shapely.area(found.polygons_px[of_class]).sum() == (class_HW == k).sum()
    assert found.prob_count.sum() == np.isin(class_HW, ROOF_PAVED.sealed_ids).sum()
    assert shapely.is_valid(found.polygons_px).all()


@given(maps, st.floats(0.5, 4))
@settings(max_examples=60)
def test_simplifying_opens_no_gap_and_no_overlap(class_HW: Classes, tolerance_px: float) -> None:
    prob = np.zeros(class_HW.shape, np.float32)
    found = trace(strips(class_HW, prob, 999), ROOF_PAVED)
    simple = simplify_coverage(found.polygons_px, found.shared, tolerance_px)
    assert len(simple) == len(found.pixels)
    assert shapely.is_valid(simple).all()
    if len(simple):
        assert shapely.coverage_is_valid(simple)  # edges match, nothing overlaps
        union = shapely.union_all(simple)
        assert np.isclose(shapely.area(union), shapely.area(simple).sum(), rtol=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([0.35, 0.5, 0.65]))
@settings(max_examples=25)
def test_strips_with_a_margin_are_cleaned_as_the_whole(seed: int, rows: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    # tall and narrow: components go on far beyond the margin
    class_HW = rng.choice([0, 1, 2, IGNORE], (240, 9), p=[1 - density, density / 2, density / 2 - 0.01, 0.01])
    class_HW = class_HW.astype(np.uint8)
    spec = CleanSpec(open_m=rng.choice([0, 0.4, 0.6]), close_m=0.4, min_area_m2=0.4, min_hole_m2=0.3)
    margin = spec.reach_px(0.2)
    assert margin < 80
    whole = clean(class_HW, ROOF_PAVED, 0.2, spec)
    for row in range(0, 240, rows):
        top = max(0, row - margin)
        part = clean(class_HW[top : row + rows + margin], ROOF_PAVED, 0.2, spec)
        assert np.array_equal(part[row - top : row - top + rows], whole[row : row + rows])
