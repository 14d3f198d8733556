"""Injected faults, and clean flights: what the guard catches and names, and what it refuses wrongly.

    python benchmarks/guard_matrix.py --out guard_matrix --real ../shared/data

Clean: 40 towns of all seasons, suns and cameras (other towns than the colour weights were fitted on), and real
orthophotos. Faulty: some of these towns, each fault put into the file, the bundle or the network, then mapped by
``sealmap.pipeline.maps.predict`` as a user would. A fault is caught where the map is refused or warned of, and named
where a finding of the right check is among them. Prints one row per fault, and the false refusals.
"""

from __future__ import annotations

import argparse
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
import torch
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from torch import Tensor, nn

from sealmap.core.errors import GuardError, SealmapError
from sealmap.core.finding import Finding
from sealmap.files.atomic import write_text
from sealmap.model import engines
from sealmap.model.bundle import load_bundle, save_bundle
from sealmap.model.card import ModelCard
from sealmap.pipeline import shipped_bundle
from sealmap.pipeline.maps import predict
from sealmap.testing.model import SEASONS, Camera, TownSpec
from sealmap.testing.town import write_town

SIDE_M = 150.0
COLORS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined)


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A sheet in memory, as it is going to be written under ``name``."""

    name: str
    pixels: NDArray[Any]
    transform: Affine
    crs: Any
    suffix: str = ".tif"


Fault = Callable[[Picture], Picture]


def bands(*order: int) -> Fault:
    """Bands in another order, called red, green and blue all the same."""
    return lambda p: replace(p, pixels=p.pixels[list(order)])


def byte_of_12(which: str) -> Fault:
    """12-bit values cut to one of their two bytes."""

    def change(p: Picture) -> Picture:
        deep = p.pixels[:3].astype(np.uint32) * 16 + 7
        return replace(p, pixels=(deep & 255 if which == "low" else deep >> 8).astype(np.uint8))

    return change


def divided(p: Picture) -> Picture:
    """0..1 in a file of bytes."""
    return replace(p, pixels=np.rint(p.pixels[:3] / 255).astype(np.uint8))


def gsd_twice(p: Picture) -> Picture:
    """Pixels called twice as large as they are."""
    return replace(p, transform=p.transform * Affine.scale(2))


def zone_33(p: Picture) -> Picture:
    """UTM zone 33 instead of 32."""
    return replace(p, crs="EPSG:25833")


def border(p: Picture) -> Picture:
    """A ragged border, nearly black, as a lossy compression leaves it."""
    rng = np.random.default_rng(1)
    pixels = p.pixels[:3].copy()
    wide = pixels.shape[1] // 6
    pixels[:, :wide] = rng.integers(0, 6, pixels[:, :wide].shape, np.uint8)
    return replace(p, pixels=pixels)


def clouds(p: Picture) -> Picture:
    """Clouds over about half of the sheet."""
    rng = np.random.default_rng(2)
    noise = cv2.GaussianBlur(rng.normal(size=p.pixels.shape[1:]).astype(np.float32), (0, 0), 40)
    veil = np.clip((noise - np.quantile(noise, 0.45)) / noise.std() * 3, 0, 1)
    white = 235 + 6 * cv2.GaussianBlur(rng.normal(size=p.pixels.shape[1:]).astype(np.float32), (0, 0), 8)
    return replace(p, pixels=np.rint(p.pixels[:3] * (1 - veil) + white * veil).clip(0, 255).astype(np.uint8))


def snow(p: Picture) -> Picture:
    """Snow on all that is not steep or dark."""
    bright = p.pixels[:3].mean(axis=0) > 60
    cover = cv2.GaussianBlur(bright.astype(np.float32), (0, 0), 3)
    return replace(p, pixels=np.rint(p.pixels[:3] * (1 - cover) + 240 * cover).clip(0, 255).astype(np.uint8))


FILES: dict[str, tuple[Fault, tuple[str, ...]]] = {
    "RGB read as BGR": (bands(2, 1, 0), ("band order", "order by the network")),
    "green and blue swapped": (bands(0, 2, 1), ("band order", "order by the network", "infrared")),
    "blue, red, green": (bands(2, 0, 1), ("band order", "order by the network", "infrared")),
    "NIR in the red slot": (bands(3, 1, 2), ("infrared",)),
    "CIR (NIR, red, green)": (bands(3, 0, 1), ("infrared",)),
    "pixels divided by 255": (divided, ("pixel scale",)),
    "16-bit read as 8-bit, low byte": (byte_of_12("low"), ("pixel scale",)),
    "16-bit read as 8-bit, high byte": (byte_of_12("high"), ("pixel scale",)),
    "ground sampling distance x 2": (gsd_twice, ("georeference",)),
    "wrong CRS (zone 33)": (zone_33, ("georeference",)),
    "black border": (border, ("black border",)),
    "clouds": (clouds, ("clouds or snow",)),
    "snow": (snow, ("clouds or snow", "brightness")),
}


def raw_pixels(card: ModelCard) -> ModelCard:
    """The network is given 0..255 where it knows 0..1."""
    return replace(card, mean=tuple(m / 255 for m in card.mean), std=tuple(s / 255 for s in card.std))


def normalised_twice(card: ModelCard) -> ModelCard:
    """((p − m) / s − m) / s."""
    pairs = list(zip(card.mean, card.std, strict=True))
    return replace(card, mean=tuple(m + s * m for m, s in pairs), std=tuple(s * s for _, s in pairs))


CARDS: dict[str, tuple[Callable[[ModelCard], ModelCard], tuple[str, ...]]] = {
    "division by 255 left out": (raw_pixels, ("normalisation",)),
    "normalised twice": (normalised_twice, ("normalisation",)),
}


class After(nn.Module):
    """A network with something behind it that should not be there."""

    def __init__(self, network: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.change = network, change

    def forward(self, x: Tensor) -> Tensor:
        """What comes out at the end."""
        return self.change(self.network(x))


def _sealed(bias: float) -> Callable[[Tensor], Tensor]:
    def change(logits: Tensor) -> Tensor:
        out = logits.clone()
        out[:, 1:] += bias
        return out

    return change


NETWORKS: dict[str, tuple[Callable[[Tensor], Tensor], tuple[str, ...]]] = {
    "softmax applied twice": (lambda z: torch.softmax(z, dim=1), ("activation",)),
    "sigmoid, then softmax": (torch.sigmoid, ("activation",)),
    "all sealed": (_sealed(25.0), ("sealed share",)),
    "all green": (_sealed(-25.0), ("sealed share",)),
    "the same answer everywhere": (torch.zeros_like, ("constant output",)),
    "logits x 50": (lambda z: 50 * z, ("constant output",)),
    "NaN": (lambda z: torch.where(z > z.mean() + 2 * z.std(), torch.nan, z), ("values",)),
}


@contextmanager
def network_with(change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Every network loaded in the block gets ``change`` behind it."""
    plain = engines.ModelBundle.network
    engines.ModelBundle.network = lambda bundle: After(plain(bundle), change).eval()  # type: ignore[method-assign]
    try:
        yield
    finally:
        engines.ModelBundle.network = plain  # type: ignore[method-assign]


