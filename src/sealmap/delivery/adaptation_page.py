"""What adapting a bundle to a flight did, without truth: one HTML page of figures and pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.delivery.evaluation_page import png
from sealmap.delivery.templating import render
from sealmap.files.atomic import write_text

_SHOWN_PX = 288
"""Largest side of a picture: four of them fill the page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BeforeAfter:
    """A figure before and after, and how it is printed: 'share' (of 1, as per cent) or 'bits'."""

    name: str
    before: float
    after: float
    unit: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleView:
    """A window of the sample: photo uint8 (H, W, 3), p(sealed) before and after (H, W), 0..1."""

    photo_HWC: NDArray[np.uint8]
    before_HW: NDArray[np.float32]
    after_HW: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptationPage:
    """What the page says.

    facts: printed as they are. distances: band → distance of the flight to the training data in grey values of 255,
    None where the card knows no histogram. layers: (name, mean shift, deviation shift), furthest first. warnings:
    one sentence each.
    """

    facts: Mapping[str, str]
    figures: Sequence[BeforeAfter]
    distances: Mapping[str, float | None]
    layers: Sequence[tuple[str, float, float]]
    warnings: Sequence[str]
    views: Sequence[SampleView]


def write_adaptation_page(path: Path, page: AdaptationPage, *, overwrite: bool) -> None:
    """Write the page; everything it shows is inside the one file."""
    html = render(
        "adaptation.html.j2",
        page=page,
        pictures=[base64.b64encode(png(strip(v))).decode() for v in page.views],
        printed=_printed,
    )
    write_text(path, html, overwrite=overwrite)


def strip(view: SampleView) -> NDArray[np.uint8]:
    """Photo, p(sealed) before, p(sealed) after, and the change, side by side: uint8, sides of at most 288."""
    parts = [view.photo_HWC, _viridis(view.before_HW), _viridis(view.after_HW), _change(view)]
    whole = np.concatenate(parts, axis=1)
    factor = _SHOWN_PX / max(view.photo_HWC.shape[:2])
    if factor >= 1:
        return whole
    small: NDArray[np.uint8] = cv2.resize(whole, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA).astype(
        np.uint8
    )
    return small


def _viridis(share_HW: NDArray[np.float32]) -> NDArray[np.uint8]:
    """0..1 → dark violet to yellow, as the probability raster looks in QGIS."""
    grey = np.rint(np.clip(share_HW, 0, 1) * 255).astype(np.uint8)
    colors: NDArray[np.uint8] = cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS)[:, :, ::-1].astype(np.uint8)
    return colors


def _change(view: SampleView) -> NDArray[np.uint8]:
    """White where nothing changed; red where p(sealed) rose by 1, blue where it fell by 1."""
    change = np.clip(view.after_HW - view.before_HW, -1, 1)[..., None]
    red, blue = np.array([200, 30, 30], np.float32), np.array([30, 80, 200], np.float32)
    colors = 255 + np.abs(change) * (np.where(change > 0, red, blue) - 255)
    painted: NDArray[np.uint8] = np.rint(colors).astype(np.uint8)
    return painted


def _printed(figure: BeforeAfter, value: float, *, signed: bool = False) -> str:
    sign = "+" if signed else ""
    if figure.unit == "share":
        return f"{100 * value:+.1f} points" if signed else f"{value:.1%}"
    return f"{value:{sign}.3f} {figure.unit}"
