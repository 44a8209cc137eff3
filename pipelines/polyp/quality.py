"""How good a frame is for measuring: what is wrong with it in words, and a weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

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
LEAST_SEEN: Final = 48  # px around the middle of a box that blur is judged on: a small polyp has no detail
EDGE: Final = 2.0  # px
OUTLINE: Final = 32  # points of a lesion's outline
MOST_OUTSIDE: Final = 0.1  # share of the outline that may lie off the optical field, as boxes are not exact


@dataclass(frozen=True, slots=True)
class Quality:
    """weight: 0 to 1, how much a frame counts. reasons: why it is not used, empty if it is. sharpness:
    deviation of the Laplacian in gray levels, on and around the lesion. dark, bright: shares of the box. cut:
    the lesion reaches the edge of the frame or of the optical field, and may go on beyond."""

    weight: float
    sharpness: float
    dark: float
    bright: float
    cut: bool
    reasons: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        return not self.reasons


def quality_of(
    pixels: Pixels,
    box: Box,
    *,
    mask: NDArray[np.bool_] | None = None,
    field: NDArray[np.bool_] | None = None,
) -> Quality:
    """Judge a frame by what is in the box of its lesion.

    pixels: RGB uint8 (H, W, 3). box: in px. mask: bool (H, W), of the lesion. field: bool (H, W), what the
    optics show; None takes the whole frame for it.
    """
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = box
    left, top = max(int(np.floor(x0)), 0), max(int(np.floor(y0)), 0)
    right, bottom = min(int(np.ceil(x1)), width), min(int(np.ceil(y1)), height)
    cut = x0 <= EDGE or y0 <= EDGE or x1 >= width - EDGE or y1 >= height - EDGE
    cut = cut or (field is not None and _outside(box, mask, field) > MOST_OUTSIDE)
    if right <= left or bottom <= top:
        return Quality(0.0, 0.0, 0.0, 0.0, True, ("its box lies outside the frame",))
    gray = cv2.cvtColor(np.ascontiguousarray(pixels[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)
    sharpness = _sharpness(pixels, box)
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


def _outside(box: Box, mask: NDArray[np.bool_] | None, field: NDArray[np.bool_]) -> float:
    """The share of a lesion's outline that does not lie within the field, with EDGE px to spare.

    The outline is that of the mask, or without one that of the ellipse in the box.
    """
    if mask is not None and mask.any():
        found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        points = np.concatenate(found)[:, 0]
    else:
        angle = np.arange(OUTLINE) * (2 * np.pi / OUTLINE)
        x0, y0, x1, y1 = box
        x, y = (x0 + x1 + (x1 - x0) * np.cos(angle)) / 2, (y0 + y1 + (y1 - y0) * np.sin(angle)) / 2
        points = np.floor(np.stack([x, y], 1)).astype(int)
    height, width = field.shape
    side = 2 * int(EDGE) + 1
    inner = cv2.erode(field.astype(np.uint8), np.ones((side, side), np.uint8))
    columns, rows = points[:, 0], points[:, 1]
    within = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    seen = inner[rows.clip(0, height - 1), columns.clip(0, width - 1)] > 0
    return 1 - float((within & seen).mean())


def _sharpness(pixels: Pixels, box: Box) -> float:
    """The deviation of the Laplacian on a box, or on what is around it if it is small; large ones reduced."""
    height, width = pixels.shape[:2]
    spans = []
    for low, high, length in ((box[1], box[3], height), (box[0], box[2], width)):
        half, middle = max(high - low, LEAST_SEEN) / 2, (low + high) / 2
        begin, end = max(int(np.floor(middle - half)), 0), min(int(np.ceil(middle + half)), length)
        spans.append(slice(begin, max(end, begin + 1)))
    gray = cv2.cvtColor(np.ascontiguousarray(pixels[spans[0], spans[1]]), cv2.COLOR_RGB2GRAY)
    factor = min(1.0, SIDE / max(gray.shape))
    size = (max(3, round(gray.shape[1] * factor)), max(3, round(gray.shape[0] * factor)))
    scaled = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(scaled, cv2.CV_64F).std())
