"""Pictures from files: `x,y,value`, one line per pixel that is not empty. Nothing here imports torch."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

COLUMNS: Final = ["x", "y", "value"]
MAX_BYTES: Final = 2**20
MAX_SIDE: Final = 4096  # px


class PictureError(Exception):
    """A file holds no picture; the text is for the user."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A sparse picture.

    sites: int32 (N, 2), x to the right and y downwards, in px, no two alike. values: float32 (N,), in 0 to 1.
    hash: of the file's contents.
    """

    sites: NDArray[np.int32]
    values: NDArray[np.float32]
    hash: str


def find_pictures(paths: Sequence[Path]) -> list[Path]:
    """The files among `paths`, and every .csv file in the folders, in the order of their names."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*.csv")) if path.is_dir() else [path]
    return list(dict.fromkeys(found))


def read_picture(path: Path) -> Picture:
    """Read one picture. Raises PictureError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PictureError(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise PictureError(f"is larger than a picture can be ({MAX_BYTES:,} bytes)")
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise PictureError("is no text in UTF-8") from error
    rows = list(_rows(lines))
    if not rows:
        raise PictureError("has no pixel that is not empty")
    table = np.array(rows)
    sites = table[:, :2].astype(np.int32)
    if len(np.unique(sites, axis=0)) < len(sites):
        raise PictureError("names a pixel twice")
    return Picture(sites, table[:, 2].astype(np.float32), hashlib.sha256(content).hexdigest())


def read_labelled(folder: Path) -> list[tuple[Path, str]]:
    """Every picture of a training set with its label, the name of the folder that it lies in."""
    return [(path, path.parent.name) for path in find_pictures([folder]) if path.parent != folder]


def _rows(lines: Sequence[str]) -> Iterator[tuple[float, float, float]]:
    try:
        table = csv.reader(lines, strict=True)
        if next(table, None) != COLUMNS:
            raise PictureError(f"does not begin with the line {','.join(COLUMNS)}")
        for row in table:
            try:
                x, y, value = int(row[0]), int(row[1]), float(row[2])
            except (ValueError, IndexError):
                raise PictureError(
                    f"line {table.line_num} is no pixel: x, y and a value are needed"
                ) from None
            if not (0 <= x < MAX_SIDE and 0 <= y < MAX_SIDE):
                raise PictureError(f"line {table.line_num}: a pixel lies within 0 to {MAX_SIDE - 1}")
            if not 0 <= value <= 1:
                raise PictureError(f"line {table.line_num}: a value lies in 0 to 1")
            if value:
                yield x, y, value
    except csv.Error as error:
        raise PictureError(f"is no table: {error}") from error
