"""Layers of the native engine, under MinkowskiEngine's names."""
