"""Tree crowns and their shadows as small cached pictures (sprites)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from sealmap.testing.model import Season, Tree

F32 = NDArray[np.float32]
SHIFT = 4
LEAF = {
    "leaf_off": ((112, 124, 66, 200), (128, 136, 82, 196)),
    "summer": ((66, 92, 46, 208), (78, 104, 52, 216), (58, 80, 44, 196), (90, 108, 60, 210)),
    "autumn": ((150, 124, 52, 190), (164, 104, 50, 180), (116, 112, 54, 196), (132, 86, 52, 170)),
    "dry": ((92, 104, 60, 188), (108, 112, 68, 180), (82, 94, 56, 190)),
}
NEEDLES = ((52, 72, 46, 150), (62, 82, 56, 158), (46, 64, 48, 142))
TWIGS = (
    (112, 102, 90, 122),
    (126, 118, 106, 134),
    (96, 86, 76, 112),
    (138, 132, 118, 138),
    (104, 98, 82, 126),
)


@dataclass(frozen=True, slots=True)
class Light:
    """``sun``: unit vector to it (east, north, up). ``throw``: shadow shift (column, row), px per m."""

    sun: tuple[float, float, float]
    throw: tuple[float, float]
    gsd_m: float
    season: Season


@dataclass(frozen=True, slots=True)
class Sprite:
    """``alpha`` 0-1 and ``colour`` (4, rows, columns) of the crown; ``shade`` 0-1 of the shadow.

    ``foot`` and ``shade_foot``: where the trunk stands in them, (row, column) in pixels.
    """

    alpha: F32
    colour: F32
    foot: tuple[int, int]
    shade: F32
    shade_foot: tuple[int, int]


def light_of(azimuth_deg: float, elevation_deg: float, gsd_m: float, season: Season) -> Light:
    """Sun vector and shadow throw; azimuth clockwise from north."""
    az, el = math.radians(azimuth_deg), math.radians(elevation_deg)
    sun = (math.cos(el) * math.sin(az), math.cos(el) * math.cos(az), math.sin(el))
    cot = 1.0 / math.tan(el)
    return Light(sun, (-math.sin(az) * cot / gsd_m, math.cos(az) * cot / gsd_m), gsd_m, season)


def sprite_for(tree: Tree, light: Light) -> Sprite:
    """The picture of ``tree``; sizes are rounded so that pictures can be shared."""
    radius = max(0.4, round(tree.radius * 2) / 2 if tree.radius > 1 else round(tree.radius * 5) / 5)
    height = max(1.0, float(round(tree.height / 3) * 3)) if tree.height > 3 else max(0.8, round(tree.height * 2) / 2)
    return _sprite(tree.kind, int(tree.pick * 5), (radius, height), light)


@lru_cache(maxsize=4096)
def _sprite(kind: str, variant: int, size: tuple[float, float], light: Light) -> Sprite:
    rng = np.random.default_rng([variant, int(size[0] * 10), int(size[1] * 10), len(kind)])
    leafy = kind in ("conifer", "evergreen") or light.season in ("summer", "dry")
    if light.season == "autumn" and not leafy:
        leafy = variant % 3 != 0
    if light.season == "leaf_off" and not leafy:
        leafy = variant == 4 and kind == "bush"
    if not leafy:
        return _bare(size, light, rng)
    return _leafy(kind, size, light, rng)


def _half(size: tuple[float, float], light: Light) -> int:
    return math.ceil(size[0] * 1.25 / light.gsd_m) + 2


def _clumps(kind: str, size: tuple[float, float], rng: np.random.Generator) -> NDArray[np.float64]:
    """Rows of x, y, z, radius (metres) of the leaf clumps that make a crown."""
    r, h = size
    n = int(np.clip(30 + 10 * r, 24, 84)) if kind != "bush" else 18
    if kind == "conifer":
        n = int(np.clip(40 + 20 * r, 40, 130))
    t = rng.uniform(0, 2 * np.pi, n)
    if kind == "conifer":
        z = h * (0.12 + 0.88 * rng.uniform(0, 1, n) ** 1.3)
        t = np.round(t * 2) / 2 + rng.normal(0, 0.07, n)
        reach = r * (1 - z / h) ** 0.9 * rng.uniform(0.35, 1.0, n)
        size_c = np.maximum(0.17 * r * (1.25 - z / h), 0.2)
        return np.column_stack([reach * np.cos(t), reach * np.sin(t), z, size_c])
    q = np.sqrt(rng.uniform(0, 1, n))
    reach = r * 0.86 * q * (1 + 0.12 * np.sin(2 * t + rng.uniform(0, 6)) + 0.1 * np.sin(3 * t + rng.uniform(0, 6)))
    depth = min(h * 0.32, r)
    z = h - depth + depth * np.sqrt(np.maximum(1 - q**2, 0)) * rng.uniform(0.5, 1.0, n) - 0.12 * r
    return np.column_stack([reach * np.cos(t), reach * np.sin(t), z, rng.uniform(0.16, 0.32, n) * r + 0.1])


def _leafy(kind: str, size: tuple[float, float], light: Light, rng: np.random.Generator) -> Sprite:
    half = _half(size, light)
    clumps = _clumps(kind, size, rng)
    yy, xx = np.mgrid[-half : half + 1, -half : half + 1] * light.gsd_m
    top = np.zeros(xx.shape)
    shade = np.zeros(xx.shape)
    cover = np.zeros(xx.shape)
    for x, y, z, r in clumps:
        dx, dy = xx - x, yy + y
        q = (dx**2 + dy**2) / r**2
        inside = q < 1
        zz = np.where(inside, z + r * np.sqrt(np.maximum(1 - q, 0)), 0)
        better = zz > top
        # Sphere normals, flattened: leaves scatter, so crowns never show hard facets.
        facing = (dx * light.sun[0] - dy * light.sun[1]) / r + np.sqrt(np.maximum(1 - q, 0)) * light.sun[2]
        shade = np.where(better, facing, shade)
        top = np.where(better, zz, top)
        cover = np.maximum(cover, np.clip((1 - q) * r / light.gsd_m, 0, 1))
    deep = np.clip((top - size[1] * 0.45) / max(size[1] * 0.55, 0.5), 0, 1)
    rough = cv2.GaussianBlur(rng.normal(0, 1, xx.shape), (0, 0), max(0.16 / light.gsd_m, 0.6))
    rough /= max(float(rough.std()), 1e-6)
    cover = np.clip(cover * 1.5 + 0.28 * rough - 0.25, 0, 1) * (cover > 0)
    grain = 0.2 * rough + rng.normal(0, 0.08, xx.shape)
    bright = (0.34 + 0.62 * np.clip(shade, 0, 1)) * (0.6 + 0.5 * deep) * (1 + grain) * 1.22
    palette = NEEDLES if kind in ("conifer", "evergreen") else LEAF[light.season]
    base = np.array(palette[int(rng.integers(len(palette)))], float) * rng.uniform(0.85, 1.15)
    alpha = (cover * (0.93 if kind != "bush" else 0.85)).astype(np.float32)
    colour = (base[:, None, None] * bright * alpha).astype(np.float32)
    points = [(x, y, z) for x, y, z, _ in clumps]
    thickness = [r for *_, r in clumps]
    shadow, foot = _cast(points, thickness, size, light)
    return Sprite(alpha, colour, (half, half), np.minimum(shadow, 0.96), foot)


def _cast(
    points: list[tuple[float, float, float]], radii: list[float], size: tuple[float, float], light: Light
) -> tuple[F32, tuple[int, int]]:
    """Shadow of clumps and trunk on the ground."""
    canvas, foot = _canvas(size, light)
    g = light.gsd_m
    for (x, y, z), r in zip(points, radii, strict=True):
        c = foot[1] + x / g + light.throw[0] * z
        row = foot[0] - y / g + light.throw[1] * z
        centre = (int((c * 2 + 0.5) * 2**SHIFT), int((row * 2 + 0.5) * 2**SHIFT))
        cv2.circle(canvas, centre, int(r / g * 2 * 2**SHIFT), 255, -1, cv2.LINE_AA, SHIFT)
    end = (foot[1] + light.throw[0] * size[1] * 0.6, foot[0] + light.throw[1] * size[1] * 0.6)
    _stroke(canvas, (float(foot[1]), float(foot[0])), end, 2)
    return _shrink(canvas), foot


def _canvas(size: tuple[float, float], light: Light) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Doubled canvas that holds the crown and its throw, with the foot (row, column) in single pixels."""
    half = _half(size, light) + 2
    dx, dy = light.throw[0] * size[1], light.throw[1] * size[1]
    left, right = half + max(0, int(-dx) + 1), half + max(0, int(dx) + 1)
    up, down = half + max(0, int(-dy) + 1), half + max(0, int(dy) + 1)
    return np.zeros(((up + down) * 2, (left + right) * 2), np.uint8), (up, left)


