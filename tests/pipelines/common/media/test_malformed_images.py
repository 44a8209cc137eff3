"""No file, however damaged, does more than say why it cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipelines.common.errors import InputError
from pipelines.common.media import image_size, read_image
from tests.pipelines.common.media.made import encoded, noise

SMALL = Image.fromarray(noise(40, 60))
NOISE = np.random.default_rng(0).bytes(3_000)


@dataclass(frozen=True)
class Bad:
    """A file, and words of what is said of it."""

    name: str
    make: Callable[[], bytes]
    words: str


def tiff_of(value: float, kind: type[np.number[Any]]) -> bytes:
    return encoded(Image.fromarray(np.full((3, 3), value, kind)), "TIFF")


CASES = [
    Bad("empty.jpg", lambda: b"", "is empty"),
    Bad("text.jpg", lambda: b"dear reader, " * 40, "no image in a known format"),
    Bad("noise.png", lambda: NOISE, "no image in a known format"),
    Bad("markup.jpg", lambda: b"<html><body>404</body></html>", "no image in a known format"),
    Bad("truncated.jpg", lambda: encoded(SMALL, "JPEG")[:-400], "cut short or damaged"),
    Bad("half.jpg", lambda: encoded(SMALL, "JPEG")[:700], "cut short or damaged"),
    Bad("header.jpg", lambda: encoded(SMALL, "JPEG")[:30], "cut short or damaged"),
    Bad("start.jpg", lambda: b"\xff\xd8\xff", "cut short or damaged"),
    Bad("jpeg_of_noise.jpg", lambda: b"\xff\xd8\xff\xe0" + NOISE, "cut short or damaged|header states"),
    Bad("truncated.png", lambda: encoded(SMALL, "PNG")[:-2_000], "cut short or damaged"),
    Bad("header.png", lambda: encoded(SMALL, "PNG")[:20], "cut short or damaged"),
    Bad("checksum.png", lambda: encoded(SMALL, "PNG").replace(b"IDAT", b"IDAX"), "cut short or damaged"),
    Bad("truncated.gif", lambda: encoded(SMALL, "GIF")[:-900], "cut short or damaged"),
    Bad("header.gif", lambda: b"GIF89a" + bytes(4), "cut short or damaged|header states"),
    Bad("truncated.tif", lambda: encoded(SMALL, "TIFF")[:300], "cut short or damaged"),
    Bad("truncated.bmp", lambda: encoded(SMALL, "BMP")[:300], "cut short or damaged"),
    Bad("truncated.webp", lambda: encoded(SMALL, "WEBP")[:60], "cut short or damaged"),
    Bad("floats.tif", lambda: tiff_of(1, np.float32), "floating-point"),
    Bad("deep.tif", lambda: tiff_of(70_000, np.int32), "to 70000"),
    Bad("negative.tif", lambda: tiff_of(-1, np.int32), "from -1"),
    Bad("phone.heic", lambda: b"\0\0\0\x18ftypheic" + bytes(100), "HEIF, HEIC and AVIF"),
    Bad("postscript.jpg", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", "no image in a known format"),
]  # fmt: skip


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: bad.name)
def test_a_damaged_image_says_why(bad: Bad, tmp_path: Path) -> None:
    path = tmp_path / bad.name
    path.write_bytes(bad.make())
    with pytest.raises(InputError, match=bad.words) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
def test_changed_bytes_end_in_pixels_or_in_a_reason(kind: str, tmp_path: Path) -> None:
    """Whatever a bit does, the reader gives an image or a InputError, and nothing else comes out."""
    content = encoded(Image.fromarray(noise(16, 16)), kind)
    rng = np.random.default_rng(1)
    path = tmp_path / "a"
    read = 0
    for _ in range(60):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            changed[place] = rng.integers(0, 256)
        path.write_bytes(changed)
        try:
            picture = read_image(path, max_pixels=10_000)
        except InputError:
            continue
        read += 1
        assert picture.pixels.ndim == 3 and picture.pixels.dtype == np.uint8
    assert read > 0


def test_what_is_no_file_says_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path, words in (
        (tmp_path, "is a folder"),
        (tmp_path / "none.jpg", "no such file"),
        (tmp_path / "pipe.jpg", "neither a file nor a folder"),
        (tmp_path / "a\0b", "cannot be read|no such file"),
    ):
        with pytest.raises(InputError, match=words):
            read_image(path)
        with pytest.raises(InputError, match=words):
            image_size(path)


def test_a_damaged_exif_block_does_not_spoil_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(SMALL, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    picture = read_image(path)
    assert picture.orientation == 1
    assert picture.pixels.shape == (40, 60, 3)
    assert picture.notes == ("some of the file's tags are damaged and were passed over",)
