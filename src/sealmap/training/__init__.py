"""Chips in, a trained network out. The loop reads top to bottom."""
