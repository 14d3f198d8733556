"""Pages of the guard's faults: docs/faults/NAME.md and its picture, made from the invented town.

    python scripts/fault_pages.py --out docs/faults --work fault_pages

Each fault of ``benchmarks/guard_matrix.py`` is put into one town sheet and mapped with ``force``; the picture shows the
sheet as the model saw it beside the probability of 'sealed', and the page quotes what the guard says.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray

from sealmap.core.errors import SealmapError
from sealmap.core.finding import Finding, gravest_first
from sealmap.model.bundle import load_bundle, save_bundle
from sealmap.pipeline import shipped_bundle
from sealmap.pipeline.maps import Serving, predict
from sealmap.testing.town import write_town

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from guard_matrix import CARDS, FILES, NETWORKS, network_with, read, town_spec, write

SHOWN_PX = 420
TOWN = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What a page says of a fault beside what was measured."""

    title: str
    how: str
    seen: str
    remedy: str


PAGES: dict[str, Page] = {
    "RGB read as BGR": Page(
        title="Red and blue have changed places",
        how="A sheet was written by a program that keeps blue first (OpenCV does), or its bands were renamed.",
        seen="Roof tiles are blue, meadows turquoise, shade brownish.",
        remedy="`gdal_translate -b 3 -b 2 -b 1 IN OUT.tif`",
    ),
    "green and blue swapped": Page(
        title="Bands in another order",
        how="Bands were picked by number from a product with another order.",
        seen="Meadows are violet or blue.",
        remedy="Look at the bands one by one in QGIS and put them right with `gdal_translate -b`.",
    ),
    "NIR in the red slot": Page(
        title="Near infrared where red belongs",
        how="Of an RGBI product, bands 4, 2, 3 were taken.",
        seen="All that grows is pink or red.",
        remedy="`gdal_translate -b 1 -b 2 -b 3 IN OUT.tif` of the RGBI sheet.",
    ),
    "CIR (NIR, red, green)": Page(
        title="A colour-infrared sheet",
        how="The office ordered DOP as CIR: near infrared, red, green, called red, green, blue.",
        seen="All that grows is bright red, roofs are greenish.",
        remedy="Use the RGB or RGBI product of the same flight.",
    ),
    "pixels divided by 255": Page(
        title="Pixels divided by 255 before",
        how="Values of 0..1 were stored as bytes: nothing is left but 0 and 1.",
        seen="The sheet is black; stretched by QGIS it shows a few white roofs.",
        remedy="Use the original sheet.",
    ),
    "16-bit read as 8-bit, low byte": Page(
        title="The low byte of 16-bit values",
        how="A raw reader took every second byte of 12- or 16-bit pixels.",
        seen="Coloured noise, with the town shining through like contour lines.",
        remedy="`gdal_translate -ot Byte -scale IN OUT.tif` of the original, or give sealmap the 16-bit sheet itself.",
    ),
    "16-bit read as 8-bit, high byte": Page(
        title="The high byte of 12-bit values",
        how="16-bit values were divided by 256, although only 12 bits are used.",
        seen="The sheet is nearly black; stretched, it shows bands of few colours.",
        remedy="`gdal_translate -ot Byte -scale IN OUT.tif` of the original, or give sealmap the 16-bit sheet itself.",
    ),
    "ground sampling distance x 2": Page(
        title="A wrong pixel size",
        how="A world file or a header says twice the pixel size, so every house is four times as large on the map.",
        seen="Square metres are four times too high; the sheet covers its neighbours in QGIS.",
        remedy="`gdal_edit.py -tr 0.2 0.2 FILE`, or write the world file again. sealmap can tell only where the name of"
        " the sheet follows the AdV pattern; compare with the parcels where it does not.",
    ),
    "wrong CRS (zone 33)": Page(
        title="A wrong coordinate system",
        how="UTM zone 33 was set where the coordinates are of zone 32.",
        seen="The sheet lies hundreds of kilometres to the east; no parcel meets it.",
        remedy="`gdal_edit.py -a_srs EPSG:25832 FILE`. sealmap can tell where the name says the zone, and in a run"
        " where parcels do not meet the map.",
    ),
    "black border": Page(
        title="A black border that is no 'no data'",
        how="A rotated or cropped sheet was filled with black and compressed with loss, so that black is not quite 0.",
        seen="A black edge; it is mapped as ground and counted.",
        remedy="`nearblack -nb 0 -near 8 -setmask -o OUT.tif IN`",
    ),
    "clouds": Page(
        title="Clouds",
        how="The flight met clouds.",
        seen="White patches with soft edges; the model calls them roof or paving.",
        remedy="Another flight. What lies below a cloud cannot be seen by anyone.",
    ),
    "snow": Page(
        title="Snow",
        how="The flight was flown over snow.",
        seen="White ground with dark roofs and trees, the other way round from what the model knows.",
        remedy="Another flight.",
    ),
    "division by 255 left out": Page(
        title="The bundle's mean and deviation are on another scale",
        how="A model trained on 0..1 is given 0..255, or the other way round.",
        seen="Hard edges, large areas of one class, probabilities of exactly 0 and 1.",
        remedy="`sealmap import --mean … --std …` with values on the 0..1 scale.",
    ),
    "normalised twice": Page(
        title="Normalised twice",
        how="A training script normalised in the data set and again in the network.",
        seen="The map looks plausible and is wrong: less sure, and too little or too much sealed.",
        remedy="`sealmap import --mean … --std …` with the values that the training really used, once.",
    ),
    "softmax applied twice": Page(
        title="Softmax applied twice",
        how="The network ends in a softmax and another one follows.",
        seen="Probabilities keep to a narrow range; every threshold inside it gives the same map, every other all or"
        " nothing.",
        remedy="`sealmap import MODEL --activation auto`. Do not raise the threshold instead.",
    ),
    "sigmoid, then softmax": Page(
        title="Double activation: 0.500 and 0.731",
        how="The network ends in a sigmoid (`activation='sigmoid'` in segmentation-models-pytorch) and inference"
        " applies another: sigmoid(0) = 0.500, sigmoid(1) = 0.731. The predecessor of sealmap took this for a 'domain"
        " shift' and raised the threshold to 0.6, which is 0.405 on the true scale.",
        seen="Background at 0.50, buildings at 0.73, and one polygon over the whole city at a threshold of 0.5.",
        remedy="`sealmap import MODEL --activation auto`. Do not raise the threshold instead.",
    ),
    "all sealed": Page(
        title="Everything is sealed",
        how="A broken last layer, a threshold near 0, or a flight that the model takes for stone.",
        seen="One polygon over the map.",
        remedy="Look at `probability.tif`; check the bundle on a sheet it was trained on with `sealmap doctor`.",
    ),
    "all green": Page(
        title="Nothing is sealed",
        how="A broken last layer, a threshold near 1, or really a forest.",
        seen="An empty map.",
        remedy="Where the picture shows houses, check the bundle with `sealmap doctor`. Over forest and water it is"
        " right, so the guard warns and does not refuse.",
    ),
    "the same answer everywhere": Page(
        title="The same answer everywhere",
        how="Weights that were not loaded, or a network that died in training.",
        seen="A flat map of one value.",
        remedy="Train again, or fetch the bundle again.",
    ),
    "logits x 50": Page(
        title="Nothing but 0 and 1",
        how="Logits were scaled, or a class map was taken for probabilities.",
        seen="Hard edges and no shades in `probability.tif`.",
        remedy="Import the model with its right output; calibrate it: `sealmap calibrate`.",
    ),
    "NaN": Page(
        title="Not a number",
        how="Half precision overflowed, or training diverged.",
        seen="Holes or blocks in the map.",
        remedy="Train with a lower learning rate; run in 32 bits.",
    ),
}

