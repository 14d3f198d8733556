"""Run by the system's Python, which has the QGIS bindings: open a project and say what QGIS makes of it.

    python3 open_project.py PROJECT.qgz PICTURE.png RESULT.json

Everything lives in ``main``: layers that outlive ``exitQgis`` crash at exit.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from qgis.core import (  # type: ignore[import-not-found]
    Qgis,
    QgsApplication,
    QgsMapLayerType,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize  # type: ignore[import-not-found]


def describe(layer: Any) -> dict[str, Any]:
    found = {"name": layer.name(), "valid": layer.isValid(), "crs": layer.crs().authid()}
    if layer.type() == QgsMapLayerType.VectorLayer:
        found["features"] = layer.featureCount()
        found["aliases"] = {f.name(): f.alias() for f in layer.fields()}
        renderer = layer.renderer()
        found["renderer"] = renderer.type() if renderer else ""
        found["legend"] = [item.label() for item in renderer.legendSymbolItems()] if renderer else []
    else:
        renderer = layer.renderer()
        found["renderer"] = renderer.type()
        if renderer.type() == "paletted":
            found["legend"] = [c.label for c in renderer.classes()]
            found["colors"] = [c.color.name() for c in renderer.classes()]
    return found


def render(project: Any, picture: str) -> list[str]:
    root = project.layerTreeRoot()
    shown = [x for x in root.layerOrder() if x.isSpatial() and root.findLayer(x.id()).isVisible()]
    settings = QgsMapSettings()
    settings.setLayers(shown)
    settings.setDestinationCrs(project.crs())
    settings.setOutputSize(QSize(640, 480))
    settings.setExtent(project.viewSettings().defaultViewExtent())
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)
    return [error.message for error in job.errors()]


def main(path: str, picture: str, result: str) -> None:
    application = QgsApplication([], GUIenabled=False)
    application.initQgis()
    messages: list[str] = []
    application.messageLog().messageReceived.connect(
        lambda text, tag, level: messages.append(f"{tag}: {text}") if level != Qgis.MessageLevel.Info else None
    )
    project = QgsProject.instance()
    found: dict[str, Any] = {
        "read": project.read(path),
        "title": project.title(),
        "crs": project.crs().authid(),
    }
    found["layers"] = [describe(node.layer()) for node in project.layerTreeRoot().findLayers()]
    found["errors"] = render(project, picture)
    folder = Path(path).parent
    alone = [QgsVectorLayer(f"{folder}/sealmap.gpkg|layername={n}", n, "ogr") for n in ("parcels", "sealed_surfaces")]
    alone += [QgsRasterLayer(f"{folder}/{n}.tif", n) for n in ("classes", "probability")]
    found["alone"] = {layer.name(): describe(layer) for layer in alone}
    found["messages"] = messages
    Path(result).write_text(json.dumps(found), encoding="utf-8")
    del alone
    project.clear()
    application.exitQgis()


if __name__ == "__main__":
    main(*sys.argv[1:])
