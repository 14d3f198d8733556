"""sealmap adapt: bundle and orthophotos of another flight → bundle with that flight's statistics."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sealmap.cli.common import Device, Json, Overwrite, bundle_of, progress, show

NAME = "adapt"


def command(
    model: Annotated[Path, typer.Argument(help="Model bundle; 'shipped' for the one that comes with sealmap.")],
    orthos: Annotated[list[Path], typer.Argument(help="Orthophotos of the flight to map, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Bundle to write, such as adapted.sealmap; the report lies beside it.")],
    windows: Annotated[int, typer.Option(help="Windows to sample from the flight.")] = 64,
    batch: Annotated[int, typer.Option(help="Windows whose statistics are taken together.")] = 8,
    mix: Annotated[float, typer.Option(help="Share of the flight in the new statistics, above 0 to 1.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 1,
    device: Device = "auto",
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Take batch-norm statistics from another flight, without labels (AdaBN); tells what changes, before and after."""
    from sealmap.pipeline.adapt import AdaptSpec, adapt

    spec = AdaptSpec(windows=windows, batch=batch, mix=mix, seed=seed, device=device)
    bundle = bundle_of(model)
    with progress("batches", quiet=as_json) as report:
        done = adapt(bundle, orthos, out, spec=spec, overwrite=overwrite, progress=report)
    before, after = asdict(done.before), asdict(done.after)
    apart = {band: None if d is None else round(d, 5) for band, d in done.distances.items()}
    facts = {
        "bundle": str(done.bundle),
        "report": str(done.folder / "adaptation.html"),
        "weights_sha256": done.card.weights_sha256,
    }
    if as_json:
        more = {"before": before, "after": after, "distance_to_training": apart, "warnings": done.warnings}
        show(facts | more, as_json=True)
        return
    print(f"{'on the sampled windows':<24}{'before':>9}{'after':>9}")
    for name, value in before.items():
        print(f"{name:<24}{value:>9.3f}{after[name]:>9.3f}")
    grey = {band: "not known" if d is None else f"{255 * d:.1f}" for band, d in apart.items()}
    show(facts | {"grey values from the training data": grey}, as_json=False)
    print("No labels were used: this is no accuracy. Temperature and threshold are those from before.")
    for line in done.warnings:
        print(f"warning: {line}")
