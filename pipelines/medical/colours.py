"""A colour for each label, the same wherever a mask is drawn."""

from __future__ import annotations

import colorsys

# Okabe and Ito (2008), told apart by everybody; without their black, in an order that suits grey images.
FIRST = (
    *((230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (240, 228, 66), (213, 94, 0)),
    (0, 114, 178),
)


def colour(number: int) -> tuple[int, int, int]:
    """The RGB of a model's label, counted from 0; no two neighbours are alike."""
    if number < len(FIRST):
        return FIRST[number]
    hue = (number * 0.61803398875) % 1.0  # the golden ratio spreads hues evenly, however many there are
    light = (0.55, 0.68, 0.45)[number % 3]
    r, g, b = colorsys.hls_to_rgb(hue, light, 0.75)
    return round(255 * r), round(255 * g), round(255 * b)
