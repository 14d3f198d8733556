"""The texts of the simplified ALKIS as the object classes and codes that NAS uses.

Source: GeoInfoDok 6.0, object catalogue of ALKIS (DLKM), as public importers of NAS list it; 7.1 is taken to have
the same. Only 1701 was seen in no list: it follows the pattern of 2501 and 2601 (Gebäude- und Freifläche ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class UseClass:
    """One class of actual use: its element, the attribute that holds the code, and the codes by text (``bez``)."""

    element: str
    attribute: str = ""
    codes: Mapping[str, str] = field(default_factory=dict)

    def code_of(self, text: str) -> str:
        """The code of ``text``, '' for no text. Raises ValueError for a text without a code."""
        if text and text not in self.codes:
            raise ValueError(f"{self.element} has no code for {text!r}: add it to alkis_codes.py")
        return self.codes.get(text, "")


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildingClass:
    """One class of buildings and structures: its element and the attribute that holds the function code."""

    element: str
    attribute: str


def _use(element: str, attribute: str = "", texts: Mapping[str, str] | None = None) -> UseClass:
    """``texts`` by code, as catalogues list them."""
    return UseClass(element=element, attribute=attribute, codes={text: code for code, text in (texts or {}).items()})


USES: Mapping[str, UseClass] = {
    "Wohnbaufläche": _use("AX_Wohnbauflaeche", "artDerBebauung", {"1000": "Offen", "2000": "Geschlossen"}),
    "Industrie- und Gewerbefläche": _use(
        "AX_IndustrieUndGewerbeflaeche",
        "funktion",
        {
            "1400": "Handel und Dienstleistung",
            "1700": "Industrie und Gewerbe",
            "1701": "Gebäude- und Freifläche Industrie und Gewerbe",
            "1730": "Tankstelle",
            "1740": "Lagerplatz",
            "2610": "Kläranlage, Klärwerk",
        },
    ),
    "Halde": _use("AX_Halde", "lagergut", {"4000": "Erde", "7000": "Abraum"}),
    "Bergbaubetrieb": _use("AX_Bergbaubetrieb", "abbaugut", {"4022": "Steinkohle"}),
    "Tagebau, Grube, Steinbruch": _use("AX_TagebauGrubeSteinbruch", "abbaugut", {"1009": "Kies, Kiessand"}),
    "Fläche gemischter Nutzung": _use(
        "AX_FlaecheGemischterNutzung",
        "funktion",
        {
            "2100": "Gebäude- und Freifläche, Mischnutzung mit Wohnen",
            "2700": "Gebäude- und Freifläche Land- und Forstwirtschaft",
            "6800": "Landwirtschaftliche Betriebsfläche",
        },
    ),
    "Fläche besonderer funktionaler Prägung": _use(
        "AX_FlaecheBesondererFunktionalerPraegung", "funktion", {"1100": "Öffentliche Zwecke", "1200": "Parken"}
    ),
    "Sport-, Freizeit- und Erholungsfläche": _use(
        "AX_SportFreizeitUndErholungsflaeche",
        "funktion",
        {
            "4100": "Sportanlage",
            "4170": "Tennisplatz",
            "4400": "Grünanlage",
            "4440": "Kleingarten",
            "4470": "Spielplatz, Bolzplatz",
        },
    ),
    "Friedhof": _use("AX_Friedhof", "funktion", {"9402": "Friedhof (ohne Gebäude)", "9403": "Friedhof (Park)"}),
    "Straßenverkehr": _use(
        "AX_Strassenverkehr",
        "funktion",
        {
            "2311": "Gebäude- und Freifläche zu Verkehrsanlagen, Straße",
            "2312": "Verkehrsbegleitfläche Straße",
            "2313": "Straßenentwässerungsanlage",
            "5130": "Fußgängerzone",
        },
    ),
    "Weg": _use(
        "AX_Weg",
        "funktion",
        {
            "5210": "Fahrweg",
            "5211": "Hauptwirtschaftsweg",
            "5212": "Wirtschaftsweg",
            "5220": "Fußweg",
            "5230": "Gang",
            "5240": "Radweg",
            "5250": "Rad- und Fußweg",
            "5260": "Reitweg",
        },
    ),
    "Platz": _use(
        "AX_Platz",
        "funktion",
        {
            "5130": "Fußgängerzone",
            "5310": "Parkplatz",
            "5320": "Rastplatz",
            "5330": "Raststätte",
            "5340": "Marktplatz",
            "5350": "Festplatz",
        },
    ),
    "Bahnverkehr": _use("AX_Bahnverkehr", "funktion", {"2322": "Verkehrsbegleitfläche Bahnverkehr"}),
    "Flugverkehr": _use("AX_Flugverkehr", "art", {"5520": "Verkehrslandeplatz"}),
    "Schiffsverkehr": _use("AX_Schiffsverkehr", "funktion", {"5610": "Hafenanlage (Landfläche)"}),
    "Landwirtschaft": _use(
        "AX_Landwirtschaft",
        "vegetationsmerkmal",
        {
            "1010": "Ackerland",
            "1020": "Grünland",
            "1021": "Streuobstwiese",
            "1030": "Gartenland",
            "1031": "Baumschule",
            "1200": "Brachland",
        },
    ),
    "Wald": _use(
        "AX_Wald", "vegetationsmerkmal", {"1100": "Laubholz", "1200": "Nadelholz", "1300": "Laub- und Nadelholz"}
    ),
    "Gehölz": _use("AX_Gehoelz", "funktion", {"1000": "Windschutz"}),
    "Heide": _use("AX_Heide"),
    "Moor": _use("AX_Moor"),
    "Sumpf": _use("AX_Sumpf"),
    "Unland, vegetationslose Fläche": _use(
        "AX_UnlandVegetationsloseFlaeche",
        "funktion",
        {"1000": "Vegetationslose Fläche", "1100": "Gewässerbegleitfläche", "1200": "Sukzessionsfläche"},
    ),
    "Fließgewässer": _use("AX_Fliessgewaesser", "funktion", {"8200": "Fluss", "8400": "Graben", "8500": "Bach"}),
    "Hafenbecken": _use("AX_Hafenbecken", "funktion", {"8810": "Sportboothafenbecken"}),
    "Stehendes Gewässer": _use(
        "AX_StehendesGewaesser", "funktion", {"8610": "See", "8620": "Teich", "8640": "Baggersee"}
    ),
}
"""By ``nutzart``."""

BUILDINGS: Mapping[str, BuildingClass] = {
    "31001": BuildingClass(element="AX_Gebaeude", attribute="gebaeudefunktion"),
    "31002": BuildingClass(element="AX_Bauteil", attribute="bauart"),
    "51009": BuildingClass(element="AX_SonstigesBauwerkOderSonstigeEinrichtung", attribute="bauwerksfunktion"),
}
"""By Kennung, the part of ``gfkzshh`` before the ``_``."""

UNDERGROUND = frozenset({"31001_2465"})
"""Functions (``gfkzshh``) that lie below the ground: Tiefgarage. In NAS they carry lageZurErdoberflaeche 1200."""
