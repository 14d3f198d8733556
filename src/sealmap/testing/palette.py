"""Roof and vehicle materials, seasons, and the colour of one surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sealmap.testing.materials import GROUND, Colour, Material, material
from sealmap.testing.model import Season, Surface

MATERIALS: dict[str, Material] = {
    **GROUND,
    "tile_red": material(
        (160, 100, 82, 146),
        (146, 88, 72, 134),
        (136, 92, 80, 130),
        (170, 114, 92, 152),
        (150, 80, 66, 136),
        fine=0.045,
        mid=0.017,
        coarse=0.04,
        stripes=(0.62, 0.05),
        warm=5.0,
        spread=0.14,
    ),
    "tile_orange": material(
        (184, 122, 94, 170),
        (190, 134, 106, 174),
        (176, 108, 82, 162),
        fine=0.04,
        mid=0.014,
        stripes=(0.62, 0.05),
        warm=5.0,
    ),
    "tile_brown": material(
        (124, 98, 86, 120),
        (108, 86, 78, 108),
        (136, 112, 98, 130),
        (116, 102, 94, 112),
        fine=0.045,
        mid=0.017,
        coarse=0.04,
        stripes=(0.62, 0.05),
        spread=0.14,
    ),
    "tile_dark": material(
        (88, 91, 95, 92),
        (76, 79, 85, 82),
        (102, 103, 105, 104),
        (94, 90, 88, 94),
        fine=0.041,
        mid=0.014,
        coarse=0.03,
        stripes=(0.62, 0.05),
        spread=0.16,
    ),
    "tile_grey": material(
        (136, 137, 134, 134),
        (120, 123, 123, 120),
        (150, 147, 140, 146),
        fine=0.045,
        mid=0.019,
        coarse=0.05,
        stripes=(0.62, 0.04),
        spread=0.13,
    ),
    "fibre": material(
        (150, 150, 142, 144),
        (166, 164, 154, 156),
        (134, 136, 130, 130),
        fine=0.038,
        mid=0.028,
        coarse=0.06,
        stripes=(1.0, 0.07),
    ),
    "metal_grey": material(
        (142, 154, 160, 140),
        (158, 166, 168, 154),
        (116, 126, 132, 118),
        fine=0.025,
        mid=0.011,
        stripes=(1.0, 0.06),
        spread=0.14,
    ),
    "metal_bright": material(
        (212, 218, 218, 206),
        (226, 228, 224, 218),
        (198, 206, 208, 196),
        fine=0.025,
        mid=0.011,
        coarse=0.03,
        stripes=(1.2, 0.05),
        spread=0.08,
    ),
    "metal_zinc": material((172, 180, 182, 168), (156, 164, 168, 154), fine=0.03, mid=0.017, stripes=(0.8, 0.06)),
    "metal_colour": material(
        (110, 146, 186, 130),
        (96, 128, 96, 128),
        (170, 70, 62, 150),
        (150, 100, 84, 140),
        (92, 110, 130, 110),
        fine=0.025,
        stripes=(0.8, 0.07),
    ),
    "bitumen": material(
        (104, 108, 106, 100),
        (122, 128, 122, 116),
        (88, 90, 90, 86),
        (138, 142, 132, 130),
        (128, 130, 116, 124),
        fine=0.034,
        mid=0.028,
        coarse=0.05,
        grid=(6.0, 0.08),
        shift=(6, 4, 0, 6),
        spread=0.13,
    ),
    "gravel_roof": material(
        (150, 151, 142, 146),
        (166, 165, 152, 158),
        (136, 138, 132, 134),
        (176, 172, 156, 166),
        fine=0.056,
        mid=0.033,
        coarse=0.06,
        shift=(-8, -4, -10, 4),
        spread=0.11,
    ),
    "membrane": material(
        (204, 208, 204, 196),
        (188, 194, 194, 184),
        (216, 218, 212, 208),
        fine=0.025,
        mid=0.019,
        coarse=0.04,
        grid=(4.0, 0.05),
        spread=0.08,
    ),
    "green_roof": material(
        (112, 108, 76, 158),
        (124, 104, 78, 150),
        (98, 108, 66, 170),
        fine=0.1,
        mid=0.066,
        shift=(16, -6, 0, -16),
        season=0.5,
    ),
    "wood_roof": material((120, 104, 88, 124), (96, 84, 74, 104), fine=0.05, stripes=(0.5, 0.08)),
    "parapet": material(
        (196, 199, 196, 190),
        (170, 174, 172, 166),
        (146, 150, 150, 144),
        (216, 216, 208, 206),
        fine=0.03,
        spread=0.1,
    ),
    "chimney": material(
        (128, 104, 92, 126),
        (158, 156, 150, 154),
        (96, 92, 90, 96),
        (184, 184, 178, 180),
        fine=0.06,
        spread=0.2,
    ),
    "pv": material((48, 56, 78, 62), (56, 62, 74, 66), (42, 46, 58, 52), fine=0.04, grid=(1.1, -0.35), spread=0.12),
    "glass": material((66, 78, 90, 70), (120, 136, 148, 120), (88, 98, 106, 90), fine=0.04, spread=0.25),
    "rooflight": material((198, 206, 208, 190), (168, 184, 190, 164), fine=0.03),
    "wall_light": material((198, 196, 186, 190), (168, 160, 146, 164), fine=0.05, spread=0.15),
    "container": material(
        (150, 74, 58, 140),
        (70, 98, 132, 90),
        (86, 110, 90, 100),
        (196, 194, 186, 190),
        (180, 130, 60, 160),
        fine=0.05,
        stripes=(0.5, 0.06),
    ),
    "stack": material((176, 150, 112, 170), (150, 146, 140, 148), (120, 112, 104, 122), fine=0.12, stripes=(1.0, 0.1)),
    "trampoline": material((46, 50, 54, 60), (58, 76, 104, 80), fine=0.04),
    "toy": material((196, 60, 48, 150), (214, 170, 50, 180), (60, 110, 170, 110), (70, 140, 80, 130), fine=0.03),
    "car_white": material((226, 228, 226, 218), fine=0.03, spread=0.06),
    "car_grey": material((112, 116, 120, 112), fine=0.04, spread=0.2),
    "car_silver": material((176, 180, 182, 172), fine=0.04, spread=0.1),
    "car_black": material((46, 48, 52, 48), fine=0.06, spread=0.3),
    "car_red": material((166, 44, 38, 130), fine=0.04, spread=0.2),
    "car_blue": material((56, 78, 124, 84), fine=0.04, spread=0.25),
    "car_glass": material((40, 46, 54, 44), fine=0.06, spread=0.3),
}
# The table holds cautious values; this brings the town to the brightness of published orthophotos.
EXPOSURE = np.float32(1.08)
NAMES: tuple[str, ...] = tuple(MATERIALS)
INDEX: dict[str, int] = {name: i for i, name in enumerate(NAMES)}

# Factor and offset on R, G, B, NIR of vegetation at full season strength.
SEASON_SHIFT: dict[Season, tuple[Colour, Colour]] = {
    "leaf_off": ((1.0, 1.0, 1.0, 1.0), (0, 0, 0, 0)),
    "summer": ((0.74, 0.93, 0.76, 1.22), (-4, 2, -4, 14)),
    "autumn": ((0.88, 0.93, 0.82, 1.1), (2, 2, -2, 4)),
    "dry": ((1.22, 1.12, 1.08, 0.92), (14, 8, 2, -4)),
}


def surface_colour(surface: Surface, season: Season) -> NDArray[np.float32]:
    """R, G, B, NIR (0-255, before sun and shadow) of one surface in a season."""
    stuff = MATERIALS[surface.material]
    bright, warm, variant = surface.tint
    pick = min(int((variant + 1) / 2 * len(stuff.colours)), len(stuff.colours) - 1)
    colour = np.array(stuff.colours[pick], np.float32) * (1 + stuff.spread * bright)
    colour += np.array([warm, 0.15 * warm, -0.9 * warm, 0.5 * warm], np.float32) * stuff.warm
    if stuff.season:
        factor, offset = SEASON_SHIFT[season]
        target = colour * np.array(factor, np.float32) + np.array(offset, np.float32)
        # Seasons do not arrive everywhere at once: the tint's warmth spreads them.
        share = np.float32(stuff.season * (0.85 + 0.15 * warm))
        colour = colour + share * (target - colour)
    bright_colour: NDArray[np.float32] = np.clip(colour * EXPOSURE, 2, 252).astype(np.float32)
    return bright_colour
