"""Words of the label page and of the disagreements, in German and English, beside ``texts``."""

from __future__ import annotations

from sealmap.core.errors import SettingsError
from sealmap.delivery.texts import LANGUAGES, Language

CAUSES = ("rule", "outside", "edge", "contradiction", "newer", "unknown", "vegetation", "nodata")
"""Why a pixel gets no label: the rule table says so; no shape covers it; the ring along outlines; shapes of equal
priority and different label; changed after the flight; class without a rule; sealed in the cadastre but green in
the image; no image."""

KINDS = ("roof_green", "paved_green", "unsealed_grey")
"""Disagreements: roof or paving in the cadastre but green in the image; unsealed in the cadastre but grey."""

INDICES = ("NDVI", "excess green")

BLANK = "\u00a0"
"""Between a number and its unit: no line breaks there."""

_TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Bericht zu den Trainingslabels", "Label report"),
    "sub": (
        "Was das Modell aus dem Kataster lernt, was nicht, und warum.",
        "What the model learns from the cadastre, what it does not, and why.",
    ),
    "layer": ("Kataster und Bild widersprechen sich", "Cadastre and image disagree"),
    "field.kind": ("Art", "Kind"),
    "field.sheet": ("Kachel", "Sheet"),
    "field.class": ("Klasse im Kataster", "Class in the cadastre"),
    "field.oid": ("Objektkennung", "Object id"),
    "field.area_m2": ("Fläche [m²]", "Area [m²]"),
    # --- head ---
    "nav.labels": ("Labels", "Labels"),
    "nav.ignored": ("Nicht beurteilt", "Not judged"),
    "nav.vegetation": ("Vegetation", "Vegetation"),
    "nav.candidates": ("Widersprüche", "Disagreements"),
    "nav.splits": ("Aufteilung", "Splits"),
    "nav.facts": ("Herkunft", "Origin"),
    "card.area": ("Fläche, Kacheln: {n} ({m2} m²)", "area, sheets: {n} ({m2} m²)"),
    "card.judged": ("beurteilt: hat ein Label ({m2} m²)", "judged: has a label ({m2} m²)"),
    "card.sealed": ("des Beurteilten ist versiegelt ({m2} m²)", "of what is judged is sealed ({m2} m²)"),
    "card.ignored": ("nicht beurteilt ({m2} m²)", "not judged ({m2} m²)"),
    "card.biggest": ("größter Grund: {what}", "biggest reason: {what}"),
    "card.candidates": (
        "Stellen, an denen Kataster und Bild sich widersprechen",
        "places where cadastre and image disagree",
    ),
    "notices": ("Vor dem Training ansehen", "To look at before training"),
    "no_notice": (
        "Keine der Prüfungen dieser Seite schlägt an. Das ersetzt nicht den Blick auf die Bilder unten.",
        "None of the checks of this page strikes. That does not replace a look at the pictures below.",
    ),
    "rounding": (
        (
            "Alle Flächen sind auf ganze m² so gerundet, dass Zeilen und Spalten genau aufgehen; kein Wert weicht"
            " um 1 m² oder mehr vom gezählten ab. Anteile sind einzeln gerundet."
        ),
        (
            "All areas are rounded to whole m² in such a way that rows and columns add up exactly; no value is"
            " off by 1 m² or more from what was counted. Percentages are rounded one by one."
        ),
    ),
    # --- labels per sheet ---
    "labels": ("Labels je Kachel", "Labels per sheet"),
    "sheet": ("Kachel", "Sheet"),
    "flight": ("Bildflug", "flight"),
    "no_flight": ("Bildflug unbekannt", "flight unknown"),
    "ignored_column": ("nicht beurteilt", "not judged"),
    "sum": ("Summe", "Sum"),
    "all_sheets": ("Alle Kacheln", "All sheets"),
    "area": ("Fläche", "Area"),
    "share": ("Anteil", "Share"),
    "recovered": (
        (
            "Von den unversiegelten Labels stammen {m2} m² ({share}) allein aus dem Bild: grün auf Flächen, die das"
            " Kataster offen lässt, etwa Gärten."
        ),
        (
            "Of the unsealed labels, {m2} m² ({share}) come from the image alone: green on areas that the cadastre"
            " leaves open, such as gardens."
        ),
    ),
    "chips_of": ("Ausschnitte", "chips"),
    # --- ignored ---
    "ignored": ("Was nicht beurteilt wurde, und warum", "What was not judged, and why"),
    "ignored_text": (
        (
            "Was hier steht, geht in kein Training und in keine Bewertung ein. Ein Label entsteht so: Für jedes"
            " Objekt des Katasters sagt die erste passende Regel das Label; wo sich Objekte überlagern, gilt die"
            " höhere Priorität; der Ring um die Umrisse und alles, was jünger ist als der Bildflug, fällt heraus;"
            " zuletzt darf das Grün im Bild widersprechen."
        ),
        (
            "What is listed here enters neither training nor scores. A label is made thus: for each shape of the"
            " cadastre the first rule that fits says the label; where shapes overlap the higher priority is taken;"
            " the ring along outlines and whatever is newer than the flight drop out; last, green in the image may"
            " object."
        ),
    ),
    "nothing_ignored": ("Alles ist beurteilt.", "All is judged."),
    "why": ("Grund", "Reason"),
    "todo": ("Was man tun kann: ", "What one can do: "),
    "others": ("weitere Klassen ({n})", "other classes ({n})"),
    "no_class": ("ohne Klasse", "no class"),
    "ignored_sum": ("Nicht beurteilt", "Not judged"),
    "judged_sum": ("Beurteilt", "Judged"),
    "by_sheet": ("Nicht beurteilt je Kachel [m²]", "Not judged per sheet [m²]"),
    "cause.rule": ("Regel: nicht beurteilen", "Rule: do not judge"),
    "why.rule": (
        (
            "Das Kataster führt diese Klassen als Ganzes und sagt nicht, was darin befestigt ist (Höfe, Zufahrten,"
            " Gärten). Ein Label wäre hier geraten."
        ),
        (
            "The cadastre holds these classes as a whole and does not say what is paved inside (yards, drives,"
            " gardens). A label would be a guess."
        ),
    ),
    "todo.rule": (
        "auf einigen Grundstücken Trainingsflächen zeichnen (sealmap labels new) oder die Regeltabelle ändern.",
        "draw labels on some plots (sealmap labels new), or change the rule table.",
    ),
    "cause.outside": ("Kein Objekt im Kataster", "No shape in the cadastre"),
    "why.outside": (
        "Hier liegt kein Objekt. Das heißt nicht unversiegelt: Der Auszug kann Lücken haben oder nur Gebäude führen.",
        "No shape lies here. That does not mean unsealed: the extract may have gaps or hold buildings only.",
    ),
    "todo.outside": (
        "prüfen, ob der Auszug das ganze Bild deckt und die Nutzung enthält.",
        "check that the extract covers the whole image and holds land use.",
    ),
    "cause.edge": ("Ring um die Umrisse", "Ring along outlines"),
    "why.edge": (
        (
            "Dachüberstand, Umklappung der Gebäude und die Lagegenauigkeit des Luftbilds (±0,4 m) machen den Rand"
            " unsicher; falsche Ränder lernt ein Modell mit."
        ),
        (
            "Roof overhang, building lean and the accuracy of the orthophoto (±0.4 m) make edges uncertain, and a"
            " model learns wrong edges, too."
        ),
    ),
    "todo.edge": (
        "meist nichts; die Breite steht in der Regeltabelle (edge_ignore_m).",
        "mostly nothing; the width is in the rule table (edge_ignore_m).",
    ),
    "cause.contradiction": ("Widerspruch im Kataster", "Contradiction in the cadastre"),
    "why.contradiction": (
        "Objekte gleicher Priorität liegen übereinander und verlangen verschiedene Labels; keinem ist mehr zu glauben.",
        "Shapes of equal priority overlap and ask for different labels; none is more credible.",
    ),
    "todo.contradiction": (
        "doppelte oder alte Objekte bereinigen, oder einer der Regeln mehr Priorität geben (priority).",
        "clean up duplicate or old shapes, or give one of the rules more priority.",
    ),
    "cause.newer": ("Jünger als der Bildflug", "Newer than the flight"),
    "why.newer": (
        "Das Objekt wurde nach dem Bildflug geändert; das Bild kann noch den alten Zustand zeigen.",
        "The object was changed after the flight; the image may still show the old state.",
    ),
    "todo.newer": (
        (
            "ein jüngeres Bild nehmen. Ist das Datum im Kataster das des Auszugs, sagt es nichts über das Objekt:"
            ' dann newer_than_flight = "keep" in die Regeltabelle.'
        ),
        (
            "take a newer image. If the cadastre's date is that of the export, it says nothing of the object: then"
            ' set newer_than_flight = "keep" in the rule table.'
        ),
    ),
    "cause.unknown": ("Klasse ohne Regel", "Class without a rule"),
    "why.unknown": (
        "Die Regeltabelle kennt diese Klassen nicht; geraten wird nicht.",
        "The rule table does not know these classes; there is no guessing.",
    ),
    "todo.unknown": (
        "eine Regel ergänzen. Die Liste steht unter dieser Tabelle.",
        "add a rule. The list is below this table.",
    ),
    "cause.vegetation": ("Kataster versiegelt, Bild grün", "Cadastre sealed, image green"),
    "why.vegetation": (
        (
            "Straßenbäume, Verkehrsgrün, Böschungen: Was unter einer Krone liegt, ist im Luftbild nicht zu sehen,"
            " und Grün als versiegelt zu lernen wäre falsch."
        ),
        (
            "Street trees, verges, slopes: what lies below a crown cannot be seen in an orthophoto, and to learn"
            " green as sealed would be wrong."
        ),
    ),
    "todo.vegetation": (
        "den Schwellwert und die größten Stellen unten ansehen.",
        "look at the threshold and the largest places below.",
    ),
    "cause.nodata": ("Kein Bild", "No image"),
    "why.nodata": ("Das Orthophoto hat hier keine Daten.", "The orthophoto has no data here."),
    "todo.nodata": (
        "fehlende Kacheln ergänzen, falls das Gebiet dazugehört.",
        "add the missing sheets if the area belongs to it.",
    ),
    "unknown": ("Klassen ohne Regel", "Classes without a rule"),
    "source": ("Ebene", "Layer"),
    "function": ("Funktion", "Function"),
    "klass": ("Klasse", "Class"),
    "shapes": ("Objekte", "Shapes"),
    "source.building": ("Gebäude", "Buildings"),
    "source.use": ("Nutzung", "Land use"),
    "source.layer": ("Ebene", "Layer"),
    "more_classes": ("und {n} weitere Klassen", "and {n} more classes"),
    # --- vegetation ---
    "vegetation": ("Schwellwert der Vegetation", "Vegetation threshold"),
    "vegetation_text": (
        (
            "Grün ist, was rechts der Linie liegt. Jahreszeit, Licht und Kalibrierung ändern sich von Flug zu Flug,"
            " daher wird der Schwellwert je Flug aus den Daten gewählt: zwischen dem Haufen des Grauen und dem des"
            " Grünen. Die grau hinterlegten Bereiche sind ihm verwehrt."
        ),
        (
            "Green is what lies right of the line. Season, light and calibration change from flight to flight, so the"
            " threshold of each flight is chosen from its data: between the heap of grey and the heap of green. It"
            " may not lie in the ranges shaded grey."
        ),
    ),
    "no_vegetation": (
        "Für keine Kachel wurde auf Vegetation geprüft.",
        "No sheet was checked for vegetation.",
    ),
    "not_checked": ("nicht geprüft", "not checked"),
    "index.NDVI": ("NDVI", "NDVI"),
    "index.excess green": ("Grünüberschuss", "Excess green"),
    "green_share": ("grün: {share} der Bildpunkte", "green: {share} of pixels"),
    "vetoed": ("versiegelt → nicht beurteilt: {m2} m²", "sealed → not judged: {m2} m²"),
    "found": ("offen → unversiegelt: {m2} m²", "open → unsealed: {m2} m²"),
    "at_limit": ("am Rand des Erlaubten", "at its limit"),
    # --- candidates ---
    "candidates": ("Wo Kataster und Bild sich widersprechen", "Where cadastre and image disagree"),
    "candidates_text": (
        (
            "Hinweise zum Nachsehen, kein Befund; sie ändern kein Label. Aufgenommen sind die größten Stellen jeder"
            " Kachel, nicht alle. Was falsch ist, lässt sich mit eigenen Trainingsflächen überzeichnen (sealmap labels"
            " new) oder im Kataster berichtigen."
        ),
        (
            "Hints to look at, not findings; they change no label. The largest places of each sheet are taken, not"
            " all. What is wrong can be drawn over with labels of your own (sealmap labels new), or be corrected in"
            " the cadastre."
        ),
    ),
    "candidates_file": (
        "Alle Stellen liegen als Polygone in {file} (Ebene {layer}), um sie in QGIS abzugehen.",
        "All places are polygons in {file} (layer {layer}), to be walked in QGIS.",
    ),
    "no_candidates": ("Es wurde keine solche Stelle gefunden.", "No such place was found."),
    "kind": ("Art", "Kind"),
    "places": ("Stellen", "Places"),
    "kind.roof_green": ("Dach im Kataster, grün im Bild", "Roof in the cadastre, green in the image"),
    "kind.paved_green": ("Belag im Kataster, grün im Bild", "Paved in the cadastre, green in the image"),
    "kind.unsealed_grey": ("Unversiegelt im Kataster, grau im Bild", "Unsealed in the cadastre, grey in the image"),
    "kindtext.roof_green": (
        "Abgebrochen, von Kronen verdeckt oder begrünt. Ein Gründach bleibt Dach; Abgebrochenes ist zu berichtigen.",
        "Demolished, hidden by crowns, or a green roof. A green roof is a roof; what is demolished is to be corrected.",
    ),
    "kindtext.paved_green": (
        "Meist Baumkronen und Verkehrsgrün. Große offene Flächen sind entsiegelt oder falsch geführt.",
        "Mostly crowns and verges. Large open areas were unsealed, or are wrong in the cadastre.",
    ),
    "kindtext.unsealed_grey": (
        "Neubau oder Lagerplatz: Das Label ist falsch. Trockener Acker oder helles Wasser: Das Label ist richtig.",
        "A new building or a yard: the label is wrong. Dry soil or bright water: the label is right.",
    ),
    "more_places": ("und {n} weitere", "and {n} more"),
    "no_picture": ("kein Bild", "no picture"),
    "coordinates": ("Koordinaten (Ost, Nord) in {crs}.", "Coordinates (east, north) in {crs}."),
    "at": ("Lage", "at"),
    # --- splits, bands, facts ---
    "splits": ("Training, Validierung, Test", "Training, validation, test"),
    "split": ("Teil", "Split"),
    "split.train": ("Training", "Training"),
    "split.val": ("Validierung", "Validation"),
    "split.test": ("Test", "Test"),
    "chips": ("Ausschnitte", "Chips"),
    "sheets": ("Kacheln", "Sheets"),
    "judged_share": ("beurteilt", "judged"),
    "sealed_share": ("versiegelt (vom Beurteilten)", "sealed (of judged)"),
    "splits_text": (
        "Anteile der Ausschnitte. Ausschnitte eines Teils dürfen sich überlappen, solche verschiedener Teile nie.",
        "Shares of the chips. Chips of one split may overlap, those of different splits never do.",
    ),
    "no_splits": ("Es wurde nichts aufgeteilt.", "Nothing was split."),
    "bands": ("Helligkeit der Kanäle", "Brightness of the bands"),
    "band.red": ("Rot", "Red"),
    "band.green": ("Grün", "Green"),
    "band.blue": ("Blau", "Blue"),
    "band.nir": ("Nahes Infrarot", "Near infrared"),
    "mean": ("Mittel {mean}, Streuung {std}", "mean {mean}, spread {std}"),
    "contact": ("Ausschnitte: Bild und Labels", "Chips: image and labels"),
    "facts": ("Woher die Labels stammen", "Where the labels come from"),
    # --- notices ---
    "note.newer": (
        (
            "{share} der Fläche, die sonst ein Label hätte, ist jünger als der Bildflug ({m2} m²). Ist das Datum im"
            " Kataster das des Auszugs statt das der letzten Änderung?"
        ),
        (
            "{share} of the area that would have a label is newer than the flight ({m2} m²). Is the cadastre's date"
            " the date of an export, not of the last change?"
        ),
    ),
    "note.no_flight": (
        "Kein Bildflugdatum bei {n} von {all} Kacheln: Was jünger ist als das Bild, ist dort nicht zu erkennen.",
        "No flight date for {n} of {all} sheets: what is newer than the image cannot be told there.",
    ),
    "note.unknown": (
        "Klassen ohne Regel: {n} ({share} der Fläche). Sie sind unten aufgelistet.",
        "Classes without a rule: {n} ({share} of the area). They are listed below.",
    ),
    "note.no_sheets": ("Es gibt keine Kachel.", "There is no sheet."),
    "note.judged": (
        "Nur {share} der Fläche mit Bild ist beurteilt. Decken sich Kataster und Bild, und passt die Regeltabelle?",
        "Only {share} of the area with image is judged. Do cadastre and image overlap, and does the rule table fit?",
    ),
    "note.empty_split": ("{split}: kein Ausschnitt.", "{split}: no chip."),
    "note.no_sealed": (
        "{split}: kein versiegelter Bildpunkt. So kann der Teil nichts lehren und nichts messen.",
        "{split}: no sealed pixel. Such a split can teach and measure nothing.",
    ),
    "note.no_unsealed": (
        "{split}: kein unversiegelter Bildpunkt. Das Modell kennt dann keinen Gegensatz.",
        "{split}: no unsealed pixel. The model then knows no contrast.",
    ),
    "note.at_limit": (
        (
            "Der Schwellwert der Vegetation liegt am Rand des Erlaubten bei: {sheets}. Das Histogramm trennt dort Grau"
            " und Grün nicht, oder fast alles ist grün, oder fast nichts."
        ),
        (
            "The vegetation threshold is at its limit for: {sheets}. The histogram does not part grey from green there,"
            " or almost all is green, or almost nothing."
        ),
    ),
    "note.unchecked": (
        "Ohne Prüfung auf Vegetation: {n} von {all} Kacheln. Baumkronen über Straßen gelten dort als versiegelt.",
        "Not checked for vegetation: {n} of {all} sheets. Crowns over roads count as sealed there.",
    ),
    "note.vegetation": (
        (
            "{share} dessen, was laut Kataster versiegelt ist, ist im Bild grün ({m2} m²). Liegen Bild und Kataster"
            " richtig übereinander, und stimmt der Schwellwert?"
        ),
        (
            "{share} of what is sealed by the cadastre is green in the image ({m2} m²). Do image and cadastre lie on"
            " each other, and is the threshold right?"
        ),
    ),
    "note.contradiction": (
        "Auf {share} der Fläche widerspricht sich das Kataster ({m2} m²). Sind Objekte doppelt oder Stände gemischt?",
        "On {share} of the area the cadastre contradicts itself ({m2} m²). Are there duplicates, or mixed dates?",
    ),
}


def words(key: str, language: Language, **values: str) -> str:
    """The words for ``key`` with ``values`` put in; SettingsError for a language that is not written here."""
    if language not in LANGUAGES:
        raise SettingsError(f"no language '{language}'", remedy=f"use one of: {', '.join(LANGUAGES)}")
    return _TEXTS[key][LANGUAGES.index(language)].replace(" m²", f"{BLANK}m²").format(**values)


def words_or(key: str, language: Language, otherwise: str) -> str:
    """The words for a key that names something from outside, else what the outside calls it."""
    return words(key, language) if key in _TEXTS else otherwise
