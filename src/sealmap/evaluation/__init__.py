"""Held-out chips and a model in, scores with intervals and pictures out."""