def _stroke(canvas: NDArray[np.uint8], a: tuple[float, float], b: tuple[float, float], width: int) -> None:
    p = [(int((v[0] * 2 + 0.5) * 2**SHIFT), int((v[1] * 2 + 0.5) * 2**SHIFT)) for v in (a, b)]
    cv2.line(canvas, p[0], p[1], 255, width, cv2.LINE_AA, SHIFT)


def _shrink(canvas: NDArray[np.uint8]) -> F32:
    h, w = canvas.shape
    out: F32 = canvas.reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3)).astype(np.float32) / np.float32(255)
    return out


def _skeleton(
    size: tuple[float, float], rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], int]]:
    """Trunk, branches and twigs as (start, end, order), in metres x, y, z."""
    r, h = size
    out = [(np.zeros(3), np.array([0, 0, h * 0.8]), 0)]
    for _ in range(int(np.clip(7 + 2 * r, 7, 18))):
        z0 = h * float(rng.uniform(0.2, 0.75))
        t = float(rng.uniform(0, 2 * np.pi))
        reach = r * float(rng.uniform(0.65, 1.0)) * (1.15 - 0.6 * z0 / h)
        a = np.array([0, 0, z0])
        b = np.array([reach * math.cos(t), reach * math.sin(t), min(z0 + reach * rng.uniform(0.5, 1.3), h)])
        out.append((a, b, 1))
        for _ in range(int(np.clip(3 + r, 3, 7))):
            u = float(rng.uniform(0.25, 1.0))
            c = a + (b - a) * u
            d = c + np.array([*rng.normal(0, 0.26 * r, 2), rng.uniform(0.0, 0.3) * r])
            out.append((c, d, 2))
            for _ in range(4):
                e = c + (d - c) * float(rng.uniform(0.3, 1.0))
                out.append((e, e + np.array([*rng.normal(0, 0.13 * r, 2), rng.uniform(0, 0.15) * r]), 3))
    return out


