"""A frame as the network sees it: its picture, made to fit a square, and the ray of each site.

Free of torch.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.media.record import Pixels
from pipelines.polyp.data.record import Camera
from pipelines.polyp.geometry import resized, undistorted
from pipelines.polyp.lesion.config import FOLD
from pipelines.polyp.lesion.view import Fit, fit_of_box, squared


def picture_fit(pixels: Pixels, side: int) -> Fit:
    """How the part of a frame that is not black is made to fit a square of `side` px, in its upper left.

    pixels: RGB uint8 (H, W, 3), black outside the optical field. A frame that is black altogether fits whole.
    """
    rows, columns = (np.flatnonzero(pixels.max(axis=axes)) for axes in ((1, 2), (0, 2)))
    height, width = pixels.shape[:2]
    x0, x1 = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, width)
    y0, y1 = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, height)
    return fit_of_box((height, width), (x0, y0, x1, y1), side)


def squared_picture(pixels: Pixels, fit: Fit, side: int) -> Pixels:
    """The picture of a frame in a square: uint8 (side, side, 3), black where there is none."""
    x0, y0, x1, y1 = fit.field
    small = cv2.resize(pixels[y0:y1, x0:x1], fit.size[::-1], interpolation=cv2.INTER_AREA)
    return squared(np.asarray(small, np.uint8), side)


def squared_map(values: NDArray[np.float32], fit: Fit, side: int) -> NDArray[np.float32]:
    """Values (H, W) of a frame at the sites of its square: float32 (side / FOLD, side / FOLD), the nearest
    one each, 0 where there is no picture."""
    rows, columns = (max(1, one // FOLD) for one in fit.size)
    x0, y0, x1, y1 = fit.field
    part = np.ascontiguousarray(values[y0:y1, x0:x1])
    return squared(cv2.resize(part, (columns, rows), interpolation=cv2.INTER_NEAREST), side // FOLD)


def rays_of(camera: Camera, fit: Fit, side: int) -> NDArray[np.float32]:
    """x / z and y / z of the ray through the middle of each site: float32 (2, side / FOLD, side / FOLD).

    They say how wide the camera sees and how its lens bends, beyond the picture too.
    """
    camera = resized(camera, fit.frame[1], fit.frame[0])
    x0, y0, x1, y1 = fit.field
    middles = (np.arange(side // FOLD) + 0.5) * FOLD
    x, y = np.meshgrid(x0 + middles * (x1 - x0) / fit.size[1], y0 + middles * (y1 - y0) / fit.size[0])
    found = undistorted(camera, np.stack([x.ravel(), y.ravel()], 1))
    return found.T.reshape(2, *x.shape).astype(np.float32)
