"""Opening files within limits, and telling by their content what they are."""

from __future__ import annotations

import io
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from . import arrays, e142, g85, grid, klarf, sinf, stdf, table
from .limits import MAX_BYTES, Limits, raise_it
from .record import FailedMap, WaferFileError, WaferMap

HEAD_BYTES: Final = 64 * 2**10  # what detection looks at
MAX_GZIP_MEMBERS: Final = 10_000
_CHUNK: Final = 64 * 2**10
_GZIP_MAGIC: Final = b"\x1f\x8b"
_GZIP: Final = 16 + zlib.MAX_WBITS

Items = Iterator[WaferMap | FailedMap]


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file that is read.

    looks_like: told from the first 64 KiB, unpacked.
    read: the wafers in the whole content, in their order, within the limits.
    """

    name: str
    looks_like: Callable[[bytes], bool]
    read: Callable[[bytes, Path, Limits], Items]


# In the order in which they are asked: those that a first word gives away, then those that are found in the
# text.
FORMATS: Final = (
    Format("NumPy .npz", arrays.looks_like, arrays.read),
    Format("NumPy .npy", grid.looks_like, grid.read),
    Format("STDF", stdf.looks_like, stdf.read),
    Format("KLARF", klarf.looks_like, klarf.read),
    Format("SEMI E142", e142.looks_like, e142.read),
    Format("SEMI G85", g85.looks_like, g85.read),
    Format("SINF", sinf.looks_like, sinf.read),
    Format("CSV", table.looks_like, table.read),
)


def detect(head: bytes) -> Format | None:
    """The format of a file that begins with `head`, or None."""
    return next((format for format in FORMATS if format.looks_like(head)), None)


def read_head(path: Path) -> bytes:
    """The first `HEAD_BYTES` of a file, unpacked if it is gzipped.

    Raises:
        OSError: it cannot be opened.
        WaferFileError: it is no regular file, or its gzip data is damaged.
    """
    with _open(path) as stream:
        return _unpacked(stream, HEAD_BYTES)[:HEAD_BYTES]


def read_all(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of a file, unpacked if it is gzipped.

    Raises:
        OSError: it cannot be opened.
        WaferFileError: it is larger than `max_bytes`, stored or unpacked, or its gzip data is damaged.
    """
    with _open(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > max_bytes:
            raise WaferFileError(
                f"the file has {size:,} bytes; at most {max_bytes:,} are read: {raise_it('max_bytes')}"
            )
        data = _unpacked(stream, max_bytes + 1, whole=True)
    if len(data) > max_bytes:
        raise WaferFileError(
            f"the file has more than {max_bytes:,} bytes when unpacked, which is the most that is read: "
            f"{raise_it('max_bytes')}"
        )
    return data


def _open(path: Path) -> BinaryIO:
    # Opening a named pipe or a device would wait for ever, so the kind is asked first.
    if not stat.S_ISREG(path.stat().st_mode):
        raise WaferFileError("this is not a regular file")
    return path.open("rb")


def _unpacked(stream: BinaryIO, enough: int, *, whole: bool = False) -> bytes:
    """At least `enough` bytes if there are as many; unpacking stops there, however much would follow."""
    start = stream.read(len(_GZIP_MAGIC))
    stream.seek(0)
    if start != _GZIP_MAGIC:
        return stream.read(min(enough, os.fstat(stream.fileno()).st_size + 1))  # read(n) reserves n bytes
    content = io.BytesIO()
    total = members = 0
    unpacker = zlib.decompressobj(_GZIP)
    try:
        while total < enough and (packed := stream.read(_CHUNK)):
            while packed and total < enough:
                if unpacker.eof:  # a gzip file may be several in a row, with zeros as padding after the last
                    packed = packed.lstrip(b"\0")
                    if not packed:
                        break
                    members += 1
                    if members > MAX_GZIP_MEMBERS:
                        raise WaferFileError(f"the gzip file has more than {MAX_GZIP_MEMBERS:,} parts")
                    unpacker = zlib.decompressobj(_GZIP)
                part = unpacker.decompress(packed, enough - total)
                total += content.write(part)
                packed = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    except zlib.error as error:
        raise WaferFileError("the gzip data is damaged") from error
    if whole and total < enough and not unpacker.eof:
        raise WaferFileError("the gzip data is cut short")
    return content.getvalue()
