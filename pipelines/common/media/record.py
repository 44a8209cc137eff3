"""An image as every task gets it: upright, in RGB of 8 bits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One image, upright.

    pixels: RGB uint8 (H, W, 3), rows from the top.
    source: the file.
    full_size: (width, height) of the upright image in the file, in px; more than `pixels` has if the image
        was read at a reduced size.
    orientation: EXIF orientation 1 to 8 that was undone; 1 if the file had none.
    notes: what was assumed or changed, in words for the user.
    """

    pixels: Pixels
    source: Path
    full_size: tuple[int, int]
    orientation: int = 1
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def scale(self) -> tuple[float, float]:
        """Factors (x, y) from px of the full image to px of `pixels`; 1, 1 unless it was reduced."""
        return self.width / self.full_size[0], self.height / self.full_size[1]
