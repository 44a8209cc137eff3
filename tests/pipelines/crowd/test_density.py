"""Counts, density maps and resized maps: sums are numbers of people, whatever the sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pipelines.crowd.data import in_frame
from pipelines.crowd.density import (
    adaptive_sigmas,
    block_counts,
    cell_edges,
    density_map,
    grid_shape,
    region_sums,
    resize_sum,
)

sides = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=40, deadline=None)


def points_around(seed: int, height: int, width: int, count: int = 20) -> NDArray[np.float64]:
    """Random points, some of them on the edges and some out of frame."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(-0.2, 1.2, (count, 2)) * (width, height)
    points[:3] = [[0, 0], [width, height], [width, 0]]
    return points


@quick
@given(seeds, sides, sides, st.integers(1, 50))
def test_block_counts_sum_to_the_points_in_frame(seed: int, height: int, width: int, block: int) -> None:
    points = points_around(seed, height, width)
    counts = block_counts(points, height, width, block)
    assert counts.dtype == np.int64
    assert counts.shape == grid_shape(height, width, block)
    assert counts.sum() == np.count_nonzero(in_frame(points, width, height))


@quick
@given(seeds, st.integers(1, 8), st.integers(1, 8), st.integers(1, 6), st.integers(1, 5))
def test_blocks_of_blocks_are_larger_blocks(seed: int, rows: int, columns: int, block: int, by: int) -> None:
    height, width = rows * block * by, columns * block * by
    points = points_around(seed, height, width)
    small = block_counts(points, height, width, block)
    large = block_counts(points, height, width, block * by)
    np.testing.assert_array_equal(small.reshape(rows, by, columns, by).sum(axis=(1, 3)), large)


def test_a_point_on_a_line_belongs_to_the_later_block() -> None:
    points = np.array([[0, 0], [4, 0], [3.999, 4], [8, 8], [10, 6]])
    assert block_counts(points, 8, 10, 4).tolist() == [[1, 1, 0], [1, 0, 2]]


@quick
@given(seeds, sides, sides, st.integers(1, 9), st.floats(0, 30))
@example(0, 1, 5, 2, 2.5e-308)
def test_a_density_map_sums_to_the_heads_in_frame(
    seed: int, height: int, width: int, cell: int, sigma: float
) -> None:
    points = points_around(seed, height, width)
    density = density_map(points, height, width, sigma, cell)
    assert density.dtype == np.float32 and density.min() >= 0
    assert density.shape == grid_shape(height, width, cell)
    assert density.sum(dtype=np.float64) == pytest.approx(in_frame(points, width, height).sum(), rel=1e-5)


@quick
@given(seeds, st.integers(1, 10), st.integers(1, 10), st.integers(2, 5), st.floats(0.3, 8))
def test_a_coarse_density_is_the_fine_one_summed(
    seed: int, rows: int, columns: int, cell: int, sigma: float
) -> None:
    """Up to where the Gaussian is cut: with a cell's width it can be cut later."""
    height, width = rows * cell, columns * cell
    points = points_around(seed, height, width)
    fine = density_map(points, height, width, sigma).reshape(rows, cell, columns, cell).sum(axis=(1, 3))
    np.testing.assert_allclose(density_map(points, height, width, sigma, cell), fine, atol=2e-4)


def test_far_from_the_border_it_is_a_gaussian() -> None:
    """Another implementation: a filter over the pixel that holds the head, its integral over pixels aside."""
    density = density_map([[30.5, 40.5]], 80, 60, sigma=5.0)
    pixel = np.zeros((80, 60))
    pixel[40, 30] = 1
    np.testing.assert_allclose(density, gaussian_filter(pixel, 5.0, truncate=4.0), atol=3e-5)


def test_without_a_width_a_head_is_in_one_cell() -> None:
    points = points_around(3, 30, 50)
    np.testing.assert_array_equal(density_map(points, 30, 50, 0.0, 8), block_counts(points, 30, 50, 8))


def test_each_head_has_its_own_width() -> None:
    points, sigmas = np.array([[10.0, 10], [-5, 3], [40, 20]]), np.array([1.0, 9, 6])
    apart = density_map(points[:1], 30, 50, 1.0) + density_map(points[2:], 30, 50, 6.0)
    np.testing.assert_allclose(density_map(points, 30, 50, sigmas), apart, atol=1e-7)


def test_no_heads_give_an_empty_map() -> None:
    assert density_map(np.empty((0, 2)), 5, 7).sum() == 0
    assert block_counts([], 5, 7, 2).shape == (3, 4)


