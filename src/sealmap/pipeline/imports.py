"""A model of another maker → a sealmap bundle: rebuilt or stored as a graph, its activation found, its card written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealmap.core.errors import BundleError, SettingsError
from sealmap.core.legend import Legend, legend_named
from sealmap.files.atomic import refuse_existing
from sealmap.files.hashing import input_file
from sealmap.files.provenance import now, versions
from sealmap.model.card import ONNX, ModelCard
from sealmap.model.detect import Decision, check_activation, decide, evidence
from sealmap.model.probes import PIXEL_SCALE, probe_windows
from sealmap.prediction.sample import sample_flight
from sealmap.sources.orthophoto import open_mosaic

ENTRY, FORCED = "imported", "forced"
"""Of the card's ``training``: where the model came from, and the contradictions that were overridden."""

NEXT = "calibrate it on held-out chips of your own: sealmap calibrate BUNDLE CHIPS --out CALIBRATED"

_GSD_RANGE = (0.4, 2.5)
_SIDE, _SHEET_WINDOWS = 128, 8
_PATCH, _HALO = 512, 64
_RGB = ("red", "green", "blue")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportJob:
    """What a foreign file does not say.

    gsd_m, gsd_range_m: metres per pixel that it was trained with, and that sheets may have (None: 0.4 to 2.5 times).
    bands: in the order of its input; () where it takes red, green, blue. mean, std: on the 0..1 scale, one for each
    band or one for all; () takes those of the encoder's ImageNet weights, where they are known. legend: name of ours.
    classes: keys of the legend in the order of its outputs; () as in the legend. patch, halo: see ``ModelCard``;
    None takes 512 and 64, or what fits a graph of fixed size. architecture, encoder: None finds them. activation: of
    ``detect.ACTIVATIONS``. probe: sheets to try it on, beside windows made by code. force: write it although declared
    and found activation contradict each other. trust: a TorchScript program may run.
    """

    model: Path
    out: Path
    gsd_m: float
    gsd_range_m: tuple[float, float] | None = None
    bands: Sequence[str] = ()
    mean: Sequence[float] = ()
    std: Sequence[float] = ()
    legend: str = "sealed"
    classes: Sequence[str] = ()
    patch: int | None = None
    halo: int | None = None
    threshold: float = 0.5
    architecture: str | None = None
    encoder: str | None = None
    activation: str = "auto"
    probe: Sequence[Path] = ()
    force: bool = False
    trust: bool = False
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """A bundle that was written.

    kind: 'weights', 'torchscript' or 'onnx'. activation, how: what the file applies to its logits, and how that was
    decided. notes: what its owner should know.
    """

    bundle: Path
    card: ModelCard
    kind: str
    activation: str
    how: str
    notes: tuple[str, ...]


def import_model(job: ImportJob) -> Imported:
    """Write ``job.out``. BundleError where the file is unsafe, fits nothing, or contradicts what was said of it."""
    from sealmap.model.foreign import kind_of  # torch takes seconds to import

    refuse_existing(job.out, overwrite=job.overwrite)
    check_activation(job.activation)
    legend = legend_named(job.legend)
    kind = kind_of(job.model)
    return _graph(job, legend) if kind == "onnx" else _network(job, legend, kind)


