"""Changes within gzip, zip, PNG and safetensors, whose sums and lengths would else give every change away."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from random import Random
from typing import Final

Change = Callable[[bytes], bytes]

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_MOST: Final = 2**20  # bytes that are unpacked


def pack(files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Files as one zip, without times."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of a zip that `pack` made; nothing if it is damaged or large."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(one.file_size for one in archive.infolist()) > _MOST:
                return {}
            return {one.filename: archive.read(one) for one in archive.infolist()}
    except Exception:  # zipfile ends on damaged files with whatever it runs into
        return {}


def changed_within(rng: Random, data: bytes, change: Change) -> bytes | None:
    """`data` with one part of its contents changed and the container mended; None if it is none."""
    for starts, inner in _KINDS:
        if data.startswith(starts):
            return inner(rng, data, change)
    if len(data) > 9 and data[8:9] == b"{":
        return _safetensors(data, change)
    return None


def _gzip(rng: Random, data: bytes, change: Change) -> bytes | None:
    try:
        content = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(data, _MOST)
    except zlib.error:
        return None
    return gzip.compress(change(content), 1, mtime=0)


def _zip(rng: Random, data: bytes, change: Change) -> bytes | None:
    files = unpack(data)
    if not files:
        return None
    name = rng.choice(list(files))
    # Most often the small ones, as they say what the others are.
    for _ in range(2):
        other = rng.choice(list(files))
        name = min(name, other, key=lambda one: len(files[one]))
    if rng.random() < 0.05:
        del files[name]
        return pack(files)
    return pack({**files, name: change(files[name])})


def _png(rng: Random, data: bytes, change: Change) -> bytes | None:
    parts, at = [], len(_PNG)
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    if not parts:
        return None
    chosen = rng.randrange(len(parts))
    kind, content = parts[chosen]
    if kind == b"IDAT" and rng.random() < 0.5:
        try:
            content = zlib.compress(change(zlib.decompressobj().decompress(content, _MOST)), 1)
        except zlib.error:
            content = change(content)
    else:
        content = change(content)
    parts[chosen] = (kind, content)
    chunks = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in parts)
    return _PNG + b"".join(chunks)


def _safetensors(data: bytes, change: Change) -> bytes | None:
    size = int.from_bytes(data[:8], "little")
    if size > len(data) - 8:
        return None
    header = change(data[8 : 8 + size])
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


_KINDS: Final[tuple[tuple[bytes, Callable[[Random, bytes, Change], bytes | None]], ...]] = (
    (b"\x1f\x8b", _gzip),
    (b"PK\x03\x04", _zip),
    (_PNG, _png),
)
