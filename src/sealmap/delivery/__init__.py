"""What a town receives: a GeoPackage with styles, a QGIS project, a preview and a report."""