def _graph(job: ImportJob, legend: Legend) -> Imported:
    """ONNX: the file's bytes go into the bundle as they are."""
    from sealmap.model.bundle import save_weights
    from sealmap.model.graph import OnnxGraph, graph_weights

    data = job.model.read_bytes()
    halo = job.halo
    graph = OnnxGraph(data, halo=halo or 0)
    if halo is None:
        halo = _HALO if graph.side is None else min(_HALO, graph.side // 8)
        graph = OnnxGraph(data, halo=halo)
    order = _order(job, legend, graph.channels)
    card = _card(job, legend, graph.bands, (ONNX, f"opset {graph.opset}", halo), graph.side)
    outputs = [graph.raw(x) for x in _probes(job, card, graph.side or _SIDE)]
    decision = decide(job.activation, evidence(outputs), graph.tail, force=job.force)
    notes = _notes(job, decision, graph.channels)
    card = _signed(replace(card, output=decision.output), job, "onnx", decision, notes)
    card = save_weights(job.out, card, graph_weights(data, order), overwrite=job.overwrite)
    return Imported(bundle=job.out, card=card, kind="onnx", activation=decision.output, how=decision.how, notes=notes)


def _network(job: ImportJob, legend: Legend, kind: str) -> Imported:
    """A state dict, or the one of a TorchScript program: a network of ours without activation takes the weights."""
    from sealmap.model.bundle import save_bundle
    from sealmap.model.foreign import fitting, for_legend, logits_of, read_torchscript, read_weights, rebuild

    if kind == "torchscript" and not job.trust:
        raise BundleError(
            f"{job.model.name} is TorchScript, a program: to read it is to run parts of it",
            remedy="add --trust if you know its maker, or import a state dict or ONNX, which are data",
        )
    program, weights = read_torchscript(job.model) if kind == "torchscript" else (None, read_weights(job.model))
    pairs = fitting(weights, job.architecture, job.encoder)
    if program is None and len(pairs) > 1:
        raise BundleError(
            f"the weights fit {' and '.join(f'{a} with {e}' for a, e in pairs)}, which differ in more than shapes",
            remedy="name --architecture and --encoder",
        )

    def asked(pair: tuple[str, str]) -> tuple[Any, ModelCard, NDArray[np.float32]]:
        rebuilt = rebuild(weights, *pair)
        card = _card(job, legend, rebuilt.bands, (*pair, _HALO if job.halo is None else job.halo), None)
        return rebuilt, card, _probes(job, card, _SIDE)[0]

    if program is None:
        rebuilt, card, x_NCHW = asked(pairs[0])
        facts = evidence([logits_of(rebuilt.network, x_NCHW)])
        how = f"a state dict holds no activation, so there is nothing to detect: rebuilt without one, logits {facts}"
        if job.activation not in ("auto", "logits"):
            how += f"; the declared {job.activation} was applied after it, and is left out"
        decision = Decision(output="logits", how=how)
    else:
        rebuilt, card, decision = _proved(job, program, pairs, asked)
    network = for_legend(rebuilt, _order(job, legend, rebuilt.channels))
    notes = (*_notes(job, decision, rebuilt.channels), *_left_out(weights.left_out))
    card = save_bundle(
        job.out, _signed(card, job, kind, decision, notes), network, overwrite=job.overwrite
    )  # fmt: skip
    return Imported(
        bundle=job.out, card=card, kind=kind, activation=decision.output, how=decision.how, notes=notes
    )  # fmt: skip


def _proved(
    job: ImportJob,
    program: Any,
    pairs: Sequence[tuple[str, str]],
    asked: Callable[[tuple[str, str]], tuple[Any, ModelCard, NDArray[np.float32]]],
) -> tuple[Any, ModelCard, Decision]:
    """The network whose logits, after one of the activations we know, are the program's outputs."""
    from sealmap.model.script import activation_of

    failed: BundleError | None = None
    for pair in pairs:
        rebuilt, card, x_NCHW = asked(pair)
        try:
            found, apart = activation_of(program, rebuilt, x_NCHW)
        except BundleError as error:
            failed = failed or error
            continue
        how = f"proved: the program gives {found} of the rebuilt network's logits, apart by {apart:.1g} of the largest"
        if job.activation in ("auto", found):
            return rebuilt, card, Decision(output=found, how=how)
        told = f"declared {job.activation}, but {how}"
        if not job.force:
            raise BundleError(told, remedy=f"use --activation {found} or auto")
        return rebuilt, card, Decision(output=found, how=how, forced=(told,))
    assert failed is not None
    raise failed


def _card(job: ImportJob, legend: Legend, count: int, named: tuple[str, str, int], side: int | None) -> ModelCard:
    """The card but for output and record. count: bands of the input. named: architecture, encoder, halo."""
    architecture, encoder, halo = named
    bands = tuple(job.bands) or (_RGB if count == 3 else ())
    if len(bands) != count or len(set(bands)) != count:
        raise SettingsError(
            f"the model takes {count} bands, {len(bands)} are named ({', '.join(bands)})",
            remedy="name them in the order of its input, such as --bands red,green,blue,nir",
        )
    mean, std = _scales(job, bands, encoder)
    low, high = job.gsd_range_m or (job.gsd_m * _GSD_RANGE[0], job.gsd_m * _GSD_RANGE[1])
    if not 0 < low <= job.gsd_m <= high:
        raise SettingsError(f"{job.gsd_m:g} m is not in the range of {low:g} to {high:g} m", remedy="check --gsd-range")
    return ModelCard(
        architecture=architecture, encoder=encoder, bands=bands, mean=mean, std=std, gsd_m=job.gsd_m,
        gsd_range_m=(low, high), legend=legend, halo=halo, threshold=job.threshold,
        patch=job.patch or (side if side and not side % 32 else _PATCH),
    )  # fmt: skip


def _scales(job: ImportJob, bands: tuple[str, ...], encoder: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    given = [tuple(v) * len(bands) if len(v) == 1 else tuple(v) for v in (job.mean, job.std)]
    if not job.mean and not job.std and bands == _RGB:
        from sealmap.model.foreign import imagenet_statistics

        given = list(imagenet_statistics(encoder) or given)
    if any(len(v) != len(bands) for v in given):
        raise SettingsError(
            f"{len(given[0])} means and {len(given[1])} deviations for {len(bands)} bands, and none are known",
            remedy="say how it was trained: --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 (ImageNet),"
            " --mean 0 --std 1 (pixels of 0..1) or --mean 0 --std 0.00392157 (pixels of 0..255)",
        )
    return given[0], given[1]


def _order(job: ImportJob, legend: Legend, channels: int) -> list[int] | None:
    """Channel of each class of the legend; None where they are in its order, or one channel is 'sealed' alone."""
    keys = [c.key for c in legend.classes]
    named = list(job.classes) or (keys[1:] if channels == 1 else keys)
    wanted = keys[1:] if channels == 1 else keys
    if len(wanted) != channels or sorted(named) != sorted(wanted):
        raise SettingsError(
            f"the model gives {channels} classes, named are {', '.join(named)}; legend '{legend.name}' has"
            f" {', '.join(keys)}",
            remedy="choose --legend sealed or roof_paved, and name its classes in the order of the model's outputs,"
            f" such as --classes {','.join(keys)}",
        )
    return None if channels == 1 or named == keys else [named.index(key) for key in keys]


def _probes(job: ImportJob, card: ModelCard, side: int) -> list[NDArray[np.float32]]:
    """Normalised windows to ask the model with: made by code and, where sheets were given, real ones."""
    seen: list[tuple[NDArray[Any], float]] = [(probe_windows(len(card.bands), side), PIXEL_SCALE)]
    if job.probe:
        with open_mosaic(job.probe) as mosaic:
            sample = sample_flight(mosaic, card, count=_SHEET_WINDOWS, seed=1)
        seen.append((sample.pixels_NCHW, sample.pixel_scale))
    mean, std = (np.array(v, np.float32)[:, None, None] for v in (card.mean, card.std))
    return [((p.astype(np.float32) / np.float32(scale)) - mean) / std for p, scale in seen]


def _notes(job: ImportJob, decision: Decision, channels: int) -> tuple[str, ...]:
    found = list(decision.forced)
    if not job.mean and not job.std:
        found.append("mean and deviation are those of the encoder's ImageNet weights: give --mean and --std if not so")
    if decision.output in ("double_sigmoid", "double_softmax", "sigmoid_of_softmax"):
        found.append(
            f"{decision.output}: it activates twice, and the bundle does not. Thresholds on its own scale do not hold:"
            " 0.6 after two sigmoids is 0.405 after one"
        )
    if channels > 1 and "sigmoid" in decision.output:
        found.append("a sigmoid per class: its logits go through one softmax here, so that classes add up to 1")
    return tuple(found)


def _left_out(names: Sequence[str]) -> tuple[str, ...]:
    return (f"{len(names)} tensors beside the network were left out, such as {names[0]}",) if names else ()


def _signed(card: ModelCard, job: ImportJob, kind: str, decision: Decision, notes: tuple[str, ...]) -> ModelCard:
    """The card with the record of where the model came from."""
    file = input_file(job.model)
    entry = {
        "file": file.name,
        "bytes": file.bytes,
        "sha256": file.sha256,
        "kind": kind,
        "activation": decision.output,
        "how": decision.how,
        "probe": [p.name for p in job.probe],
        "notes": list(notes),
        "date": now(),
        "versions": versions(),
    }
    forced = {FORCED: list(decision.forced)} if decision.forced else {}
    return replace(card, training={ENTRY: entry, **forced})
