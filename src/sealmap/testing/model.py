"""Values of the procedural town: its specification, and the vector scene that is drawn from it.

All scene geometry is in metres east and north of ``TownSpec.origin`` (town-local), heights are metres above
ground. Nothing here draws or writes; every class is a frozen value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shapely.geometry.base import BaseGeometry

Season = Literal["leaf_off", "summer", "autumn", "dry"]
SEASONS: tuple[Season, ...] = ("leaf_off", "summer", "autumn", "dry")
Tint = tuple[float, float, float]

UNSEALED, ROOF, PAVED = 0, 1, 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """How the imaginary camera and its processing colour the sheet.

    ``gains``: factor per band R, G, B, NIR (about 0.7-1.4). ``gamma``: 1 = none, below 1 brightens the darks.
    ``saturation``: 1 = none. ``haze``: 0-0.5, lifts and flattens towards a bluish veil. ``blur_px``: sigma of
    the point spread in pixels (0-2). ``sharpen``: 0-1, the edge lift that published sheets have. ``noise``:
    sensor noise sigma in grey values (0-10).
    """

    gains: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    gamma: float = 1.0
    saturation: float = 1.0
    haze: float = 0.0
    blur_px: float = 0.55
    sharpen: float = 0.25
    noise: float = 1.3


@dataclass(frozen=True, kw_only=True, slots=True)
class TownSpec:
    """What to build: ``seed`` fixes everything. Lengths in metres, angles in degrees, CRS EPSG:25832.

    ``origin`` is the south-west corner; ``sheet_m`` the side of a sheet; ``cadastre_lag`` the share (0-1) of
    buildings that the cadastre does not know yet, and again of demolished ones that it still shows.
    """

    seed: int = 1
    width_m: float = 1000.0
    height_m: float = 1000.0
    sheet_m: float = 1000.0
    gsd_m: float = 0.2
    origin: tuple[float, float] = (364000.0, 5620000.0)
    season: Season = "leaf_off"
    sun_azimuth_deg: float = 150.0
    sun_elevation_deg: float = 38.0
    camera: Camera = Camera()
    rgbi: bool = True
    year: int = 2025
    cadastre_lag: float = 0.05

    def __post_init__(self) -> None:
        """Refuse values that could only give nonsense."""
        if min(self.width_m, self.height_m) < 32 or self.gsd_m <= 0 or self.sheet_m <= 0:
            raise ValueError("town sides must be at least 32 m, gsd_m and sheet_m above 0")
        if not 5 <= self.sun_elevation_deg <= 90:
            raise ValueError("sun_elevation_deg must lie in 5..90")
        if self.season not in SEASONS:
            raise ValueError(f"season must be one of {SEASONS}")


@dataclass(frozen=True, slots=True)
class Surface:
    """One painted area. Later layers cover earlier ones.

    ``truth`` 0, 1, 2 or -1 (keep what lies below: cars, markings). ``tint``: brightness, warmth and variant,
    each -1..1. ``angle``: direction of the pattern in radians. ``normal``: downslope azimuth and slope of a
    roof plane, both in radians, the azimuth counter-clockwise from east.
    """

    shape: BaseGeometry
    material: str
    truth: int
    layer: float
    tint: Tint
    angle: float
    normal: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Solid:
    """A convex body that casts a shadow; ``base`` is its ground plan, ``points`` its x, y, z corners (m).

    ``role``: ``building``, ``low`` (cars, hedges, walls) or ``rooftop`` (chimneys; shadow stays on ``clip``).
    ``eave``: height at which other bodies' shadows meet its roof.
    """

    base: BaseGeometry
    points: tuple[tuple[float, float, float], ...]
    role: Literal["building", "low", "rooftop"]
    eave: float
    clip: BaseGeometry | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    """Position, crown radius and height in metres; ``kind`` of crown; ``pick`` 0-1 chooses the variant."""

    x: float
    y: float
    radius: float
    height: float
    kind: Literal["deciduous", "conifer", "bush", "evergreen"]
    pick: float


@dataclass(frozen=True, slots=True)
class Building:
    """Cadastre view of a house: ``walls`` (ground plan), ``roof`` (with overhang), function code and text."""

    walls: BaseGeometry
    roof: BaseGeometry
    code: str
    function: str
    other: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """A parcel: ``use`` is Nutzung's ``nutzart``, ``detail`` its ``bez``, ``street`` the address."""

    shape: BaseGeometry
    use: str
    detail: str
    street: str


@dataclass(frozen=True, slots=True)
class Scene:
    """The whole town as vectors, in town-local metres."""

    spec: TownSpec
    surfaces: tuple[Surface, ...]
    solids: tuple[Solid, ...]
    trees: tuple[Tree, ...]
    buildings: tuple[Building, ...]
    parcels: tuple[Parcel, ...]
