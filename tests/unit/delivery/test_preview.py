from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.unit.delivery.smallmap import GRID, SmallMap

from sealmap.core.errors import OutputError
from sealmap.core.grid import Window
from sealmap.delivery.preview import Preview, write_preview
from sealmap.files.raster import read_raster, write_raster


def picture(path: Path) -> NDArray[np.float64]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), float)


def at(image: NDArray[np.float64], row: int, col: int) -> NDArray[np.float64]:
    """Mean colour of the picture at a place of the map; without title: 10 px frame, 60 px below."""
    scale = (image.shape[1] - 20) / GRID.width
    y, x = round(10 + row * scale), round(10 + col * scale)
    return np.asarray(image[y - 2 : y + 3, x - 2 : x + 3].mean(axis=(0, 1)))


def test_the_picture_shows_photo_and_classes_in_place(small: SmallMap) -> None:
    path = small.folder / "preview.png"
    write_preview(path, Preview(classes=small.classes, orthophotos=(small.orthophoto,), longest_px=800))
    image = picture(path)
    assert image.shape == (300 + 70, 400 + 20, 3)  # a small map is enlarged to half the size
    assert at(image, 60, 130) == pytest.approx([90, 120, 70], abs=15)  # unsealed: the photo
    assert at(image, 35, 40) == pytest.approx([(170 + 204) / 2, (90 + 51) / 2, (80 + 51) / 2], abs=15)
    assert at(image, 60, 90) == pytest.approx([125] * 3, abs=15)


def test_parcels_title_and_scale_bar_are_drawn(small: SmallMap) -> None:
    bare, full = small.folder / "a.png", small.folder / "b.png"
    write_preview(bare, Preview(classes=small.classes, longest_px=400))
    write_preview(full, Preview(classes=small.classes, longest_px=400, parcels=small.parcels, title="T & <T>"))
    assert picture(full).shape[0] == picture(bare).shape[0] + 50
    assert picture(bare)[:, :].min() < 20  # the scale bar's ink
    edge = picture(full)[60 + 150 - 4 : 60 + 150 + 5, 60:180]  # between parcels 1 and 2, at 12 m of 24
    assert edge.min() < 80


def test_sheets_are_laid_where_they_belong(small: SmallMap) -> None:
    pixels, _ = read_raster(small.orthophoto)
    half = Window(row=0, col=80, height=120, width=80)
    write_raster(small.folder / "east.tif", pixels[:, :, 80:], GRID.subgrid(half))
    far = GRID.subgrid(Window(row=5000, col=0, height=20, width=20))
    write_raster(small.folder / "far.tif", np.zeros((3, 20, 20), np.uint8), far)
    photos = (small.folder / "east.tif", small.folder / "far.tif")
    path = small.folder / "p.png"
    write_preview(path, Preview(classes=small.classes, orthophotos=photos, longest_px=800))
    image = picture(path)
    assert at(image, 60, 130) == pytest.approx([90, 120, 70], abs=15)
    assert at(image, 60, 5) == pytest.approx([236, 236, 232], abs=3)  # paper: no sheet there


def test_sixteen_bits_are_stretched(small: SmallMap) -> None:
    deep = np.full((3, GRID.height, GRID.width), 1000, np.uint16)
    deep[:, :, 100:] = 3000
    write_raster(small.folder / "deep.tif", deep, GRID)
    path = small.folder / "p.png"
    photos = (small.folder / "deep.tif",)
    write_preview(path, Preview(classes=small.classes, orthophotos=photos, longest_px=800))
    assert at(picture(path), 60, 130).min() > 240
    assert at(picture(path), 60, 70).max() < 15


def test_an_existing_picture_stays_unless_told(small: SmallMap) -> None:
    (small.folder / "p.png").touch()
    with pytest.raises(OutputError):
        write_preview(small.folder / "p.png", Preview(classes=small.classes))
