"""ModelCard: everything but the weights that a model needs to travel with (DESIGN law 2). Free of torch."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from sealmap.core.errors import BundleError
from sealmap.core.legend import Legend

FORMAT = 3
"""Version of the bundle format; a newer one is refused, not guessed at. Version 2 came with ``isotonic``, 3 with graphs
(``ONNX``); a bundle that needs nothing of them is still written as version 1, so that older programs serve it as it is
meant."""

KEY = "sealmap"
"""Where the card sits in the metadata of the safetensors header."""

ONNX = "onnx"
"""The ``architecture`` of a bundle that holds a graph made elsewhere, in place of weights of a network of ours."""

OUTPUTS = ("logits", "sigmoid", "softmax", "double_sigmoid", "double_softmax")
"""What a stored graph may give. An engine turns it back into logits, and these go through the one activation."""

_MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class BandStatistics:
    """Of the training chips, on the 0..1 scale. ``histogram``: 64 equal bins of 0..1, adding up to 1."""

    mean: float
    std: float
    histogram: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """What a network is and how it must be fed.

    bands: names in the order the network takes them. Input = (pixel / pixel scale − mean) / std, where the pixel
    scale is 255 for 8-bit sheets and 2ⁿ−1 for deeper ones.
    gsd_m: ground sampling distance the network sees; prediction resamples to it.
    gsd_range_m: ground sampling distances of sheets that it was trained for; others are refused.
    patch, halo: pixels at ``gsd_m``; side of a training patch, and border of a window not to be kept.
    temperature divides the logits, threshold is on the calibrated probability of 'sealed' (0..1).
    isotonic: knots (probability of 'sealed' after the temperature, probability that is served instead), straight lines
    between them, from 0 to 1 and never falling; empty where the temperature alone serves.
    limits: figures of held-out ground that a flight is measured by (``prediction.guard``), by name: distance_<band>,
    sealed_low, sealed_high, entropy. Empty where they were not learnt; what needs them is then not judged.
    output: what a stored graph gives, one of ``OUTPUTS``; networks of our own give logits.
    calibration: how temperature and threshold were found: aim, split, pixels, scores before and after, the curve of
    scores by threshold. Empty where they were not fitted, as in bundles of versions before this entry.
    """

    architecture: str
    encoder: str
    bands: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    gsd_m: float
    gsd_range_m: tuple[float, float]
    legend: Legend
    patch: int
    halo: int
    output: str = "logits"
    temperature: float = 1.0
    isotonic: tuple[tuple[float, float], ...] = ()
    threshold: float = 0.5
    statistics: Mapping[str, BandStatistics] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    calibration: Mapping[str, Any] = field(default_factory=dict)
    weights_sha256: str = ""

    def __post_init__(self) -> None:
        if not len(self.bands) == len(self.mean) == len(self.std) or not self.bands:
            raise BundleError(f"{len(self.bands)} bands need as many means and deviations")
        if min(self.std) <= 0 or self.gsd_m <= 0 or self.temperature <= 0:
            raise BundleError("deviation, ground sampling distance and temperature must be above 0")
        if not 0 < self.threshold < 1 or not all(map(math.isfinite, (*self.mean, *self.std))):
            raise BundleError(f"the threshold must lie between 0 and 1, it is {self.threshold}")
        if self.isotonic and not _never_falls(self.isotonic):
            raise BundleError("the knots of the isotonic calibration must lead from 0 to 1 and never fall")
        if self.patch < 32 or self.patch % 32 or self.halo < 0:
            raise BundleError(f"patch {self.patch} must be a multiple of 32 and halo {self.halo} not negative")
        if self.output not in OUTPUTS or (self.output != "logits" and self.architecture != ONNX):
            raise BundleError(f"{self.architecture} cannot give '{self.output}': a network is built without activation")

    @property
    def _format(self) -> int:
        return 3 if self.architecture == ONNX else 2 if self.isotonic else 1

    def to_json(self) -> str:
        """As stored in the bundle."""
        plain = {
            "format": self._format,
            "architecture": self.architecture,
            "encoder": self.encoder,
            "activation": "softmax",
            "bands": self.bands,
            "mean": self.mean,
            "std": self.std,
            "gsd_m": self.gsd_m,
            "gsd_range_m": self.gsd_range_m,
            "legend": self.legend.to_json(),
            "patch": self.patch,
            "halo": self.halo,
            "output": self.output,
            "temperature": self.temperature,
            "isotonic": self.isotonic,
            "threshold": self.threshold,
            "statistics": {
                band: {"mean": s.mean, "std": s.std, "histogram": s.histogram} for band, s in self.statistics.items()
            },
            "limits": dict(self.limits),
            "training": dict(self.training),
            "calibration": dict(self.calibration),
            "weights_sha256": self.weights_sha256,
        }
        return json.dumps(plain, indent=1, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> ModelCard:
        """The inverse of ``to_json``; BundleError for another format or missing entries."""
        try:
            d = json.loads(text)
            if d["format"] not in range(1, FORMAT + 1):
                raise BundleError(
                    f"the bundle is of format {d['format']}, this version reads formats up to {FORMAT}",
                    remedy="use the version of sealmap that wrote it",
                )
            if d["activation"] != "softmax":
                raise BundleError(f"the bundle wants activation '{d['activation']}', known is softmax")
            return ModelCard(
                architecture=d["architecture"],
                encoder=d["encoder"],
                bands=tuple(d["bands"]),
                mean=tuple(float(v) for v in d["mean"]),
                std=tuple(float(v) for v in d["std"]),
                gsd_m=float(d["gsd_m"]),
                gsd_range_m=(float(d["gsd_range_m"][0]), float(d["gsd_range_m"][1])),
                legend=Legend.from_json(d["legend"]),
                patch=int(d["patch"]),
                halo=int(d["halo"]),
                output=str(d.get("output", "logits")),
                temperature=float(d["temperature"]),
                isotonic=tuple((float(p), float(q)) for p, q in d.get("isotonic", ())),
                threshold=float(d["threshold"]),
                statistics={
                    band: BandStatistics(mean=s["mean"], std=s["std"], histogram=tuple(s["histogram"]))
                    for band, s in d["statistics"].items()
                },
                limits={str(name): float(value) for name, value in d.get("limits", {}).items()},
                training=d["training"],
                calibration=dict(d.get("calibration", {})),
                weights_sha256=d["weights_sha256"],
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise BundleError(
                f"the bundle's card is damaged ({type(error).__name__}: {error})",
                remedy="fetch the bundle again",
            ) from error

    def check_raster(self, name: str, bands: tuple[str, ...], gsd_m: float) -> None:
        """Raise BundleError where a sheet does not fit: bands missing, ground sampling distance out of range."""
        missing = [b for b in self.bands if b not in bands]
        if missing:
            raise BundleError(
                f"the model takes {len(self.bands)} bands ({', '.join(self.bands)}); {name} has {len(bands)}"
                f" ({', '.join(bands)}), so {', '.join(missing)} is missing",
                remedy="use sheets with these bands or a model trained without them",
            )
        low, high = self.gsd_range_m
        if not low * 0.99 <= gsd_m <= high * 1.01:
            raise BundleError(
                f"{name} has {gsd_m:g} m pixels; the model was trained for {low:g} to {high:g} m",
                remedy=f"resample with: gdalwarp -tr {self.gsd_m:g} {self.gsd_m:g} -r average IN OUT.tif,"
                " or train a model for this resolution",
            )


def _never_falls(knots: tuple[tuple[float, float], ...]) -> bool:
    """Whether knots lead from 0 to 1, with values of 0..1 that never fall; NaN does not."""
    stated, served = zip(*knots, strict=True)
    rising = all(a < b for a, b in pairwise(stated)) and all(a <= b for a, b in pairwise(served))
    return rising and (stated[0], stated[-1]) == (0.0, 1.0) and served[0] >= 0 and served[-1] <= 1


def read_card(path: Path) -> ModelCard:
    """The card of a bundle, without loading its weights (and without torch)."""
    if not path.exists():
        raise BundleError(f"{path} does not exist", remedy="check the path, or leave --model out for the shipped one")
    with path.open("rb") as stream:
        head = stream.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(_MAX_HEADER_BYTES, path.stat().st_size):
            raise BundleError(f"{path} is no sealmap bundle", remedy="bundles are made by: sealmap train")
        raw = stream.read(length)
    try:
        card = json.loads(raw)["__metadata__"][KEY]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path} is no sealmap bundle", remedy="bundles are made by: sealmap train") from error
    return ModelCard.from_json(card)


def digest(parts: Mapping[str, bytes]) -> str:
    """SHA-256 over named byte strings, independent of their order."""
    total = hashlib.sha256()
    for name in sorted(parts):
        total.update(name.encode() + b"\0" + hashlib.sha256(parts[name]).digest())
    return total.hexdigest()
