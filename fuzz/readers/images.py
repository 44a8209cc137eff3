"""Image files of every format that is read."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from pipelines.common.errors import InputError
from pipelines.common.media.images import image_size, read_image, read_values

from ..reader import Reader

WORDS: Final = (
    *(b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"iCCP", b"acTL", b"Exif\0\0", b"MM\0*"),
    *(b"II*\0", b"\xff\xd8", b"\xff\xc0", b"\xff\xc2", b"\xff\xda", b"\xff\xe1", b"\xff\xd9"),
    *(b"ICC_PROFILE\0", b"VP8L", b"VP8X", b"ANIM", b"P6\n", b"\x2c", b"\x3b", b"\x12\x01\x03\x00"),
    *(b"\x00\x01", b"ALPH"),
)
_PIXELS: Final = (np.arange(6 * 8 * 3).reshape(6, 8, 3) * 5 % 256).astype(np.uint8)


def _encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def png() -> bytes:
    """A small picture."""
    return _encoded(Image.fromarray(_PIXELS), "PNG")


def _seeds() -> list[bytes]:
    picture = Image.fromarray(_PIXELS)
    exif = Image.Exif()
    exif[0x0112] = 6
    gray16 = Image.fromarray(_PIXELS[..., 0].astype(np.uint16) * 200)
    return [
        png(),
        _encoded(gray16, "PNG"),
        _encoded(picture.convert("P"), "PNG", transparency=0),
        _encoded(picture, "JPEG", exif=exif),
        _encoded(picture, "JPEG", progressive=True),
        _encoded(picture.convert("CMYK"), "JPEG"),
        _encoded(picture, "TIFF", compression="tiff_lzw", exif=exif),
        _encoded(gray16, "TIFF"),
        _encoded(picture, "GIF", save_all=True, append_images=[picture]),
        _encoded(picture, "BMP"),
        _encoded(picture.convert("RGBA"), "WEBP"),
        _encoded(picture, "PPM"),
        b"P2\n3 2\n255\n1 2 3\n4 5 6\n",
    ]


def _read(data: bytes, folder: Path) -> list[str]:
    path = folder / "a.png"
    path.write_bytes(data)
    picture = read_image(path, max_pixels=1_000_000)
    assert picture.pixels.ndim == 3 and picture.pixels.dtype == np.uint8
    assert image_size(path)[:2] == picture.full_size
    read_values(path, max_pixels=1_000_000)
    return list(picture.notes)


READER: Final = Reader(_seeds, _read, (InputError,), WORDS)
