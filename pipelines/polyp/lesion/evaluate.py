"""A finder on frames with masks, read anew at their full size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.common.media.limits import MAX_PIXELS
from pipelines.polyp.data import find_field, read_frame
from pipelines.polyp.lesion.beside import beside
from pipelines.polyp.lesion.frames import LesionFrame
from pipelines.polyp.lesion.measure import FrameScore, overlap, union
from pipelines.polyp.lesion.predict import Finder


def evaluate(
    finder: Finder,
    frames: Sequence[LesionFrame],
    clusters: Sequence[int],
    *,
    max_pixels: int = MAX_PIXELS,
) -> list[FrameScore]:
    """The score of each frame. clusters: the group of each. max_pixels: of a frame that is read.

    Raises PolypError if one cannot be read.
    """
    found = []
    for one, cluster in zip(frames, clusters, strict=True):
        frame = read_frame(one.ref, max_pixels=max_pixels)
        marked = np.zeros(frame.pixels.shape[:2], np.bool_) if frame.mask is None else frame.mask
        field = find_field(frame.pixels)
        lesions = finder.find(frame.pixels, field=field)
        dice, iou = overlap(union((lesion.mask for lesion in lesions), marked.shape), marked)
        part = beside(frame.pixels, field, marked)
        in_part = None if part is None else bool(finder.find(part.pixels, field=part.field))
        found.append(FrameScore(one.id, one.data, str(cluster), dice, iou, not bool(marked.any()), in_part))
    return found
