"""Parts of frames in which nothing is marked: there are few whole frames without a lesion to measure with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pipelines.common.media.record import Pixels
from pipelines.polyp.data import Field, box_of
from pipelines.polyp.lesion.view import Mask

LEAST_SIDE: Final = 0.4  # of the shorter side of the optical field's box
LEAST_PICTURE: Final = 0.7  # of the part must be within the optical field


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of a frame: RGB uint8 (h, w, 3), and what of it is within the optical field."""

    pixels: Pixels
    field: Field


def beside(pixels: Pixels, field: Field, marked: Mask) -> Part | None:
    """The largest part of the field's box that lies to one side of all that is marked.

    None if nothing is marked, or if no such part is large enough and mostly picture.
    """
    lesion = box_of(marked)
    if lesion is None:
        return None
    x0, y0, x1, y1 = (int(one) for one in field.box)
    left, top, right, bottom = (int(one) for one in lesion)
    sides = [(x0, y0, left, y1), (right, y0, x1, y1), (x0, y0, x1, top), (x0, bottom, x1, y1)]
    least = LEAST_SIDE * min(x1 - x0, y1 - y0)
    for a, b, c, d in sorted(sides, key=lambda one: -max(0, one[2] - one[0]) * max(0, one[3] - one[1])):
        if min(c - a, d - b) < max(least, 1):
            continue
        mask = field.mask[b:d, a:c]
        box = box_of(mask)
        if box is not None and float(mask.mean()) >= LEAST_PICTURE:
            return Part(np.ascontiguousarray(pixels[b:d, a:c]), Field(mask, box, "polygon"))
    return None