WITHOUT_PICTURE = """# Files that do not open

- **A truncated JP2** is found by its missing end marker before anything is computed: fetch the file again.
- **A bundle of another format, or with changed weights** is refused by its format number and its hash: fetch it again,
  or use the version of sealmap that wrote it.
- **Bands that are missing, pixels of another type, sheets on different grids** are refused when the sheets are opened.
- **A resolution that the model was not trained for** is refused with the `gdalwarp` line that helps; within the range
  of the bundle, windows are resampled and the run says so.
"""


def slug(title: str) -> str:
    """A file name."""
    plain = "".join(c if c.isalnum() else "-" for c in title.lower())
    return "-".join(part for part in plain.split("-") if part)


def mapped(name: str, sheet: Path, work: Path) -> tuple[Path, list[Finding], str]:
    """The file the model was given, findings, and the guard's message without force."""
    file, model, behind = sheet, None, nullcontext()
    if name in FILES:
        file = write(FILES[name][0](read(sheet)), work / "faulty")
    elif name in CARDS:
        bundle = load_bundle(shipped_bundle())
        model = work / "edited.sealmap"
        save_bundle(model, CARDS[name][0](bundle.card), bundle.network(), overwrite=True)
    else:
        behind = network_with(NETWORKS[name][0])  # type: ignore[assignment]
    with behind:
        shutil.rmtree(work / "out", ignore_errors=True)
        done = predict([file], work / "out", model=model, serving=Serving(force=True))
        shutil.rmtree(work / "refused", ignore_errors=True)
        try:
            predict([file], work / "refused", model=model)
            told = ""
        except SealmapError as error:
            told = str(error)
    return file, gravest_first(f for f in done.findings if f.verdict != "ok"), told


