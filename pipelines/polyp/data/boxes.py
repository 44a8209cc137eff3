"""Boxes around lesions, clipped to the image that they are for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .record import Box


def clipped(box: Box, width: int, height: int) -> tuple[Box | None, str]:
    """A box within an image of this size in px, and a note if that changed it; None if nothing is left."""
    if not all(math.isfinite(one) for one in box):
        return None, "a box has corners that are no numbers, and is left out"
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        return None, f"the box {_text(box)} has no area, and is left out"
    inner = (max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height)))
    if inner[2] <= inner[0] or inner[3] <= inner[1]:
        return None, f"the box {_text(box)} lies off the frame of {width} x {height} px, and is left out"
    if inner != box:
        return (
            inner,
            f"the box {_text(box)} reaches beyond the frame of {width} x {height} px, and is clipped",
        )
    return box, ""


def scaled(box: Box, x: float, y: float) -> Box:
    """A box in px of an image that is x times as wide and y times as high."""
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y


def box_of(mask: NDArray[Any]) -> Box | None:
    """The box around what is True in a mask (H, W); None if nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def within(box: Box, width: int, height: int) -> NDArray[np.bool_]:
    """Pixels (height, width) that the box touches."""
    found = np.zeros((height, width), bool)
    found[max(0, math.floor(box[1])) : math.ceil(box[3]), max(0, math.floor(box[0])) : math.ceil(box[2])] = (
        True
    )
    return found


def _text(box: Box) -> str:
    return ", ".join(f"{one:g}" for one in box)
