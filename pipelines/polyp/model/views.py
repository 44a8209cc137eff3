"""What a network sees of a frame: squares around the lesion and of the whole, and numbers of the camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.media.record import Pixels
from pipelines.polyp.data.record import Box, Camera
from pipelines.polyp.geometry import apparent_size, measured_size, resized

NUMBERS = 11
MEASURED = 9  # the place of the number that says how a size was measured; the next is its logarithm
MARGIN = 0.5  # on each side of the box, as a share of its longer side
SMALLEST = 1.0  # px


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """crop, frame: uint8 (side, side, 3). depth: float32 (side, side) around the lesion, relative to its own
    median, 0 where unknown; None without a map. numbers: float32 (NUMBERS,), see `numbers_of`."""

    crop: Pixels
    frame: Pixels
    depth: NDArray[np.float32] | None
    numbers: NDArray[np.float32]


def views(
    pixels: Pixels,
    box: Box,
    side: int,
    *,
    camera: Camera | None = None,
    depth: NDArray[np.float32] | None = None,
    mask: NDArray[np.bool_] | None = None,
    estimated: bool = False,
) -> Views:
    """The views of a frame.

    pixels: RGB uint8 (H, W, 3). box: of the lesion, in px. side: of the squares. depth: float32 (H, W), mm.
    mask: bool (H, W), of the lesion; it is measured by it where depths and the camera are known. estimated:
    whether a network estimated the depths.
    """
    height, width = pixels.shape[:2]
    square = around(box, MARGIN)
    relative = None
    if depth is not None:
        known = np.isfinite(depth) & (depth > 0)
        inside = depth[_part(box, height, width)]
        inside = inside[np.isfinite(inside) & (inside > 0)]
        middle = float(np.median(inside)) if len(inside) else 0.0
        scaled = np.where(known, depth / middle - 1, 0) if middle else np.zeros_like(depth)
        relative = cut(np.clip(scaled, -1, 3).astype(np.float32), square, side)
    alone = np.zeros_like(pixels)
    part = _part(box, height, width)
    alone[part] = pixels[part]
    longest = max(height, width)
    return Views(
        cut(pixels, square, side),
        cut(alone, (0.0, 0.0, float(longest), float(longest)), side),
        relative,
        numbers_of(box, width, height, camera, depth, mask, estimated),
    )


def around(box: Box, margin: float) -> Box:
    """A square about the middle of a box, with so much on each side of its longer side."""
    x0, y0, x1, y1 = box
    half = max(x1 - x0, y1 - y0, SMALLEST) * (0.5 + margin)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return x - half, y - half, x + half, y + half


def cut(values: NDArray, box: Box, side: int) -> NDArray:  # type: ignore[type-arg]
    """A box of an image (H, W) or (H, W, C) as a square of `side` px; 0 where it lies outside the image."""
    x0, y0, x1, y1 = box
    left, top = int(np.floor(x0)), int(np.floor(y0))
    right, bottom = max(int(np.ceil(x1)), left + 1), max(int(np.ceil(y1)), top + 1)
    height, width = values.shape[:2]
    inner = values[max(top, 0) : max(min(bottom, height), 0), max(left, 0) : max(min(right, width), 0)]
    whole = np.zeros((bottom - top, right - left, *values.shape[2:]), values.dtype)
    if inner.size:
        row, column = max(-top, 0), max(-left, 0)
        whole[row : row + inner.shape[0], column : column + inner.shape[1]] = inner
    how = cv2.INTER_AREA if len(whole) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(whole, (side, side), interpolation=how), values.dtype)


def numbers_of(
    box: Box,
    width: int,
    height: int,
    camera: Camera | None,
    depth: NDArray[np.float32] | None = None,
    mask: NDArray[np.bool_] | None = None,
    estimated: bool = False,
) -> NDArray[np.float32]:
    """What is known of the lesion's place and apparent size: float32 (NUMBERS,).

    Logarithms of the box's width and height as shares of the frame's longer side, and of its longer side;
    the distance of its middle from that of the frame, as a share; then 1 if the camera is known and, only
    then, logarithms of its apparent width and height (`geometry.apparent_size`), the logarithm of the focal
    length as a share of the longer side, and k1. Then 1 if depths are known too, or -1 if they are estimated,
    and only then the logarithm of the measured size in mm (`geometry.measured_size`).
    """
    x0, y0, x1, y1 = box
    longest = max(width, height)
    sides = [max(x1 - x0, SMALLEST) / longest, max(y1 - y0, SMALLEST) / longest]
    off = np.hypot((x0 + x1) / 2 - width / 2, (y0 + y1) / 2 - height / 2) / longest
    found = [*np.log(sides), np.log(max(sides)), off, *([0.0] * (NUMBERS - 4))]
    if camera is not None:
        camera = resized(camera, width, height)
        across, down = (max(one, 1e-4) for one in apparent_size(box, camera))
        focal = np.log(camera.fx / max(camera.width, camera.height))
        found[4:9] = [1.0, np.log(across), np.log(down), focal, camera.k1]
        mm = None if depth is None else measured_size(depth, camera, box, mask)
        if mm:
            found[MEASURED:] = [-1.0 if estimated else 1.0, np.log(mm)]
    return np.asarray(found, np.float32)


def _part(box: Box, height: int, width: int) -> tuple[slice, slice]:
    x0, y0, x1, y1 = box
    left, top = max(int(np.floor(x0)), 0), max(int(np.floor(y0)), 0)
    right, bottom = min(int(np.ceil(x1)), width), min(int(np.ceil(y1)), height)
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))
