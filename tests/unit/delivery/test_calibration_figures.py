"""The drawings of a calibration: one PNG, and SVG elements for a page."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest

from sealmap.core.errors import OutputError
from sealmap.delivery.calibration_figures import (
    CalibrationFigure,
    reliability_svg,
    threshold_svg,
    write_calibration_figure,
)
from sealmap.evaluation.calibration import ReliabilityTally


@pytest.fixture(scope="module")
def shown() -> CalibrationFigure:
    rng = np.random.default_rng(1)
    prob = rng.beta(0.5, 0.8, 50_000)
    sealed = rng.random(50_000) < prob
    sure = ReliabilityTally.of(np.clip(2 * prob - 0.5, 0, 1), sealed)
    honest = ReliabilityTally.of(prob, sealed)
    return CalibrationFigure(
        before=sure.reliability(), after=honest.reliability(), curve=honest.curve().thinned(), threshold=0.42,
        aim="zero_bias",
    )  # fmt: skip


def test_the_picture_is_drawn_once_and_the_same(shown: CalibrationFigure, tmp_path: Path) -> None:
    paths = tmp_path / "a.png", tmp_path / "b.png"
    for path in paths:
        write_calibration_figure(path, shown, overwrite=False)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    image = cv2.imread(str(paths[0]))
    assert image is not None
    assert image.shape[0] > 400
    assert image.std() > 5
    with pytest.raises(OutputError, match="exists already"):
        write_calibration_figure(paths[0], shown, overwrite=False)


def test_a_page_gets_elements_with_text_in_them(shown: CalibrationFigure) -> None:
    drawn = reliability_svg({"before": shown.before, "after": shown.after})
    cut = threshold_svg(shown.curve, shown.threshold, shown.aim)
    for svg in (drawn, cut, reliability_svg({"model": shown.after})):
        assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314
    assert f"ECE {shown.after.ece:.3f}" in drawn
    assert f"ECE {shown.before.ece:.3f}" in drawn
    assert "Threshold 0.420, chosen for zero_bias" in cut
    assert drawn == reliability_svg({"before": shown.before, "after": shown.after})


def test_bins_without_pixels_and_scores_without_truth_are_drawn_as_gaps() -> None:
    empty, open_only = ReliabilityTally.zero(), ReliabilityTally.of(np.array([0.1, 0.2]), np.array([False, False]))
    for tally in (empty, open_only):
        assert "<svg" in reliability_svg({"model": tally.reliability()})
        assert "<svg" in threshold_svg(tally.curve().thinned(), 0.5, "iou")
