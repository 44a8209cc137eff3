"""Grids of dies as NumPy arrays: .npy with one map, .npz with one or more.

A grid is 2D and holds 0 (no die), 1 (pass) and 2 (fail), or booleans (True is a failing die). Row 0 is the
top of the wafer, the notch is down.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .dies import check_shape, die_map
from .limits import DEFAULT, Limits
from .npz import NPY_MAGIC, Npz, npy_array
from .record import FAIL, PASS, FailedMap, WaferFileError, WaferMap


def looks_like(head: bytes) -> bool:
    return head.startswith(NPY_MAGIC)


def read(data: bytes, source: Path, limits: Limits = DEFAULT) -> Iterator[WaferMap | FailedMap]:
    """The one map of an .npy file."""
    yield _grid_map(npy_array(data), source, 0, limits)


def read_maps(npz: Npz, source: Path, limits: Limits = DEFAULT) -> Iterator[WaferMap | FailedMap]:
    """One map for each array of an opened .npz file, with its name as the wafer's if there are several."""
    names = npz.names
    for position, name in enumerate(names):
        try:
            wafer = name if len(names) > 1 else ""
            yield _grid_map(npz.array(name), source, position, limits, wafer)
        except WaferFileError as error:
            yield FailedMap(source, position, f"{name}: {error}")


def _grid_map(array: NDArray[Any], source: Path, position: int, limits: Limits, wafer: str = "") -> WaferMap:
    if array.ndim != 2:
        raise WaferFileError(f"a map must be a 2D grid of dies, and this array has the shape {array.shape}")
    rows, columns = array.shape
    check_shape(rows, columns, limits.max_dies)
    if array.dtype.kind == "b":
        status = np.where(array, FAIL, PASS).astype(np.uint8)
    elif array.dtype.kind not in "iu":
        raise WaferFileError(f"a grid of dies must hold integers or booleans, not {array.dtype}")
    elif array.min() < 0 or array.max() > FAIL:
        raise WaferFileError(
            "a grid of dies holds 0 (no die), 1 (pass) and 2 (fail); "
            f"this one goes from {array.min()} to {array.max()}"
        )
    else:
        status = array.astype(np.uint8)
    return die_map(status, source=source, position=position, wafer=wafer)
