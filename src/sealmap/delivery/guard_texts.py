"""What the guard found, in words for the report: its own in English, a sentence per check in German."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sealmap.delivery.texts import Language

_GERMAN: dict[str, tuple[str, str]] = {
    "georeference": ("Georeferenz", ("Name und Georeferenz widersprechen sich, oder das Blatt liegt außerhalb seines"
                     " Bezugssystems: Bezugssystem und Bodenpixelgröße prüfen.")),
    "normalisation": ("Normierung", "Das Netz bekommt die Pixel in einer anderen Skala als beim Training."),
    "pixel scale": ("Pixelwerte", ("Zu dunkel, zu rau oder zu wenige Stufen: 16-Bit-Werte als 8 Bit gelesen, oder kein"
                    " Luftbild.")),
    "band order": ("Kanalfolge", "Rot und Blau scheinen vertauscht."),
    "order by the network": ("Kanalfolge (Netz)", ("Das Netz ist sich bei anderer Kanalfolge viel sicherer: Kanäle"
                             " vertauscht.")),
    "infrared": ("Infrarot", "Im ersten Kanal scheint nahes Infrarot statt Rot zu liegen (CIR)."),
    "black border": ("Schwarzer Rand", ("Schwarze Fläche, die nicht als „ohne Daten“ gekennzeichnet ist, würde als"
                     " Boden gezählt.")),
    "clouds or snow": ("Wolken, Schnee", "Helle, farblose Flächen: Wolken, Schnee oder ein weißer Rand."),
    "no data": ("Ohne Daten", "Große Teile der Karte haben keine Daten."),
    "brightness": ("Helligkeit", ("Der Bildflug liegt weiter vom Training entfernt als jedes zurückgehaltene Blatt:"
                   " andere Jahreszeit, Sonne oder Kamera.")),
    "values": ("Werte", ("Wahrscheinlichkeiten sind keine Zahlen von 0 bis 1: Logits als Wahrscheinlichkeiten gelesen,"
               " oder ein defektes Netz.")),
    "activation": ("Aktivierung", ("Doppelte Aktivierung: alle Wahrscheinlichkeiten liegen zwischen 0,500 und 0,731"
                   " oder ähnlich eng.")),
    "constant output": ("Gleiche Antwort", "Überall dieselbe Antwort, oder nur 0 und 1: das Netz sieht nichts."),
    "sealed share": ("Versiegelungsgrad", "Fast alles oder fast nichts ist versiegelt."),
    "certainty": ("Sicherheit", "Das Modell ist unsicherer als auf jedem zurückgehaltenen Blatt."),
    "overlap": ("Überlappung", "Überlappende Fenster widersprechen sich, oder es gibt Stufen an Fenstergrenzen."),
    "checkerboard": ("Schachbrett", "Die Wahrscheinlichkeiten wechseln von Pixel zu Pixel."),
    "one polygon": ("Eine Fläche", "Eine einzige Fläche deckt fast die ganze Karte."),
}  # fmt: skip

_VERDICTS = {"ok": "in Ordnung", "warning": "Warnung", "refusal": "abgelehnt"}


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardLine:
    """A finding as printed. verdict: 'ok', 'warning' or 'refusal', for the style; told: the same in words."""

    check: str
    verdict: str
    told: str
    where: str
    figures: str
    cause: str


def guard_lines(findings: Sequence[Mapping[str, Any]], language: Language) -> list[GuardLine]:
    """Findings as a record has them (``Finding.to_json``), in their order."""
    found = []
    for f in findings:
        name, sentence = _GERMAN.get(f["check"], (f["check"], f.get("cause", "")))
        cause = " → ".join(part for part in (f.get("cause", ""), f.get("remedy", "")) if part)
        german = language == "de"
        found.append(
            GuardLine(
                check=name if german else f["check"],
                verdict=f["verdict"],
                told=_VERDICTS[f["verdict"]] if german else f["verdict"],
                where=f.get("where", ""),
                figures=", ".join(f"{key} {value}" for key, value in f.get("figures", {}).items()),
                cause=(sentence if german else cause) if f["verdict"] != "ok" else "",
            )
        )
    return found
