"""Maps as images, beside oracles that go cell by cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.wafer.binning import bin_defects, bin_dies, overlaps


def share(mask: NDArray[np.bool_], row: int, col: int, side: int) -> float:
    """The share of one bin's area that the cells of a mask cover, cell by cell."""
    rows, cols = mask.shape
    total = 0.0
    for i, j in zip(*np.nonzero(mask), strict=True):
        high = min((row + 1) / side, (i + 1) / rows) - max(row / side, i / rows)
        wide = min((col + 1) / side, (j + 1) / cols) - max(col / side, j / cols)
        total += max(high, 0) * max(wide, 0) * side * side
    return total


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 8), (19, 13), (20, 7)])
def test_bins_hold_the_area_of_failing_and_of_existing_dies(shape: tuple[int, int]) -> None:
    side = 8
    grid = np.random.default_rng(shape).integers(0, 3, shape).astype(np.uint8)
    image = bin_dies([grid], side)[0]
    assert image.shape == (side, side, 2)
    for row in range(side):
        for col in range(side):
            assert image[row, col, 0] == pytest.approx(255 * share(grid == 2, row, col, side), abs=0.51)
            assert image[row, col, 1] == pytest.approx(255 * share(grid != 0, row, col, side), abs=0.51)


def test_maps_of_several_shapes_keep_their_order() -> None:
    rng = np.random.default_rng(0)
    grids = [rng.integers(0, 3, shape).astype(np.uint8) for shape in ((4, 6), (9, 9), (4, 6), (70, 80))]
    together = bin_dies(grids)
    for grid, image in zip(grids, together, strict=True):
        np.testing.assert_array_equal(bin_dies([grid])[0], image)


def test_a_map_without_cells_is_empty() -> None:
    assert not bin_dies([np.zeros((0, 0), np.uint8), np.zeros((3, 0), np.uint8)]).any()
    assert bin_dies([]).shape == (0, 64, 64, 2)


@pytest.mark.parametrize("cells", [1, 5, 64, 212])
def test_every_bin_is_covered_once(cells: int) -> None:
    np.testing.assert_allclose(overlaps(cells, 64).sum(axis=1), 1, rtol=1e-5)


def test_defects_fall_into_their_bins_with_row_0_on_top() -> None:
    side, diameter = 8, 200.0
    rng = np.random.default_rng(0)
    points = rng.uniform(-110, 110, (60, 2))
    points[:5] = np.array([[99.9, 99.9], [-99.9, 99.9], [0.1, 0.1], [0.1, 0.1], [500, -500]])
    image = bin_defects([points, points[:0]], [diameter, 300.0], side)
    counts = np.zeros((side, side), dtype=int)
    for x, y in points:
        col = min(max(math.floor((x / diameter + 0.5) * side), 0), side - 1)
        up = min(max(math.floor((y / diameter + 0.5) * side), 0), side - 1)
        counts[side - 1 - up, col] += 1
    np.testing.assert_allclose(image[0, :, :, 0], 255 * (1 - np.exp(-counts)), atol=0.51)
    assert not image[1, :, :, 0].any()
    assert image[1, 0, 0, 1] == 0
    assert image[1, 4, 4, 1] == 255
