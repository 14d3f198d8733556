"""Files with meaning: orthophotos and the cadastre."""
