"""Many die grids on one sheet: what is asked of every die and its neighbours is asked of all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.data.record import FAIL

Grid = NDArray[np.uint8]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Places of a sheet of several grids: what is counted on it stays in the processor's cache.
MOST_PLACES = 1 << 19


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """B grids so far apart that no window reaches from one into the next.

    status: uint8 (rows, cols), the sheet. places: uint8 (P,), the status of all places of the grids, one grid
    after the other, row by row; starts: int64 (B,), where each begins. sizes: int64 (B, 2), rows and columns.
    Of the N failing dies in the order of `places`: site (N,), where each stands there; spot (N,), where it
    stands on the flattened sheet; item (N,), its grid; row and col (N,), its place on that; x and y (N,), the
    same in the wafer's ellipse, -1 to 1, y upwards.
    """

    status: Grid
    places: Grid
    starts: Ints
    sizes: Ints
    site: Ints
    spot: Ints
    item: Ints
    row: Ints
    col: Ints
    x: Floats
    y: Floats

    @classmethod
    def of(cls, grids: Sequence[Grid], reach: int) -> Sheet:
        """One grid or more; windows reach that many places from their middle."""
        sizes = np.array([grid.shape for grid in grids])
        top, left, shape = _shelves(sizes, reach)
        status = np.zeros(shape, dtype=np.uint8)
        for grid, (rows, cols), down, across in zip(
            grids, sizes.tolist(), top.tolist(), left.tolist(), strict=True
        ):
            status[down : down + rows, across : across + cols] = grid
        places = np.concatenate([grid.reshape(-1) for grid in grids])
        starts = sizes.prod(axis=1).cumsum() - sizes.prod(axis=1)
        site = np.flatnonzero(places == FAIL)
        counts = np.diff(np.searchsorted(site, starts), append=len(site))
        item = np.repeat(np.arange(len(grids)), counts)
        rows, cols = sizes[item].T
        row, col = np.divmod(site - starts[item], cols)
        return cls(
            status=status,
            places=places,
            starts=starts,
            sizes=sizes,
            site=site,
            spot=(top[item] + row) * shape[1] + left[item] + col,
            item=item,
            row=row,
            col=col,
            x=(2 * col + 1) / cols - 1,
            y=1 - (2 * row + 1) / rows,
        )

    def __len__(self) -> int:
        return len(self.sizes)

    def at(self, image: NDArray[Any]) -> NDArray[Any]:
        """What an image of the sheet shows at the failing dies, (N,)."""
        return image.reshape(-1)[self.spot]


def portions(grids: Sequence[Grid], reach: int) -> Iterator[slice]:
    """Consecutive grids whose sheet has at most MOST_PLACES places, or one grid alone."""
    start, rows, cols, area = 0, 0, 0, 0
    for number, grid in enumerate(grids):
        height, width = grid.shape
        own = (height + reach) * (width + reach)
        rows, cols, area = max(rows, height), max(cols, width), area + own
        # Shelves take twice the area of what stands on them at most, and the first one beside.
        if rows * max(cols, isqrt(area)) + 2 * area > MOST_PLACES and number > start:
            yield slice(start, number)
            start, rows, cols, area = number, height, width, own
    if len(grids):
        yield slice(start, len(grids))


def _shelves(sizes: Ints, reach: int) -> tuple[Ints, Ints, tuple[int, int]]:
    """Where grids begin on a sheet, top (B,) and left (B,), and its rows and columns.

    The highest come first, row by row: maps of one product fill a shelf, and one of many dies leaves no room.
    """
    width = max(int(sizes[:, 1].max()), isqrt(int((sizes + reach).prod(axis=1).sum())))
    top, left = np.zeros_like(sizes.T)
    down, across, shelf = 0, 0, 0
    for number in np.argsort(-sizes[:, 0], kind="stable").tolist():
        rows, cols = sizes[number].tolist()
        if across + cols > width:
            down, across, shelf = down + shelf + reach, 0, 0
        top[number], left[number] = down, across
        across, shelf = across + cols + reach, max(shelf, rows)
    return top, left, (max(down + shelf, 1), width)  # OpenCV takes no image without places
