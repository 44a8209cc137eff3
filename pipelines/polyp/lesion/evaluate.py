"""A finder on frames with masks, read anew at their full size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.polyp.data import read_frame
from pipelines.polyp.lesion.frames import LesionFrame
from pipelines.polyp.lesion.measure import FrameScore, overlap, union
from pipelines.polyp.lesion.predict import Finder


def evaluate(finder: Finder, frames: Sequence[LesionFrame], clusters: Sequence[int]) -> list[FrameScore]:
    """The score of each frame. clusters: the group of each. Raises PolypError if one cannot be read."""
    found = []
    for one, cluster in zip(frames, clusters, strict=True):
        frame = read_frame(one.ref)
        marked = np.zeros(frame.pixels.shape[:2], np.bool_) if frame.mask is None else frame.mask
        lesions = finder.find(frame.pixels)
        dice, iou = overlap(union((lesion.mask for lesion in lesions), marked.shape), marked)
        found.append(FrameScore(one.id, one.data, str(cluster), dice, iou, not bool(marked.any())))
    return found
