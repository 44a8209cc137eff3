"""Heads as counts of blocks and as density maps, and maps resized: sums are always numbers of people.

Points are float64 (N, 2), x and y in px, 0, 0 at the outer corner of the first pixel. Maps are (h, w), row by
row from the top; cell (j, i) of a map with cells of s px holds what lies in i*s <= x < (i+1)*s and
j*s <= y < (j+1)*s, less at the last row and column where the image ends within a cell.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.spatial import KDTree
from scipy.special import ndtr

from pipelines.crowd.data.placing import in_frame

Floats = NDArray[np.float64]
LEAST_SIGMA: Final = 1e-9  # px; a division by less may overflow
TRUNCATE: Final = 4.0  # sigmas: beyond, a Gaussian has 0.006% of its sum
POINTS_AT_ONCE: Final = 2_048


def grid_shape(height: int, width: int, cell: int) -> tuple[int, int]:
    """Rows and columns of cells of `cell` px that cover an image of this height and width in px."""
    if min(height, width, cell) < 1:
        raise ValueError(f"an image of {height} x {width} px cannot be laid out in cells of {cell} px")
    return -(-height // cell), -(-width // cell)


def block_counts(points: ArrayLike, height: int, width: int, block: int) -> NDArray[np.int64]:
    """How many heads each block of `block` x `block` px holds: int64 (h, w).

    The sum is the number of points in frame. A point on the outer edge of the image belongs to the last
    block.
    """
    shape = grid_shape(height, width, block)
    inside = _inside(points, height, width)
    column = np.minimum(inside[:, 0] // block, shape[1] - 1).astype(np.int64)
    row = np.minimum(inside[:, 1] // block, shape[0] - 1).astype(np.int64)
    return np.bincount(row * shape[1] + column, minlength=shape[0] * shape[1]).reshape(shape)


def density_map(
    points: ArrayLike, height: int, width: int, sigma: ArrayLike = 5.0, cell: int = 1
) -> NDArray[np.float32]:
    """A Gaussian for each head: float32 (h, w), with cells of `cell` px.

    sigma: of the Gaussians in px, one for all or float (N,) one for each point; 0 puts a head into one cell.

    Each head's Gaussian is integrated over the cells, cut at TRUNCATE sigmas and at the image's edge, and
    what is left is scaled to 1: so the sum is the number of heads in frame, also where heads are at the
    border. A map at stride 2 is `cell=2` and has that sum too.
    """
    shape = grid_shape(height, width, cell)
    table = np.asarray(points, np.float64).reshape(-1, 2)
    sigmas = np.broadcast_to(np.asarray(sigma, np.float64), (len(table),))
    if len(table) and not (np.isfinite(sigmas).all() and sigmas.min() >= 0):
        raise ValueError("the sigmas of a density map must be 0 or more")
    kept = in_frame(table, width, height)
    table, sigmas = table[kept], sigmas[kept]
    total = np.zeros(shape, np.float64)
    for start in range(0, len(table), POINTS_AT_ONCE):
        part = slice(start, start + POINTS_AT_ONCE)
        down = _shares(table[part, 1], sigmas[part], height, cell, shape[0])
        across = _shares(table[part, 0], sigmas[part], width, cell, shape[1])
        total += (down.T @ across).toarray()
    return total.astype(np.float32)


def adaptive_sigmas(
    points: ArrayLike, neighbours: int = 3, share: float = 0.3, lowest: float = 1.0, highest: float = 20.0
) -> Floats:
    """Sigmas in px that follow how close heads stand: float64 (N,).

    `share` of the mean distance to the nearest `neighbours` heads, as in MCNN (Zhang et al., 2016), kept
    between `lowest` and `highest`; `highest` for a head alone.
    """
    table = np.asarray(points, np.float64).reshape(-1, 2)
    count = min(neighbours, len(table) - 1)
    if count < 1:
        return np.full(len(table), highest)
    apart, _ = KDTree(table).query(table, k=count + 1)
    return np.asarray(np.clip(share * apart[:, 1:].mean(axis=1), lowest, highest))


def resize_sum(values: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """A map (h, w) at another size (height, width), larger or smaller, with the same sum.

    Each cell is shared out among the new cells that it overlaps, by area. Floating-point types are kept,
    other numbers become float64; (h, w, C) is resized for each of the C values.
    """
    if values.ndim not in (2, 3) or min(*values.shape[:2], height, width) < 1:
        raise ValueError(f"a map of the shape {values.shape} cannot be resized to {height} x {width}")
    kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    # In whole numbers: both sides in units in which the cells of both have whole lengths.
    down, across = (
        _overlaps(np.arange(old + 1) * new, np.arange(new + 1) * old)
        for old, new in zip(values.shape[:2], (height, width), strict=True)
    )
    planes = values.astype(np.float64).reshape(*values.shape[:2], -1)
    resized = np.stack([(across @ (down @ planes[:, :, one]).T).T for one in range(planes.shape[2])], axis=2)
    return resized.reshape(height, width, *values.shape[2:]).astype(kind)


def region_sums(
    values: NDArray[Any], height: int, width: int, regions: int, cell: float | None = None
) -> Floats:
    """Sums of a map (h, w) in `regions` x `regions` equal parts of the image: float64 (regions, regions).

    height, width: of the image, in px. cell: px of a cell, if the last ones reach beyond the image; None if
    the map has just the image's extent. A cell that lies in several parts is shared out by area.
    """
    sides = []
    for count, length in zip(values.shape, (height, width), strict=True):
        edges = cell_edges(count, length, cell)
        sides.append(_overlaps(edges, np.linspace(0, length, regions + 1)))
    down, across = sides
    return np.asarray((across @ (down @ values.astype(np.float64)).T).T)


def cell_edges(count: int, length: int, cell: float | None = None) -> Floats:
    """Where the cells of one axis begin and the last one ends: float64 (count + 1,), in px.

    Cells of `cell` px on an image of `length` px, the last one cut where the image ends; None: equal ones.
    """
    if cell is None:
        return np.linspace(0, length, count + 1)
    if not cell * (count - 1) < length <= cell * count:
        raise ValueError(f"{count} cells of {cell:g} px do not cover {length} px")
    return np.asarray(np.minimum(np.arange(count + 1) * float(cell), length))


def _inside(points: ArrayLike, height: int, width: int) -> Floats:
    table = np.asarray(points, np.float64).reshape(-1, 2)
    return table[in_frame(table, width, height)]


def _shares(places: Floats, sigmas: Floats, length: int, cell: int, count: int) -> Any:
    """How much of each Gaussian lies in each cell of one axis: a sparse (N, count) whose rows sum to 1."""
    reach = int(min(np.ceil(TRUNCATE * sigmas.max() / cell) + 1, count))
    own = np.minimum(places // cell, count - 1).astype(np.int64)
    cells = own[:, None] + np.arange(-reach, reach + 1)
    edges = np.clip(np.concatenate([cells, cells[:, -1:] + 1], axis=1) * float(cell), 0, length)
    width = sigmas[:, None]
    # A sigma of next to 0 is a step: all of it lies in the point's own cell.
    spread = width > LEAST_SIGMA
    scaled = np.clip((edges - places[:, None]) / np.where(spread, width, 1.0), -TRUNCATE, TRUNCATE)
    shares = np.where(spread, np.diff(ndtr(scaled), axis=1), cells == own[:, None])
    shares /= shares.sum(axis=1, keepdims=True)
    valid = (cells >= 0) & (cells < count) & (shares > 0)
    rows = np.broadcast_to(np.arange(len(places))[:, None], cells.shape)
    return csr_array((shares[valid], (rows[valid], cells[valid])), shape=(len(places), count))


def _overlaps(old: NDArray[Any], new: NDArray[Any]) -> Any:
    """The share of each old cell of one axis that falls into each new cell: sparse (new, old).

    old, new: edges of the cells in growing order, with the same first and last one; whole numbers where equal
    cells are to give exactly 1.
    """
    edges = np.union1d(old, new)
    starts = edges[:-1]
    into = np.searchsorted(new, starts, "right") - 1
    out_of = np.searchsorted(old, starts, "right") - 1
    return csr_array(
        (np.diff(edges) / np.diff(old)[out_of], (into, out_of)), shape=(len(new) - 1, len(old) - 1)
    )
