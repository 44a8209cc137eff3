"""The native engine beside MinkowskiEngine and beside bare matrix products, layer by layer and end to end."""
