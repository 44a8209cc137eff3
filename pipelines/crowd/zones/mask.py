"""How much of each cell of a map lies in a zone, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.crowd.data.record import Points
from pipelines.crowd.density import cell_edges

from .zone import Zone

Floats = NDArray[np.float64]


def zone_mask(
    zone: Zone, width: int, height: int, shape: tuple[int, int], cell: float | None = None
) -> Floats:
    """The share of each cell's area that lies in the zone: float64 (h, w), 0 to 1.

    width, height: of the image, in px. shape: (h, w) of the map. cell: px of a cell, if the last ones reach
    beyond the image; None if the map has just the image's extent. Of a cell that reaches beyond, only the
    part in the image counts, for both areas.

    `(mask * density).sum()` is the count of the zone: masks of zones that tile the image sum to 1 in every
    cell, so their counts sum to the whole. Areas are exact, by the signed areas under the edges in each cell,
    as rasterisers of fonts compute coverage.
    """
    edges = cell_edges(shape[0], height, cell), cell_edges(shape[1], width, cell)
    covered = np.zeros(shape)
    for ring, sign in zone.rings():
        covered += sign * _ring_areas(ring, edges[0], edges[1])
    sizes = np.diff(edges[0])[:, None] * np.diff(edges[1])[None, :]
    return np.clip(covered / sizes, 0.0, 1.0)


def _ring_areas(ring: Points, rows: Floats, columns: Floats) -> Floats:
    """The area of a ring in each cell; a ring with a signed area above 0 (as `Zone.rings` turns them).

    Every edge is cut at all lines of the grid. A piece then lies in one cell, and the area between it and the
    right side of the image is a part of that cell and the same height of all cells to its right. Pieces
    beside the image are moved to its edge, where they bound what is cut off.
    """
    starts, ends = _clipped_rows(ring, np.roll(ring, -1, axis=0), float(rows[-1]))
    x0, y0, x1, y1 = _pieces(starts, ends, rows, columns)
    x0, x1 = (np.clip(one, columns[0], columns[-1]) for one in (x0, x1))
    middle_x, middle_y = (x0 + x1) / 2, (y0 + y1) / 2
    column = np.clip(np.searchsorted(columns, middle_x, "right") - 1, 0, len(columns) - 2)
    row = np.clip(np.searchsorted(rows, middle_y, "right") - 1, 0, len(rows) - 2)
    # A ring turned like this goes down on its right side and up on its left: what is to the right of an
    # edge is taken away in the first case and added in the second.
    fall = y1 - y0
    shape = len(rows) - 1, len(columns) - 1
    cells = row * shape[1] + column
    own = np.bincount(cells, fall * (columns[column + 1] - middle_x), shape[0] * shape[1]).reshape(shape)
    heights = np.bincount(cells, fall, shape[0] * shape[1]).reshape(shape)
    right = np.cumsum(heights, axis=1) - heights
    return -(own + right * np.diff(columns)[None, :])


def _clipped_rows(starts: Points, ends: Points, height: float) -> tuple[Points, Points]:
    """The parts of edges between the upper and the lower edge of the image, without those that run level."""
    fall = ends[:, 1] - starts[:, 1]
    keep = fall != 0
    starts, ends, fall = starts[keep], ends[keep], fall[keep]
    with np.errstate(over="ignore"):  # of edges that are level but for rounding: inf, and cut off at once
        up, down = (0.0 - starts[:, 1]) / fall, (height - starts[:, 1]) / fall
    begin = np.clip(np.minimum(up, down), 0.0, 1.0)[:, None]
    end = np.clip(np.maximum(up, down), 0.0, 1.0)[:, None]
    cut = starts + begin * (ends - starts), starts + end * (ends - starts)
    some = (end > begin)[:, 0]
    return cut[0][some], cut[1][some]


def _pieces(starts: Points, ends: Points, rows: Floats, columns: Floats) -> tuple[Any, Any, Any, Any]:
    """Edges cut at the lines of the grid: x and y of the beginnings and of the ends, each (pieces,)."""
    count = len(starts)
    owners, places = [np.arange(count), np.arange(count)], [np.zeros(count), np.ones(count)]
    for axis, lines in ((1, rows), (0, columns)):
        low = np.minimum(starts[:, axis], ends[:, axis])
        high = np.maximum(starts[:, axis], ends[:, axis])
        first = np.searchsorted(lines, low, "right")
        crossed = np.maximum(np.searchsorted(lines, high, "left") - first, 0)
        owner = np.repeat(np.arange(count), crossed)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(crossed) - crossed, crossed) + first[owner]
        run = ends[owner, axis] - starts[owner, axis]
        owners.append(owner)
        places.append((lines[number] - starts[owner, axis]) / run)
    owner, place = np.concatenate(owners), np.clip(np.concatenate(places), 0.0, 1.0)
    order = np.lexsort((place, owner))
    owner, place = owner[order], place[order]
    points = starts[owner] + place[:, None] * (ends[owner] - starts[owner])
    points[place == 1] = ends[owner[place == 1]]
    same = owner[1:] == owner[:-1]
    begin, end = points[:-1][same], points[1:][same]
    return begin[:, 0], begin[:, 1], end[:, 0], end[:, 1]
