"""Words of a text as numbers, in bulk."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..record import WaferFileError
from .lexer import decode

MISSING = frozenset({b"NA", b"N/A", b"na", b"n/a", b"*", b"-"})
MAX_NUMBER_CHARS = 40
MAX_DIE_INDEX = 1_000_000
SEMICOLON, NEWLINE, BLANK = ord(";"), ord("\n"), ord(" ")

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]


def spans(array: Bytes) -> tuple[Offsets, Offsets]:
    """Where the words start and end; blanks, control characters and ";" separate."""
    edges = np.zeros(len(array) + 2, dtype=np.int8)
    edges[1:-1] = (array > BLANK) & (array != SEMICOLON)
    change = np.diff(edges)
    return np.flatnonzero(change == 1), np.flatnonzero(change == -1)


def numbers(array: Bytes, starts: Offsets, ends: Offsets, name: str, before: int) -> NDArray[np.float64]:
    """One column as float64 (rows,), NaN where a cell is NA. Raises where one is no finite number."""
    if not len(starts):
        return np.zeros(0)
    lengths = ends - starts
    if lengths.max() > MAX_NUMBER_CHARS:
        row = int(lengths.argmax())
        cell = array[starts[row] : starts[row] + MAX_NUMBER_CHARS].tobytes()
        raise WaferFileError(
            f"row {before + row + 1} of the defect list: {name} is no number but {shown(cell)}"
        )
    offsets = np.arange(lengths.max())
    at = np.minimum(starts[:, None] + offsets, len(array) - 1)
    characters = np.where(offsets < lengths[:, None], array[at], 0).astype(np.uint8)
    text = np.ascontiguousarray(characters).view(f"S{characters.shape[1]}").ravel()
    try:
        values = text.astype(np.float64)
        known = np.isfinite(values)
    except ValueError:
        values = np.array([_number(cell) for cell in text.tolist()])
        known = np.isfinite(values) | np.isin(text, list(MISSING))
    if not known.all():
        row = int(np.flatnonzero(~known)[0])
        raise WaferFileError(
            f"row {before + row + 1} of the defect list: {name} is no number but {shown(text[row])}"
        )
    return values


def _number(cell: bytes) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def die_indices(cells: Sequence[bytes]) -> Offsets | None:
    """Pairs of whole numbers as int64 (P, 2), or None where the cells are something else."""
    if len(cells) % 2 or (cells and max(map(len, cells)) > MAX_NUMBER_CHARS):
        return None
    try:
        values = np.array(cells, dtype=f"S{MAX_NUMBER_CHARS}").astype(np.float64)
    except ValueError:
        return None
    if not (np.abs(values) <= MAX_DIE_INDEX).all() or (values != np.rint(values)).any():
        return None
    return values.astype(np.int64).reshape(-1, 2)


def shown(cell: bytes) -> str:
    return repr(decode(cell))
