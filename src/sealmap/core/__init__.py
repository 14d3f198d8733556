"""Values only: grids, windows, patches, legends, counts, records. No files, no torch, no logging."""
