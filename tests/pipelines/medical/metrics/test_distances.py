"""Distances between shapes that are known, and against other implementations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pipelines.medical.metrics import SurfaceDistances, surface_distances, surface_of
from tests.pipelines.medical.metrics.shapes import ball, blob, box

SPACING = (0.5, 0.7, 3.0)
Mask = NDArray[np.bool_]
monai_warns = pytest.mark.filterwarnings("ignore:monai.metrics.utils get_mask_edges:FutureWarning")


def between(first: Mask, second: Mask, spacing: object = (1.0, 1.0, 1.0)) -> SurfaceDistances:
    return surface_distances(surface_of(first, spacing), surface_of(second, spacing))


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("steps", [1, 2])
def test_a_shifted_box_is_as_far_as_it_was_shifted(axis: int, steps: int) -> None:
    first = box((26, 24, 12), (5, 6, 4), (16, 12, 3))  # about a cube in mm
    found = between(first, np.roll(first, steps, axis), SPACING)
    shift = steps * SPACING[axis]
    assert found.hausdorff() == pytest.approx(shift)
    assert found.hausdorff(0.95) == pytest.approx(shift)  # two faces of six, more than 5% of the area
    assert found.within(shift) == pytest.approx(1)
    assert found.within(0.99 * shift) < 1
    assert 0 < found.average() < shift


def test_distances_of_a_slab_by_hand() -> None:
    """Two plates, one voxel thick and 2 mm apart: everything but their rims is 2 mm from the other."""
    first = box((60, 60, 7), (5, 5, 2), (50, 50, 1))
    found = between(first, np.roll(first, 1, 2), (1.0, 1.0, 2.0))
    # The upper face of the first and the lower one of the second fall together; the outer two are 2 mm away.
    assert found.hausdorff() == pytest.approx(2)
    assert found.average() == pytest.approx(1, abs=0.03)
    assert found.within(0.0) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 2.5)])
def test_two_balls_are_as_far_as_their_radii_differ(spacing: tuple[float, float, float]) -> None:
    shape = tuple(round(70 / step) for step in spacing)
    found = between(ball(20, shape, spacing), ball(30, shape, spacing), spacing)
    for measured in (found.hausdorff(), found.hausdorff(0.95), found.average()):
        assert measured == pytest.approx(10, abs=0.8 * max(spacing))
    assert found.within(8 if max(spacing) < 2 else 7) == 0
    assert found.within(10 + max(spacing)) == 1


def test_the_larger_direction_counts() -> None:
    """A far speck is far from the ball, though all of the ball is near to ball and speck."""
    first = ball(5, (40, 20, 20))
    second = first.copy()
    second[36, 10, 10] = True
    found, back = between(first, second), between(second, first)
    assert found.first.max() == 0
    assert found.hausdorff() == back.hausdorff() > 10
    assert found.hausdorff(0.95) == 0  # the speck has less than 5% of the area


def test_the_ranked_distance_goes_by_area() -> None:
    found = SurfaceDistances(
        np.array([1.0, 2.0, 3.0]), np.array([94.0, 1.0, 5.0]), np.array([0.5]), np.array([1.0])
    )
    assert found.hausdorff(0.95) == 2
    assert found.hausdorff(0.94) == 1
    assert found.hausdorff(0.951) == 3
    assert found.hausdorff() == 3
    assert found.average() == pytest.approx((94 + 2 + 15 + 0.5) / 101)
    assert found.within(1) == pytest.approx(95 / 101)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.tuples(*[st.floats(0.3, 5)] * 3))
def test_the_order_of_the_masks_does_not_matter(
    one: int, other: int, spacing: tuple[float, float, float]
) -> None:
    first, second = blob(one, (8, 7, 6)), blob(other, (8, 7, 6))
    found, back = between(first, second, spacing), between(second, first, spacing)
    assert found.hausdorff(0.95) == back.hausdorff(0.95) <= found.hausdorff() == back.hausdorff()
    assert found.average() == pytest.approx(back.average())
    assert found.within(1.0) == pytest.approx(back.within(1.0))
    assert 0 <= found.within(1.0) <= found.within(2.0) <= 1 + 1e-12
    assert found.average() <= found.hausdorff() + 1e-12


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_a_mask_is_nowhere_from_itself(seed: int) -> None:
    mask = blob(seed)
    found = between(mask, mask, SPACING)
    assert (found.hausdorff(), found.average(), found.within(0.0)) == (0, 0, 1)


@pytest.mark.parametrize("seed", range(4))
def test_all_distances_against_all_pairs(seed: int) -> None:
    first, second = (surface_of(blob(each), SPACING) for each in (seed, seed + 100))
    table = cdist(first.points, second.points)
    found = surface_distances(first, second)
    np.testing.assert_allclose(found.first, np.sort(table.min(1)), atol=1e-9)
    np.testing.assert_allclose(found.second, np.sort(table.min(0)), atol=1e-9)
    assert found.hausdorff() == pytest.approx(max(table.min(1).max(), table.min(0).max()))


def as_batch(mask: Mask) -> torch.Tensor:
    return torch.from_numpy(mask.astype(np.float32))[None, None]


@monai_warns
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 2.0)])
def test_distances_are_near_those_of_boundary_voxels(seed: int, spacing: tuple[float, float, float]) -> None:
    """MONAI measures between the centres of boundary voxels, which lie inside of the surface, and gives each
    the same weight. Both surfaces move by less than a voxel's half diagonal, so distances differ by less than
    one diagonal; for smooth shapes by far less.
    """
    rng = np.random.default_rng(seed)
    first = ball(11, (36, 36, 24), spacing)
    second = np.roll(ball(9, (36, 36, 24), spacing), rng.integers(-2, 3, 3), (0, 1, 2))
    found = between(first, second, spacing)
    pair = (as_batch(first), as_batch(second))
    diagonal = float(np.linalg.norm(spacing))
    for percentile, ours in ((None, found.hausdorff()), (95, found.hausdorff(0.95))):
        theirs = compute_hausdorff_distance(
            *pair, include_background=True, percentile=percentile, spacing=spacing
        )
        assert ours == pytest.approx(float(theirs), abs=diagonal)
        assert ours == pytest.approx(float(theirs), rel=0.3)
    theirs = compute_average_surface_distance(*pair, include_background=True, symmetric=True, spacing=spacing)
    assert found.average() == pytest.approx(float(theirs), abs=0.35 * diagonal)


@monai_warns
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 2.0)])
@pytest.mark.parametrize("tolerance", [1.0, 2.0, 3.0])
def test_surface_dice_is_near_that_with_areas_of_another(
    spacing: tuple[float, float, float], tolerance: float
) -> None:
    """With `use_subvoxels` MONAI weighs by DeepMind's areas. Its elements lie in the middle of cells, ours in
    the middle of the surface in them, so that a share of elements near the tolerance falls otherwise.
    """
    first, second = ball(11, (36, 36, 24), spacing), np.roll(ball(10, (36, 36, 24), spacing), 1, 0)
    theirs = compute_surface_dice(
        as_batch(first),
        as_batch(second),
        [tolerance],
        include_background=True,
        spacing=spacing,
        use_subvoxels=True,
    )
    found = between(first, second, spacing)
    low, high = (found.within(tolerance + shift * float(np.linalg.norm(spacing))) for shift in (-0.5, 0.5))
    assert low - 0.02 <= float(theirs) <= high + 0.02


@monai_warns
def test_a_box_against_another_implementation_is_exact() -> None:
    """Flat faces lie in the middle of their cells, so the distances are equal; areas at the rims are not."""
    first = box((24, 24, 24), (4, 4, 4), (14, 14, 14))
    second = np.roll(first, 2, 2)
    for tolerance in (0.5, 1.9, 2.0):
        theirs = compute_surface_dice(
            *(as_batch(first), as_batch(second), [tolerance]),
            include_background=True,
            spacing=(1, 1, 1),
            use_subvoxels=True,
        )
        assert between(first, second).within(tolerance) == pytest.approx(float(theirs), abs=0.02)


def test_an_empty_surface_is_refused() -> None:
    with pytest.raises(ValueError, match="empty mask"):
        between(np.zeros((3, 3, 3), np.bool_), np.ones((3, 3, 3), np.bool_))