def town_spec(number: int) -> TownSpec:
    """A town of its own season, sun, camera and ground sampling distance; others than ``learn_guard`` fits on."""
    rng = np.random.default_rng(5000 + number)
    return varied(rng, number, seed=900 + number, side_m=SIDE_M, gsd_m=(0.2, 0.2, 0.2, 0.1)[number // 4 % 4])


def varied(rng: np.random.Generator, number: int, *, seed: int, side_m: float, gsd_m: float) -> TownSpec:
    """A town with a season by its number, and a sun and (from the ninth town on) a camera drawn from ``rng``."""
    camera = Camera(
        gains=tuple(rng.uniform(0.85, 1.18, 4)), gamma=float(rng.uniform(0.75, 1.3)),
        saturation=float(rng.uniform(0.6, 1.3)), haze=float(rng.choice([0.0, 0.0, 0.1, 0.25])),
        blur_px=float(rng.uniform(0.4, 1.2)), sharpen=float(rng.uniform(0, 0.6)), noise=float(rng.uniform(0.5, 4)),
    )  # fmt: skip
    return TownSpec(
        seed=seed, width_m=side_m, height_m=side_m, sheet_m=side_m, gsd_m=gsd_m,
        season=SEASONS[number % 4], sun_azimuth_deg=float(rng.uniform(100, 250)),
        sun_elevation_deg=float(rng.uniform(20, 60)), camera=Camera() if number < 8 else camera,
    )  # fmt: skip


def read(path: Path) -> Picture:
    """A sheet as it is."""
    with rasterio.open(path) as dataset:
        return Picture(name=path.stem, pixels=dataset.read(), transform=dataset.transform, crs=dataset.crs)


def write(picture: Picture, folder: Path) -> Path:
    """As GeoTIFF, bands called red, green, blue."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{picture.name}{picture.suffix}"
    count, height, width = picture.pixels.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=picture.pixels.dtype,
        crs=picture.crs, transform=picture.transform,
    ) as dataset:  # fmt: skip
        dataset.colorinterp = COLORS[:count]
        dataset.write(picture.pixels)
    return path


def verdict_of(orthos: list[Path], out: Path, model: Path | None = None) -> tuple[str, list[Finding], str]:
    """('ok', 'warning' or 'refusal', what was found, the message)."""
    shutil.rmtree(out, ignore_errors=True)
    try:
        mapped = predict(orthos, out, model=model)
    except GuardError as error:
        return "refusal", list(error.findings), str(error)
    except SealmapError as error:
        return "refusal", [], str(error)
    bad = [f for f in mapped.findings if f.verdict != "ok"]
    return ("warning" if bad else "ok"), list(mapped.findings), "; ".join(f"{f.check}: {f.cause}" for f in bad)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What became of one fault on one sheet."""

    fault: str
    sheet: str
    verdict: str
    named: bool
    told: str


def row(fault: str, sheet: str, checks: tuple[str, ...], found: tuple[str, list[Finding], str], word: str = "") -> Row:
    """Named: a finding of these checks, or an error with that word."""
    verdict, findings, told = found
    named = any(f.check in checks and f.verdict != "ok" for f in findings) or bool(word and word in told)
    return Row(fault=fault, sheet=sheet, verdict=verdict, named=named, told=told[:400])


def faulty(sheets: list[Path], work: Path) -> Iterator[Row]:
    """Every fault on every sheet."""
    bundle = load_bundle(shipped_bundle())
    for path in sheets:
        clean, out = read(path), work / "out"
        for name, (change, checks) in FILES.items():
            file = write(change(clean), work / "faulty")
            yield row(name, path.stem, checks, verdict_of([file], out))
            file.unlink()
        for name, (edit, checks) in CARDS.items():
            model = work / "edited.sealmap"
            save_bundle(model, edit(bundle.card), bundle.network(), overwrite=True)
            yield row(name, path.stem, checks, verdict_of([path], out, model))
        for name, (behind, checks) in NETWORKS.items():
            with network_with(behind):
                yield row(name, path.stem, checks, verdict_of([path], out))
        yield row("truncated JP2", path.stem, (), verdict_of([_cut(path, work)], out), "cut short")
        for name, word in (("bundle of another format", "format"), ("bundle with changed weights", "hash")):
            yield row(name, path.stem, (), verdict_of([path], out, _broken(name, work)), word)


def _cut(path: Path, work: Path) -> Path:
    data = path.read_bytes()
    short = work / path.name
    short.write_bytes(data[: len(data) * 2 // 3])
    return short


def _broken(name: str, work: Path) -> Path:
    data = shipped_bundle().read_bytes()
    path = work / "broken.sealmap"
    if "format" in name:
        data = data.replace(b'\\"format\\": 1', b'\\"format\\": 9', 1)
    else:
        data = data[:-64] + bytes(b ^ 255 for b in data[-64:])
    path.write_bytes(data)
    return path


def clean_sheets(town: Path, real: Path) -> Iterator[tuple[str, Path]]:
    """(source, sheet)."""
    for number in range(40):
        folder = town / f"{number:02}"
        if not folder.exists():
            write_town(folder, town_spec(number))
        yield "town", next(folder.glob("*.jp2"))
    for path in sorted((real / "tallinn").glob("*/t??.tif")):
        yield "Tallinn", path
    for name in ("flanders/ortho.tif", "edge_rasters/pix4d_alpha_nodata_35cm.tif"):
        if (real / name).exists():
            yield name.split("/")[0], real / name


def main() -> None:
    """Make, map, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--real", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sheets", type=int, default=8, help="towns that faults are put into")
    parser.add_argument("--only", default="", help="clean or faulty; both by default")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    sheets = list(clean_sheets(args.out / "town", args.real))
    towns = [path for source, path in sheets if source == "town"]
    rows: list[Row] = []
    if args.only != "faulty":
        for source, path in sheets:
            found = verdict_of([path], args.out / "out")
            rows.append(row("clean", f"{source} {path.parent.name}/{path.stem}", (), found))
            if found[0] != "ok":
                print(f"{source:<12}{path.parent.name}/{path.stem[-22:]:<24}{found[0]:<9}{found[2][:160]}", flush=True)
    if args.only != "clean":
        for found_row in faulty(towns[:: len(towns) // args.sheets][: args.sheets], args.out):
            rows.append(found_row)
            if not found_row.named:
                print(
                    f"MISSED {found_row.fault} on {found_row.sheet}: {found_row.verdict} {found_row.told[:200]}",
                    flush=True,
                )
    text = json.dumps([{k: getattr(r, k) for k in Row.__slots__} for r in rows], indent=1)
    write_text(args.out / f"rows_{args.only or 'all'}.json", text, overwrite=True)
    print(table(rows))


def table(rows: list[Row]) -> str:
    """Markdown: a row per fault, then the clean ones by source."""
    lines = [
        "| fault | sheets | refused | warned | missed | right cause named |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    faults = [r for r in rows if r.fault != "clean"]
    for name in dict.fromkeys(r.fault for r in faults):
        mine = [r for r in faults if r.fault == name]
        counts = [sum(r.verdict == v for r in mine) for v in ("refusal", "warning", "ok")]
        lines.append(
            f"| {name} | {len(mine)} | {counts[0]} | {counts[1]} | {counts[2]} | {sum(r.named for r in mine)} |"
        )
    if faults:
        named = sum(r.named for r in faults) / len(faults)
        lines.append(f"| **all faults** | {len(faults)} | | | | **{named:.1%}** |")
    clean = [r for r in rows if r.fault == "clean"]
    for source in dict.fromkeys(r.sheet.split()[0] for r in clean):
        mine = [r for r in clean if r.sheet.split()[0] == source]
        counts = [sum(r.verdict == v for r in mine) for v in ("refusal", "warning", "ok")]
        lines.append(f"| clean: {source} | {len(mine)} | {counts[0]} | {counts[1]} | {counts[2]} ok | |")
    if clean:
        false = sum(r.verdict == "refusal" for r in clean) / len(clean)
        lines.append(f"| **false refusals** | {len(clean)} | **{false:.1%}** | | | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
