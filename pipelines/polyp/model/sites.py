"""The pixels of a lesion and of a rim around it, as the sites of a sparse network."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.media.record import Pixels
from pipelines.polyp.data.record import Box, Camera
from pipelines.polyp.model.views import numbers_of


@dataclass(frozen=True, slots=True, eq=False)
class Sites:
    """places: int32 (N, 2), row and column in the reduced frame, N at least 1. features: float32 (N, 6): red,
    green and blue from -1 to 1; 1 on the lesion and -1 on the rim; the place relative to the middle of the
    frame, down and across, as shares of its longer side. numbers: float32, of `views.numbers_of`."""

    places: NDArray[np.int32]
    features: NDArray[np.float32]
    numbers: NDArray[np.float32]


def sites_of(
    pixels: Pixels,
    box: Box,
    side: int,
    *,
    rim: float,
    mask: NDArray[np.bool_] | None = None,
    camera: Camera | None = None,
    depth: NDArray[np.float32] | None = None,
    estimated: bool = False,
) -> Sites:
    """The sites of a frame whose longer side is made `side` px.

    pixels: RGB uint8 (H, W, 3). box: in px. mask: bool (H, W); without one the lesion is the ellipse in its
    box. rim: how far around it, as a share of the box's longer side. depth: float32 (H, W), mm, or None.
    estimated: whether a network estimated the depths.
    """
    height, width = pixels.shape[:2]
    factor = side / max(height, width)
    rows, columns = max(1, round(height * factor)), max(1, round(width * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    small = np.asarray(cv2.resize(pixels, (columns, rows), interpolation=how))
    x, y = columns / width, rows / height
    scaled = (box[0] * x, box[1] * y, box[2] * x, box[3] * y)
    lesion = _lesion(mask, scaled, rows, columns)
    reach = round(rim * max(scaled[2] - scaled[0], scaled[3] - scaled[1]))
    seen = lesion
    if reach > 0:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        seen = cv2.dilate(lesion.astype(np.uint8), disc) > 0
    places = np.argwhere(seen).astype(np.int32)
    colours = small[seen].astype(np.float32) / 127.5 - 1
    inside = np.where(lesion[seen], 1.0, -1.0)[:, None]
    middle = (places + 0.5 - [rows / 2, columns / 2]) / max(rows, columns)
    features = np.concatenate([colours, inside, middle], 1).astype(np.float32)
    return Sites(places, features, numbers_of(box, width, height, camera, depth, mask, estimated))


def _lesion(mask: NDArray[np.bool_] | None, box: Box, rows: int, columns: int) -> NDArray[np.bool_]:
    """bool (rows, columns); at least one pixel, the one in the middle of the box."""
    if mask is not None and mask.any():
        part = cv2.resize(mask.astype(np.uint8) * 255, (columns, rows), interpolation=cv2.INTER_AREA)
        found = np.asarray(part) >= 128
    else:
        row, column = np.mgrid[:rows, :columns] + 0.5
        across, down = max(box[2] - box[0], 1.0) / 2, max(box[3] - box[1], 1.0) / 2
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        found = ((column - x) / across) ** 2 + ((row - y) / down) ** 2 <= 1
    if not found.any():
        row = min(max(int((box[1] + box[3]) / 2), 0), rows - 1)
        column = min(max(int((box[0] + box[2]) / 2), 0), columns - 1)
        found[row, column] = True
    return np.asarray(found, bool)
