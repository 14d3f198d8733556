"""Drawing: any window of the scene as grey values and exact truth, seamless against its neighbours."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import rasterize
from shapely.geometry import box, mapping
from shapely.geometry.base import BaseGeometry

from sealmap.testing.model import ROOF, UNSEALED, Scene, TownSpec
from sealmap.testing.palette import INDEX, MATERIALS, NAMES, surface_colour
from sealmap.testing.shadows import layers, throw_m, top
from sealmap.testing.textures import F32, broad, tile, white, window
from sealmap.testing.trees import Light, Sprite, light_of, sprite_for

CHUNK = 1024
PAD = 12
REACH_M = 120.0
# Sky light left in full shadow, per band: blue most, NIR least.
SKY = np.array([0.35, 0.37, 0.44, 0.26], np.float32)


@dataclass(frozen=True, slots=True)
class Rendered:
    """``pixels`` (bands, rows, columns) and ``truth`` (rows, columns; 0, 1, 2), both uint8; ``bounds``."""

    pixels: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    bounds: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class _Frame:
    """A piece of the global pixel grid: first ``row`` (downwards, 0 at the town's south edge) and ``col``."""

    row: int
    col: int
    height: int
    width: int
    gsd: float

    @property
    def origin(self) -> tuple[int, int]:
        return self.row, self.col

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width

    def transform(self, fold: int) -> Affine:
        g = self.gsd / fold
        return Affine(g, 0.0, self.col * self.gsd, 0.0, -g, -self.row * self.gsd)

    def area(self, margin: float) -> BaseGeometry:
        x, y = self.col * self.gsd, -self.row * self.gsd
        return box(x - margin, y - self.height * self.gsd - margin, x + self.width * self.gsd + margin, y + margin)


class _Index:
    """Spatial indexes of a scene; built once per scene."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.outlines: dict[int, Any] = {}
        self.surfaces = shapely.STRtree([s.shape for s in scene.surfaces])
        self.solids = shapely.STRtree([s.base for s in scene.solids])
        self.tallest = max((top(s) for s in scene.solids), default=0.0)
        self.trees = np.array([(t.x, t.y) for t in scene.trees], float).reshape(-1, 2)


_INDEXES: dict[int, _Index] = {}


def _index(scene: Scene) -> _Index:
    """The latest scene's index is kept: training renders many windows of few scenes."""
    found = _INDEXES.get(id(scene))
    if found is None or found.scene is not scene:
        _INDEXES.clear()
        found = _INDEXES[id(scene)] = _Index(scene)
    return found


def render_window(scene: Scene, spec: TownSpec, bounds: tuple[float, float, float, float]) -> Rendered:
    """Grey values and truth of ``bounds`` = (minx, miny, maxx, maxy) in EPSG:25832 metres.

    ``spec`` gives sun, season, camera and pixel size and may differ from the one the scene was planned with.
    Bounds are snapped to the pixel grid; windows drawn apart agree where they meet or overlap.
    """
    g = spec.gsd_m
    col0, col1 = (round((bounds[i] - spec.origin[0]) / g) for i in (0, 2))
    low, high = (round((bounds[i] - spec.origin[1]) / g) for i in (1, 3))
    if col1 <= col0 or high <= low:
        raise ValueError("bounds must span at least one pixel")
    bands = 4 if spec.rgbi else 3
    pixels = np.empty((bands, high - low, col1 - col0), np.uint8)
    truth = np.empty((high - low, col1 - col0), np.uint8)
    for r in range(0, high - low, CHUNK):
        for c in range(0, col1 - col0, CHUNK):
            h, w = min(CHUNK, high - low - r), min(CHUNK, col1 - col0 - c)
            frame = _Frame(-high + r - PAD, col0 + c - PAD, h + 2 * PAD, w + 2 * PAD, g)
            image, label = _draw(_index(scene), spec, frame)
            pixels[:, r : r + h, c : c + w] = image[:bands, PAD:-PAD, PAD:-PAD]
            truth[r : r + h, c : c + w] = label[PAD:-PAD, PAD:-PAD]
    snapped = (
        spec.origin[0] + col0 * g,
        spec.origin[1] + low * g,
        spec.origin[0] + col1 * g,
        spec.origin[1] + high * g,
    )
    return Rendered(pixels, truth, snapped)


def _outline(index: _Index, i: int, frame: _Frame) -> Any:
    """Geometry of surface ``i`` for burning: small ones converted once, large ones cut to the frame."""
    if i not in index.outlines:
        shape = index.scene.surfaces[i].shape
        index.outlines[i] = shape if shapely.get_num_coordinates(shape) > 150 else mapping(shape)
    found = index.outlines[i]
    return found if isinstance(found, dict) else shapely.clip_by_rect(found, *frame.area(3.0).bounds)


def _burn(shapes: list[tuple[Any, int]], frame: _Frame, fold: int, kind: str) -> NDArray[Any]:
    shape = (frame.height * fold, frame.width * fold)
    shapes = [(g, v) for g, v in shapes if isinstance(g, dict) or not g.is_empty]
    if not shapes:
        return np.zeros(shape, kind)
    out: NDArray[Any] = rasterize(shapes, shape, fill=0, transform=frame.transform(fold), dtype=kind)
    return out


def _draw(index: _Index, spec: TownSpec, frame: _Frame) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    scene = index.scene
    picks = np.sort(index.surfaces.query(frame.area(0.0)))
    shown = [scene.surfaces[int(i)] for i in picks]
    light = light_of(spec.sun_azimuth_deg, spec.sun_elevation_deg, spec.gsd_m, spec.season)
    outlines = [_outline(index, int(i), frame) for i in picks]
    burn = [(o, i + 1) for i, o in enumerate(outlines)]
    fine_ids = _burn(burn, frame, 2, "int32")
    ids = np.ascontiguousarray(fine_ids[::2, ::2])
    table = _tables(shown, spec, light)
    image = _base(fine_ids, table)
    _texture(image, ids, table, (spec, frame))
    hard = _hard_shadow(index, spec, frame)
    # What only lies on the ground (cars, markings) keeps the ground's class.
    ground = [(o, s.truth) for o, s in zip(outlines, shown, strict=True) if s.truth >= UNSEALED]
    truth: NDArray[np.uint8] = _burn(ground, frame, 1, "uint8")
    roof = truth == ROOF
    soft = _place_trees(index, frame, light, None)
    dark = 1 - (1 - hard) * (1 - soft * np.where(roof, np.float32(0.35), np.float32(1)))
    for b in range(4):
        image[b] *= 1 - dark * (1 - SKY[b])
    _place_trees(index, frame, light, (image, hard))
    return _camera(image, spec, frame), truth


@dataclass(frozen=True, slots=True)
class _Tables:
    """Per surface id (row 0 = bare ground outside the town)."""

    colour: F32
    material: NDArray[np.intp]
    cos: F32
    sin: F32


def _tables(shown: list[Any], spec: TownSpec, light: Light) -> _Tables:
    n = len(shown) + 1
    colour = np.empty((4, n), np.float32)
    colour[:, 0] = (120, 122, 90, 150)
    material = np.full(n, INDEX["meadow"], np.intp)
    turn = np.zeros((2, n), np.float32)
    for i, s in enumerate(shown, start=1):
        lit = surface_colour(s, spec.season)
        down, slope = s.normal
        if slope:
            n_dot = (math.cos(down) * light.sun[0] + math.sin(down) * light.sun[1]) * math.sin(slope)
            facing = max(0.0, n_dot + math.cos(slope) * light.sun[2]) / max(light.sun[2], 0.2)
            lit = lit * (SKY + (1 - SKY) * np.float32(min(facing, 1.75)))
        colour[:, i] = lit
        material[i] = INDEX[s.material]
        turn[:, i] = math.cos(s.angle), math.sin(s.angle)
    return _Tables(colour, material, turn[0], turn[1])


def _base(ids: NDArray[np.int32], table: _Tables) -> F32:
    """Colours drawn at half the pixel size and averaged: smooth edges."""
    h, w = ids.shape[0] // 2, ids.shape[1] // 2
    quads = [ids[i::2, j::2] for i in (0, 1) for j in (0, 1)]
    image = np.empty((4, h, w), np.float32)
    for b in range(4):
        lut = table.colour[b] * np.float32(0.25)
        image[b] = (lut[quads[0]] + lut[quads[1]]) + (lut[quads[2]] + lut[quads[3]])
    return image


@lru_cache(maxsize=1)
def _strengths() -> tuple[F32, F32, F32]:
    """Per material: noise (3, n), colour shift (4, n), pattern (period, strength, spacing, strength)."""
    mats = [MATERIALS[name] for name in NAMES]
    noise = np.array([(m.fine, m.mid, m.coarse) for m in mats], np.float32).T
    shift = np.array([m.shift for m in mats], np.float32).T
    pattern = np.array([(*m.stripes, *m.grid) for m in mats], np.float32).T
    return np.ascontiguousarray(noise), np.ascontiguousarray(shift), np.ascontiguousarray(pattern)


def _texture(image: F32, ids: NDArray[np.int32], table: _Tables, place: tuple[TownSpec, _Frame]) -> None:
    spec, frame = place
    seed, g = spec.seed, spec.gsd_m
    mats = table.material[ids]
    strength, shift, _ = _strengths()
    fine = window(tile(seed, g, (max(0.3, 1.6 * g), 0.8)), frame.origin, frame.shape)
    mid_tile = tile(seed + 1, g, (0.9, 7.0))
    mid = window(mid_tile, frame.origin, frame.shape)
    blotch = window(mid_tile, (frame.row + 517, frame.col + 331), frame.shape)
    where = (frame.origin, frame.shape)
    coarse = broad(seed + 5, g, (7.0, 60.0), where)
    grey = 1 + strength[0][mats] * fine + strength[1][mats] * mid + strength[2][mats] * coarse
    grey *= 1 + np.float32(0.025) * broad(seed + 9, g, (60.0, 400.0), where)
    grey *= _pattern(ids, mats, table, (frame, mid))
    mottle = np.float32(0.3) * blotch + np.float32(0.5) * coarse
    for b in range(4):
        image[b] = image[b] * grey + shift[b][mats] * mottle
    np.clip(image, 1, 255, out=image)


def _pattern(ids: NDArray[np.int32], mats: NDArray[np.intp], table: _Tables, place: tuple[_Frame, F32]) -> F32:
    """Stripes (furrows, seams, boards) and joints (slabs, panels), as a factor."""
    frame, warp = place
    _, _, pattern = _strengths()
    out = np.ones(frame.shape, np.float32)
    where = np.nonzero((pattern[1][mats] != 0) | (pattern[3][mats] != 0))
    if not len(where[0]):
        return out
    g = np.float32(frame.gsd)
    y = -(where[0] + frame.row).astype(np.float32) * g
    x = (where[1] + frame.col).astype(np.float32) * g
    near, mat = ids[where], mats[where]
    along = x * table.cos[near] + y * table.sin[near]
    across = y * table.cos[near] - x * table.sin[near]
    period, depth, gap, joint = (p[mat] for p in pattern)
    # Below two pixels a period would only alias: fade it out.
    depth = depth * np.clip(period / g - np.float32(1.6), 0, 1)
    phase = across / np.maximum(period, np.float32(0.1)) + np.float32(0.05) * warp[where]
    value = 1 + depth * np.sin(np.float32(2 * math.pi) * phase)
    gap_safe = np.maximum(gap, np.float32(0.1))
    edge = np.minimum(*(np.abs(v / gap_safe - np.round(v / gap_safe)) for v in (along, across))) * gap_safe
    line = np.clip(1 - edge / (np.float32(0.6) * g), 0, 1) * np.clip(gap / g - np.float32(1.6), 0, 1)
    out[where] = value * (1 - joint * line)
    return out


def _hard_shadow(index: _Index, spec: TownSpec, frame: _Frame) -> F32:
    """Share of each pixel in the shadow of buildings and things, 0-1."""
    throw = throw_m(spec.sun_azimuth_deg, spec.sun_elevation_deg)
    reach = min(REACH_M, index.tallest * math.hypot(*throw) + 3.0)
    picks = np.sort(index.solids.query(frame.area(reach)))
    solids = [index.scene.solids[int(i)] for i in picks]
    shapes = layers(solids, throw)
    burnt = _burn(shapes, frame, 2, "uint8")
    h, w = frame.shape
    total = burnt.reshape(h, 2, w, 2).sum(axis=(1, 3), dtype=np.uint16)
    share: F32 = total.astype(np.float32) * np.float32(0.25)
    return share


def _place_trees(index: _Index, frame: _Frame, light: Light, target: tuple[F32, F32] | None) -> F32:
    """Without ``target``: all tree shadows, 0-1. With it (image, building shadow): draw the crowns."""
    shade = np.zeros(frame.shape if target is None else (1, 1), np.float32)
    g = frame.gsd
    x0, y0, x1, y1 = frame.area(60.0).bounds
    xy = index.trees
    near = np.nonzero((xy[:, 0] > x0) & (xy[:, 0] < x1) & (xy[:, 1] > y0) & (xy[:, 1] < y1))[0]
    for i in near:
        tree = index.scene.trees[int(i)]
        sprite = sprite_for(tree, light)
        row, col = math.floor(-tree.y / g) - frame.row, math.floor(tree.x / g) - frame.col
        if target is None:
            cut = _clip(sprite.shade.shape, (row - sprite.shade_foot[0], col - sprite.shade_foot[1]), frame.shape)
            if cut:
                np.maximum(shade[cut[0]], sprite.shade[cut[1]], out=shade[cut[0]])
        else:
            _crown(sprite, (row - sprite.foot[0], col - sprite.foot[1]), target, frame)
    return shade


def _crown(sprite: Sprite, at: tuple[int, int], target: tuple[F32, F32], frame: _Frame) -> None:
    cut = _clip(sprite.alpha.shape, at, frame.shape)
    if not cut:
        return
    image, hard = target
    keep = 1 - sprite.alpha[cut[1]]
    dim = np.float32(0.8) * hard[cut[0]]
    for b in range(4):
        lit = sprite.colour[b][cut[1]] * (1 - dim * (1 - SKY[b]))
        image[b][cut[0]] = image[b][cut[0]] * keep + lit


Cut = tuple[tuple[slice, slice], tuple[slice, slice]]


def _clip(size: tuple[int, ...], at: tuple[int, int], shape: tuple[int, int]) -> Cut | None:
    """Slices of the picture and of the sprite where they overlap."""
    r0, c0 = max(at[0], 0), max(at[1], 0)
    r1, c1 = min(at[0] + size[0], shape[0]), min(at[1] + size[1], shape[1])
    if r1 <= r0 or c1 <= c0:
        return None
    return (slice(r0, r1), slice(c0, c1)), (slice(r0 - at[0], r1 - at[0]), slice(c0 - at[1], c1 - at[1]))


def _camera(image: F32, spec: TownSpec, frame: _Frame) -> NDArray[np.uint8]:
    """Point spread, haze, saturation, gain, gamma and sensor noise; grey values 0-255."""
    cam = spec.camera
    out = np.empty(image.shape, np.uint8)
    # Whole numbers make the blur the same to the last bit wherever the window starts.
    scaled = np.clip(image * 128, 0, 65000).astype(np.uint16)
    for b in range(4):
        if cam.blur_px > 0.05:
            scaled[b] = cv2.GaussianBlur(scaled[b], (0, 0), cam.blur_px)
    bands = scaled.astype(np.float32) / np.float32(128)
    if cam.sharpen > 0:
        for b in range(4):
            soft = cv2.GaussianBlur(scaled[b], (0, 0), 1.2).astype(np.float32) / np.float32(128)
            bands[b] += np.float32(cam.sharpen) * (bands[b] - soft)
    grey = (bands[0] + bands[1] + bands[2]) / np.float32(3)
    veil = (168.0, 176.0, 188.0, 150.0)
    noise = white(spec.seed)
    common = window(noise, (frame.row + 97, frame.col + 55), frame.shape)
    for b in range(4):
        v = bands[b] if b == 3 else grey + np.float32(cam.saturation) * (bands[b] - grey)
        v = v * np.float32(1 - cam.haze) + np.float32(cam.haze * veil[b])
        v = np.clip(v * np.float32(cam.gains[b] / 255), 0, 1)
        if cam.gamma != 1.0:
            v = v ** np.float32(cam.gamma)
        own = window(noise, (frame.row + 211 * (b + 1), frame.col + 173 * b), frame.shape)
        v = v * 255 + np.float32(cam.noise) * (np.float32(0.8) * common + np.float32(0.5) * own)
        out[b] = np.clip(np.rint(v), 0, 255).astype(np.uint8)
    return out
