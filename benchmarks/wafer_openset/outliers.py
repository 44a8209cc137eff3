"""Die maps of patterns that no class of WM-811K names, to train or weigh against; none is a real wafer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.data.record import FAIL, NO_DIE
from pipelines.wafer.generate.novel import NOVEL_PATTERNS
from pipelines.wafer.generate.patterns import PATTERNS

Grid = NDArray[np.uint8]
DIAMETER_MM = 300.0
FILLED = 0.9

# The generator's patterns that no class names, and the classes whose shapes they are made of all the same.
# A pattern is not drawn where one of these is left out: it would tell what must not be known.
RESEMBLES: dict[str, tuple[str, ...]] = {
    "arrow": ("Scratch",),
    "checkerboard": (),
    "cross": (),
    "grid": (),
    "half_moon": ("Edge-Loc",),
    "slice": ("Edge-Loc",),
    "smiley": ("Loc",),
    "spiral": ("Donut", "Edge-Ring", "Scratch"),
    "starburst": ("Scratch",),
}
ALL_PATTERNS = {**PATTERNS, **NOVEL_PATTERNS}


def allowed_patterns(left_out: Sequence[str]) -> list[str]:
    """The patterns that share no shape with a class that is left out."""
    return [name for name, like in RESEMBLES.items() if not set(like) & set(left_out)]


def synthetic(rng: np.random.Generator, wafer: Grid, patterns: Sequence[str]) -> Grid:
    """One of the patterns drawn over a wafer (rows, cols): the dies that it touches fail, nearly all."""
    name = str(rng.choice(list(patterns)))
    points = ALL_PATTERNS[name](rng, DIAMETER_MM) / DIAMETER_MM + 0.5
    rows, cols = wafer.shape
    col, row = np.floor(points * [cols, rows]).astype(np.int64).T
    row = rows - 1 - row
    inside = (row >= 0) & (row < rows) & (col >= 0) & (col < cols)
    hit = np.zeros(wafer.shape, dtype=bool)
    hit[row[inside], col[inside]] = True
    drawn = wafer.copy()
    drawn[hit & (wafer != NO_DIE) & (rng.random(wafer.shape) < FILLED)] = FAIL
    return drawn


def merged(one: Grid, other: Grid) -> Grid:
    """The failing dies of both on the first wafer, the second one stretched to its shape (nearest die)."""
    row = (np.arange(one.shape[0]) * 2 + 1) * other.shape[0] // (2 * one.shape[0])
    col = (np.arange(one.shape[1]) * 2 + 1) * other.shape[1] // (2 * one.shape[1])
    both = one.copy()
    both[(other[row][:, col] == FAIL) & (one != NO_DIE)] = FAIL
    return both
