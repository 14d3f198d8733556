"""From a class raster to polygons: clean, trace on pixel edges, join seams, simplify shared edges."""