def _bare(size: tuple[float, float], light: Light, rng: np.random.Generator) -> Sprite:
    """A leafless tree: see-through twigs above, a fan of thin shadow on the ground."""
    bones = _skeleton(size, rng)
    half = _half(size, light)
    g = light.gsd_m
    crown = np.zeros(((2 * half + 1) * 2, (2 * half + 1) * 2), np.uint8)
    canvas, foot = _canvas(size, light)
    for a, b, order in bones:
        if order:
            _stroke(crown, (half + a[0] / g, half - a[1] / g), (half + b[0] / g, half - b[1] / g), 1)
        ends = [
            (foot[1] + p[0] / g + light.throw[0] * p[2], foot[0] - p[1] / g + light.throw[1] * p[2]) for p in (a, b)
        ]
        _stroke(canvas, ends[0], ends[1], 2 if order < 2 and size[0] > 2 else 1)
    twigs = _shrink(crown)
    soft = cv2.GaussianBlur(twigs, (0, 0), max(0.5 / g, 0.8))
    alpha = np.clip(0.7 * twigs + 0.65 * soft, 0, 0.85).astype(np.float32)
    alpha *= (1 + rng.normal(0, 0.2, alpha.shape)).clip(0.3, 1.6).astype(np.float32)
    base = np.array(TWIGS[int(rng.integers(len(TWIGS)))], np.float32) * np.float32(rng.uniform(0.85, 1.12))
    bright = (1 + rng.normal(0, 0.14, alpha.shape)).astype(np.float32) * (np.float32(0.72) + np.float32(0.4) * twigs)
    thin = _shrink(canvas)
    shade = np.clip(0.55 * thin + 0.6 * cv2.GaussianBlur(thin, (0, 0), max(0.35 / g, 0.7)), 0, 0.85).astype(np.float32)
    return Sprite(np.clip(alpha, 0, 0.85), base[:, None, None] * bright * alpha, (half, half), shade, foot)
