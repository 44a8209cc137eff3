"""How good a frame is for measuring: what is wrong with it in words, and a weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from pipelines.common.media.record import Pixels
from pipelines.polyp.data.record import Box

SMALLEST: Final = 12.0  # px of the longer side of a box: less is a few pixels of polyp
DARK: Final = 25  # gray levels
BRIGHT: Final = 250
MOST_DARK: Final = 0.5  # shares of the box
MOST_BRIGHT: Final = 0.35
SHARP: Final = 6.0  # deviation of the Laplacian, gray levels, on a box of SIDE px: half weight
LEAST_SHARP: Final = 1.5
SIDE: Final = 96
EDGE: Final = 2.0  # px


@dataclass(frozen=True, slots=True)
class Quality:
    """weight: 0 to 1, how much a frame counts. reasons: why it is not used, empty if it is. sharpness:
    deviation of the Laplacian in gray levels. dark, bright: shares of the box. cut: it touches the edge."""

    weight: float
    sharpness: float
    dark: float
    bright: float
    cut: bool
    reasons: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        return not self.reasons


def quality_of(pixels: Pixels, box: Box) -> Quality:
    """Judge a frame by what is in the box of its lesion.

    pixels: RGB uint8 (H, W, 3). box: in px.
    """
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = box
    left, top = max(int(np.floor(x0)), 0), max(int(np.floor(y0)), 0)
    right, bottom = min(int(np.ceil(x1)), width), min(int(np.ceil(y1)), height)
    cut = x0 <= EDGE or y0 <= EDGE or x1 >= width - EDGE or y1 >= height - EDGE
    if right <= left or bottom <= top:
        return Quality(0.0, 0.0, 0.0, 0.0, True, ("its box lies outside the frame",))
    gray = cv2.cvtColor(np.ascontiguousarray(pixels[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
    factor = SIDE / max(gray.shape)
    size = (max(3, round(gray.shape[1] * factor)), max(3, round(gray.shape[0] * factor)))
    scaled = cv2.resize(gray, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    sharpness = float(cv2.Laplacian(scaled, cv2.CV_64F).std())
    dark, bright = float((gray < DARK).mean()), float((gray > BRIGHT).mean())
    reasons = []
    if max(x1 - x0, y1 - y0) < SMALLEST:
        reasons.append(f"the lesion is smaller than {SMALLEST:g} px")
    if sharpness < LEAST_SHARP:
        reasons.append("it is blurred")
    if dark > MOST_DARK:
        reasons.append("the lesion is in the dark")
    if bright > MOST_BRIGHT:
        reasons.append("the lesion is overexposed")
    weight = sharpness / (sharpness + SHARP) * (1 - dark) * (1 - bright) * (0.3 if cut else 1.0)
    return Quality(float(weight), sharpness, dark, bright, cut, tuple(reasons))
