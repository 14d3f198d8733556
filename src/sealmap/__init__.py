"""sealmap turns aerial orthophotos into sealed-surface maps and square metres per parcel."""

__version__ = "0.1.0"
