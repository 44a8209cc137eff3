"""An .npz file: which of the three layouts it has is told by the names of its arrays."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from . import coordinates, grid, wm811k
from .limits import MAX_BYTES, raise_it
from .npz import ZIP_MAGIC, Npz
from .record import FailedMap, WaferMap

_NAME_AT: Final = 30  # where the name of the first member stands in a zip file


def looks_like(head: bytes) -> bool:
    if not head.startswith(ZIP_MAGIC):
        return False
    length = int.from_bytes(head[26:28], "little")
    return head[_NAME_AT : _NAME_AT + length].endswith(b".npy")


def read(data: bytes, source: Path, *, max_bytes: int = MAX_BYTES) -> Iterator[WaferMap | FailedMap]:
    """Every map of the file, whose arrays have at most `max_bytes` together."""
    yield from read_maps(Npz(io.BytesIO(data), max_bytes, advice=raise_it("max_bytes")), source)


def read_maps(npz: Npz, source: Path) -> Iterator[WaferMap | FailedMap]:
    """Every map of an opened file."""
    names = frozenset(npz.names)
    for layout in (wm811k, coordinates):
        if names.issuperset(layout.NAMES):
            yield from layout.read_maps(npz, source)
            return
    yield from grid.read_maps(npz, source)
