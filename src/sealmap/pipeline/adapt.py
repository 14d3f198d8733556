"""Bundle + sheets of another flight → bundle with that flight's batch-norm statistics, and what it changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import BundleError, SettingsError
from sealmap.core.record import InputFile
from sealmap.delivery.adaptation_page import AdaptationPage, BeforeAfter, SampleView, write_adaptation_page
from sealmap.delivery.evaluation_texts import say
from sealmap.delivery.texts import Language
from sealmap.files.atomic import refuse_existing, staged_folder
from sealmap.files.hashing import input_file
from sealmap.files.provenance import now, versions
from sealmap.model.card import ModelCard, digest, read_card
from sealmap.pipeline import Progress, shipped_bundle, silent
from sealmap.prediction.certainty import Certainty, Judged, judge
from sealmap.prediction.radiometry import distances
from sealmap.prediction.sample import FlightSample, sample_flight
from sealmap.sources.orthophoto import open_mosaic

ENTRY = "adaptation"
"""Of the card's ``training``: bundles, maps and 'sealmap info' carry it along from there."""

OLDER = "before_adaptation"
"""True in the ``calibration`` of a card whose temperature and threshold were fitted before the adaptation."""

_VIEWS = 6
_LAYERS = 8
_FEW_WINDOWS = 16

