"""One kilometre sheet, 10,000 x 10,000 x 4, lossy JPEG 2000: time, memory and decoded pixels of ``sealmap predict``.

    python benchmarks/one_sheet.py --out one_sheet [--side 10000]

The sheet is a 250 m town at 0.1 m, repeated. Decoding is counted by reading the sheet once, plainly, in the same run.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from sealmap.testing.town import TownSpec, plan_town, render_window


def make_sheet(path: Path, side: int) -> None:
    """A lossy JP2 of ``side`` pixels at 0.1 m, blocks of 1024."""
    spec = TownSpec(seed=5, width_m=250, height_m=250, sheet_m=250, gsd_m=0.1)
    x0, y0 = spec.origin
    piece = render_window(plan_town(spec), spec, (x0, y0, x0 + 250, y0 + 250)).pixels
    times = -(-side // piece.shape[1])
    whole = np.tile(piece, (1, times, times))[:, :side, :side]
    with rasterio.open(
        path, "w", driver="JP2OpenJPEG", height=side, width=side, count=4, dtype="uint8", crs="EPSG:25832",
        transform=from_origin(x0, y0 + side / 10, 0.1, 0.1), QUALITY="10", REVERSIBLE="NO",
        BLOCKXSIZE="1024", BLOCKYSIZE="1024",
    ) as sheet:  # fmt: skip
        sheet.write(whole)


def plain_pass(path: Path) -> float:
    """CPU seconds to read the whole sheet once, block row by block row."""
    before = time.process_time()
    with rasterio.Env(GDAL_CACHEMAX=256 * 2**20), rasterio.open(path) as sheet:
        for row in range(0, sheet.height, 1024):
            sheet.read([1, 2, 3], window=Window(0, row, sheet.width, min(1024, sheet.height - row)))  # type: ignore[no-untyped-call]
    return time.process_time() - before


def main() -> None:
    """Make, read, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--side", type=int, default=10_000)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "dop10rgbi_32_364_5620_1_nw_2025.jp2"
    if not path.exists():
        make_sheet(path, args.side)
    decode = plain_pass(path)
    command = [
        sys.executable,
        "-m",
        "sealmap",
        "predict",
        str(path),
        "--out",
        str(args.out / "map"),
        "--overwrite",
        "--json",
    ]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall = time.perf_counter() - started
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    facts = {
        "sheet": f"{args.side} x {args.side} x 4, {path.stat().st_size / 2**20:.0f} MiB",
        "wall_s": round(wall, 1),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_rss_mib": round(usage.ru_maxrss / 1024),
        "one_plain_decode_cpu_s": round(decode, 1),
        **json.loads(done.stdout),
    }
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
