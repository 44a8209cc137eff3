"""The field that an endoscope's optics leave open, and what the processor wrote on the screen around it.

Around the field lie names, dates, numbers of patients, small pictures and diagrams of the instrument. All of
it is removed before anything else sees the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.media.record import Pixels

from .boxes import box_of
from .record import Box
from .text import find_text

Mask = NDArray[np.bool_]
Shape = Literal["circle", "polygon", "whole", "none"]

WORK_SIDE: Final = 400  # px of the longer side that the field is looked for at
DARK: Final = 24  # brightest channel; black screens of processors are at 0 to 20
THICK: Final = 0.016  # of the longer side: thinner things than this are text and lines
SMALLEST: Final = 0.05  # of the frame's area: a smaller field is none
WHOLE: Final = 0.985  # of the frame's area: a larger field is the whole frame
DISC_TOLERANCE: Final = 0.012  # of the radius
DISC_SHARE: Final = 0.5  # of a field's curved outline that must lie on the circle


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """What of a frame is picture.

    mask: bool (H, W), True where the optics show tissue and nothing is written over it. box: around the field
    in whole px. shape: how it was found; `none` if nothing was, and then mask is False everywhere and box is
    the frame.
    """

    mask: Mask
    box: Box
    shape: Shape


def find_field(pixels: Pixels) -> Field:
    """The optical field of a frame, RGB uint8 (H, W, 3).

    The field is convex: a circle, a circle that the frame cuts off, an octagon or a rectangle with round
    corners. So it is the convex hull of the largest thing that is neither dark nor thin nor a flat coloured
    panel, or the circle that its outline lies on.
    """
    height, width = pixels.shape[:2]
    scale = min(1.0, WORK_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small: Pixels = pixels
    if scale < 1:
        small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    covered = panels(small)
    light = (small.max(axis=2) > DARK) & ~covered
    thick = max(3, round(THICK * max(size))) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thick, thick))
    opened = np.asarray(cv2.morphologyEx(light.astype(np.uint8), cv2.MORPH_OPEN, kernel), np.uint8)
    main = _largest(opened)
    if main is None or main.sum() < SMALLEST * main.size:
        return Field(np.zeros((height, width), bool), (0.0, 0.0, float(width), float(height)), "none")
    outline = _hull(main)
    disc = _disc(outline, *size) if len(outline) > 2 else None
    area = cv2.contourArea(outline)
    shape: Shape = "polygon"
    if area >= WHOLE * (size[0] - 1) * (size[1] - 1):
        mask, shape = np.ones((height, width), bool), "whole"
    else:
        mask = _drawn(outline, size, (width, height))
        if disc is not None:
            mask, shape = _cut_disc(disc, outline, size, (width, height)), "circle"
    box = box_of(mask)
    if box is None:
        return Field(mask, (0.0, 0.0, float(width), float(height)), "none")
    if covered.any():
        mask &= cv2.resize(covered.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) == 0
    mask &= ~find_text(pixels)
    return Field(mask, box, shape)


def panels(pixels: Pixels) -> Mask:
    """Flat rectangles of a strong green or blue, on which processors draw the instrument; bool (H, W)."""
    red, green, blue = (pixels[:, :, one].astype(np.int16) for one in range(3))
    strong = (np.maximum(green, blue) > 90) & (np.maximum(green, blue) - red > 55)
    found = np.zeros(strong.shape, bool)
    for kind in (strong & (green >= blue), strong & (blue > green)):  # some panels have a half of each
        count, labels, stats, _ = cv2.connectedComponentsWithStats(kind.astype(np.uint8), connectivity=4)
        for label in range(1, count):
            x, y, wide, high, area = stats[label].tolist()
            if area < 0.002 * strong.size or area < 0.55 * wide * high:
                continue
            inner = pixels[y : y + high, x : x + wide][labels[y : y + high, x : x + wide] == label]
            # Dyed tissue is as blue, and never as even.
            if np.median(np.abs(inner.astype(np.int16) - np.median(inner, axis=0))) <= 4:
                edge = max(2, round(0.004 * max(strong.shape)))
                found[max(0, y - edge) : y + high + edge, max(0, x - edge) : x + wide + edge] = True
    return found


def without_surroundings(pixels: Pixels, field: Field) -> Pixels:
    """A copy of the frame that is black outside the field."""
    return np.where(field.mask[:, :, None], pixels, np.uint8(0))


def cropped(pixels: Pixels, field: Field) -> Pixels:
    """The frame black outside the field, and cut to the field's box."""
    x0, y0, x1, y1 = (int(one) for one in field.box)
    return without_surroundings(pixels, field)[y0:y1, x0:x1]


