"""Image filters in float32."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]


def blur(image: NDArray[Any], sigma: float) -> Image:
    """A Gaussian blur of an image (height, width) or (height, width, C); sigma in px."""
    return np.asarray(cv2.GaussianBlur(image.astype(np.float32, copy=False), (0, 0), sigma), np.float32)


def shrunk(image: Image, times: int) -> Image:
    """Means over squares of `times` px."""
    part = 1 / times
    return np.asarray(cv2.resize(image, None, fx=part, fy=part, interpolation=cv2.INTER_AREA), np.float32)


def stretched(image: Image, width: int, height: int) -> Image:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def smeared(image: Image, x: float, y: float) -> Image:
    """Averaged along a straight way of (x, y) px through each pixel."""
    size = 2 * int(np.ceil(np.hypot(x, y) / 2)) + 3
    middle = size // 2
    ends = [(round(16 * (middle + sign * x / 2)), round(16 * (middle + sign * y / 2))) for sign in (-1, 1)]
    canvas = np.zeros((size, size), np.uint8)
    cv2.line(canvas, ends[0], ends[1], (255,), 1, cv2.LINE_AA, shift=4)
    kernel = canvas.astype(np.float32) / canvas.sum()
    return np.asarray(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)


def moved(image: Image, x: float, y: float) -> Image:
    """Shifted by (x, y) px."""
    shift = np.array([[1, 0, x], [0, 1, y]], np.float32)
    size = (image.shape[1], image.shape[0])
    return np.asarray(cv2.warpAffine(image, shift, size, borderMode=cv2.BORDER_REPLICATE), np.float32)
