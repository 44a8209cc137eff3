"""A wafer's pattern in numbers that mean the same for every pattern, known to a network or not.

A classifier keeps what separates its classes and drops the rest: one that never saw a blob in the middle need
not say where a blob lies. These numbers keep it: how failing dies are spread over rings and directions, how
they cluster, and whether they form lines. Turning the wafer by a right angle or mirroring it changes none of
them, any other turn changes them little.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.wafer.data.record import FAIL, NO_DIE

Grid = NDArray[np.uint8]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

RINGS, DIRECTIONS, HARMONICS = 8, 16, 5
BLOBS = 3  # largest groups of touching failing dies whose sizes are given
# Outer radii, in radii of the wafer, of the zones in which lines are looked for.
ZONES = (0.6, 0.85, np.inf)
# Half width, in dies, of the window in which a failing die's neighbours show a direction; how many failing
# dies it has to hold for that, and the most that it holds along a thin line.
REACH, FEW, THIN = 3, 4, 14
# How straight, and how crowded, neighbourhoods are: the shares above each of these are given.
STRAIGHT, CROWDED = (0.3, 0.6, 0.85), (0.15, 0.3, 0.5, 0.75)
TOUCHING = 9  # a failing die has 0 to 8 failing dies next to it

SPREAD_FEATURES = RINGS * (1 + HARMONICS) + 2
BLOB_FEATURES = BLOBS + 6
LINE_FEATURES = 5 * len(ZONES) + len(CROWDED) + len(STRAIGHT) + 1
SHAPE_FEATURES = SPREAD_FEATURES + BLOB_FEATURES + TOUCHING + LINE_FEATURES
# Places of all grids that are looked at together: bounds the memory.
MOST_PLACES = 1 << 21
# Places of a grid up to which its bins are kept for the next of its size: bounds the memory of 256 sizes.
KEPT_PLACES = 1 << 16


def shapes(grids: Sequence[Grid]) -> NDArray[np.float32]:
    """The numbers (N, SHAPE_FEATURES) of die grids (rows, cols), each cropped to its dies.

    Shares are given by their square roots, so that small ones count. Of a grid without failing dies all are 0
    but the number of dies.
    """
    parts = [_shapes(_Sheet.of(grids[some])) for some in _portions(grids)]
    return np.concatenate([np.empty((0, SHAPE_FEATURES)), *parts]).astype(np.float32)


def _portions(grids: Sequence[Grid]) -> Iterator[slice]:
    """Consecutive grids whose sheet has at most MOST_PLACES places, or one grid alone."""
    start, rows, cols = 0, 0, 0
    for number, grid in enumerate(grids):
        rows, cols = rows + grid.shape[0] + REACH, max(cols, grid.shape[1])
        if rows * cols > MOST_PLACES and number > start:
            yield slice(start, number)
            start, rows, cols = number, grid.shape[0] + REACH, grid.shape[1]
    if len(grids):
        yield slice(start, len(grids))


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """Grids one below the other, so far apart that no window reaches from one into the next.

    fails: uint8 (rows, cols), 1 for a failing die. failing, there: how many dies of each of B grids fail, and
    exist, per ring and direction, (B, RINGS, DIRECTIONS). Of the N failing dies, grid after grid: item (N,),
    the grid; row and col, the place on the sheet; x and y, that in the wafer's ellipse, -1 to 1, y upwards.
    """

    fails: Grid
    failing: Floats
    there: Floats
    item: Ints
    row: Ints
    col: Ints
    x: Floats
    y: Floats

    @classmethod
    def of(cls, grids: Sequence[Grid]) -> _Sheet:
        sizes = np.array([grid.shape for grid in grids])
        starts = np.cumsum(sizes[:, 0] + REACH) - sizes[:, 0] - REACH
        sheet = np.zeros((int((sizes[:, 0] + REACH).sum()), int(sizes[:, 1].max())), dtype=np.uint8)
        bins = np.zeros(sheet.shape, dtype=np.int64)
        for number, (grid, start) in enumerate(zip(grids, starts, strict=True)):
            rows, cols = grid.shape
            sheet[start : start + rows, :cols] = grid
            bins[start : start + rows, :cols] = _polar_bins(rows, cols) + number * RINGS * DIRECTIONS
        fails = sheet == FAIL
        row, col = np.nonzero(fails)
        item = np.searchsorted(starts, row, side="right") - 1
        rows, cols = sizes[item].T
        size = len(grids) * RINGS * DIRECTIONS
        failing, there = (
            np.bincount(bins[chosen], minlength=size).reshape(-1, RINGS, DIRECTIONS).astype(np.float64)
            for chosen in (fails, sheet != NO_DIE)
        )
        x, y = (2 * col + 1) / cols - 1, 1 - (2 * (row - starts[item]) + 1) / rows
        return cls(fails.astype(np.uint8), failing, there, item, row, col, x, y)

    def __len__(self) -> int:
        return len(self.failing)

    def sums(self, weights: Floats | NDArray[np.bool_] | None = None) -> Floats:
        """The sum (B,) of a number (N,) over each grid's failing dies; their count without one."""
        return np.bincount(self.item, weights, minlength=len(self)).astype(np.float64)

    def shares(self, weights: Floats | NDArray[np.bool_]) -> Floats:
        """The square root (B,) of the mean of a number (N,), 0 or more, over each grid's failing dies."""
        return np.sqrt(self.sums(weights) / np.maximum(self.sums(), 1))


