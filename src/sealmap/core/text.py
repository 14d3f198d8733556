"""Texts to compare: names of layers, fields and classes differ in case and umlauts between states and years."""

from __future__ import annotations

import unicodedata


def plain(text: str) -> str:
    """Text to compare by: no case, no umlauts, ß as ss, however its letters are composed."""
    text = unicodedata.normalize("NFC", text).casefold().strip()
    for umlaut, letters in (("ä", "ae"), ("ö", "oe"), ("ü", "ue")):
        text = text.replace(umlaut, letters)
    return text
