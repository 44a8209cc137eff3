"""GAME by hand, by its bounds, and against a loop over parts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.crowd.density import block_counts, density_map, grid_shape
from pipelines.crowd.metrics import LEVELS, game

quick = settings(max_examples=25, deadline=None)


def test_by_hand() -> None:
    """Heads in the upper left and the lower right quarter; the map has both people in the upper left one."""
    points = [[1, 1], [7, 7]]
    predicted = np.zeros((8, 8))
    predicted[0, 0] = 2
    assert game(points, predicted, 8, 8, 0) == 0
    assert game(points, predicted, 8, 8, 1) == 2  # one too many in one part, one too few in another
    # 16 parts of 2 px: the head at 1, 1 is still in the part of the map's people.
    assert game(points, predicted, 8, 8, 2) == 2
    # 64 parts of 1 px: it is not, so two too many, and two heads missed.
    assert game(points, predicted, 8, 8, 3) == 4


def test_a_perfect_map_has_no_error_at_any_level() -> None:
    points = np.random.default_rng(0).uniform(0, 64, (30, 2))
    for level in LEVELS:
        assert game(points, block_counts(points, 64, 64, 8), 64, 64, level) == pytest.approx(0)


def test_points_out_of_frame_do_not_count() -> None:
    assert game([[1, 1], [-3, 1], [9, 1]], np.ones((1, 1)), 8, 8, 0) == 0


@quick
@given(st.integers(0, 2**32 - 1), st.integers(8, 60), st.integers(8, 60), st.integers(1, 5))
def test_it_never_falls_with_the_level(seed: int, height: int, width: int, cell: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (15, 2)) * (width, height)
    predicted = rng.exponential(size=grid_shape(height, width, cell)) / 10
    found = [game(points, predicted, height, width, level, cell) for level in LEVELS]
    assert found[0] == pytest.approx(abs(predicted.sum() - 15))
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(found))


@pytest.mark.parametrize("level", LEVELS)
def test_against_a_loop_over_parts(level: int) -> None:
    """Where each part holds whole pixels, its sum is a sum of pixels."""
    rng = np.random.default_rng(3)
    height, width = 48, 80
    points = rng.uniform(0, 1, (40, 2)) * (width, height)
    predicted = density_map(rng.uniform(0, 1, (35, 2)) * (width, height), height, width, 3.0)
    parts, error = 2**level, 0.0
    down, across = height // parts, width // parts
    for row in range(parts):
        for column in range(parts):
            left, top = column * across, row * down
            x, y = points.T
            true = ((left <= x) & (x < left + across) & (top <= y) & (y < top + down)).sum()
            error += abs(predicted[top : top + down, left : left + across].sum(dtype=float) - true)
    assert game(points, predicted, height, width, level) == pytest.approx(error, abs=1e-6)
