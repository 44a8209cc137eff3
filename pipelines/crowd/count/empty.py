"""Images in which nobody can be: they count as 0, and the row says so.

A sum over thousands of blocks, each with a small chance of somebody, comes to people whom nobody sees. Two
things speak for 0: that the image shows nothing, and that the model's own gate let no block through. A model
without a gate has the first alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import cv2
import numpy as np

from pipelines.crowd.count.maps import CountMap
from pipelines.crowd.data.record import Pixels

LEAST_CONTRAST: Final = 10  # of 255 gray levels, between places of 4 x 4 px: less is no person's outline
_CELL, _AROUND = 4, 5  # px of a place, and places that are compared with each other


def featureless(pixels: Pixels) -> bool:
    """Whether nothing in RGB pixels (H, W, 3) stands out from what is around it: a covered lens, plain sky.

    Places are means over 4 x 4 px, so that the noise of a sensor in the dark is no feature. A slow change
    of brightness is none either.
    """
    height, width = pixels.shape[:2]
    size = max(1, width // _CELL), max(1, height // _CELL)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    around = np.ones((_AROUND, _AROUND), np.uint8)
    contrast = cv2.subtract(cv2.dilate(small, around), cv2.erode(small, around))
    return int(contrast.max()) < LEAST_CONTRAST


def shows_nothing(found: CountMap) -> CountMap:
    """The map of an image that is featureless: nobody."""
    variance = None if found.variance is None else np.zeros_like(found.variance)
    gate = None if found.gate is None else np.zeros_like(found.gate)
    note = "the image shows nothing: no place in it stands out from what is around it, so 0 are counted"
    return replace(found, counts=np.zeros_like(found.counts), variance=variance, gate=gate, note=note)


def behind_the_gate(found: CountMap, threshold: float) -> CountMap:
    """The map itself, or one with nobody if the gate of a sparse decoder is shut everywhere.

    threshold: the probability at which the gate opens. The variances stay: they say how sure that is.
    """
    if found.gate is None or found.gate.any() or not found.counts.any():
        return found
    note = (
        f"in no block did the model see a chance of {threshold:.0%} or more that people are there, so 0 are"
        f" counted (its small chances add up to {found.count:.3g})"
    )
    return replace(found, counts=np.zeros_like(found.counts), note=note)
