"""Die maps seen through a change of place."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.wafer.data.record import FAIL, NO_DIE, PASS
from pipelines.wafer.warp import turn, warped
from tests.pipelines.wafer import tiny


def disc(side: int) -> NDArray[np.uint8]:
    place = (2 * np.arange(side) + 1) / side - 1
    return (np.hypot(place, place[:, None]) <= 1).astype(np.uint8) * np.uint8(PASS)


@pytest.mark.parametrize("quarters", range(4))
def test_a_quarter_turn_is_that_of_the_array(quarters: int) -> None:
    grid = disc(21)
    grid[(np.random.default_rng(0).random(grid.shape) < 0.3) & (grid != NO_DIE)] = FAIL
    assert (warped(grid, turn(quarters * np.pi / 2)) == np.rot90(grid, quarters)).all()


def test_a_turn_takes_a_spot_to_where_it_belongs() -> None:
    """As a second implementation: the spot's centre, turned as a vector in the wafer's ellipse."""
    rows, cols = 60, 40
    grid = np.full((rows, cols), PASS, np.uint8)
    grid[10:14, 24:27] = FAIL
    before = np.argwhere(grid == FAIL).mean(axis=0)
    for angle in (0.3, 1.2, 2.9, -0.7):
        after = np.argwhere(warped(grid, turn(angle)) == FAIL).mean(axis=0)
        (y, x), (v, u) = (((rows - 1) / 2 - r, c - (cols - 1) / 2) for r, c in (before, after))
        here = complex(x / cols, y / rows) * np.exp(1j * angle)
        assert u / cols == pytest.approx(here.real, abs=0.015)
        assert v / rows == pytest.approx(here.imag, abs=0.015)


def test_the_dies_stay_and_the_grid_is_not_written_to() -> None:
    grid = tiny.random_grid(np.random.default_rng(0), 30, 41)
    before = grid.copy()
    changed = warped(grid, turn(0.8))
    assert (grid == before).all()
    assert changed.dtype == np.uint8
    assert ((changed == NO_DIE) == (grid == NO_DIE)).all()


def test_what_comes_from_beside_the_wafer_passes() -> None:
    changed = warped(np.full((15, 15), FAIL, np.uint8), lambda x, y: (x + 1, y))
    assert (changed[:, :7] == FAIL).all()
    assert (changed[:, 8:] == PASS).all()
    grid = np.where(disc(15) != NO_DIE, FAIL, NO_DIE).astype(np.uint8)
    corner = warped(grid, lambda x, y: (np.ones_like(x), np.ones_like(y)))
    assert (corner[grid != NO_DIE] == PASS).all()


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (1, 1), (1, 9)])
def test_small_grids(shape: tuple[int, int]) -> None:
    assert warped(np.full(shape, PASS, np.uint8), turn(1.0)).shape == shape
