"""Voxels from a stream, as stored or packed, and never more of them than were asked for."""

from __future__ import annotations

import bz2
import zlib
from typing import BinaryIO, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from .record import VolumeError

_CHUNK: Final = 2**20
_ZLIB_OR_GZIP: Final = 32 + zlib.MAX_WBITS


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, length: int, /) -> bytes: ...


def stored(stream: BinaryIO, wanted: int) -> NDArray[np.uint8]:
    """The next `wanted` bytes. Raises VolumeError if there are fewer."""
    content = np.empty(wanted, np.uint8)
    view, got = content.data, 0
    while got < wanted and (count := stream.readinto(view[got:])):  # type: ignore[attr-defined]
        got += count
    return _whole(content, got)


def deflated(stream: BinaryIO, wanted: int) -> NDArray[np.uint8]:
    """`wanted` bytes of what follows, packed as zlib or gzip. Raises VolumeError if there are fewer."""
    content = np.empty(wanted, np.uint8)
    unpacker, got = zlib.decompressobj(_ZLIB_OR_GZIP), 0
    try:
        while got < wanted and not unpacker.eof:
            packed = unpacker.unconsumed_tail or stream.read(_CHUNK)
            if not packed:
                break
            got = _put(content, got, unpacker.decompress(packed, min(wanted - got, _CHUNK)))
    except zlib.error as error:
        raise VolumeError("its packed voxels are damaged: copy the file again") from error
    return _whole(content, got)


def bzipped(stream: BinaryIO, wanted: int) -> NDArray[np.uint8]:
    """`wanted` bytes of what follows, packed as bzip2. Raises VolumeError if there are fewer."""
    content = np.empty(wanted, np.uint8)
    unpacker, got = bz2.BZ2Decompressor(), 0
    try:
        while got < wanted and not unpacker.eof:
            packed = stream.read(_CHUNK) if unpacker.needs_input else b""
            if unpacker.needs_input and not packed:
                break
            got = _put(content, got, unpacker.decompress(packed, min(wanted - got, _CHUNK)))
    except OSError as error:  # how bz2 reports damaged data
        raise VolumeError("its packed voxels are damaged: copy the file again") from error
    return _whole(content, got)


def _put(content: NDArray[np.uint8], got: int, part: bytes) -> int:
    content[got : got + len(part)] = np.frombuffer(part, np.uint8)
    return got + len(part)


def _whole(content: NDArray[np.uint8], got: int) -> NDArray[np.uint8]:
    if got < len(content):
        raise VolumeError(f"it is cut short: {got:,} of {len(content):,} bytes of voxels are there")
    return content
