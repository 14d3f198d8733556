"""Bytes on disk, without meaning: the only place that opens rasters and vector files and renames results."""
