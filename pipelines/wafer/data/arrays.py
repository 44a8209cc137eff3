"""An .npz file: which of the three layouts it has is told by the names of its arrays."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from . import coordinates, grid, wm811k
from .limits import DEFAULT, Limits, raise_it
from .npz import ZIP_MAGIC, Npz
from .record import FailedMap, WaferMap

_NAME_AT: Final = 30  # where the name of the first member stands in a zip file


def looks_like(head: bytes) -> bool:
    if not head.startswith(ZIP_MAGIC):
        return False
    length = int.from_bytes(head[26:28], "little")
    return head[_NAME_AT : _NAME_AT + length].endswith(b".npy")


def read(data: bytes, source: Path, limits: Limits = DEFAULT) -> Iterator[WaferMap | FailedMap]:
    """Every map of the file, whose arrays together are within the limit of bytes."""
    npz = Npz(io.BytesIO(data), limits.max_bytes, advice=raise_it("max_bytes"))
    yield from read_maps(npz, source, limits)


def read_maps(npz: Npz, source: Path, limits: Limits) -> Iterator[WaferMap | FailedMap]:
    """Every map of an opened file."""
    names = frozenset(npz.names)
    for layout in (wm811k, coordinates):
        if names.issuperset(layout.NAMES):
            yield from layout.read_maps(npz, source, limits)
            return
    yield from grid.read_maps(npz, source, limits)
