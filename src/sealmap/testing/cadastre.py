"""The town's cadastre on disk, in each of the formats that towns get."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, assert_never

from sealmap.testing import cadastre_files
from sealmap.testing.cadastre_tables import CRS, draw_tables, parcel_key
from sealmap.testing.model import Scene, TownSpec
from sealmap.testing.nas import write_nas
from sealmap.testing.wfs import write_wfs

CadastreKind = Literal["gpkg_nrw", "gpkg_bb", "gpkg_mv", "shapefile", "gml", "nas6", "nas7", "hausumringe"]


def write_cadastre(path: Path, scene: Scene, spec: TownSpec, *, kind: CadastreKind = "gpkg_nrw") -> Path:
    """Write the cadastre of ``scene`` to ``path`` and return it; what is there of the same name is replaced.

    ``path`` is a file, or the folder for 'shapefile' and 'hausumringe'. Objects, ids, dates and shapes are the
    same in every kind, with what each of them can tell: NAS has codes for texts and no uses cut by parcel, GML
    and NAS have whole millimetres, Hausumringe have buildings only. Raises ValueError where NAS has no code.
    """
    tables = draw_tables(scene, spec)
    match kind:
        case "gpkg_nrw":
            cadastre_files.write_nrw(path, tables)
        case "gpkg_bb":
            cadastre_files.write_bb(path, tables)
        case "gpkg_mv":
            cadastre_files.write_mv(path, tables)
        case "shapefile":
            cadastre_files.write_shapefiles(path, tables)
        case "hausumringe":
            cadastre_files.write_outlines(path, tables, spec.year)
        case "gml":
            write_wfs(path, tables, spec.year)
        case "nas6" | "nas7":
            write_nas(path, tables, kind)
        case _:
            assert_never(kind)
    return path


__all__ = ["CRS", "CadastreKind", "parcel_key", "write_cadastre"]