def _polar_bins(rows: int, cols: int) -> Ints:
    """The bin (rows, cols), ring by ring, of each place on a grid."""
    return _kept_bins(rows, cols) if rows * cols <= KEPT_PLACES else _bins(rows, cols)


@lru_cache(maxsize=256)
def _kept_bins(rows: int, cols: int) -> Ints:
    return _bins(rows, cols)


def _bins(rows: int, cols: int) -> Ints:
    down, across = 1 - (2 * np.arange(rows) + 1) / max(rows, 1), (2 * np.arange(cols) + 1) / max(cols, 1) - 1
    y, x = np.meshgrid(down, across, indexing="ij")
    ring = np.minimum((np.hypot(x, y) * RINGS).astype(np.int64), RINGS - 1)
    # Bounds lie between the axes and diagonals, where dies are: mirrored, a die must not change its bin.
    direction = np.floor(np.arctan2(y, x) / (2 * np.pi) * DIRECTIONS + 0.5).astype(np.int64) % DIRECTIONS
    return ring * DIRECTIONS + direction


def _shapes(sheet: _Sheet) -> Floats:
    columns = [*_spread(sheet)]
    if len(sheet.item):
        columns += [*_blobs(sheet), *_neighbourhoods(sheet)]
    else:
        columns += [np.zeros(len(sheet))] * (SHAPE_FEATURES - SPREAD_FEATURES)
    return np.stack(columns, axis=1)


def _spread(sheet: _Sheet) -> Iterator[Floats]:
    """Share of failing dies in each ring, how unevenly it goes round, the whole share, and how many dies."""
    dies = sheet.there.sum(axis=(1, 2))
    yield from np.sqrt(sheet.failing.sum(axis=2) / np.maximum(sheet.there.sum(axis=2), 1)).T
    waves = np.abs(np.fft.rfft(sheet.failing / np.maximum(sheet.there, 1), axis=2))[:, :, 1 : HARMONICS + 1]
    yield from np.sqrt(waves / DIRECTIONS).reshape(len(sheet), -1).T
    yield np.sqrt(sheet.failing.sum(axis=(1, 2)) / np.maximum(dies, 1))
    yield np.log(np.maximum(dies, 1)) / 5