@pytest.mark.parametrize("sigma", [-1.0, np.nan, np.inf])
def test_a_width_that_is_none(sigma: float) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        density_map([[1, 1]], 5, 7, sigma)


def test_widths_follow_the_distance_to_neighbours() -> None:
    points = np.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    expected = 0.3 * (10 + 10 + np.sqrt(200)) / 3
    np.testing.assert_allclose(adaptive_sigmas(points), expected)
    assert adaptive_sigmas([[3, 3]]).tolist() == [20]
    assert adaptive_sigmas([[3, 3], [3, 3]]).tolist() == [1, 1]
    assert adaptive_sigmas([]).shape == (0,)


@quick
@given(seeds, sides, sides, sides, sides)
def test_resizing_keeps_the_sum(seed: int, height: int, width: int, rows: int, columns: int) -> None:
    values = np.random.default_rng(seed).exponential(size=(height, width))
    resized = resize_sum(values, rows, columns)
    assert resized.shape == (rows, columns) and resized.min() >= 0
    assert resized.sum() == pytest.approx(values.sum(), rel=1e-12)


@quick
@given(seeds, st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(1, 5))
def test_whole_factors_sum_or_share(seed: int, rows: int, columns: int, down: int, across: int) -> None:
    values = np.random.default_rng(seed).exponential(size=(rows * down, columns * across))
    summed = values.reshape(rows, down, columns, across).sum(axis=(1, 3))
    np.testing.assert_allclose(resize_sum(values, rows, columns), summed, rtol=1e-12)
    shared = np.repeat(np.repeat(summed, down, 0), across, 1) / (down * across)
    np.testing.assert_allclose(resize_sum(summed, *values.shape), shared, rtol=1e-12)


@quick
@given(seeds, sides, sides, sides, sides)
def test_each_axis_on_its_own(seed: int, height: int, width: int, rows: int, columns: int) -> None:
    values = np.random.default_rng(seed).exponential(size=(height, width))
    steps = resize_sum(resize_sum(values, rows, width), rows, columns)
    np.testing.assert_allclose(resize_sum(values, rows, columns), steps, rtol=1e-12)
    np.testing.assert_allclose(resize_sum(values.T, columns, rows).T, steps, rtol=1e-12)


def test_the_same_size_changes_nothing_and_types_are_kept() -> None:
    values = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    same = resize_sum(values, 7, 5)
    assert same.dtype == np.float32
    np.testing.assert_array_equal(same, values)
    assert resize_sum(np.ones((2, 2), np.int64), 1, 1).tolist() == [[4.0]]


def test_channels_are_resized_apart() -> None:
    values = np.random.default_rng(0).random((7, 5, 3))
    for channel in range(3):
        np.testing.assert_allclose(
            resize_sum(values, 4, 9)[:, :, channel], resize_sum(values[:, :, channel], 4, 9)
        )


def test_doubling_an_image_keeps_its_count() -> None:
    points = points_around(1, 60, 80, 50)
    once = density_map(points, 60, 80, 4.0)
    twice = density_map(points * 2, 120, 160, 8.0)
    np.testing.assert_allclose(resize_sum(twice, 60, 80), once, atol=1e-6)


@quick
@given(seeds, sides, sides, st.integers(1, 9), st.integers(1, 9))
def test_regions_sum_to_the_whole(seed: int, height: int, width: int, cell: int, regions: int) -> None:
    values = np.random.default_rng(seed).exponential(size=grid_shape(height, width, cell))
    sums = region_sums(values, height, width, regions, cell)
    assert sums.sum() == pytest.approx(values.sum(), rel=1e-12)
    assert region_sums(values, height, width, regions).sum() == pytest.approx(values.sum(), rel=1e-12)


def test_a_last_cell_that_is_cut_lies_where_the_image_is() -> None:
    assert cell_edges(3, 10, 4).tolist() == [0, 4, 8, 10]
    # 10 px wide, halves of 5 px: the cell from 4 to 8 has a quarter in the first.
    assert region_sums(np.array([[1.0, 4, 2]]), 4, 10, 2, 4).sum(axis=0).tolist() == [2, 5]
    with pytest.raises(ValueError, match="do not cover"):
        cell_edges(3, 20, 4)


@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 2, 2, 2)])
def test_what_is_no_map_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="cannot be resized"):
        resize_sum(np.zeros(shape), 3, 3)
    with pytest.raises(ValueError, match="cells of 0 px"):
        block_counts([], 4, 4, 0)
