"""The cadastre as a WFS answers: GML in the schema of the simplified ALKIS ("ave" 2.0)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd

from sealmap.testing.cadastre_tables import CadastreTables
from sealmap.testing.gml import GML, WFS2, GmlStyle, XmlStream, write_envelope, write_surface, xml_file

AVE = "http://repository.gdi-de.org/schemas/adv/produkt/alkis-vereinfacht/2.0"
SRS = "urn:ogc:def:crs:EPSG::25832"


def write_wfs(path: Path, tables: CadastreTables, year: int) -> None:
    """One wfs:FeatureCollection with all four types; ``year`` dates the answer."""
    layers = {
        "Flurstueck": tables.parcels,
        "GebaeudeBauwerk": tables.buildings,
        "Nutzung": tables.uses,
        "NutzungFlurstueck": tables.uses_by_parcel,
    }
    root = {
        "xmlns:wfs": WFS2,
        "xmlns:gml": GML,
        "xmlns:ave": AVE,
        "timeStamp": f"{year}-12-01T06:00:00Z",
        "numberMatched": "unknown",
        "numberReturned": str(sum(len(frame) for frame in layers.values())),
    }
    with xml_file(path) as xml, xml.element("wfs:FeatureCollection", root):
        xml.newline()
        with xml.element("wfs:boundedBy"):
            write_envelope(xml, tables.parcels.total_bounds.tolist(), SRS)
        xml.newline()
        for layer, frame in layers.items():
            _write_layer(xml, layer, frame)


def _write_layer(xml: XmlStream, layer: str, frame: gpd.GeoDataFrame) -> None:
    # Services do not agree with themselves: some objects come with curves.
    plain, curved = GmlStyle(srs=SRS), GmlStyle(srs=SRS, ring="segments")
    rows: list[dict[str, Any]] = frame.drop(columns="geometry").to_dict("records")
    for i, (row, shape) in enumerate(zip(rows, frame.geometry, strict=True)):
        name = f"{layer}_{row['oid']}"
        with xml.element("wfs:member"), xml.element(f"ave:{layer}", {"gml:id": name}):
            xml.leaf("gml:identifier", f"urn:adv:oid:{row['oid']}", {"codeSpace": "http://www.adv-online.de/"})
            xml.leaf("ave:oid", row["oid"])
            xml.leaf("ave:aktualit", f"{row['aktualit']}Z")
            with xml.element("ave:geometrie"):
                write_surface(xml, shape, curved if i % 5 == 4 else plain, f"{name}_GEOM", multi=True)
            for field, value in row.items():
                if field not in ("oid", "aktualit") and value != "":  # what is empty is left out
                    xml.leaf(f"ave:{field}", f"{value:.0f}" if isinstance(value, float) else str(value))
        xml.newline()
