"""Small images and texts that readers meet."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ORIENTATION = 0x0112


def noise(height: int = 6, width: int = 9, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Random pixels uint8 (height, width, channels), without the last axis for one channel."""
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image, kind: str, orientation: int = 1, **options: Any) -> bytes:
    """An image as a file of this kind."""
    if orientation != 1:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options["exif"] = exif
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def write_image(path: Path, height: int = 6, width: int = 9, orientation: int = 1) -> Path:
    """A JPEG or PNG of noise, by the ending of its name; the size is that of the stored pixels."""
    kind = "PNG" if path.suffix == ".png" else "JPEG"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(Image.fromarray(noise(height, width)), kind, orientation))
    return path


def write_text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
