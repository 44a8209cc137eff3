"""What a finder that looks at nothing would reach: the place where lesions most often are."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.polyp.lesion.frames import LesionFrame
from pipelines.polyp.lesion.measure import FrameScore, overlap
from pipelines.polyp.lesion.run import Parts

SIDE = 64  # px of the squares that are compared
THRESHOLDS = tuple(round(0.05 * one, 2) for one in range(1, 15))


def usual_place(parts: Parts) -> list[FrameScore]:
    """Scores on the held-out frames of one mask for all: where so many of the training frames have a lesion.

    The mask is stretched to each frame's optical field; how many it takes is what suits the training frames.
    """
    marked = np.stack([_square(one) for one in [*parts.training, *parts.tuning] if not one.empty])
    often = marked.mean(axis=0)
    best = max(THRESHOLDS, key=lambda one: float(np.mean([overlap(often > one, mask)[0] for mask in marked])))
    place = often > best
    found = []
    for one, cluster in zip(parts.held_out, parts.clusters, strict=True):
        mask = _square(one)
        dice, iou = overlap(place, mask)
        found.append(FrameScore(one.id, one.data, str(cluster), dice, iou, one.empty))
    return found


def _square(frame: LesionFrame) -> NDArray[np.bool_]:
    square = cv2.resize(np.ascontiguousarray(frame.share), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    found: NDArray[np.bool_] = square > 127
    return found
