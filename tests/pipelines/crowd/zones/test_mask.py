"""Masks are exact areas: by hand, by tiling, and against counting points of a fine grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.crowd.density import density_map, grid_shape
from pipelines.crowd.zones import Polygon, Zone, zone_mask
from pipelines.crowd.zones.checks import make_zone

quick = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 30)


def polygon(outer: Any, *holes: Any) -> Polygon:
    return Polygon(np.asarray(outer, float), tuple(np.asarray(hole, float) for hole in holes))


def zone(width: int, height: int, outer: Any, *holes: Any) -> Zone:
    return make_zone("a", [polygon(outer, *holes)], width, height)


def star(seed: int, width: int, height: int, corners: int = 9) -> NDArray[np.float64]:
    """A simple polygon that need not be convex and may reach beyond the image."""
    rng = np.random.default_rng(seed)
    angles = 2 * np.pi * (np.arange(corners) + rng.uniform(0.1, 0.9, corners)) / corners
    radii = rng.uniform(0.2, 0.9, corners)
    ring = np.stack([0.5 + radii * np.cos(angles), 0.5 + radii * np.sin(angles)], axis=1)
    return ring * (width, height)


def test_by_hand() -> None:
    found = zone_mask(zone(6, 4, [[1.5, 1], [4, 1], [4, 3], [1.5, 3]]), 6, 4, (4, 6))
    expected = np.zeros((4, 6))
    expected[1:3, 1:4] = [0.5, 1, 1]
    np.testing.assert_array_equal(found, expected)


def test_a_triangle_takes_half_of_the_cells_on_its_edge() -> None:
    found = zone_mask(zone(4, 4, [[0, 0], [4, 0], [0, 4]]), 4, 4, (4, 4))
    expected = np.flipud(np.tril(np.ones((4, 4))) - 0.5 * np.eye(4))
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_a_hole_is_cut_out_whichever_way_rings_run() -> None:
    outer, hole = [[0, 0], [6, 0], [6, 6], [0, 6]], [[2, 2], [4, 2], [4, 4], [2, 4]]
    for one, other in ((outer, hole), (outer[::-1], hole), (outer, hole[::-1])):
        made = zone(6, 6, one, other)
        found = zone_mask(made, 6, 6, (3, 3))
        assert found.tolist() == [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
        assert made.area_px == 32


def test_several_polygons_of_one_zone() -> None:
    parts = [polygon([[0, 0], [1, 0], [1, 1], [0, 1]]), polygon([[2, 2], [3, 2], [3, 3], [2, 3]])]
    assert zone_mask(make_zone("a", parts, 3, 3), 3, 3, (3, 3)).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_what_lies_beyond_the_image_does_not_count() -> None:
    made = zone(6, 4, [[-10, -10], [3, -10], [3, 50], [-10, 50]])
    assert zone_mask(made, 6, 4, (1, 2)).tolist() == [[1, 0]]
    assert made.notes == ("the zone 'a' reaches beyond the image; only what lies in it counts",)
    around = zone(6, 4, [[-1, -1], [7, -1], [7, 5], [-1, 5]])
    assert zone_mask(around, 6, 4, (2, 3)).tolist() == [[1, 1, 1], [1, 1, 1]]


def test_of_a_cell_that_is_cut_only_the_part_in_the_image_counts() -> None:
    """10 px wide, cells of 4: the last one has 2 px, and half of these is a half of its people."""
    made = zone(10, 4, [[0, 0], [9, 0], [9, 4], [0, 4]])
    assert zone_mask(made, 10, 4, (1, 3), 4).tolist() == [[1, 1, 0.5]]


@quick
@given(seeds, sides, sides, st.integers(1, 40), st.integers(1, 40))
def test_a_mask_is_the_share_of_points_inside(
    seed: int, width: int, height: int, rows: int, columns: int
) -> None:
    """Against the even-odd rule at 24 x 24 points a cell."""
    rows, columns = min(rows, 6), min(columns, 6)
    ring = star(seed, width, height)
    found = zone_mask(zone(width, height, ring), width, height, (rows, columns))
    x = (np.arange(columns * 24) + 0.5) * width / (columns * 24)
    y = (np.arange(rows * 24) + 0.5) * height / (rows * 24)
    inside = even_odd(ring, *np.meshgrid(x, y)).reshape(rows, 24, columns, 24).mean(axis=(1, 3))
    np.testing.assert_allclose(found, inside, atol=0.12)
    assert found.mean() == pytest.approx(inside.mean(), abs=0.02)


def even_odd(ring: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if ay != by:
            inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) / (by - ay) * (bx - ax))
    return inside


@quick
@given(seeds, st.integers(2, 60), st.integers(2, 60), st.integers(1, 9))
def test_zones_that_tile_the_image_sum_to_the_whole(seed: int, width: int, height: int, cell: int) -> None:
    """A star, a frame around it with the star as its hole, in maps of any resolution."""
    ring = star(seed, width, height) * 0.5 + np.array([width, height]) * 0.25
    frame = [[0, 0], [width, 0], [width, height], [0, height]]
    parts = [zone(width, height, ring), zone(width, height, frame, ring)]
    shape = grid_shape(height, width, cell)
    masks = [zone_mask(one, width, height, shape, cell) for one in parts]
    np.testing.assert_allclose(sum(masks), 1, atol=1e-9)
    heads = np.random.default_rng(seed).uniform(0, 1, (30, 2)) * (width, height)
    density = density_map(heads, height, width, 2.0, cell)
    counts = [float((mask * density).sum()) for mask in masks]
    assert sum(counts) == pytest.approx(30, rel=1e-5)


@quick
@given(seeds, st.integers(1, 12), st.integers(1, 12))
def test_triangles_of_a_fan_tile_the_image(seed: int, rows: int, columns: int) -> None:
    middle = np.random.default_rng(seed).uniform(0.1, 0.9, 2) * (50, 30)
    corners = [[0, 0], [50, 0], [50, 30], [0, 30]]
    total = sum(
        zone_mask(zone(50, 30, [middle, corners[i], corners[(i + 1) % 4]]), 50, 30, (rows, columns))
        for i in range(4)
    )
    np.testing.assert_allclose(total, 1, atol=1e-9)


@quick
@given(seeds, sides, sides)
def test_a_coarse_mask_is_the_mean_of_the_fine_one(seed: int, width: int, height: int) -> None:
    made = zone(width, height, star(seed, width, height))
    fine = zone_mask(made, width, height, (12, 18)).reshape(4, 3, 6, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(zone_mask(made, width, height, (4, 6)), fine, atol=1e-9)


def test_a_zone_with_many_corners() -> None:
    angles = np.linspace(0, 2 * np.pi, 2_000, endpoint=False)
    circle = 500 + 400 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = zone_mask(zone(1_000, 1_000, circle), 1_000, 1_000, (100, 100))
    assert found.sum() * 100 == pytest.approx(np.pi * 400**2, rel=1e-5)
