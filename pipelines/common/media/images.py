"""Any image file to upright RGB, within a known amount of memory."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pipelines.common.errors import InputError

from . import limits
from .colour import to_rgb
from .orientation import upright, upright_size
from .record import Picture

REDUCTIONS: Final = (2, 4, 8)  # that libjpeg can make while it decodes


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    starts: tuple[bytes, ...]
    open: Callable[[BinaryIO], ImageFile]


# Opened by their own classes: Image.open would refuse by a limit of its own, which is one for the whole
# process, and would try formats that run other programs.
_FORMATS: Final = (
    _Format("JPEG", (b"\xff\xd8\xff",), JpegImageFile),
    _Format("PNG", (b"\x89PNG\r\n\x1a\n",), PngImageFile),
    _Format("TIFF", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImageFile),
    _Format("GIF", (b"GIF87a", b"GIF89a"), GifImageFile),
    _Format("BMP", (b"BM",), BmpImageFile),
    _Format("WebP", (b"RIFF",), WebPImageFile),
    _Format("PNM", (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"), PpmImageFile),
)
ENDINGS: Final = (
    *(".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".gif", ".bmp", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
_HEIF: Final = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")


def read_image(path: str | Path, *, max_pixels: int = limits.MAX_PIXELS) -> Picture:
    """The image of a file as upright RGB, told by its content and not by its name.

    Grayscale is repeated in all three channels; 16-bit gray becomes 8-bit; palettes and CMYK become RGB;
    transparent pixels are laid over white; of an animation or a document of several pages the first is taken.
    A baseline JPEG of more than `max_pixels` is read at a half, a quarter or an eighth of its sides; other
    images of that size are refused before anything is decoded. Raises InputError with the path and the
    reason.
    """
    path = Path(path)
    with (
        _reasons(path),
        limits.open_file(path) as stream,
        warnings.catch_warnings(record=True) as heard,
        _pillow.allows(max_pixels),
    ):
        warnings.simplefilter("always")
        picture = _read(stream, path, max_pixels)
    if any(not issubclass(one.category, Image.DecompressionBombWarning) for one in heard):
        # Pillow warns of tags that make no sense, and reads on.
        odd = "some of the file's tags are damaged and were passed over"
        picture = replace(picture, notes=(*picture.notes, odd))
    return picture


def read_values(path: str | Path, *, max_pixels: int = limits.MAX_PIXELS) -> NDArray[Any]:
    """The numbers of an image as they are stored, (H, W) or (H, W, C), for depths and other measurements.

    Neither turned nor scaled: 16 bits stay 16 bits. Raises InputError with the path and the reason.
    """
    path = Path(path)
    with (
        _reasons(path),
        limits.open_file(path) as stream,
        warnings.catch_warnings(),
        _pillow.allows(max_pixels),
    ):
        warnings.simplefilter("ignore")
        image, _ = _open(stream)
        if image.width * image.height > max_pixels:
            raise InputError(limits.too_many_pixels(image.width, image.height, max_pixels))
        image.load()
        return np.array(image)


def image_size(path: str | Path, *, max_pixels: int = limits.MAX_PIXELS) -> tuple[int, int, int]:
    """Width and height in px of the upright image and its EXIF orientation, from the header alone.

    max_pixels: that `read_image` is given; a larger image has a size all the same, unless opening it takes
    memory for its pixels, as WebP does. Raises InputError with the path and the reason.
    """
    path = Path(path)
    with (
        _reasons(path),
        limits.open_file(path) as stream,
        warnings.catch_warnings(),
        _pillow.allows(max_pixels),
    ):
        warnings.simplefilter("ignore")
        image, _ = _open(stream)
        orientation = _orientation(image)
        if isinstance(image, TiffImageFile):  # of which Pillow states the upright size
            return *image.size, orientation
        return *upright_size(*image.size, orientation), orientation


def is_image_name(path: Path) -> bool:
    """Whether a file's name ends as that of an image."""
    return path.suffix.lower() in ENDINGS