def typical(fields: Sequence[Field]) -> Field:
    """The field of a recording from those of some of its frames: what most of them show.

    Frames in which nothing was found do not count, unless nothing was found in any. Raises ValueError without
    fields, or if they are of frames of different sizes.
    """
    if not fields or len({one.mask.shape for one in fields}) > 1:
        raise ValueError("fields of one recording are of frames of one size, and of one at least")
    found = [one for one in fields if one.shape != "none"]
    if not found:
        return fields[0]
    mask = np.mean([one.mask for one in found], axis=0) >= 0.5
    shapes = [one.shape for one in found]
    box = box_of(mask)
    if box is None:
        return found[0]
    return Field(mask, box, max(dict.fromkeys(shapes), key=shapes.count))


def _largest(image: NDArray[np.uint8]) -> Mask | None:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(image, connectivity=4)
    if count < 2:
        return None
    found: Mask = labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return found


def _hull(mask: Mask) -> NDArray[np.int32]:
    """Corners (N, 2) of the convex hull of a mask, x and y of middles of pixels."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.convexHull(np.concatenate(contours))[:, 0], np.int32)


def _drawn(outline: NDArray[np.int32], size: tuple[int, int], full: tuple[int, int]) -> Mask:
    """The hull in px of the full frame, (height, width)."""
    factor = np.array([full[0] / size[0], full[1] / size[1]])
    # Outer corners of pixels: those at the frame's edge reach to it.
    centre = outline.mean(axis=0)
    corners = (outline + np.where(outline > centre, 1.0, 0.0)) * factor
    image = np.zeros((full[1], full[0]), np.uint8)
    cv2.fillConvexPoly(image, np.floor(corners).astype(np.int32), 1)
    found: Mask = image.astype(bool)
    return found


def _points(outline: NDArray[np.int32]) -> NDArray[np.float64]:
    """Points about 2 px apart along a closed outline, (N, 2)."""
    closed = np.concatenate([outline, outline[:1]]).astype(np.float64)
    steps = np.hypot(*np.diff(closed, axis=0).T)
    along = np.concatenate([[0], np.cumsum(steps)])
    places = np.arange(0, along[-1], 2.0)
    return np.stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)], axis=1)


def _disc(outline: NDArray[np.int32], width: int, height: int) -> tuple[float, float, float] | None:
    """Centre and radius of the circle that the curved part of an outline lies on; None if it lies on none."""
    points = _points(outline)
    low, high = points.min(axis=0), points.max(axis=0)
    straight = (np.abs(points - low) < 1.5).any(axis=1) | (np.abs(points - high) < 1.5).any(axis=1)
    curved = points[~straight]
    if len(curved) < 24:
        return None
    rng = np.random.default_rng(0)
    best, most = None, 0
    for _ in range(200):
        found = _through(curved[rng.choice(len(curved), 3, replace=False)])
        if found is None or not 0.3 * min(width, height) < found[2] < 1.2 * max(width, height):
            continue
        near = np.abs(np.hypot(*(curved - found[:2]).T) - found[2]) < DISC_TOLERANCE * found[2]
        if near.sum() > most:
            best, most = near, int(near.sum())
    if best is None or most < DISC_SHARE * len(curved):
        return None
    x, y = curved[best].T
    a, b, c = np.linalg.lstsq(np.stack([2 * x, 2 * y, np.ones_like(x)], axis=1), x**2 + y**2, rcond=None)[0]
    radius = float(np.sqrt(c + a**2 + b**2))
    return float(a), float(b), radius


def _through(points: NDArray[np.float64]) -> tuple[float, float, float] | None:
    (ax, ay), (bx, by), (cx, cy) = points.tolist()
    d = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    if abs(d) < 1e-6:
        return None
    a, b, c = ax**2 + ay**2, bx**2 + by**2, cx**2 + cy**2
    x = (a * (by - cy) + b * (cy - ay) + c * (ay - by)) / d
    y = (a * (cx - bx) + b * (ax - cx) + c * (bx - ax)) / d
    return x, y, float(np.hypot(ax - x, ay - y))


def _cut_disc(
    disc: tuple[float, float, float], outline: NDArray[np.int32], size: tuple[int, int], full: tuple[int, int]
) -> Mask:
    """The disc, cut where the outline ends in straight sides."""
    factor = full[0] / size[0]
    x, y = np.arange(full[0]) + 0.5, np.arange(full[1])[:, None] + 0.5
    cx, cy, radius = (disc[0] + 0.5) * factor, (disc[1] + 0.5) * factor, disc[2] * factor
    (left, top), (right, bottom) = outline.min(axis=0) * factor, (outline.max(axis=0) + 1) * factor
    found: Mask = (x - cx) ** 2 + (y - cy) ** 2 < radius**2
    found &= (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    return found
