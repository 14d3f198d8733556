"""The evaluation as one HTML page: scores with intervals, per sheet, confusion, and pictures of windows."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import OutputError
from sealmap.core.legend import Legend
from sealmap.delivery.templating import render
from sealmap.files.atomic import write_text


@dataclass(frozen=True, kw_only=True, slots=True)
class PanelPicture:
    """A picture of a window (uint8 rows, columns, 3: photo, truth, prediction, error) and what to say of it."""

    title: str
    image_HWC: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationPage:
    """``scores``: as in scores.json. ``facts``: model, chips, split and the like, printed as they are."""

    scores: Mapping[str, Any]
    legend: Legend
    facts: Mapping[str, str]
    panels: Sequence[PanelPicture]


def write_evaluation_page(path: Path, page: EvaluationPage, *, overwrite: bool) -> None:
    """Write the page; everything it shows is inside the one file."""
    html = render(
        "evaluation.html.j2",
        scores=page.scores,
        facts=page.facts,
        classes=page.legend.classes,
        panels=[(p.title, base64.b64encode(png(p.image_HWC)).decode()) for p in page.panels],
        show=_show,
    )
    write_text(path, html, overwrite=overwrite)


def png(image_HWC: NDArray[np.uint8]) -> bytes:
    """An RGB picture as PNG bytes."""
    done, data = cv2.imencode(".png", np.ascontiguousarray(image_HWC[:, :, ::-1]))
    if not done:
        raise OutputError(f"a picture of shape {image_HWC.shape} cannot be encoded as PNG")
    return data.tobytes()


def _show(score: Mapping[str, float | None], *, signed: bool = False) -> str:
    """A score with its interval, as printed: '0.912 [0.880, 0.934]'."""
    if score["value"] is None:
        return "–"
    form = "{:+.1%}" if signed else "{:.3f}"
    text = form.format(score["value"])
    if score["low"] is not None and score["high"] is not None:
        text += f" [{form.format(score['low'])}, {form.format(score['high'])}]"
    return text
