"""How much a file may ask for, so that a damaged or hostile one takes no memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from pipelines.common.errors import InputError

MAX_PIXELS: Final = 100_000_000  # of one image as it is held: 300 MB of RGB
MAX_SIDE: Final = 65_535
MAX_LABEL_BYTES: Final = 64 * 2**20  # of the labels of one image, after unpacking
MAX_LIST_BYTES: Final = 2**30  # of a list of many images, such as a COCO file
WHAT_TO_DO: Final = "make it smaller, or raise the limit with --set max_pixels=N if there is memory for it"


@contextmanager
def open_file(path: Path, *, may_be_empty: bool = False) -> Iterator[BinaryIO]:
    """A regular file, open for reading; InputError if it is none, is empty, or fails while it is opened."""
    try:
        if path.is_dir():
            raise InputError("it is a folder, not a file")
        if not path.exists():
            raise InputError("there is no such file")
        if not path.is_file():  # to open a pipe or a device would wait for ever
            raise InputError("it is neither a file nor a folder")
        if not path.stat().st_size and not may_be_empty:
            raise InputError("the file is empty (0 bytes)")
        stream = path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise InputError(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from error
    with stream:
        yield stream


def read_bytes(path: Path, most: int, *, may_be_empty: bool = False) -> bytes:
    """All of a regular file, or InputError if it is none or has more than `most` bytes."""
    with open_file(path, may_be_empty=may_be_empty) as stream:
        try:
            content = stream.read(most + 1)
        except OSError as error:
            raise InputError(f"it cannot be read: {error.strerror}") from error
    if len(content) > most:
        raise InputError(f"it has more than {most:,} bytes, the most that is read")
    return content


def too_many_pixels(width: int, height: int, most: int) -> str:
    """The reason for refusing an image or a video of this size."""
    return f"it has {width:,} x {height:,} pixels, and at most {most:,} are read: {WHAT_TO_DO}"
