"""Run by the system's Python, which has the QGIS bindings: draw labels in a project as a person would.

    python3 draw_labels.py PROJECT.qgz POLYGONS.json PICTURE.png RESULT.json

POLYGONS.json: a list of [layer title, {field: value}, [[x, y], ...]]. Says what the form offers, which features it
refuses, and what QGIS filled in. Everything lives in ``main``: layers that outlive ``exitQgis`` crash at exit.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from qgis.core import (  # type: ignore[import-not-found]
    Qgis,
    QgsApplication,
    QgsGeometry,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsPointXY,
    QgsProject,
    QgsVectorLayer,
    QgsVectorLayerUtils,
)
from qgis.gui import QgsGui  # type: ignore[import-not-found]
from qgis.PyQt.QtCore import QSize  # type: ignore[import-not-found]
from qgis.PyQt.QtWidgets import QComboBox  # type: ignore[import-not-found]


def form(layer: Any) -> dict[str, Any]:
    """What the form of a layer shows: per field its editor, name, start value and, of a drop-down, its lines."""
    found = {}
    for i, field in enumerate(layer.fields()):
        editor = QgsGui.editorWidgetRegistry().findBest(layer, field.name())
        found[field.name()] = {
            "editor": editor.type(),
            "alias": field.alias(),
            "type": field.typeName(),
            "default": layer.defaultValueDefinition(i).expression(),
            "reuse": layer.editFormConfig().reuseLastValue(i),
            "lines": lines(layer, i) if editor.type() == "ValueMap" else [],
        }
    return found


def lines(layer: Any, index: int) -> list[list[str]]:
    """The lines of a drop-down as drawn: (text shown, value stored)."""
    wrapper = QgsGui.editorWidgetRegistry().create(layer, index, None, None)
    box = wrapper.widget()
    assert isinstance(box, QComboBox)
    return [[box.itemText(i), box.itemData(i)] for i in range(box.count())]


def draw(layer: Any, values: dict[str, Any], corners: list[list[float]]) -> list[str]:
    """Add a polygon with the defaults of its layer; returns why the form would not take it, and then it is not."""
    outline = QgsGeometry.fromPolygonXY([[QgsPointXY(x, y) for x, y in corners]])
    given = {layer.fields().indexOf(name): value for name, value in values.items()}
    feature = QgsVectorLayerUtils.createFeature(layer, outline, given)
    refused = []
    for i in range(layer.fields().count()):
        good, why = QgsVectorLayerUtils.validateAttribute(layer, feature, i)
        refused += [] if good else [f"{layer.fields()[i].name()}: {'; '.join(why)}"]
    if not refused:
        assert layer.addFeature(feature)
    return refused


def render(project: Any, picture: str) -> list[str]:
    settings = QgsMapSettings()
    settings.setLayers(project.layerTreeRoot().layerOrder())
    settings.setDestinationCrs(project.crs())
    settings.setOutputSize(QSize(640, 640))
    settings.setExtent(project.viewSettings().defaultViewExtent())
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)
    return [error.message for error in job.errors()]


def main(path: str, polygons: str, picture: str, result: str) -> None:
    application = QgsApplication([], GUIenabled=True)
    application.initQgis()
    QgsGui.editorWidgetRegistry().initEditors()
    messages: list[str] = []
    application.messageLog().messageReceived.connect(
        lambda text, tag, level: messages.append(f"{tag}: {text}") if level != Qgis.MessageLevel.Info else None
    )
    project = QgsProject.instance()
    read = project.read(path)
    layers = {node.layer().name(): node.layer() for node in project.layerTreeRoot().findLayers()}
    drawable = {name: layer for name, layer in layers.items() if isinstance(layer, QgsVectorLayer)}
    package = next(iter(drawable.values())).source().partition("|")[0]
    alone = {name: QgsVectorLayer(f"{package}|layername={name}", name, "ogr") for name in ("labels", "areas")}
    found: dict[str, Any] = {
        "read": read,
        "title": project.title(),
        "crs": project.crs().authid(),
        "snapping": project.snappingConfig().enabled(),
        "overlaps_are_cut": int(project.avoidIntersectionsMode()) != 0,
        "layers": {n: {"valid": layer.isValid(), "crs": layer.crs().authid()} for n, layer in layers.items()},
        "forms": {n: form(layer) for n, layer in drawable.items()},
        "alone": {n: form(layer) for n, layer in alone.items()},
        "legend": {n: [i.label() for i in layer.renderer().legendSymbolItems()] for n, layer in drawable.items()},
    }
    for layer in drawable.values():
        assert layer.startEditing()
    found["refused"] = [
        draw(drawable[name], values, corners)
        for name, values, corners in json.loads(Path(polygons).read_text(encoding="utf-8"))
    ]
    found["saved"] = [layer.commitChanges() for layer in drawable.values()]
    found["errors"] = render(project, picture)
    found["messages"] = messages
    Path(result).write_text(json.dumps(found), encoding="utf-8")
    del alone, layers, drawable, layer
    project.clear()
    application.exitQgis()


if __name__ == "__main__":
    main(*sys.argv[1:])