class _PillowsLimit:
    """Pillow's own limit of pixels, one for the whole process, above which it warns, and refuses twice that.

    It is asked for by some decoders, and knows nothing of ours. Raised while images are read, in any thread,
    and never lifted altogether, since some formats reserve memory before they say how large an image is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own: int | None = None
        self._asked: list[int] = []

    @contextmanager
    def allows(self, pixels: int) -> Iterator[None]:
        """Let images of so many pixels pass; the limit is put back when nobody reads any more."""
        with self._lock:
            if not self._asked:
                self._own = Image.MAX_IMAGE_PIXELS
            self._asked.append(pixels)
            self._set()
        try:
            yield
        finally:
            with self._lock:
                self._asked.remove(pixels)
                self._set()

    def _set(self) -> None:
        Image.MAX_IMAGE_PIXELS = None if self._own is None else max([self._own, *self._asked])


_pillow: Final = _PillowsLimit()


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Whatever goes wrong, as a InputError that begins with the path."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except MemoryError as error:
        raise InputError(f"{path}: there is not enough memory for this image") from error
    except Image.DecompressionBombError as error:  # of twice what we allow, before we know the size
        raise InputError(f"{path}: it has far too many pixels: {limits.WHAT_TO_DO}") from error
    except Exception as error:  # Pillow's readers end on damaged files with whatever they run into
        raise InputError(f"{path}: the image is cut short or damaged ({error})") from error


def _read(stream: BinaryIO, path: Path, max_pixels: int) -> Picture:
    image, name = _open(stream)
    stored = image.size
    notes = _make_fit(image, max_pixels)
    if name != "JPEG" and _has_more(image):
        notes.append(f"the {name} file holds several images, of which the first is read")
    orientation = _orientation(image)
    image.load()
    pixels, more = to_rgb(image)
    notes += more
    if isinstance(image, TiffImageFile):  # Pillow has turned it while loading
        full_size = stored
    else:
        full_size = upright_size(*stored, orientation)
        pixels = upright(pixels, orientation)
    return Picture(np.ascontiguousarray(pixels), path, full_size, orientation, tuple(notes))


def _open(stream: BinaryIO) -> tuple[ImageFile, str]:
    head = stream.read(16)
    stream.seek(0)
    for one in _FORMATS:
        if head.startswith(one.starts) and (one.name != "WebP" or head[8:12] == b"WEBP"):
            image = one.open(stream)
            stated = f"its header states {image.width:,} x {image.height:,} pixels"
            if min(image.size) < 1:
                raise InputError(f"{stated}: it is damaged")
            if max(image.size) > limits.MAX_SIDE:
                raise InputError(f"{stated}; at most {limits.MAX_SIDE:,} on a side are read")
            return image, one.name
    known = ", ".join(one.name for one in _FORMATS)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF:
        raise InputError(f"HEIF, HEIC and AVIF images are not read: store it in a known format ({known})")
    raise InputError(f"it is no image in a known format ({known})")


def _make_fit(image: ImageFile, max_pixels: int) -> list[str]:
    """Ask the decoder of a JPEG for a smaller image if this one is too large; else InputError."""
    width, height = image.size
    if width * height <= max_pixels:
        return []
    reason = limits.too_many_pixels(width, height, max_pixels)
    if not isinstance(image, JpegImageFile):
        raise InputError(reason)
    if image.info.get("progressive") or image.info.get("progression"):
        # All coefficients of such a file are held at once, whatever the size that comes out.
        raise InputError(f"{reason}; only a JPEG that is not progressive can be read at a reduced size")
    for factor in REDUCTIONS:
        if -(-width // factor) * -(-height // factor) <= max_pixels:
            image.draft(image.mode, (width // factor, height // factor))
            if image.width * image.height <= max_pixels:
                return [
                    f"its {width:,} x {height:,} pixels are above the limit of {max_pixels:,}, so it is read"
                    f" at {image.width:,} x {image.height:,}"
                ]
    raise InputError(reason)


def _has_more(image: ImageFile) -> bool:
    """Whether there are further frames or pages; a damaged second one does not spoil the first."""
    several: Any = getattr(image, "is_animated", False)
    return bool(several)


def _orientation(image: ImageFile) -> int:
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged tags raise anything, and the pixels may be fine all the same
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1