def picture(file: Path, probability: Path) -> NDArray[Any]:
    """The sheet as called red, green, blue, and p(sealed) from black (0) to white (1), side by side."""
    with rasterio.open(file) as dataset:
        seen = dataset.read([1, 2, 3])
    with rasterio.open(probability) as dataset:
        prob = dataset.read(1, masked=True)
    size = (SHOWN_PX, SHOWN_PX)
    left = cv2.resize(np.ascontiguousarray(seen.transpose(1, 2, 0)), size, interpolation=cv2.INTER_AREA)
    grey = (prob.filled(0).astype(np.float32) / 254 * 255).astype(np.uint8)
    right = cv2.cvtColor(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2RGB)
    gap = np.full((SHOWN_PX, 8, 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def main() -> None:
    """Make all pages, and their list."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    args.out.mkdir(parents=True, exist_ok=True)
    town = args.work / "town"
    if not town.exists():
        write_town(town, town_spec(TOWN))
    sheet = next(town.glob("*.jp2"))
    lines = []
    for name, page in PAGES.items():
        file, findings, told = mapped(name, sheet, args.work)
        stem = slug(page.title)
        image = cv2.cvtColor(picture(file, args.work / "out" / "probability.tif"), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(args.out / f"{stem}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 82])
        said = told or "; ".join(f"{f.verdict}: {f.check}: {f.cause}" for f in findings[:2]) or "nothing"
        text = (
            f"# {page.title}\n\n![The sheet as the model saw it, and the probability of 'sealed']({stem}.jpg)\n\n"
            f"**How it comes about.** {page.how}\n\n**What one sees.** {page.seen}\n\n"
            f"**What the guard says** (this sheet, shipped model):\n\n> {said}\n\n**What helps.** {page.remedy}\n"
        )
        (args.out / f"{stem}.md").write_text(text, encoding="utf-8")
        verdict = "refused" if told else findings[0].verdict if findings else "not found"
        lines.append(f"- [{page.title}]({stem}.md): {verdict}")
        print(f"{name:<34}{verdict:<10}{said[:110]}", flush=True)
    (args.out / "files-that-do-not-open.md").write_text(WITHOUT_PICTURE, encoding="utf-8")
    lines.append("- [Files that do not open](files-that-do-not-open.md): refused")
    head = "# What can go wrong, and what the guard says\n\nMade by `scripts/fault_pages.py` from an invented town.\n\n"
    (args.out / "README.md").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
