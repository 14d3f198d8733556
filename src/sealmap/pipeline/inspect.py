"""What a file is, and whether it fits the model: rasters, bundles, chip folders, results."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sealmap.core.errors import InputError, SealmapError
from sealmap.dataset.chipset import ChipSet
from sealmap.files.raster import grid_of, open_raster
from sealmap.files.tags import LEGEND_TAG
from sealmap.files.vector import list_layers, read_layer
from sealmap.model.card import read_card
from sealmap.pipeline import shipped_bundle
from sealmap.sources.orthophoto import SUFFIXES, open_mosaic


def inspect(path: Path, model: Path | None = None) -> dict[str, Any]:
    """Plain facts about a file, as 'what is it' → 'value'; raises InputError where it is nothing we know."""
    if not path.exists():
        raise InputError(f"{path} does not exist", remedy="check the path")
    if path.is_dir():
        return _chips(path) if (path / "dataset.json").exists() else _orthophoto([path], model)
    if path.suffix.lower() == ".sealmap":
        return _bundle(path)
    if path.suffix.lower() == ".json":
        return {"kind": "record", **_record(path)}
    if path.suffix.lower() in SUFFIXES:
        return _raster(path, model)
    return _vector(path)


def _record(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no JSON, or no text at all
        raise InputError(f"{path} is no record ({error})", remedy="give the run.json of a run") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} is no record: it holds no names", remedy="give the run.json of a run")
    return found


def _bundle(path: Path) -> dict[str, Any]:
    card = json.loads(read_card(path).to_json())
    card["statistics"] = {
        band: {"mean": round(s["mean"], 4), "std": round(s["std"], 4)} for band, s in card["statistics"].items()
    }
    card["calibration"] = {key: value for key, value in card["calibration"].items() if key != "curve"}
    card["legend"] = f"{card['legend']['name']}: " + ", ".join(c["key"] for c in card["legend"]["classes"])
    return {"kind": "model bundle", "bytes": path.stat().st_size, **card}


def _chips(path: Path) -> dict[str, Any]:
    chips = ChipSet.open(path)
    return {
        "kind": "chips",
        "legend": chips.legend.name,
        "bands": list(chips.bands),
        "gsd_m": chips.gsd_m,
        "patch": chips.patch,
        "overlap": chips.overlap,
        "labels": chips.rules,
        "chips": chips.split_counts(),
    }


def _raster(path: Path, model: Path | None) -> dict[str, Any]:
    with open_raster(path) as dataset:
        grid = grid_of(dataset)
        tags = dataset.tags()
        if LEGEND_TAG in tags or dataset.descriptions[0] == "sealed":
            kind = "class raster" if LEGEND_TAG in tags else "probability raster"
            legend = json.loads(tags[LEGEND_TAG])["name"] if LEGEND_TAG in tags else ""
            return {
                "kind": kind,
                "size_px": [grid.height, grid.width],
                "gsd_m": grid.gsd_m,
                "crs": grid.crs.name,
                "bands": list(dataset.descriptions),
                "legend": legend,
                "model": tags.get("SEALMAP_MODEL", ""),
                "nodata": dataset.nodata,
            }
    return _orthophoto([path], model)


def _orthophoto(paths: list[Path], model: Path | None) -> dict[str, Any]:
    with open_mosaic(paths) as mosaic:
        grid = mosaic.grid
        return {
            "kind": "orthophoto",
            "sheets": len(mosaic.sheets),
            "size_px": [grid.height, grid.width],
            "gsd_m": grid.gsd_m,
            "crs": grid.crs.name,
            "bounds": [round(v, 2) for v in grid.bounds],
            "bands": list(mosaic.bands),
            "pixels": str(mosaic.dtype),
            "validity": mosaic.sheets[0].mask,
            "fits the model": _fits(mosaic.bands, grid.gsd_m, model),
        }


def _fits(bands: tuple[str, ...], gsd_m: float, model: Path | None) -> str:
    try:
        read_card(model or shipped_bundle()).check_raster("it", bands, gsd_m)
    except SealmapError as error:
        return f"no: {error}"
    return "yes"


def _vector(path: Path) -> dict[str, Any]:
    layers = {}
    for name in list_layers(path):
        if name in ("layer_styles", "run_record"):
            continue
        frame = read_layer(path, name)
        layers[name] = {
            "rows": len(frame),
            "crs": frame.crs.name,
            "fields": [c for c in frame.columns if c != "geometry"],
        }
    return {"kind": "vector file", "layers": layers, **_record_of(path)}


def _record_of(path: Path) -> dict[str, Any]:
    """What a GeoPackage of ours says of its making."""
    if path.suffix.lower() != ".gpkg":
        return {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            rows = connection.execute("SELECT key, value FROM run_record").fetchall()
        except sqlite3.DatabaseError:
            return {}
    wanted = ("verb", "started", "model.name", "model.weights_sha256", "versions.sealmap")
    return {"record": {key: value for key, value in rows if key in wanted}}
