"""Words of the evaluation page in German and English, beside ``texts``."""

from __future__ import annotations

from sealmap.core.errors import SettingsError
from sealmap.delivery.texts import LANGUAGES, Language

BLANK = "\u00a0"
"""Between a number and its unit: no line breaks there."""

_TEXTS: dict[str, tuple[str, str]] = {
    "title": ("Güte des Modells", "Evaluation"),
    # --- head ---
    "card.iou": ("IoU versiegelt", "IoU sealed"),
    "card.bias": ("Flächenfehler versiegelt, mit Vorzeichen", "area bias of sealed, signed"),
    "card.boundary": ("IoU der Umrisse (3 Pixel)", "boundary IoU (3 pixels)"),
    "card.ece": ("ECE: Fehler der Wahrscheinlichkeiten", "ECE: error of the probabilities"),
    "card.judged": ("beurteilt ({pixels} Pixel)", "judged ({pixels} pixels)"),
    "card.parcels": ("der Flurstücke sind auf ±5 m² oder ±10 % genau", "of parcels are within ±5 m² or ±10 %"),
    "interval": ("95 %: {low} bis {high}", "95 %: {low} to {high}"),
    "no_interval": ("kein Intervall: weniger als 3 Blöcke", "no interval: fewer than 3 blocks"),
    "verdict": (
        (
            "Von {truth} m², die in Wahrheit versiegelt sind, und {predicted} m², die das Modell versiegelt nennt, sind"
            " {both} m² dasselbe. Verfehlt sind {missed} m², erfunden {invented} m²."
        ),
        (
            "Of {truth} m² that are sealed in truth and {predicted} m² that the model calls sealed, {both} m² are the"
            " same. {missed} m² are missed, {invented} m² invented."
        ),
    ),
    "measured": (
        "Gemessen an {pixels} beurteilten Pixeln; Kacheln: {n}; Bildflug: {flight}; Labels: {labels}.",
        "Measured on {pixels} judged pixels; sheets: {n}; flight: {flight}; labels: {labels}.",
    ),
    "flight_unknown": ("unbekannt", "unknown"),
    "mode.sheets": (
        "Ausgewertet sind ganze Kacheln, kartiert wie mit „sealmap predict“: diese Pixel bekommt, wer kartiert.",
        "Whole sheets are scored, mapped as “sealmap predict” does: these pixels are what a user gets.",
    ),
    "mode.chips": (
        (
            "Ausgewertet sind einzelne Ausschnitte, die nichts von ihrer Umgebung sehen. Wie eine Karte wird, sagt die"
            " Auswertung ganzer Kacheln (--truth)."
        ),
        (
            "Single chips are scored, which see nothing of what surrounds them. What a map will be like, the"
            " evaluation of whole sheets tells (--truth)."
        ),
    ),
    "training.unknown": (
        (
            "Ob diese Kacheln im Training waren, sagt das Protokoll des Modells nicht. Waren sie es, so sind diese"
            " Zahlen zu gut."
        ),
        (
            "Whether these sheets were in training, the model's record does not tell. If they were, these numbers are"
            " too good."
        ),
    ),
    "training.not_seen": (
        "Laut Protokoll des Modells war keine dieser Kacheln in Training oder Validierung.",
        "By the model's record, none of these sheets was in training or validation.",
    ),
    "training.seen": (
        (
            "Achtung: Laut Protokoll dienten Teile hiervon dem Training oder der Validierung: {sheets}. Auf dem Teil,"
            " aus dem gelernt wurde, sind diese Zahlen zu gut."
        ),
        (
            "Mind: by its record the model saw parts of these in training or validation: {sheets}. On what was learnt"
            " from, these numbers are too good."
        ),
    ),
    "training.split": ("Ausgewertet ist der Teil „{split}“.", "What is scored is the split “{split}”."),
    "training.train": (
        "Achtung: Das ist der Teil „train“, also das, woraus gelernt wird. Über Neues sagt er nichts.",
        "Mind: this is the split “train”, what is learnt from. It says nothing about new ground.",
    ),
    "training.val": (
        "Achtung: Am Teil „val“ werden Gewichte und Schwelle gewählt. Diese Zahlen sind etwas zu gut.",
        "Mind: on the split “val” weights and threshold are chosen. These numbers are somewhat too good.",
    ),
    "notices": ("Dazu ist zu wissen", "To be known with it"),
    "note.bias": (
        (
            "Das Modell nennt zu {direction} versiegelt: Null liegt nicht im 95 %-Intervall des Flächenfehlers"
            " ({bias}). Eine Schwelle mit dem Ziel zero_bias gleicht das auf Flächen dieser Art aus."
        ),
        (
            "The model calls too {direction} sealed: zero is not within the 95 % interval of the area bias ({bias}). A"
            " threshold with the aim zero_bias balances that on ground of this kind."
        ),
    ),
    "more": ("viel", "much"),
    "less": ("wenig", "little"),
    "note.boundary": (
        (
            "Keine IoU der Umrisse: Die Labels lassen die Umgebung der Kanten aus. Nur {judged} des wahren Umrisses"
            " sind auf beiden Seiten beurteilt."
        ),
        (
            "Boundary IoU not given: labels ignore the surroundings of edges. Only {judged} of the true outline is"
            " judged on both sides."
        ),
    ),
    "note.blocks": (
        "Nur {n} Blöcke (Seite rund 200 m): Die Intervalle sind weit oder fehlen. Mehr Kacheln schaffen Sicherheit.",
        "Only {n} blocks (side about 200 m): intervals are wide or missing. More sheets give certainty.",
    ),
    "note.ece": (
        "Die Wahrscheinlichkeiten sind im Mittel um {ece} falsch; „sealmap calibrate“ stellt sie nach.",
        "Probabilities are wrong by {ece} on average; “sealmap calibrate” sets them right.",
    ),
    "note.sheets": (
        "Zwischen den Kacheln liegen Welten: IoU von {low} ({worst}) bis {high} ({best}).",
        "Sheets differ a lot: IoU from {low} ({worst}) to {high} ({best}).",
    ),
    "note.parcels": (
        "Ohne Urteil blieben {n} Flurstücke: auf mehr als 5 % ihrer Fläche fehlt Wahrheit oder Karte.",
        "{n} parcels were left out: more than 5 % of their area has no truth or no map.",
    ),
    # --- tables ---
    "scores": ("Güte je Klasse", "Scores by class"),
    "scores_text": (
        (
            "Unter jedem Wert das 95 %-Intervall aus {resamples} Ziehungen mit Zurücklegen über {blocks} Blöcke (Seite"
            " rund 200 m), bei wenigen Blöcken verbreitert wie bei Student. Die IoU der Umrisse vergleicht nur die"
            " innersten 3 Pixel an den Umrissen von Wahrheit und Karte (Cheng u. a. 2021); Pixel bis 3 Pixel neben"
            " Unbeurteiltem zählen dabei nicht, und ist der halbe wahre Umriss nicht beurteilt, so gibt es sie nicht."
            " Flächenfehler: vorhergesagt ÷ wahr − 1. „Versiegelt“ ist die Summe der versiegelten Klassen."
        ),
        (
            "Below each score its 95 % interval from {resamples} draws with replacement over {blocks} blocks (side"
            " about 200 m), widened for few blocks as Student's t. Boundary IoU compares only the innermost 3 pixels"
            " along the outlines of truth and map (Cheng et al. 2021); pixels within 3 pixels of what is not judged do"
            " not count there, and where less than half of the true outline is judged there is none. Area bias:"
            " predicted ÷ true − 1. “Sealed” is the union of the sealed classes."
        ),
    ),
    "class": ("Klasse", "Class"),
    "iou": ("IoU", "IoU"),
    "f1": ("F1", "F1"),
    "precision": ("Präzision", "Precision"),
    "recall": ("Trefferquote", "Recall"),
    "accuracy": ("richtige Pixel", "Accuracy"),
    "boundary_iou": ("IoU der Umrisse", "Boundary IoU"),
    "area_bias": ("Flächenfehler", "Area bias"),
    "area_bias_m2": ("Flächenfehler [m²]", "Area bias [m²]"),
    "sealed": ("Versiegelt", "Sealed"),
    "by_sheet": ("Je Kachel (versiegelt)", "By sheet (sealed)"),
    "by_sheet_text": (
        "Punkt: IoU; Strich: 95 %-Intervall, wo die Kachel mindestens 3 Blöcke hat.",
        "Dot: IoU; line: 95 % interval, where the sheet has at least 3 blocks.",
    ),
    "sheet": ("Kachel", "Sheet"),
    "true_m2": ("wahr [m²]", "true [m²]"),
    "predicted_m2": ("Karte [m²]", "map [m²]"),
    "by_class": ("Je Klasse der Wahrheit", "By class of the truth"),
    "by_class_text": (
        "Welcher Teil jeder Klasse der Labels versiegelt genannt wird. Bei Unversiegeltem ist das der falsche Alarm.",
        "What part of each class of the labels is called sealed. Of unsealed ground, that is the false alarm.",
    ),
    "area": ("Fläche [m²]", "Area [m²]"),
    "called": ("versiegelt genannt [m²]", "called sealed [m²]"),
    "share": ("Anteil", "Share"),
    "confusion": ("Verwechslungen [m²]", "Confusion [m²]"),
    "confusion_text": ("Zeilen: Wahrheit; Spalten: Karte.", "Rows: truth; columns: map."),
    # --- objects ---
    "objects": ("Nach Größe der Objekte", "By size of object"),
    "objects_text": (
        (
            "Ein Objekt ist eine zusammenhängende Fläche der Wahrheit; gefunden ist es, wenn mehr als die Hälfte"
            " vorhergesagt ist. Straßen und was an ihnen liegt sind ein einziges, großes Objekt. Was der Rand des"
            " Beurteilten auf weniger als 500 m² beschneidet, hat keine bekannte Größe und steht für sich."
        ),
        (
            "An object is a connected area of the truth; it is found where more than half of it is predicted. Streets"
            " and what touches them are one single, large object. What the edge of the scored ground cuts to less than"
            " 500 m² has no known size and stands apart."
        ),
    ),
    "kind.sealed": ("Versiegelte Flächen", "Sealed areas"),
    "kind.roof": ("Dächer (als Dach gefunden)", "Roofs (found as roof)"),
    "kind.false": ("Erfundenes: versiegelt genannt und nicht versiegelt", "Invented: called sealed and not sealed"),
    "size": ("Größe", "Size"),
    "size.below_20": ("unter 20 m²", "below 20 m²"),
    "size.20_to_100": ("20 bis 100 m²", "20 to 100 m²"),
    "size.100_to_500": ("100 bis 500 m²", "100 to 500 m²"),
    "size.from_500": ("ab 500 m²", "from 500 m²"),
    "size.cut": ("vom Rand geschnitten", "cut by the edge"),
    "number": ("Anzahl", "Number"),
    "found": ("gefunden", "found"),
    "found_m2": ("davon Fläche", "of their area"),
    # --- parcels ---
    "parcels": ("Je Flurstück", "By parcel"),
    "parcels_text": (
        (
            "{n} Flurstücke, Wahrheit und Karte gleich gezählt, an den Grenzen pixelgenau anteilig. {left} sind ohne"
            " Urteil (mehr als 5 % der Fläche unbekannt). Intervalle aus Ziehungen über die {blocks} Blöcke, in denen"
            " sie liegen, da Nachbarn ähnlich irren. Jedes Flurstück steht in parcels.csv."
        ),
        (
            "{n} parcels, truth and map counted alike, with exact shares of pixels at the boundaries. {left} are left"
            " out (more than 5 % of the area unknown). Intervals from draws over the {blocks} blocks that they lie in,"
            " since neighbours err alike. Each parcel is in parcels.csv."
        ),
    ),
    "parcel_size": ("Größe des Flurstücks", "Size of parcel"),
    "all": ("alle", "all"),
    "range": ("{low} bis {high} m²", "{low} to {high} m²"),
    "range_below": ("unter {high} m²", "below {high} m²"),
    "range_from": ("ab {low} m²", "from {low} m²"),
    "parcel.area_bias": ("Flächenfehler (Summe)", "Area bias (sum)"),
    "parcel.bias_m2": ("mittlerer Fehler [m²]", "mean error [m²]"),
    "parcel.mae_m2": ("mittlerer Betrag [m²]", "mean absolute error [m²]"),
    "parcel.rmse_m2": ("RMSE [m²]", "RMSE [m²]"),
    "parcel.within_5_m2": ("auf ±5 m²", "within ±5 m²"),
    "parcel.within_10_percent": ("auf ±10 %", "within ±10 %"),
    "parcel.within_either": ("eins von beiden", "either"),
    "scatter": (
        ("Versiegelte m² je Flurstück, Achsen mit Quadratwurzel. Linie: gleich; grau: ±10 % und ±5 m².{chosen}"),
        ("Sealed m² per parcel, square-root axes. Line: equal; grey: ±10 % and ±5 m².{chosen}"),
    ),
    "scatter.chosen": (
        " Gezeigt sind {n} zufällig gewählte von {all} Flurstücken.",
        " Shown are {n} of {all} parcels, chosen at random.",
    ),
    "scatter.x": ("wahr [m²]", "true [m²]"),
    "scatter.y": ("Karte [m²]", "map [m²]"),
    # --- probabilities ---
    "probabilities": ("Wahrscheinlichkeiten", "Probabilities"),
    "probabilities_text": (
        (
            "ECE {ece}, Brier-Wert {brier}, Temperatur {temperature}. Die Schwelle {threshold} kommt aus dem Modell"
            " ({aim}); auf diesen Daten wurde nichts gewählt."
        ),
        (
            "ECE {ece}, Brier score {brier}, temperature {temperature}. The threshold {threshold} is the model's"
            " ({aim}); nothing was chosen on these data."
        ),
    ),
    "aim": ("gewählt für {aim}", "chosen for {aim}"),
    "no_aim": ("nicht aus Daten gewählt", "not chosen from data"),
    # --- pictures ---
    "worst": ("Die schlechtesten Fenster ({n})", "The worst windows ({n})"),
    "worst_text": (
        (
            "Nach Fläche, die nur in Wahrheit oder nur in der Karte versiegelt ist. Das sind keine typischen Fenster;"
            " aus ihnen lernt man, wo das Modell oder die Wahrheit falsch liegt."
        ),
        (
            "By area that is sealed in truth only or in the map only. These are no typical windows; they teach where"
            " the model, or the truth, is wrong."
        ),
    ),
    "random": ("Zufällige Fenster ({n})", "Random windows ({n})"),
    "random_text": (
        "Zufällig gezogen (Startwert {seed}), ohne Ansehen der Güte: So sieht es gewöhnlich aus.",
        "Drawn at random (seed {seed}), whatever their scores: this is what it usually looks like.",
    ),
    "photo": ("Bild", "Photo"),
    "truth": ("Wahrheit", "Truth"),
    "map": ("Karte", "Map"),
    "errors": ("Fehler", "Errors"),
    "missed": ("verfehlt", "missed"),
    "invented": ("erfunden", "invented"),
    "mixed": ("falsche versiegelte Klasse", "wrong sealed class"),
    "right": ("richtig", "right"),
    "unjudged": ("nicht beurteilt", "not judged"),
    "window": (
        "verfehlt {missed} m², erfunden {invented} m² von {judged} m²; IoU {iou}",
        "missed {missed} m², invented {invented} m² of {judged} m²; IoU {iou}",
    ),
    # --- facts ---
    "facts": ("Woraus diese Zahlen sind", "What these numbers are from"),
    "fact.model": ("Modell", "Model"),
    "fact.adapted": ("Anpassung", "Adaptation"),
    "fact.match": ("Helligkeit an die Trainingsdaten angeglichen", "Brightness matched to the training data"),
    "fact.recipe": ("Training", "Training"),
    "fact.threshold": ("Schwelle", "Threshold"),
    "fact.gsd": ("Bodenauflösung", "Ground sampling distance"),
    "fact.chips": ("Ausschnitte", "Chips"),
    "fact.sheets": ("Kacheln", "Sheets"),
    "fact.flight": ("Bildflug", "Flight"),
    "fact.labels": ("Labels", "Labels"),
    "fact.windows": ("Fenster (Schritt + Rand)", "Windows (step + border)"),
    "fact.guard": ("Prüfung", "Guard"),
    "fact.date": ("Datum", "Date"),
    "fact.version": ("sealmap", "sealmap"),
    "adapted": (
        "das Modell wurde am {date} an {sheets} angepasst (Anteil {mix})",
        "the model was adapted to {sheets} on {date} (mix {mix})",
    ),
    "adapted.more": (" und {n} weitere", " and {n} more"),
    "adapted.older": (
        "seine Temperatur {temperature} und Schwelle {threshold} sind älter",
        "its temperature {temperature} and threshold {threshold} are older than that",
    ),
    "inputs": ("Eingaben (SHA-256)", "Inputs (SHA-256)"),
}


def say(key: str, language: Language, **values: str) -> str:
    """The words for ``key`` with ``values`` put in; SettingsError for a language that is not written here."""
    if language not in LANGUAGES:
        raise SettingsError(f"no language '{language}'", remedy=f"use one of: {', '.join(LANGUAGES)}")
    found = _TEXTS[key][LANGUAGES.index(language)].replace(" m²", f"{BLANK}m²").replace(" %", f"{BLANK}%")
    return found.format(**values)


def say_or(key: str, language: Language, otherwise: str) -> str:
    """The words for a key that names something from outside, else what the outside calls it."""
    return say(key, language) if key in _TEXTS else otherwise
