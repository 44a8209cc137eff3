"""Whatever an image's pixels are, as RGB of 8 bits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.common.errors import InputError

from .record import Pixels

MAX_16: Final = 65_535
MAX_12: Final = 4_095
BAND_PIXELS: Final = 2**20


def to_rgb(image: Image.Image) -> tuple[Pixels, list[str]]:
    """Pixels of a loaded image as RGB uint8 (H, W, 3), and what was assumed.

    Made in bands of rows: a large image is then held twice, by Pillow and by numpy, and not five times.
    """
    if image.mode.startswith("I"):
        return _from_deep(image)
    if image.mode == "F":
        raise InputError("its pixels are floating-point numbers: store it with 8 or 16 bits")
    has_alpha = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    seen_through = False
    for top, band in _bands(image):
        if has_alpha:
            band = band.convert("RGBA")
            seen_through |= band.getchannel("A").getextrema() != (255, 255)
            page = Image.new("RGBA", band.size, (255, 255, 255, 255))
            page.alpha_composite(band)
            band = page
        pixels[top : top + band.height] = np.asarray(band.convert("RGB"))
    return pixels, ["transparent pixels are laid over white"] if seen_through else []


def _from_deep(image: Image.Image) -> tuple[Pixels, list[str]]:
    """Gray of 16 bits, or of 32 that hold no more than 16, as 8 bits.

    Cameras of 12 bits store their values as they are, which would look black on the scale of 16 bits.
    """
    ranges = [(int(part.min()), int(part.max())) for _, band in _bands(image) for part in [np.asarray(band)]]
    low, high = min(one for one, _ in ranges), max(one for _, one in ranges)
    if low < 0 or high > MAX_16:
        raise InputError(f"its pixels go from {low} to {high}: store it with 8 or 16 bits")
    whole, notes = MAX_16, []
    if high <= MAX_12:
        whole = MAX_12
        notes.append("no pixel of the 16-bit image is above 4,095, so it is taken to hold 12 bits")
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, band in _bands(image):
        pixels[top : top + band.height] = _eight_bits(np.asarray(band), whole)[:, :, None]
    return pixels, notes


def _eight_bits(gray: NDArray[Any], whole: int) -> Pixels:
    """0 to `whole` as 0 to 255, rounded, in whole numbers."""
    return ((gray.astype(np.uint32) * 255 + whole // 2) // whole).astype(np.uint8)


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    rows = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))
