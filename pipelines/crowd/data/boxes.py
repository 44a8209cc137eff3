"""A point on the head of someone of whom only the box around the body is known."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .record import Points

# Of a box's height below its upper edge: with a body of seven to eight heads, the middle of the head is at
# 0.07; seen from above at a slant, as from a drone, the head takes a larger share.
HEAD_DEPTH: Final = 0.1


def head_points(boxes: NDArray[Any], *, of_heads: bool = False) -> Points:
    """Points (N, 2) on heads, from boxes (N, 4) of left, top, width and height in px.

    of_heads: the boxes are around heads or faces: their centres. Else they are around whole people: the
    middle of the width, a tenth of the height below the top.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    depth = 0.5 if of_heads else HEAD_DEPTH
    return np.stack([boxes[:, 0] + boxes[:, 2] / 2, boxes[:, 1] + boxes[:, 3] * depth], axis=1)
