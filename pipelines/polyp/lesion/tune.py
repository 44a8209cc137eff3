"""How probabilities become lesions, as suits frames which the network was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.media.limits import MAX_PIXELS
from pipelines.polyp.data import Field, find_field, read_frame
from pipelines.polyp.lesion.beside import beside
from pipelines.polyp.lesion.frames import LesionFrame
from pipelines.polyp.lesion.measure import overlap, union
from pipelines.polyp.lesion.predict import Finder, lesions_of
from pipelines.polyp.lesion.trained import Tuning
from pipelines.polyp.lesion.view import Mask

THRESHOLDS: Final = tuple(round(0.05 * one, 2) for one in range(3, 17))
SMALLEST: Final = (0.001, 0.002, 0.004, 0.008)
SURE: Final = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7)
CLEAN: Final = 0.2  # how much finding nothing where nothing is counts, beside the Dice of lesions
SIDE: Final = 320  # px of the longer side at which tunings are compared: there are many of them


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a network says of a frame, reduced. shares: float32 (h, w), the probability of each px. marked:
    bool (h, w). field: of the same px."""

    shares: NDArray[np.float32]
    marked: Mask
    field: Field


def told(finder: Finder, frames: Sequence[LesionFrame], *, max_pixels: int = MAX_PIXELS) -> list[Told]:
    """What the finder's network says of frames with masks, and of the parts of them without a lesion.

    max_pixels: of a frame that is read. Raises PolypError if a frame cannot be read.
    """
    found = []
    for one in frames:
        frame = read_frame(one.ref, max_pixels=max_pixels)
        field = find_field(frame.pixels)
        marked = np.zeros(field.mask.shape, np.bool_) if frame.mask is None else frame.mask
        found.append(_told(finder.shares(frame.pixels, field), marked, field))
        part = beside(frame.pixels, field, marked)
        if part is not None:
            nothing = np.zeros(part.field.mask.shape, np.bool_)
            found.append(_told(finder.shares(part.pixels, part.field), nothing, part.field))
    return found


def tuned(said: Sequence[Told], views: int) -> Tuning:
    """The tuning of the largest mean Dice over frames with a lesion, plus a fifth of the share of those
    without, and of parts without, in which nothing is found; of equal ones the nearest to a threshold of 0.5.
    """
    marked = [one for one in said if one.marked.any()]
    clean = [one for one in said if not one.marked.any()]
    best, most = Tuning(views=views), -1.0
    for threshold in sorted(THRESHOLDS, key=lambda one: (abs(one - 0.5), one)):
        for smallest in SMALLEST:
            tuning = Tuning(threshold=threshold, smallest=smallest, views=views)
            value = _mean_dice(marked, tuning) + CLEAN * _mean_dice(clean, tuning)
            if float(value.max()) > most + 1e-9:
                sure = SURE[int(value.argmax())]
                best, most = tuning.model_copy(update={"sure": sure}), float(value.max())
    return best


def _mean_dice(said: Sequence[Told], tuning: Tuning) -> NDArray[np.float64]:
    """The mean Dice for each of SURE; 0 without any frame."""
    rows = np.array([_dice(one, tuning) for one in said], np.float64).reshape(-1, len(SURE))
    found: NDArray[np.float64] = rows.mean(axis=0) if len(rows) else np.zeros(len(SURE))
    return found


def _dice(said: Told, tuning: Tuning) -> list[float]:
    """Dice for each of SURE."""
    lesions = lesions_of(said.shares, said.field, tuning)
    found = []
    for sure in SURE:
        masks = (one.mask for one in lesions if one.score >= sure)
        found.append(overlap(union(masks, said.marked.shape), said.marked)[0])
    return found


def _told(shares: NDArray[np.float32], marked: Mask, field: Field) -> Told:
    share = min(1.0, SIDE / max(shares.shape))
    size = (max(1, round(shares.shape[1] * share)), max(1, round(shares.shape[0] * share)))
    small = Field(_reduced(field.mask, size), field.box, field.shape)
    smaller = np.asarray(cv2.resize(shares, size, interpolation=cv2.INTER_AREA), np.float32)
    return Told(smaller, _reduced(marked, size), small)


def _reduced(mask: Mask, size: tuple[int, int]) -> Mask:
    found: Mask = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 127
    return found
