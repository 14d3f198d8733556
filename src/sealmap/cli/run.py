"""sealmap run: a whole job from a TOML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sealmap.cli.common import Force, Json, Overwrite, guarded, progress, show, show_findings

if TYPE_CHECKING:
    from sealmap.pipeline.maps import RunResult

NAME = "run"


def command(
    job: Annotated[Path, typer.Argument(help="Job file, such as job.toml.")],
    force: Force = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Predict → vectorize → parcels → QGIS project and report, in one folder.

    The least that a job file says: [input] orthophotos = ["sheets"] and [output] folder = "result". A guard watches, as
    in predict.
    """
    from sealmap.pipeline.maps import run
    from sealmap.settings import load_job

    with guarded(as_json=as_json), progress("windows", quiet=as_json) as report:
        result = run(load_job(job), overwrite=overwrite, force=force, progress=report)
    show_findings(result.mapped.findings, as_json=as_json)
    show(facts_of(result), as_json=as_json)


def facts_of(result: RunResult) -> dict[str, Any]:
    """What a run is summed up to: areas, the mass balance, and where the files are."""
    areas, balance = result.mapped.areas, result.outlines.balance
    facts: dict[str, Any] = {
        "sealed_m2": round(areas.sealed_m2),
        "mapped_m2": round(areas.known_m2),
        "unknown_m2": round(areas.unknown_m2),
        "polygons_m2": round(balance.simplified_m2),
        "cleaning": f"+{balance.added_m2:.0f} m², -{balance.removed_m2:.0f} m²",
    }
    if result.account is not None:
        table = result.account.table
        sealed = float(table["sealed_m2"].sum())
        facts["parcels"] = len(table)
        facts["parcels_sealed_m2"] = round(sealed)
        facts["outside_parcels_sealed_m2"] = round(areas.sealed_m2 - sealed)
    facts["guard"] = result.record.figures["guard"]["told"]
    return facts | {"classes": str(result.mapped.classes)} | {name: str(path) for name, path in result.files.items()}
