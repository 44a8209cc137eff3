"""Die maps seen through a change of place: what fails on the new one failed at the place it came from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.data.record import FAIL, NO_DIE, PASS

Grid = NDArray[np.uint8]
Floats = NDArray[np.float64]
# Places x, y (N,), each -1 to 1 across the wafer with y upwards, to the places that they show.
Warp = Callable[[Floats, Floats], tuple[Floats, Floats]]


def warped(status: Grid, warp: Warp) -> Grid:
    """A die grid (rows, cols) with the same dies, each failing where the die nearest to its source fails.

    What comes from beside the grid, or from where no die is, passes.
    """
    rows, cols = status.shape
    row, col = np.nonzero(status != NO_DIE)
    x, y = warp((2 * col + 1) / max(cols, 1) - 1, 1 - (2 * row + 1) / max(rows, 1))
    from_row = np.floor((1 - y) / 2 * rows).astype(np.int64)
    from_col = np.floor((1 + x) / 2 * cols).astype(np.int64)
    inside = (from_row >= 0) & (from_row < rows) & (from_col >= 0) & (from_col < cols)
    fails = np.zeros(len(row), dtype=bool)
    fails[inside] = status[from_row[inside], from_col[inside]] == FAIL
    out = status.copy()
    out[row, col] = np.where(fails, FAIL, PASS)
    return out


def turn(angle: float) -> Warp:
    """A turn of the wafer by `angle` radians, anticlockwise."""
    cos, sin = np.cos(angle), np.sin(angle)
    return lambda x, y: (cos * x + sin * y, cos * y - sin * x)
