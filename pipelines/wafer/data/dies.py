"""From a grid of die results as it was stored to the record, with the notch turned down."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from .limits import raise_it
from .record import FAIL, MAX_DIAMETER_MM, NO_DIE, DieGrid, WaferFileError, WaferMap

Notch = Literal["down", "left", "up", "right"]

ASSUMED_DIAMETER_MM: Final = 300.0
NOMINAL_DIAMETERS_MM: Final = (25.4, 50.8, 76.2, 100.0, 125.0, 150.0, 200.0, 300.0, 450.0)
MAX_SIDE: Final = 20_000

# Quarter turns counter-clockwise that bring the notch to the bottom.
_TURNS: Final[dict[str, int]] = {"down": 0, "left": 1, "up": 2, "right": 3}


def check_shape(rows: int, cols: int, max_dies: int) -> None:
    """Refuse grids without places and those that are too large to be read."""
    if rows < 1 or cols < 1:
        raise WaferFileError(f"the map has {rows} rows and {cols} columns; both must be at least 1")
    if rows > MAX_SIDE or cols > MAX_SIDE:
        raise WaferFileError(f"the map has {rows} x {cols} dies; at most {MAX_SIDE:,} are read on a side")
    if rows * cols > max_dies:
        raise WaferFileError(
            f"the map has {rows} x {cols} dies; at most {max_dies:,} are read: {raise_it('max_dies')}"
        )


def die_map(
    stored: NDArray[np.uint8],
    *,
    source: Path,
    position: int,
    notch: Notch = "down",
    pitch_mm: tuple[float, float] | None = None,
    diameter_mm: float | None = None,
    notes: tuple[str, ...] = (),
    **names: Any,
) -> WaferMap:
    """The record of one wafer of die results.

    Args:
        stored: uint8 (rows, cols), 0 no die, 1 pass, 2 fail, as a picture: row 0 is drawn on top.
        notch: where the orientation mark is in that picture.
        pitch_mm: width and height of a die in the picture, if the file states them. Without them the dies
            that exist are taken to span the wafer.
        diameter_mm: of the wafer, if the file states it. Without it, 300 mm, or with a known pitch the
            smallest nominal size that holds all dies.
        names: further fields of `WaferMap`, as lot and wafer.

    Raises:
        WaferFileError: the grid holds no die, or a length is not positive.
    """
    if pitch_mm is not None and not all(np.isfinite(p) and p > 0 for p in pitch_mm):
        raise WaferFileError(f"the die size must be two positive lengths, not {pitch_mm}")
    if pitch_mm is not None and max(pitch_mm) > MAX_DIAMETER_MM:
        raise WaferFileError(
            f"a die of {pitch_mm[0]:g} x {pitch_mm[1]:g} mm is more than the largest wafer holds"
        )
    turns = _TURNS[notch]
    status = np.ascontiguousarray(np.rot90(stored, turns))
    rows, cols = status.shape
    if pitch_mm is not None and turns % 2:
        pitch_mm = (pitch_mm[1], pitch_mm[0])

    existing = status != NO_DIE
    used_rows, used_cols = np.flatnonzero(existing.any(axis=1)), np.flatnonzero(existing.any(axis=0))
    if not len(used_rows):
        raise WaferFileError("the map holds no die")
    top, bottom, left, right = used_rows[0], used_rows[-1], used_cols[0], used_cols[-1]

    assumed = diameter_mm is None
    if diameter_mm is None:
        diameter_mm = ASSUMED_DIAMETER_MM if pitch_mm is None else _smallest_wafer(existing, pitch_mm)
    width, height = pitch_mm or (diameter_mm / (right - left + 1), diameter_mm / (bottom - top + 1))
    origin = (-float(left + right) / 2 * width, float(top + bottom) / 2 * height)
    grid = DieGrid(status, (float(width), float(height)), origin)

    failing = np.flatnonzero(status == FAIL)
    stored_index = np.rot90(np.arange(rows * cols, dtype=np.int64).reshape(stored.shape), turns)
    return WaferMap(
        source=source,
        position=position,
        defects=grid.positions_mm(failing),
        source_rows=stored_index.reshape(-1)[failing],
        diameter_mm=float(diameter_mm),
        die_level=True,
        diameter_assumed=assumed,
        notch=notch,
        dies=grid,
        die_pitch_mm=pitch_mm,
        notes=notes,
        **names,
    )


def _smallest_wafer(existing: NDArray[np.bool_], pitch_mm: tuple[float, float]) -> float:
    """The smallest nominal diameter in mm within which the centre of every die lies."""
    row, col = np.nonzero(existing)
    y = (row - (row.min() + row.max()) / 2) * pitch_mm[1]
    x = (col - (col.min() + col.max()) / 2) * pitch_mm[0]
    reach = 2 * float(np.hypot(x, y).max())
    for nominal in NOMINAL_DIAMETERS_MM:
        if reach <= nominal:
            return nominal
    raise WaferFileError(
        f"dies of {pitch_mm[0]:g} x {pitch_mm[1]:g} mm span {reach:.0f} mm, more than the largest wafer"
    )


def status_grid(rows: list[list[str]], status_of: Callable[[str], int], max_dies: int) -> NDArray[np.uint8]:
    """The grid of bin codes, one list for each row, as 0 no die, 1 pass, 2 fail.

    Args:
        status_of: the status of a code; asked once for each code that occurs.

    Raises:
        WaferFileError: rows of different lengths, no dies, or too many.
    """
    width = len(rows[0]) if rows else 0
    check_shape(len(rows), width, max_dies)
    for index, row in enumerate(rows):
        if len(row) != width:
            raise WaferFileError(f"row {index + 1} has {len(row)} dies and the first row {width}")
    table = {code: status_of(code) for code in set(chain.from_iterable(rows))}
    flat = np.fromiter(map(table.__getitem__, chain.from_iterable(rows)), np.uint8, len(rows) * width)
    return flat.reshape(len(rows), width)
