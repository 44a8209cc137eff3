"""STDF V4."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from pipelines.wafer.data import stdf
from pipelines.wafer.data.record import WaferFileError

from ..reader import Reader
from ._wafers import refused

_PART: Final = "<BBBHHHhh"


def _record(kind: int, subkind: int, content: bytes) -> bytes:
    return struct.pack("<HBB", len(content), kind, subkind) + content


def _text(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def _seeds() -> list[bytes]:
    """One wafer of six dies, with its lot, its start and end, and the size of dies."""
    lot = struct.pack("<IIBcccHc", 0, 0, 1, b" ", b" ", b" ", 65535, b" ") + _text(b"LOT1") + _text(b"PART")
    start = struct.pack("<BBI", 1, 255, 1_700_000_000) + _text(b"W01")
    parts = [struct.pack(_PART, 1, 0, 8 * (n % 2), 0, 1 + n % 2, 1, n % 3, n // 3) for n in range(6)]
    end = struct.pack("<BBIIIIII", 1, 255, 1_700_000_100, 6, 0, 0, 3, 0) + _text(b"W01")
    sizes = struct.pack("<fffBcHHcc", 200.0, 20.0, 30.0, 3, b"D", 1, 1, b"R", b"U")
    records = [_record(0, 10, b"\x02\x04"), _record(1, 10, lot), _record(2, 10, start)]
    records += [*(_record(5, 20, part) for part in parts), _record(2, 20, end), _record(2, 30, sizes)]
    return [b"".join(records)]


def _read(data: bytes, folder: Path) -> list[str]:
    return refused(stdf.read(data, folder / "a.stdf")) if stdf.looks_like(data) else ["another format"]


READER: Final = Reader(_seeds, _read, (WaferFileError,))
