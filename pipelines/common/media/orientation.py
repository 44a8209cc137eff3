"""The eight ways an image may lie (EXIF orientation), undone for pixels and for points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .record import Points


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Pixels (H, W) or (H, W, C) as they are stored, turned upright; a view where that is possible."""
    if orientation in (3, 4, 7):
        pixels = pixels[::-1]
    if orientation in (2, 3, 7):
        pixels = pixels[:, ::-1]
    if orientation in (5, 7):
        pixels = pixels.swapaxes(0, 1)
    elif orientation in (6, 8):
        pixels = np.rot90(pixels, -1 if orientation == 6 else 1)
    return pixels


def upright_points(points: Points, orientation: int, width: int, height: int) -> Points:
    """Points (N, 2), x and y in px of the stored image of this width and height, in the upright image."""
    x, y = points[:, 0], points[:, 1]
    moved = {
        2: (width - x, y),
        3: (width - x, height - y),
        4: (x, height - y),
        5: (y, x),
        6: (height - y, x),
        7: (height - y, width - x),
        8: (y, width - x),
    }.get(orientation)
    return points if moved is None else np.stack(moved, axis=1)


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height after the turn, from those of the stored image; its own inverse."""
    return (height, width) if orientation >= 5 else (width, height)