def _blobs(sheet: _Sheet) -> Iterator[Floats]:
    """Shares of the largest groups of touching failing dies; of the largest its place, extent and axes."""
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(sheet.fails, connectivity=8)
    own = labels[sheet.row, sheet.col] - 1
    areas = boxes[1:, cv2.CC_STAT_AREA].astype(np.float64)
    item = np.zeros(len(areas), dtype=np.int64)
    item[own] = sheet.item
    # Of groups alike in size the one nearest to the centre comes first, however the wafer is turned.
    centre = np.hypot(*(np.bincount(own, part, minlength=len(areas)) / areas for part in (sheet.x, sheet.y)))
    order = np.lexsort((centre, -areas, item))
    first = np.searchsorted(item[order], np.arange(len(sheet)))
    rank = np.empty(len(areas), dtype=np.int64)
    rank[order] = np.arange(len(areas)) - first[item[order]]
    dies = np.maximum(sheet.there.sum(axis=(1, 2)), 1)
    for place in range(BLOBS):
        yield np.sqrt(np.bincount(item[rank == place], areas[rank == place], minlength=len(sheet)) / dies)

    largest = (rank[own] == 0).astype(np.float64)
    size = sheet.sums(largest)
    some = np.maximum(size, 1)
    x, y = (sheet.sums(largest * part) / some for part in (sheet.x, sheet.y))
    xx, yy, xy = (
        sheet.sums(largest * one * other) / some - mean * another
        for one, other, mean, another in (
            (sheet.x, sheet.x, x, x),
            (sheet.y, sheet.y, y, y),
            (sheet.x, sheet.y, x, y),
        )
    )
    yield np.hypot(x, y)
    radius = np.hypot(sheet.x, sheet.y)
    nearest, farthest = np.full(len(sheet), np.inf), np.zeros(len(sheet))
    np.minimum.at(nearest, sheet.item[largest > 0], radius[largest > 0])
    np.maximum.at(farthest, sheet.item[largest > 0], radius[largest > 0])
    yield np.where(size > 0, nearest, 0)
    yield farthest
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    yield np.sqrt(np.maximum(middle + half, 0))
    yield np.sqrt(np.maximum(middle - half, 0))
    yield np.log1p(100 * size / dies)


def _neighbourhoods(sheet: _Sheet) -> Iterator[Floats]:
    """How many neighbours of failing dies fail, how straight their wider neighbourhoods are, and which way.

    A neighbourhood's straightness is (a - b) / (a + b) of the variances a >= b of its failing dies along its
    axes.
    """
    image = sheet.fails.astype(np.float32)
    sites = sheet.row, sheet.col
    near = cv2.boxFilter(image, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)[sites] - 1
    touching = np.bincount(sheet.item * TOUCHING + near.astype(np.int64), minlength=len(sheet) * TOUCHING)
    yield from touching.reshape(-1, TOUCHING).T / np.maximum(sheet.sums(), 1)

    reach = np.arange(-REACH, REACH + 1, dtype=np.float32)
    powers = (np.ones_like(reach), reach, reach * reach)

    def moment(across: int, down: int) -> Floats:
        kernels = powers[across], powers[down]
        found = cv2.sepFilter2D(image, -1, *kernels, borderType=cv2.BORDER_CONSTANT)
        return found[sites].astype(np.float64)

    count = moment(0, 0)
    mean_x, mean_y = moment(1, 0) / count, moment(0, 1) / count
    along_x, along_y = moment(2, 0) / count - mean_x**2, moment(0, 2) / count - mean_y**2
    # The sheet's rows run downwards, y upwards.
    difference, mixed = along_x - along_y, -2 * (moment(1, 1) / count - mean_x * mean_y)
    length = np.hypot(difference, mixed)
    enough = count >= FEW
    straight = enough * length / (along_x + along_y + 1e-3)
    # 1 where the neighbourhood points to the wafer's centre, -1 where it goes round it.
    x, y = sheet.x, sheet.y
    square = x * x + y * y
    radial = (difference * (x * x - y * y) + mixed * 2 * x * y) / ((length + 1e-3) * (square + 1e-6))
    inner = 0.0
    for outer in ZONES:
        here = enough & (square >= inner**2) & (square < outer**2)
        inner = outer
        yield sheet.shares(here)
        yield sheet.shares(here & (straight > STRAIGHT[-1]))
        yield sheet.sums(straight * here) / np.maximum(sheet.sums(here), 1)
        yield sheet.shares(straight * (here & (radial < -0.5)))
        yield sheet.shares(straight * (here & (radial > 0)))
    for bound in CROWDED:
        yield sheet.shares(count > bound * (2 * REACH + 1) ** 2)
    for bound in STRAIGHT:
        yield sheet.shares(straight > bound)
    yield np.sqrt(sheet.sums((straight > STRAIGHT[-1]) & (count <= THIN))) / 10
