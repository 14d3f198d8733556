"""Square metres per parcel, counted on the class raster."""
