"""Tiles in, probabilities and classes out: a plain write per pixel, memory of one strip and one batch."""
