"""Random changes keep what a pattern is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.wafer.augment import augment_defects, augment_dies
from pipelines.wafer.data.record import FAIL, NO_DIE, PASS
from tests.pipelines.wafer import tiny


def turns(grid: NDArray[np.uint8]) -> list[list[list[int]]]:
    """The eight turns and mirrorings of a grid."""
    return [np.rot90(one, number).tolist() for one in (grid, grid[:, ::-1]) for number in range(4)]


def test_without_changed_dies_each_of_the_eight_turns_comes_about_as_often() -> None:
    grid = tiny.random_grid(np.random.default_rng(0), 5, 7)
    wanted, rng = turns(grid), np.random.default_rng(1)
    seen = [wanted.index(augment_dies(grid, rng, added=0.0, dropped=0.0).tolist()) for _ in range(400)]
    assert np.bincount(seen, minlength=8).min() > 25


def test_where_dies_are_is_kept_and_few_change() -> None:
    rng = np.random.default_rng(0)
    grid = tiny.random_grid(rng, 60, 50)
    before = grid.copy()
    dies = [(np.array(one) != NO_DIE).tolist() for one in turns(grid)]
    passing, failing = np.count_nonzero(grid == PASS), np.count_nonzero(grid == FAIL)
    untouched, most_added, most_dropped = 0, 0.0, 0.0
    for _ in range(60):
        changed = augment_dies(grid, rng)
        assert changed.dtype == np.uint8
        place = dies.index((changed != NO_DIE).tolist())
        original = np.array(turns(grid)[place])
        added = np.count_nonzero((original == PASS) & (changed == FAIL)) / passing
        dropped = np.count_nonzero((original == FAIL) & (changed == PASS)) / failing
        untouched += not added + dropped
        most_added, most_dropped = max(most_added, added), max(most_dropped, dropped)
    # The shares are chances, so what comes of them may exceed them by a little.
    assert 0.01 < most_added < 0.02 + 0.015
    assert 0.05 < most_dropped < 0.1 + 0.04
    assert 15 < untouched < 45
    assert (grid == before).all()


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 9)])
def test_small_grids_are_no_trouble(shape: tuple[int, int]) -> None:
    for seed in range(8):
        changed = augment_dies(np.full(shape, PASS, np.uint8), np.random.default_rng(seed))
        assert sorted(changed.shape) == sorted(shape)


def test_equal_seeds_give_equal_maps() -> None:
    rng = np.random.default_rng(0)
    grid, defects = tiny.toy_grid(rng, "Edge"), tiny.toy_defects(rng, "ring")
    for change in (
        lambda seed: augment_dies(grid, np.random.default_rng(seed)).tolist(),
        lambda seed: augment_defects(defects, 300.0, np.random.default_rng(seed)).tolist(),
    ):
        assert change(5) == change(5)
        assert len({str(change(seed)) for seed in range(12)}) > 6


def test_a_turn_alone_keeps_every_distance() -> None:
    defects = tiny.toy_defects(np.random.default_rng(0), "normal")
    mirrored = set()
    for seed in range(10):
        rng = np.random.default_rng(seed)
        moved = augment_defects(defects, 300.0, rng, shift_mm=0.0, added=0.0)
        np.testing.assert_allclose(moved @ moved.T, defects @ defects.T, atol=1e-8)
        turn, *_ = np.linalg.lstsq(defects, moved, rcond=None)
        mirrored.add(round(float(np.linalg.det(turn))))
    assert mirrored == {-1, 1}


def test_the_shift_is_small_and_the_same_for_all_defects() -> None:
    defects = np.random.default_rng(0).uniform(-40, 40, (50, 2))
    shifts = []
    for seed in range(200):
        plain, shifted = (
            augment_defects(defects, 300.0, np.random.default_rng(seed), shift_mm=mm, added=0.0)
            for mm in (0.0, 2.0)
        )
        assert np.ptp(shifted - plain, axis=0).max() < 1e-9
        shifts.append((shifted - plain)[0])
    assert np.std(shifts, axis=0) == pytest.approx(2.0, rel=0.2)
    assert np.mean(shifts, axis=0) == pytest.approx(0.0, abs=0.6)


@pytest.mark.parametrize("diameter", [100.0, 300.0])
def test_defects_stay_on_the_wafer(diameter: float) -> None:
    rng = np.random.default_rng(0)
    ring = tiny.toy_defects(rng, "ring") * diameter / 300
    for _ in range(50):
        moved = augment_defects(ring, diameter, rng, shift_mm=20.0, added=1.0)
        assert np.hypot(*moved.T).max(initial=0) <= diameter / 2
        assert moved.dtype == np.float64


@pytest.mark.parametrize(("count", "least"), [(100, 100), (400, 100), (5_000, 750)])
def test_thinning_leaves_enough(count: int, least: int) -> None:
    """`least`: what the smallest share leaves on average; chance may take a few more."""
    defects = np.random.default_rng(0).uniform(-60, 60, (count, 2))
    left = [
        len(augment_defects(defects, 300.0, np.random.default_rng(seed), added=0.0)) for seed in range(150)
    ]
    assert min(left) >= least - 5 * np.sqrt(least) * (count > 100)
    assert max(left) > 0.8 * count
    if count > 100:
        assert min(left) < 2 * least


def test_added_defects_are_few_and_anywhere() -> None:
    defects = np.zeros((2_000, 2))
    extra = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        moved = augment_defects(defects, 300.0, rng, shift_mm=0.0, kept=1.0, enough=10**6)
        extra.append(moved[len(defects) :])
    shares = [len(one) / len(defects) for one in extra]
    assert max(shares) < 0.1 + 0.03
    assert np.mean(shares) == pytest.approx(0.05, abs=0.02)
    # Uniform over the wafer: half of them within the radius that encloses half of its area.
    radius = np.hypot(*np.concatenate(extra).T)
    assert np.mean(radius < 150 / np.sqrt(2)) == pytest.approx(0.5, abs=0.03)


def test_a_map_without_defects_stays_one() -> None:
    assert augment_defects(np.zeros((0, 2)), 300.0, np.random.default_rng(0)).shape == (0, 2)