_FIGURES = {
    "mean_sealed": ("mean p(sealed)", "share"),
    "sealed_share": ("sealed share", "share"),
    "entropy": ("entropy per pixel", "bits"),
    "uncertain": ("uncertain pixels (0.1 < p < 0.9)", "share"),
    "disagreement": ("disagreement with itself", "share"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptSpec:
    """How to adapt.

    windows: sampled from the flight, evenly. batch: windows whose statistics are taken together. mix: share of the
    target in the new statistics, above 0 to 1. seed: of the sample. device: auto, cpu or cuda.
    """

    windows: int = 64
    batch: int = 8
    mix: float = 1.0
    seed: int = 1
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.windows < 2 or self.batch < 2:
            raise SettingsError(
                f"{self.windows} windows in batches of {self.batch} say little of a flight",
                remedy="use 2 or more of both, such as --windows 64 --batch 8",
            )
        if not 0 < self.mix <= 1:
            raise SettingsError(f"mix {self.mix:g} is no share of the target", remedy="use above 0 to 1, such as 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class AdaptedModel:
    """A bundle that was written, and the folder with adaptation.json and adaptation.html.

    before, after: figures of the sampled windows. distances: per band, on the 0..1 scale, None where not known.
    """

    bundle: Path
    card: ModelCard
    folder: Path
    before: Certainty
    after: Certainty
    distances: Mapping[str, float | None]
    warnings: tuple[str, ...]


def adaptation_of(card: ModelCard) -> Mapping[str, Any] | None:
    """What a card says of its adaptation: sheets, hash of the inputs, windows, mix, date; None where there was none."""
    found = card.training.get(ENTRY)
    return found if isinstance(found, Mapping) else None


def told(card: ModelCard, language: Language = "en") -> str:
    """One line for people on an adapted bundle; empty for any other."""
    found = adaptation_of(card)
    if found is None:
        return ""
    sheets = list(found["sheets"])
    more = say("adapted.more", language, n=str(len(sheets) - 3)) if len(sheets) > 3 else ""
    named = ", ".join(sheets[:3]) + more
    line = say("adapted", language, sheets=named, date=found["date"][:10], mix=f"{found['mix']:g}")
    if card.calibration and not card.calibration.get(OLDER):
        return line  # calibrated again since
    figures = {"temperature": f"{card.temperature:g}", "threshold": f"{card.threshold:g}"}
    return f"{line}; {say('adapted.older', language, **figures)}"


def adapt(
    model: Path | None,
    orthos: Sequence[Path],
    out: Path,
    *,
    spec: AdaptSpec | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> AdaptedModel:
    """Write ``out``: the bundle (None: the shipped one) with statistics of these sheets, and a report beside it.

    Temperature, threshold and every weight stay. BundleError where the network has no batch norm, was adapted before,
    or does not fit the sheets.
    """
    # torch takes seconds to import
    from sealmap.model.adapt import adapt_batch_norm, refuse_without_batch_norm
    from sealmap.model.bundle import ModelBundle, load_bundle, save_bundle
    from sealmap.model.engines import TorchEngine

    spec = spec or AdaptSpec()
    path = model or shipped_bundle()
    folder = out.with_name(f"{out.stem}_adaptation")
    refuse_existing(out, folder, overwrite=overwrite)
    _refuse_adapted(path, read_card(path))
    source = load_bundle(path)
    refuse_without_batch_norm(source)
    engine = TorchEngine(source, spec.device)
    with open_mosaic(orthos) as mosaic:
        sample = sample_flight(mosaic, source.card, count=spec.windows, seed=spec.seed)
        names, files = [s.name for s in mosaic.sheets], [input_file(s.path) for s in mosaic.sheets]
    before = judge(engine, sample.pixels_NCHW, sample.pixel_scale, shown=_VIEWS)
    adapted = adapt_batch_norm(
        source, sample.batches(spec.batch), sample.pixel_scale,
        mix=spec.mix, device=str(engine.device), report=progress,
    )  # fmt: skip
    entry = _entry(path, source.card, names, files, sample) | {"batch": spec.batch, "mix": spec.mix, "seed": spec.seed}
    card = _card(source.card, entry)
    made = ModelBundle(card=card, weights=adapted.bundle.weights)
    after = judge(TorchEngine(made, spec.device), sample.pixels_NCHW, sample.pixel_scale, shown=_VIEWS)
    apart = distances(card, sample.histogram_CB)
    layers = sorted(((s.layer, s.mean, s.log_std) for s in adapted.shifts), key=lambda s: -s[1])
    warnings = _warnings(card, sample, before.certainty, after.certainty)
    with staged_folder(folder, overwrite=overwrite) as scratch:
        report = _report(entry, before.certainty, after.certainty, apart) | {
            "layers": [{"layer": n, "mean": m, "log_std": s} for n, m, s in layers], "warnings": list(warnings),
        }  # fmt: skip
        (scratch / "adaptation.json").write_text(json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8")
        page = AdaptationPage(
            facts=_facts(entry, card), figures=_figures(before.certainty, after.certainty),
            distances={b: None if d is None else 255 * d for b, d in apart.items()},
            layers=layers[:_LAYERS], warnings=warnings, views=_views(sample, before, after),
        )  # fmt: skip
        write_adaptation_page(scratch / "adaptation.html", page, overwrite=False)
    half = any(str(w.dtype) == "torch.float16" for w in source.weights.values())
    saved = save_bundle(out, card, made.network(), overwrite=overwrite, half=half)
    return AdaptedModel(
        bundle=out, card=saved, folder=folder, before=before.certainty, after=after.certainty,
        distances=apart, warnings=warnings,
    )  # fmt: skip


def _refuse_adapted(path: Path, card: ModelCard) -> None:
    old = adaptation_of(card)
    if old is not None:
        raise BundleError(
            f"{path.name} was adapted already, on {old['date'][:10]} to {len(old['sheets'])} sheet(s)",
            remedy=f"adapt the bundle it was made from: {old['source']} (weights {old['source_weights_sha256'][:12]})",
        )


def _entry(
    path: Path, card: ModelCard, names: Sequence[str], files: Sequence[InputFile], sample: FlightSample
) -> dict[str, Any]:
    """What the card will say, but for the settings."""
    return {
        "method": "batch-norm statistics of the target (AdaBN, Li et al. 2016)",
        "source": path.name,
        "source_weights_sha256": card.weights_sha256,
        "sheets": list(names),
        "inputs_sha256": digest({f.name: bytes.fromhex(f.sha256) for f in files}),
        "windows": len(sample.windows),
        "window_px": int(sample.pixels_NCHW.shape[-1]),
        "candidates": sample.candidates,
        "skipped": sample.skipped,
        "date": now(),
        "versions": versions(),
        "calibration": "temperature and threshold were taken over, not fitted again",
    }


def _card(card: ModelCard, entry: Mapping[str, Any]) -> ModelCard:
    older = {**card.calibration, OLDER: True} if card.calibration else {}
    return replace(card, training={**card.training, ENTRY: dict(entry)}, calibration=older)


def _warnings(card: ModelCard, sample: FlightSample, before: Certainty, after: Certainty) -> tuple[str, ...]:
    found = []
    if len(sample.windows) < _FEW_WINDOWS:
        found.append(
            f"Only {len(sample.windows)} windows: their mixture of ground may not be the flight's, and the statistics"
            " take it for its light. Give more sheets."
        )
    if not card.statistics:
        found.append("The bundle holds no statistics of its training data: the distance of this flight is not known.")
    if abs(after.sealed_share - before.sealed_share) > 0.1:
        found.append(
            f"The sealed share of the sample went from {before.sealed_share:.1%} to {after.sealed_share:.1%}:"
            " look at the pictures before you trust either."
        )
    return tuple(found)


def _report(
    entry: Mapping[str, Any], before: Certainty, after: Certainty, apart: Mapping[str, float | None]
) -> dict[str, Any]:
    return {
        ENTRY: dict(entry),
        "before": asdict(before),
        "after": asdict(after),
        "distance_to_training": dict(apart),
    }


def _figures(before: Certainty, after: Certainty) -> list[BeforeAfter]:
    return [
        BeforeAfter(name=name, before=getattr(before, key), after=getattr(after, key), unit=unit)
        for key, (name, unit) in _FIGURES.items()
    ]


def _facts(entry: Mapping[str, Any], card: ModelCard) -> dict[str, str]:
    sheets = entry["sheets"]
    return {
        "made from": f"{entry['source']} (weights {entry['source_weights_sha256'][:12]})",
        "sheets": ", ".join(sheets[:12]) + (f" and {len(sheets) - 12} more" if len(sheets) > 12 else ""),
        "windows": f"{entry['windows']} of {entry['candidates']}, {entry['window_px']} px at {card.gsd_m:g} m each",
        "mix": f"{entry['mix']:g} of the target, {1 - entry['mix']:g} of the source",
        "kept": f"temperature {card.temperature:g} and threshold {card.threshold:g}, fixed before the adaptation",
        "date": entry["date"],
    }


def _views(sample: FlightSample, before: Judged, after: Judged) -> list[SampleView]:
    shown = zip(sample.pixels_NCHW, before.sealed_NHW, after.sealed_NHW, strict=False)
    return [SampleView(photo_HWC=_photo(pixels, sample.pixel_scale), before_HW=b, after_HW=a) for pixels, b, a in shown]


def _photo(pixels_CHW: NDArray[Any], pixel_scale: float) -> NDArray[np.uint8]:
    """The first three bands, uint8 (H, W, 3); a single band is shown grey."""
    shown = pixels_CHW[[0, min(1, len(pixels_CHW) - 1), min(2, len(pixels_CHW) - 1)]]
    return np.clip(shown.transpose(1, 2, 0) * (255 / pixel_scale), 0, 255).astype(np.uint8)
