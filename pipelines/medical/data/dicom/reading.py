"""Reading a DICOM file: its tags or its pixels, and what is wrong with it in words for the user."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from ..limits import check_stored
from ..record import VolumeError

_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"  # unpacked as a whole before anything can be checked
_PACKAGES: Final = {
    "openjpeg": ("JPEG2000", "HTJ2K"),
    "libjpeg": ("JPEGBaseline8Bit", "JPEGExtended12Bit", "JPEGLossless", "JPEGLS"),
}
# What pydicom raises on damaged files, apart from OSError. RuntimeError covers those of depth and of what is
# not implemented; MemoryError is of an element that states a length of gigabytes.
DAMAGED: Final = (
    BytesLengthException, InvalidDicomError, AttributeError, EOFError, IndexError, KeyError, MemoryError,
    OverflowError, RuntimeError, TypeError, ValueError, struct.error,
)  # fmt: skip


def read_tags(path: Path, tags: list[str]) -> Dataset:
    """These tags of a file, where it has them. Raises one of DAMAGED for a damaged file."""
    with quiet():
        _refuse_deflated(path)
        data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(tags))
        for element in data:  # decodes what pydicom would else decode later, where no error is awaited
            element.value  # noqa: B018
        return data


def _refuse_deflated(path: Path) -> None:
    with path.open("rb") as stream:
        if _DEFLATED in stream.read(4096):
            raise VolumeError("it is deflated as a whole, which is not read: store it without")


def decoded(path: Path) -> NDArray[Any]:
    """The stored values of a file, (rows, columns), or (frames, rows, columns) if it has several.

    Raises VolumeError if they cannot be decoded.
    """
    try:
        with quiet():
            _refuse_deflated(path)
            data = pydicom.dcmread(path)
            if "PixelData" not in data:
                raise VolumeError(f"{path.name} has no pixels of whole numbers")
            syntax = data.file_meta.TransferSyntaxUID
            _check_decoder(syntax, path)
            if not syntax.is_compressed:
                count = int(data.Rows) * int(data.Columns) * max(1, int(data.get("NumberOfFrames") or 1))
                check_stored(count * int(data.BitsAllocated) // 8, path.stat().st_size, packed=False)
            return pixel_array(data)
    except DAMAGED as error:
        raise VolumeError(f"the pixels of {path.name} cannot be decoded: {str(error)[:200]}") from error


def _check_decoder(syntax: UID, path: Path) -> None:
    if not syntax.is_compressed:
        return
    try:
        decoder = get_decoder(syntax)
        available = decoder.is_available
    except NotImplementedError:
        raise VolumeError(
            f"{path.name} is compressed as {syntax.name} ({syntax}), which is not read"
        ) from None
    if not available:
        keyword = syntax.keyword
        package = next((name for name, heads in _PACKAGES.items() if keyword.startswith(heads)), "libjpeg")
        raise VolumeError(
            f"{path.name} is compressed as {syntax.name} ({syntax}); to read it:"
            f" pip install pylibjpeg pylibjpeg-{package}"
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Without pydicom's warnings about values that break the standard: what matters is checked here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
