"""Handwritten digits as sparse pictures: the example of a further task."""
