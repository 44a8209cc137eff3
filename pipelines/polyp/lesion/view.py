"""A frame as the network sees it: its optical field, made to fit a square. Free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.common.media.record import Pixels
from pipelines.polyp.data import Field, cropped

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fit:
    """Where the field of a frame lies. frame: (H, W) of the frame in px. field: x0, y0, x1, y1 in its px.
    size: (height, width) in px that the field has in a square, in its upper left."""

    frame: tuple[int, int]
    field: tuple[int, int, int, int]
    size: tuple[int, int]

    def back(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values of a square (side, side) at the px of the frame (H, W), 0 outside the field's box."""
        x0, y0, x1, y1 = self.field
        inner = np.ascontiguousarray(values[: self.size[0], : self.size[1]])
        found = np.zeros(self.frame, np.float32)
        found[y0:y1, x0:x1] = cv2.resize(inner, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        return found


def fit_of(field: Field, side: int) -> Fit:
    """How a field is made to fit a square of `side` px: its longer side fills it, its proportions stay."""
    x0, y0, x1, y1 = (int(one) for one in field.box)
    height, width = field.mask.shape
    return fit_of_box((height, width), (x0, y0, x1, y1), side)


def fit_of_box(frame: tuple[int, int], box: tuple[int, int, int, int], side: int) -> Fit:
    """The same for a box x0, y0, x1, y1 of a frame (H, W), in px."""
    x0, y0, x1, y1 = box
    share = side / max(x1 - x0, y1 - y0)
    size = (max(1, round((y1 - y0) * share)), max(1, round((x1 - x0) * share)))
    return Fit(frame, box, size)


def fitted(pixels: Pixels, field: Field, fit: Fit) -> Pixels:
    """The field, black around, as RGB uint8 (*fit.size, 3)."""
    return np.asarray(_resized(cropped(pixels, field), fit), np.uint8)


def fitted_share(mask: Mask, fit: Fit) -> NDArray[np.uint8]:
    """A mask (H, W) of the frame, uint8 (*fit.size): the share of each px that it covers, 255 for all."""
    x0, y0, x1, y1 = fit.field
    return np.asarray(_resized(mask[y0:y1, x0:x1].astype(np.uint8) * np.uint8(255), fit), np.uint8)


def squared(values: NDArray[Any], side: int) -> NDArray[Any]:
    """What a fit gave, with zeros to the right of it and below, so that it fills the square."""
    height, width = values.shape[:2]
    around = ((0, side - height), (0, side - width), *(((0, 0),) * (values.ndim - 2)))
    return np.pad(values, around)


def _resized(values: NDArray[Any], fit: Fit) -> NDArray[Any]:
    size = fit.size[::-1]
    smaller = size[0] < values.shape[1]
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
