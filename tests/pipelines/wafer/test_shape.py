"""A pattern in numbers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from pipelines.wafer import shape
from pipelines.wafer.data.record import FAIL, NO_DIE, PASS
from pipelines.wafer.shape import BLOBS, RINGS, SHAPE_FEATURES, shapes

Grid = NDArray[np.uint8]
# Where each group of numbers begins.
WHOLE = shape.SPREAD_FEATURES - 2
BLOB = shape.SPREAD_FEATURES
TOUCH = BLOB + shape.BLOB_FEATURES
LINES = TOUCH + shape.TOUCHING


def wafer(side: int = 41, cols: int | None = None) -> Grid:
    y, x = (np.abs((2 * np.arange(n) + 1) / n - 1) for n in (side, cols or side))
    return np.where(np.hypot(x, y[:, None]) <= 1, PASS, NO_DIE).astype(np.uint8)


def failing(chosen: NDArray[np.bool_], cols: int | None = None) -> Grid:
    grid = wafer(chosen.shape[0], chosen.shape[1])
    grid[chosen & (grid != NO_DIE)] = FAIL
    return grid


def places(side: int = 41) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    place = (2 * np.arange(side) + 1) / side - 1
    return np.meshgrid(place, -place)  # type: ignore[return-value]


def random_wafer(seed: int, side: int = 37, cols: int = 29) -> Grid:
    rng = np.random.default_rng(seed)
    chosen = ndimage.gaussian_filter(rng.normal(size=(side, cols)), 1.5)
    return failing(chosen > np.quantile(chosen, 0.8))


def test_turns_by_right_angles_and_mirroring_change_nothing() -> None:
    grid = random_wafer(0)
    every = [np.rot90(one, number) for one in (grid, grid[:, ::-1]) for number in range(4)]
    found = shapes(every)
    assert found.shape == (8, SHAPE_FEATURES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.repeat(found[:1], 8, axis=0), atol=1e-5)


def test_maps_do_not_see_each_other() -> None:
    grids = [random_wafer(seed, 20 + 3 * seed, 45 - 4 * seed) for seed in range(6)]
    together = shapes(grids)
    np.testing.assert_allclose(together, np.concatenate([shapes([grid]) for grid in grids]), atol=1e-6)


def test_large_grids_are_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = random_wafer(0)
    kept = shapes([grid])
    monkeypatch.setattr(shape, "KEPT_PLACES", grid.size - 1)
    shape._kept_bins.cache_clear()
    np.testing.assert_array_equal(shapes([grid]), kept)
    assert shape._kept_bins.cache_info().currsize == 0


def test_the_rings_say_how_far_out_failing_dies_lie() -> None:
    x, y = places()
    radius = np.hypot(x, y)
    middle, edge = shapes([failing(radius < 0.2), failing(radius > 0.9)])
    assert middle[0] == 1
    assert middle[3:RINGS].max() == 0
    assert edge[: RINGS - 2].max() == 0
    assert edge[RINGS - 1] > 0.85
    share = np.count_nonzero(failing(radius < 0.2) == FAIL) / np.count_nonzero(wafer() != NO_DIE)
    assert middle[WHOLE] == pytest.approx(np.sqrt(share))


def test_a_ring_goes_round_evenly_and_an_arc_does_not() -> None:
    x, y = places()
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    ring, arc, turned = shapes(
        [
            failing(radius > 0.9),
            failing((radius > 0.9) & (np.abs(angle) < 0.6)),
            failing((radius > 0.9) & (np.abs(angle - 1.1) < 0.6)),
        ]
    )
    first = slice(RINGS + 5 * (RINGS - 1), RINGS + 5 * RINGS)
    assert ring[first][0] < 0.05
    assert arc[first][0] > 0.3
    np.testing.assert_allclose(arc[first], turned[first], atol=0.08)


def test_groups_are_those_of_a_second_implementation() -> None:
    for seed in range(4):
        grid = random_wafer(seed)
        labels, count = ndimage.label(grid == FAIL, structure=np.ones((3, 3)))
        areas = np.sort(np.bincount(labels.ravel())[1:])[::-1]
        found = shapes([grid])[0]
        dies = np.count_nonzero(grid != NO_DIE)
        np.testing.assert_allclose(found[BLOB : BLOB + BLOBS], np.sqrt(areas[:BLOBS] / dies), rtol=1e-5)
        assert count >= BLOBS
        row, col = np.nonzero(labels == 1 + np.bincount(labels.ravel())[1:].argmax())
        y, x = 1 - (2 * row + 1) / grid.shape[0], (2 * col + 1) / grid.shape[1] - 1
        axes = np.sqrt(np.linalg.eigvalsh(np.cov(np.stack([x, y]), bias=True)))
        radius = np.hypot(x, y)
        wanted = [np.hypot(x.mean(), y.mean()), radius.min(), radius.max(), axes[1], axes[0]]
        np.testing.assert_allclose(found[BLOB + BLOBS : BLOB + BLOBS + 5], wanted, atol=1e-5)


def test_failing_neighbours_are_counted() -> None:
    chosen = np.zeros((21, 21), dtype=bool)
    chosen[10, 5:9] = True  # a row of four: two ends with one neighbour, two dies with two
    chosen[4, 10] = True  # and one alone
    found = shapes([failing(chosen)])[0][TOUCH:LINES]
    np.testing.assert_allclose(found, [0.2, 0.4, 0.4, 0, 0, 0, 0, 0, 0], atol=1e-6)


def test_lines_are_straight_and_blobs_are_not() -> None:
    x, y = places(61)
    line = failing(np.abs(x - y) < 0.02)
    blob = failing(np.hypot(x, y) < 0.3)
    straight, round_ = (found[LINES:] for found in shapes([line, blob]))
    inner = 1  # of the zone around the middle: the share of dies in straight neighbourhoods
    assert straight[inner] > 0.5
    assert round_[inner] < 0.3
    assert straight[-1] > 3 * round_[-1]


def test_lines_to_the_centre_are_told_from_those_around_it() -> None:
    x, y = places(61)
    spoke = failing((np.abs(y) < 0.02) & (x > 0.2) & (x < 0.55))
    arc = failing((np.abs(np.hypot(x, y) - 0.45) < 0.02) & (np.abs(np.arctan2(y, x)) < 0.7))
    for found, around, towards in zip(shapes([spoke, arc]), (False, True), (True, False), strict=True):
        assert (found[LINES + 3] > 0.5) == around
        assert (found[LINES + 4] > 0.5) == towards


def test_no_failing_die_and_no_die_at_all() -> None:
    nothing, none, one = shapes([wafer(), wafer() * 0, failing(np.eye(5, dtype=bool) & (np.arange(5) == 2))])
    assert nothing[WHOLE + 1] > 0
    assert np.count_nonzero(nothing) == 1
    assert not none.any()
    assert np.isfinite(one).all()
    assert shapes([]).shape == (0, SHAPE_FEATURES)
    assert np.isfinite(shapes([np.zeros((0, 0), np.uint8), random_wafer(1)])).all()
    assert np.isfinite(shapes([np.full((1, 1), FAIL, np.uint8), np.full((1, 9), FAIL, np.uint8)])).all()
