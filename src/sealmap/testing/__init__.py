"""Synthetic orthophotos, cadastre and truth for tests and training."""
