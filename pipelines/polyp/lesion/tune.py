"""The threshold, and the size of specks, that suit frames which the network was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.polyp.data import Field, find_field, read_frame
from pipelines.polyp.lesion.frames import LesionFrame
from pipelines.polyp.lesion.measure import overlap, union
from pipelines.polyp.lesion.predict import Finder, lesions_of
from pipelines.polyp.lesion.trained import Tuning
from pipelines.polyp.lesion.view import Mask

THRESHOLDS: Final = tuple(round(0.05 * one, 2) for one in range(4, 17))
SMALLEST: Final = (0.001, 0.002, 0.004, 0.008)
SIDE: Final = 320  # px of the longer side at which tunings are compared: there are many of them


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a network says of a frame, reduced. shares: float32 (h, w), the probability of each px. marked:
    bool (h, w). field: of the same px."""

    shares: NDArray[np.float32]
    marked: Mask
    field: Field


def told(finder: Finder, frames: Sequence[LesionFrame]) -> list[Told]:
    """What the finder's network says of frames with masks. Raises PolypError if one can no longer be read."""
    found = []
    for one in frames:
        frame = read_frame(one.ref)
        field = find_field(frame.pixels)
        marked = np.zeros(field.mask.shape, np.bool_) if frame.mask is None else frame.mask
        shares = finder.shares(frame.pixels, field)
        share = min(1.0, SIDE / max(shares.shape))
        size = (max(1, round(shares.shape[1] * share)), max(1, round(shares.shape[0] * share)))
        small = Field(_reduced(field.mask, size), field.box, field.shape)
        shares = np.asarray(cv2.resize(shares, size, interpolation=cv2.INTER_AREA), np.float32)
        found.append(Told(shares, _reduced(marked, size), small))
    return found


def tuned(said: Sequence[Told], views: int) -> Tuning:
    """The tuning of the largest mean Dice over the frames, in which one without a lesion counts as 1 if
    nothing is found in it and as 0 otherwise; of equal ones that which is nearest to a threshold of 0.5."""
    best, most = Tuning(views=views), -1.0
    for threshold in sorted(THRESHOLDS, key=lambda one: (abs(one - 0.5), one)):
        for smallest in SMALLEST:
            tuning = Tuning(threshold=threshold, smallest=smallest, views=views)
            dice = float(np.mean([_dice(one, tuning) for one in said]))
            if dice > most + 1e-9:
                best, most = tuning, dice
    return best


def _dice(said: Told, tuning: Tuning) -> float:
    lesions = lesions_of(said.shares, said.field, tuning)
    return overlap(union((one.mask for one in lesions), said.marked.shape), said.marked)[0]


def _reduced(mask: Mask, size: tuple[int, int]) -> Mask:
    found: Mask = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 127
    return found
