"""Ground and garden materials: colours in R, G, B, NIR grey values (0-255, full sun) and textures."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Material:
    """``colours``: variants; ``spread``: brightness change by tint (share); ``warm``: grey values by tint.

    ``fine``, ``mid``, ``coarse``: noise strength (share of brightness) below 1 m, about 1-6 m, above 10 m.
    ``shift``: colour change (grey values) along the mottling. ``stripes``: period m (0 none), strength.
    ``grid``: joint spacing m (0 none), strength. ``season``: 1 = vegetation of summer strength, 0 = none.
    """

    colours: tuple[Colour, ...]
    spread: float = 0.12
    warm: float = 3.0
    fine: float = 0.05
    mid: float = 0.03
    coarse: float = 0.04
    shift: Colour = (0.0, 0.0, 0.0, 0.0)
    stripes: tuple[float, float] = (0.0, 0.0)
    grid: tuple[float, float] = (0.0, 0.0)
    season: float = 0.0


def material(*colours: Colour, **kw: object) -> Material:
    """A material of these colour variants; keywords as in :class:`Material`."""
    return Material(colours, **kw)  # type: ignore[arg-type]


STRAW: Colour = (18, 10, 6, -20)
GROUND: dict[str, Material] = {
    "lawn": material(
        (112, 114, 82, 158),
        (100, 107, 72, 165),
        (134, 133, 103, 150),
        (94, 106, 70, 178),
        fine=0.06,
        mid=0.039,
        coarse=0.042,
        shift=STRAW,
        season=1.0,
        spread=0.14,
    ),
    "lawn_rough": material(
        (128, 126, 96, 150),
        (112, 110, 82, 150),
        (140, 133, 106, 145),
        fine=0.075,
        mid=0.061,
        coarse=0.05,
        shift=STRAW,
        season=0.8,
        spread=0.14,
    ),
    "verge": material(
        (118, 118, 88, 150),
        (132, 127, 100, 142),
        (100, 106, 74, 160),
        fine=0.075,
        mid=0.055,
        coarse=0.045,
        shift=STRAW,
        season=0.8,
    ),
    "garden": material(
        (104, 103, 78, 150),
        (92, 92, 70, 140),
        (120, 112, 90, 138),
        fine=0.095,
        mid=0.088,
        coarse=0.055,
        shift=(16, 6, 4, -20),
        season=0.7,
    ),
    "meadow": material(
        (110, 120, 76, 172),
        (96, 112, 64, 185),
        (140, 138, 104, 150),
        (120, 122, 86, 160),
        fine=0.06,
        mid=0.039,
        coarse=0.045,
        shift=STRAW,
        season=0.9,
        spread=0.14,
    ),
    "crop_green": material(
        (92, 116, 62, 190),
        (80, 104, 60, 196),
        (106, 116, 78, 176),
        fine=0.06,
        mid=0.022,
        coarse=0.045,
        shift=(22, 10, 10, -30),
        stripes=(1.1, 0.05),
        season=0.8,
        spread=0.12,
    ),
    "field_brown": material(
        (134, 116, 94, 146),
        (154, 140, 116, 158),
        (112, 98, 80, 128),
        (166, 152, 126, 165),
        (148, 128, 100, 158),
        fine=0.06,
        mid=0.028,
        coarse=0.041,
        shift=(12, 10, 7, 10),
        stripes=(0.9, 0.07),
        spread=0.16,
    ),
    "stubble": material(
        (170, 156, 118, 176),
        (152, 142, 106, 170),
        (158, 146, 122, 165),
        fine=0.07,
        mid=0.028,
        coarse=0.036,
        shift=(14, 10, 4, -8),
        stripes=(1.6, 0.07),
        spread=0.12,
    ),
    "soil": material(
        (122, 106, 86, 132),
        (146, 128, 104, 148),
        (98, 86, 72, 112),
        (160, 146, 122, 160),
        fine=0.075,
        mid=0.055,
        coarse=0.056,
        shift=(10, 8, 6, 8),
        spread=0.16,
    ),
    "mulch": material((96, 78, 64, 112), (112, 88, 68, 122), fine=0.14, mid=0.055),
    "site": material(
        (176, 164, 140, 172),
        (160, 144, 118, 160),
        (186, 180, 162, 180),
        (142, 126, 106, 150),
        fine=0.055,
        mid=0.05,
        coarse=0.045,
        shift=(-16, -18, -18, -10),
        spread=0.14,
    ),
    "sand": material((204, 188, 152, 200), (190, 174, 142, 192), fine=0.05, mid=0.033),
    "gravel": material(
        (172, 168, 152, 170),
        (158, 152, 136, 160),
        (186, 184, 170, 178),
        (164, 152, 130, 165),
        fine=0.068,
        mid=0.035,
        coarse=0.05,
        shift=(-12, -8, -10, 4),
        spread=0.12,
    ),
    "gravel_light": material((192, 190, 182, 188), (176, 172, 162, 176), fine=0.098, mid=0.033),
    "gravel_dark": material((104, 104, 104, 112), (84, 84, 86, 94), fine=0.13, mid=0.028),
    "dirt": material(
        (150, 136, 112, 152),
        (136, 122, 98, 144),
        (166, 152, 128, 162),
        fine=0.1,
        mid=0.066,
        coarse=0.045,
        shift=(-12, -4, -8, 8),
        spread=0.12,
    ),
    "ballast": material((122, 112, 104, 122), (104, 98, 94, 108), fine=0.15, mid=0.033),
    "asphalt": material(
        (132, 136, 132, 128),
        (148, 151, 144, 140),
        (122, 126, 126, 120),
        fine=0.031,
        mid=0.019,
        coarse=0.036,
        spread=0.12,
    ),
    "asphalt_dark": material(
        (92, 95, 97, 92),
        (78, 81, 84, 80),
        (106, 109, 110, 104),
        fine=0.034,
        mid=0.017,
        coarse=0.032,
        spread=0.13,
    ),
    "asphalt_old": material(
        (162, 164, 155, 152),
        (150, 153, 146, 145),
        (172, 172, 160, 160),
        (156, 155, 144, 152),
        fine=0.034,
        mid=0.025,
        coarse=0.04,
        shift=(6, 4, 0, 4),
        spread=0.1,
    ),
    "asphalt_light": material(
        (180, 184, 174, 168),
        (190, 192, 180, 176),
        (172, 178, 172, 164),
        fine=0.028,
        mid=0.017,
        coarse=0.032,
        spread=0.08,
    ),
    "concrete": material(
        (182, 183, 173, 174),
        (176, 178, 170, 170),
        (192, 193, 184, 182),
        (162, 163, 154, 156),
        fine=0.025,
        mid=0.028,
        coarse=0.05,
        grid=(5.0, 0.12),
        spread=0.1,
    ),
    "slabs": material(
        (184, 183, 172, 176),
        (168, 168, 160, 162),
        (196, 193, 180, 186),
        (152, 153, 148, 150),
        fine=0.037,
        mid=0.019,
        coarse=0.04,
        grid=(1.0, 0.06),
        spread=0.11,
    ),
    "pavers_grey": material(
        (152, 152, 146, 148),
        (168, 167, 158, 160),
        (136, 137, 134, 134),
        (178, 174, 164, 168),
        fine=0.04,
        mid=0.022,
        coarse=0.04,
        grid=(0.8, 0.05),
        spread=0.12,
    ),
    "pavers_red": material(
        (164, 128, 114, 158),
        (150, 112, 98, 148),
        (174, 146, 132, 166),
        (140, 110, 102, 138),
        fine=0.043,
        mid=0.025,
        coarse=0.04,
        grid=(0.8, 0.05),
        spread=0.12,
    ),
    "pavers_dark": material(
        (104, 104, 106, 104), (88, 88, 91, 90), (118, 116, 114, 116), fine=0.043, mid=0.019, grid=(0.8, 0.05)
    ),
    "pavers_beige": material(
        (192, 180, 154, 184),
        (178, 164, 138, 174),
        (204, 194, 172, 194),
        fine=0.037,
        mid=0.022,
        grid=(0.8, 0.05),
    ),
    "cobbles": material((128, 124, 118, 126), (146, 140, 130, 142), fine=0.12, mid=0.028),
    "kerb": material((186, 186, 178, 178), (170, 170, 164, 166), fine=0.031),
    "deck": material((140, 112, 86, 142), (158, 136, 110, 156), (126, 120, 112, 128), fine=0.06, stripes=(0.6, 0.07)),
    "marking": material((226, 228, 222, 218), fine=0.06, mid=0.044),
    "marking_pitch": material((208, 214, 200, 210), fine=0.06, mid=0.055),
    "manhole": material((88, 86, 82, 88), fine=0.1, spread=0.3),
    "tartan": material((168, 92, 74, 166), (150, 76, 64, 158), fine=0.04, coarse=0.04),
    "clay": material((192, 122, 84, 190), (178, 112, 82, 182), fine=0.05, mid=0.028, coarse=0.05),
    "pitch": material(
        (84, 122, 62, 200),
        (100, 124, 72, 190),
        fine=0.06,
        mid=0.028,
        coarse=0.07,
        shift=STRAW,
        stripes=(9.0, 0.05),
        season=0.6,
    ),
    "turf": material((58, 100, 62, 96), (66, 110, 60, 104), (44, 86, 62, 88), fine=0.035, mid=0.011),
    "hard_blue": material((52, 82, 178, 120), (60, 104, 140, 116), (60, 120, 92, 112), fine=0.03),
    "water": material(
        (52, 62, 52, 16),
        (70, 84, 62, 22),
        (42, 52, 54, 12),
        (84, 94, 84, 24),
        fine=0.02,
        mid=0.017,
        coarse=0.12,
    ),
    "reed": material((162, 146, 112, 150), (148, 136, 104, 146), fine=0.15, mid=0.077, shift=(-16, -8, -10, 10)),
    "pool": material((84, 178, 206, 40), (104, 190, 200, 44), fine=0.03, spread=0.06),
    "forest_floor": material(
        (100, 90, 72, 122),
        (88, 82, 66, 118),
        (110, 98, 80, 126),
        fine=0.14,
        mid=0.077,
        coarse=0.08,
        season=0.25,
    ),
    "hedge": material(
        (74, 86, 52, 172),
        (62, 78, 46, 180),
        (100, 92, 70, 140),
        (86, 80, 60, 130),
        fine=0.22,
        mid=0.077,
        season=0.5,
    ),
}
