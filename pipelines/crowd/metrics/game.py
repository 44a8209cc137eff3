"""Whether people are counted where they are."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.crowd.data.placing import in_frame
from pipelines.crowd.density import region_sums

LEVELS: Final = (0, 1, 2, 3)


def game(
    points: ArrayLike,
    predicted: NDArray[Any],
    height: int,
    width: int,
    level: int,
    cell: float | None = None,
) -> float:
    """GAME of one image: the absolute errors in its 4^level equal parts, summed (Guerrero-Gómez-Olmedo,
    2015).

    points: true heads in px, (N, 2), of an image of this height and width; those out of frame do not count.
    predicted: map of people (h, w) over the image; of predicted points, their `density.block_counts`.
    cell: px of a cell of the map, if the last ones reach beyond the image; None if it has just its extent.
    A cell that lies in several parts is shared out by area. GAME(0) is the absolute error of the count, and
    GAME never falls with the level.
    """
    parts = 2**level
    table = np.asarray(points, np.float64).reshape(-1, 2)
    table = table[in_frame(table, width, height)]
    column = np.minimum(table[:, 0] * parts // width, parts - 1).astype(np.int64)
    row = np.minimum(table[:, 1] * parts // height, parts - 1).astype(np.int64)
    true = np.bincount(row * parts + column, minlength=parts * parts).reshape(parts, parts)
    return float(np.abs(region_sums(predicted, height, width, parts, cell) - true).sum())
