"""Words of the products in German and English. Every text that readers see is here."""

from __future__ import annotations

import math
from typing import Literal

from sealmap.core.errors import SettingsError
from sealmap.core.legend import Legend

Language = Literal["de", "en"]

_TEXTS: dict[str, tuple[str, str]] = {
    "layer.parcels": ("Flurstücke: Versiegelungsgrad", "Parcels: sealed share"),
    "layer.sealed_surfaces": ("Versiegelte Flächen", "Sealed surfaces"),
    "layer.sheets": ("Bildkacheln", "Image sheets"),
    "layer.run_record": ("Protokoll", "Run record"),
    "layer.classes": ("Klassen (Raster)", "Classes (raster)"),
    "layer.probability": ("Wahrscheinlichkeit versiegelt (Raster)", "Probability of sealed (raster)"),
    "group.orthophotos": ("Luftbilder", "Orthophotos"),
    "project.title": ("Versiegelungskarte", "Sealed-surface map"),
    "field.id": ("Nummer", "Number"),
    "field.class_id": ("Klasse (Nr.)", "Class (id)"),
    "field.class": ("Klasse", "Class"),
    "field.area_m2": ("Fläche [m²]", "Area [m²]"),
    "field.perimeter_m": ("Umfang [m]", "Perimeter [m]"),
    "field.mean_probability": ("Mittlere Wahrscheinlichkeit", "Mean probability"),
    "field.parcel_id": ("Flurstückskennzeichen", "Parcel id"),
    "field.official_area_m2": ("Amtliche Fläche [m²]", "Official area [m²]"),
    "field.sealed_m2": ("Versiegelte Fläche [m²]", "Sealed area [m²]"),
    "field.unsealed_m2": ("Unversiegelte Fläche [m²]", "Unsealed area [m²]"),
    "field.unknown_m2": ("Unbekannt [m²]", "Unknown [m²]"),
    "field.sealed_share": ("Versiegelungsgrad (0–1)", "Sealed share (0–1)"),
    "field.name": ("Name", "Name"),
    "field.flight_date": ("Bildflugdatum", "Flight date"),
    "field.key": ("Eintrag", "Entry"),
    "field.value": ("Wert", "Value"),
    "field.note": ("Bemerkung", "Note"),
    "field.editor": ("Bearbeitet von", "Editor"),
    "field.date": ("Datum", "Date"),
    "field.split": ("Verwendung", "Use"),
    "labels.title": ("Trainingsflächen zeichnen", "Draw labels"),
    "layer.labels": ("Trainingsflächen", "Labels"),
    "layer.areas": ("Gebiete: Training, Validierung, Test", "Areas: training, validation, test"),
    "label.roof": ("Dach", "Roof"),
    "label.paved": ("Befestigt (Belag am Boden)", "Paved (ground)"),
    "label.sealed": ("Versiegelt (Dach oder Belag)", "Sealed (roof or paved)"),
    "label.unsealed": ("Unversiegelt (auch Rahmen)", "Unsealed (frames, too)"),
    "label.ignore": ("Nicht zu erkennen", "Cannot be told"),
    "label.none": ("Ohne gültige Klasse", "No valid class"),
    "label.required": ("Eine Klasse wählen", "Choose a class"),
    "split.train": ("Training", "Training"),
    "split.val": ("Validierung", "Validation"),
    "split.test": ("Test", "Test"),
    "split.none": ("Ohne gültige Verwendung", "No valid use"),
    "split.required": ("Eine Verwendung wählen", "Choose a use"),
    "date.format": ("dd.MM.yyyy", "yyyy-MM-dd"),
    "preview.unknown": ("unbekannt", "unknown"),
    "preview.parcels": ("Flurstücksgrenzen", "Parcel boundaries"),
    "report.made": ("Erstellt aus dem Lauf vom", "Made from the run of"),
    "report.caveat_head": ("Was diese Karte ist, und was nicht", "What this map is, and what it is not"),
    "report.caveat_fee": (
        (
            "Ein Vorschlag für den Fragebogen an die Eigentümer, keine Festsetzung einer Gebühr. Über jede"
            " Fläche entscheidet ein Mensch, und die Eigentümer können sie berichtigen."
        ),
        (
            "A proposal for the questionnaire to the owners, not a decision on a fee. A person decides on"
            " every area, and owners can correct it."
        ),
    ),
    "report.caveat_trees": (
        (
            "Versiegelte Flächen unter Baumkronen sind im Luftbild nicht zu sehen, Dachüberstände gehören zum"
            " Dach. Ob eine Fläche in den Kanal entwässert, zeigt das Bild nicht."
        ),
        (
            "Sealed ground under tree crowns cannot be seen in an orthophoto, and roof overhangs count as"
            " roof. Whether an area drains to the sewer is not in the picture."
        ),
    ),
    "report.figures": ("Kennzahlen", "Key figures"),
    "report.mapped": ("Kartierte Fläche", "Mapped area"),
    "report.sealed": ("Versiegelt", "Sealed"),
    "report.share": ("Versiegelungsgrad der bekannten Fläche", "Sealed share of the known area"),
    "report.unsealed": ("Unversiegelt", "Unsealed"),
    "report.unknown": ("Unbekannt (kein Bild, keine Klasse)", "Unknown (no image, no class)"),
    "report.map": ("Karte", "Map"),
    "report.classes": ("Flächen nach Klasse", "Areas by class"),
    "report.class": ("Klasse", "Class"),
    "report.of_known": ("der bekannten Fläche", "of the known area"),
    "report.parcels": ("Flurstücke", "Parcels"),
    "report.parcels_n": ("Anzahl der Flurstücke", "Number of parcels"),
    "report.by_share": ("Flurstücke nach Versiegelungsgrad", "Parcels by sealed share"),
    "report.no_share": ("unbekannt", "unknown"),
    "report.share_column": ("Versiegelungsgrad", "Sealed share"),
    "report.top": (
        "Flurstücke mit der größten versiegelten Fläche",
        "Parcels with the largest sealed area",
    ),
    "report.balance": ("Flächenbilanz", "Mass balance"),
    "report.balance_text": (
        (
            "Gezählt wird auf den Pixeln. Pixel + hinzugefügt − entfernt = Polygone, und"
            " Pixel = in Flurstücken + außerhalb. Umrisse sind für das Auge vereinfacht."
        ),
        (
            "Areas are counted on pixels. Pixels + added − removed = polygons, and"
            " pixels = in parcels + outside. Outlines are simplified for the eye."
        ),
    ),
    "report.pixels": ("Versiegelte Pixel", "Sealed pixels"),
    "report.added": ("Beim Säubern hinzugefügt", "Added by cleaning"),
    "report.removed": ("Beim Säubern entfernt", "Removed by cleaning"),
    "report.traced": ("Polygone an Pixelkanten", "Polygons on pixel edges"),
    "report.simplified": ("Umrisse, vereinfacht", "Outlines, simplified"),
    "report.in_parcels": ("Davon in Flurstücken (Pixel)", "Of the pixels, in parcels"),
    "report.outside": ("Davon außerhalb (Pixel)", "Of the pixels, outside parcels"),
    "report.guard": ("Prüfung der Karte", "What the guard found"),
    "report.guard_forced": (
        "Diese Karte wurde gegen die Ablehnung der Prüfung erzwungen (--force). Sie ist so nicht zu verwenden.",
        "This map was forced against the guard's refusal (--force). It is not to be used as it is.",
    ),
    "report.check": ("Prüfung", "Check"),
    "report.verdict": ("Ergebnis", "Verdict"),
    "report.cause": ("Wahrscheinliche Ursache", "Likely cause and remedy"),
    "report.measured": ("Gemessen", "Measured"),
    "forced": ("gegen die Prüfung erzwungen", "forced against the guard"),
    "report.record": ("Protokoll", "Record"),
    "report.inputs": ("Eingaben", "Inputs"),
    "report.file": ("Datei", "File"),
    "report.record_model": ("Modell", "Model"),
    "report.record_settings": ("Einstellungen", "Settings"),
    "report.record_versions": ("Software", "Software"),
    "report.record_seconds": ("Dauer [s]", "Duration [s]"),
    "report.record_figures": ("Zahlen des Laufs", "Figures of the run"),
}

LANGUAGES: tuple[Language, ...] = ("de", "en")


def text(key: str, language: Language) -> str:
    """The words for ``key``; SettingsError for a language that is not written here."""
    if language not in LANGUAGES:
        raise SettingsError(f"no language '{language}'", remedy=f"use one of: {', '.join(LANGUAGES)}")
    return _TEXTS[key][LANGUAGES.index(language)]


def alias(field: str, legend: Legend, language: Language) -> str:
    """The name of a column for readers; a column that we do not know keeps its own."""
    for c in legend.classes:
        if field == f"{c.key}_m2" and f"field.{field}" not in _TEXTS:
            return f"{c.label(language)} [m²]"
    return text(f"field.{field}", language) if f"field.{field}" in _TEXTS else field


def number(value: float, language: Language, decimals: int = 0) -> str:
    """1.234,5 in German, 1,234.5 in English; an en dash where there is no number."""
    if math.isnan(value):
        return "–"
    plain = f"{round(value, decimals) + 0.0:,.{decimals}f}"  # + 0.0: no "−0"
    return plain.translate(str.maketrans(",.", ".,")) if language == "de" else plain
