from __future__ import annotations

import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from tests.unit.delivery.smallmap import GRID, SmallMap

from sealmap.core.errors import InputError, OutputError
from sealmap.core.legend import ROOF_PAVED
from sealmap.delivery.geopackage import Package, write_geopackage
from sealmap.delivery.qgis import Project, write_project
from sealmap.delivery.styles import write_raster_styles
from sealmap.files.raster import write_raster


def document(path: Path) -> ET.Element:
    with zipfile.ZipFile(path) as archive:
        (name,) = archive.namelist()
        assert name == f"{path.stem}.qgs"
        return ET.fromstring(archive.read(name))  # noqa: S314 our own file


def project(small: SmallMap, **other: object) -> Project:
    gpkg = small.folder / "sealmap.gpkg"
    package = Package(
        surfaces=small.surfaces,
        record=small.record,
        legend=ROOF_PAVED,
        parcels=small.parcels,
        sheets=small.sheets,
    )
    write_geopackage(gpkg, package, overwrite=True)
    parts: dict[str, object] = {
        "probability": small.probability,
        "orthophotos": (small.orthophoto,),
        "language": "de",
    }
    return Project(package=gpkg, classes=small.classes, **(parts | other))  # type: ignore[arg-type]


def test_layers_are_in_order_with_relative_paths(small: SmallMap) -> None:
    path = small.folder / "out" / "sealmap.qgz"
    write_project(path, project(small))
    root = document(path)
    layers = list(root.iter("layer-tree-layer"))
    assert [e.get("name") for e in layers] == [
        "Flurstücke: Versiegelungsgrad", "Versiegelte Flächen", "Bildkacheln", "Protokoll",
        "Klassen (Raster)", "Wahrscheinlichkeit versiegelt (Raster)", "ortho",
    ]  # fmt: skip
    checked = {e.get("id"): e.get("checked") for e in layers}
    assert checked["probability_layer"] == "Qt::Unchecked"
    assert checked["parcels_layer"] == checked["orthophoto_0"] == "Qt::Checked"
    sources = [e.text or "" for e in root.iter("datasource")]
    assert sources[0] == "../sealmap.gpkg|layername=parcels"
    assert all(s.startswith("..") for s in sources)
    assert str(small.folder) not in ET.tostring(root, encoding="unicode")
    assert root.findtext("properties/Paths/Absolute") == "false"


def test_crs_and_extent_are_the_map_s(small: SmallMap) -> None:
    write_project(small.folder / "a.qgz", project(small))
    root = document(small.folder / "a.qgz")
    assert root.findtext("projectCrs/spatialrefsys/authid") == "EPSG:25832"
    extent = [float(e.text or "nan") for e in root.iterfind("mapcanvas/extent/*")]
    assert extent == pytest.approx(GRID.bounds)


def test_names_from_outside_are_escaped(small: SmallMap) -> None:
    photo = small.folder / "a & b <1>.tif"
    small.orthophoto.rename(photo)
    write_project(small.folder / "a.qgz", project(small, orthophotos=(photo,), title='Town "A" & <B>'))
    root = document(small.folder / "a.qgz")
    assert root.findtext("title") == 'Town "A" & <B>'
    assert "./a & b <1>.tif" in [e.text for e in root.iter("datasource")]


def test_sixteen_bits_and_single_bands_get_a_stretch(small: SmallMap) -> None:
    deep = small.folder / "deep.tif"
    ramp = np.linspace(100, 3100, GRID.height * GRID.width).reshape(1, GRID.height, GRID.width)
    write_raster(deep, ramp.astype(np.uint16), GRID)
    write_project(small.folder / "a.qgz", project(small, orthophotos=(deep,)))
    renderer = document(small.folder / "a.qgz").findall(".//rasterrenderer")[-1]
    assert renderer.get("type") == "singlebandgray"
    assert float(renderer.findtext("contrastEnhancement/minValue") or 0) == pytest.approx(160, abs=5)
    assert float(renderer.findtext("contrastEnhancement/maxValue") or 0) == pytest.approx(3040, abs=5)


def test_the_same_map_gives_the_same_bytes(small: SmallMap) -> None:
    one = project(small)
    write_project(small.folder / "a.qgz", one)
    first = (small.folder / "a.qgz").read_bytes()
    write_project(small.folder / "a.qgz", one, overwrite=True)
    assert (small.folder / "a.qgz").read_bytes() == first


def test_a_wrong_name_or_an_existing_file_is_refused(small: SmallMap) -> None:
    with pytest.raises(InputError, match=r"\.qgz"):
        write_project(small.folder / "a.qgs", project(small))
    (small.folder / "a.qgz").touch()
    with pytest.raises(OutputError):
        write_project(small.folder / "a.qgz", project(small))


def test_raster_styles_lie_beside_the_rasters(small: SmallMap) -> None:
    written = write_raster_styles(small.classes, small.probability, ROOF_PAVED, "de", overwrite=False)
    assert written == [small.folder / "classes.qml", small.folder / "probability.qml"]
    root = ET.parse(written[0]).getroot()  # noqa: S314 our own file
    entries = {e.get("value"): (e.get("color"), e.get("alpha"), e.get("label")) for e in root.iter("paletteEntry")}
    assert entries["1"] == ("#cc3333", "255", "Hochbau (Dach)")
    assert entries["0"][1] == "0"
    assert "255" not in entries
