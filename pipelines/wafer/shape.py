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
from pipelines.wafer.sheet import Floats, Grid, Ints, Sheet, portions

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
# Places of a grid up to which its bins are kept for the next of its size: bounds the memory of 256 sizes.
KEPT_PLACES = 1 << 16


def shapes(grids: Sequence[Grid]) -> NDArray[np.float32]:
    """The numbers (N, SHAPE_FEATURES) of die grids (rows, cols), each cropped to its dies.

    Shares are given by their square roots, so that small ones count. Of a grid without failing dies all are 0
    but the number of dies.
    """
    parts = [_shapes(_Grids.of(grids[some])) for some in portions(grids, REACH)]
    return np.concatenate([np.empty((0, SHAPE_FEATURES)), *parts]).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Grids:
    """B grids on a sheet.

    fails: uint8, 1 for a failing die on the sheet. failing, there: how many dies of each grid fail, and
    exist, per ring and direction, (B, RINGS, DIRECTIONS). count: how many fail, (B,).
    """

    sheet: Sheet
    fails: Grid
    failing: Floats
    there: Floats
    count: Floats

    @classmethod
    def of(cls, grids: Sequence[Grid]) -> _Grids:
        sheet = Sheet.of(grids, REACH)
        each = RINGS * DIRECTIONS
        bins = np.concatenate([_polar_bins(*grid.shape).reshape(-1) for grid in grids])
        bins += np.repeat(np.arange(len(grids)) * each, sheet.sizes.prod(axis=1))
        failing, there = (
            np.bincount(some, minlength=len(grids) * each).reshape(-1, RINGS, DIRECTIONS).astype(np.float64)
            for some in (bins[sheet.site], bins[sheet.places != NO_DIE])
        )
        count = failing.sum(axis=(1, 2))
        return cls(sheet, (sheet.status == FAIL).astype(np.uint8), failing, there, count)

    def __len__(self) -> int:
        return len(self.sheet)

    def sums(self, weights: Floats | NDArray[np.bool_]) -> Floats:
        """The sum (B,) of a number (N,) over each grid's failing dies."""
        return np.bincount(self.sheet.item, weights, minlength=len(self)).astype(np.float64)

    def shares(self, weights: Floats | NDArray[np.bool_]) -> Floats:
        """The square root (B,) of the mean of a number (N,), 0 or more, over each grid's failing dies."""
        return np.sqrt(self.sums(weights) / np.maximum(self.count, 1))


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


def _shapes(grids: _Grids) -> Floats:
    columns = [*_spread(grids)]
    if len(grids.sheet.item):
        columns += [*_blobs(grids), *_neighbourhoods(grids)]
    else:
        columns += [np.zeros(len(grids))] * (SHAPE_FEATURES - SPREAD_FEATURES)
    return np.stack(columns, axis=1)


def _spread(grids: _Grids) -> Iterator[Floats]:
    """Share of failing dies in each ring, how unevenly it goes round, the whole share, and how many dies."""
    dies = grids.there.sum(axis=(1, 2))
    yield from np.sqrt(grids.failing.sum(axis=2) / np.maximum(grids.there.sum(axis=2), 1)).T
    waves = np.abs(np.fft.rfft(grids.failing / np.maximum(grids.there, 1), axis=2))[:, :, 1 : HARMONICS + 1]
    yield from np.sqrt(waves / DIRECTIONS).reshape(len(grids), -1).T
    yield np.sqrt(grids.count / np.maximum(dies, 1))
    yield np.log(np.maximum(dies, 1)) / 5


def _blobs(grids: _Grids) -> Iterator[Floats]:
    """Shares of the largest groups of touching failing dies; of the largest its place, extent and axes."""
    sheet = grids.sheet
    _, labels = cv2.connectedComponents(grids.fails, connectivity=8)
    own = sheet.at(labels) - 1
    areas = np.bincount(own).astype(np.float64)
    item = np.zeros(len(areas), dtype=np.int64)
    item[own] = sheet.item
    # Of groups alike in size the one nearest to the centre comes first, however the wafer is turned.
    centre = np.hypot(*(np.bincount(own, part, minlength=len(areas)) / areas for part in (sheet.x, sheet.y)))
    order = np.lexsort((centre, -areas, item))
    first = np.searchsorted(item[order], np.arange(len(grids)))
    rank = np.empty(len(areas), dtype=np.int64)
    rank[order] = np.arange(len(areas)) - first[item[order]]
    dies = np.maximum(grids.there.sum(axis=(1, 2)), 1)
    for place in range(BLOBS):
        yield np.sqrt(np.bincount(item[rank == place], areas[rank == place], minlength=len(grids)) / dies)

    largest = (rank[own] == 0).astype(np.float64)
    size = grids.sums(largest)
    some = np.maximum(size, 1)
    x, y = (grids.sums(largest * part) / some for part in (sheet.x, sheet.y))
    xx, yy, xy = (
        grids.sums(largest * one * other) / some - mean * another
        for one, other, mean, another in (
            (sheet.x, sheet.x, x, x),
            (sheet.y, sheet.y, y, y),
            (sheet.x, sheet.y, x, y),
        )
    )
    yield np.hypot(x, y)
    radius = np.hypot(sheet.x, sheet.y)
    nearest, farthest = np.full(len(grids), np.inf), np.zeros(len(grids))
    np.minimum.at(nearest, sheet.item[largest > 0], radius[largest > 0])
    np.maximum.at(farthest, sheet.item[largest > 0], radius[largest > 0])
    yield np.where(size > 0, nearest, 0)
    yield farthest
    middle, half = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    yield np.sqrt(np.maximum(middle + half, 0))
    yield np.sqrt(np.maximum(middle - half, 0))
    yield np.log1p(100 * size / dies)


def _neighbourhoods(grids: _Grids) -> Iterator[Floats]:
    """How many neighbours of failing dies fail, how straight their wider neighbourhoods are, and which way.

    A neighbourhood's straightness is (a - b) / (a + b) of the variances a >= b of its failing dies along its
    axes.
    """
    sheet, image = grids.sheet, grids.fails.astype(np.float32)
    near = cv2.boxFilter(grids.fails, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    touching = np.bincount(sheet.item * TOUCHING + sheet.at(near) - 1, minlength=len(grids) * TOUCHING)
    yield from touching.reshape(-1, TOUCHING).T / np.maximum(grids.count, 1)

    reach = np.arange(-REACH, REACH + 1, dtype=np.float32)
    powers = (np.ones_like(reach), reach, reach * reach)

    def moment(across: int, down: int) -> Floats:
        kernels = powers[across], powers[down]
        found = cv2.sepFilter2D(image, -1, *kernels, borderType=cv2.BORDER_CONSTANT)
        return sheet.at(found).astype(np.float64)

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
        yield grids.shares(here)
        yield grids.shares(here & (straight > STRAIGHT[-1]))
        yield grids.sums(straight * here) / np.maximum(grids.sums(here), 1)
        yield grids.shares(straight * (here & (radial < -0.5)))
        yield grids.shares(straight * (here & (radial > 0)))
    for bound in CROWDED:
        yield grids.shares(count > bound * (2 * REACH + 1) ** 2)
    for bound in STRAIGHT:
        yield grids.shares(straight > bound)
    yield np.sqrt(grids.sums((straight > STRAIGHT[-1]) & (count <= THIN))) / 10
