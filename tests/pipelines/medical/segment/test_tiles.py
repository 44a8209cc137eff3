"""Where tiles lie, what they count, and how far a network sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.common.engines import load_engine
from pipelines.medical.config import NetworkPlan
from pipelines.medical.model.networks import build_network
from pipelines.medical.segment.tiles import axis_weights, reach, slow_axis, starts, tile_grid, total_stride

sides = st.integers(1, 90)
patches = st.integers(2, 40)
overlaps = st.sampled_from([0.0, 0.25, 0.5, 0.7, 0.9])


@settings(deadline=None)
@given(sides, patches, overlaps)
def test_tiles_cover_an_axis_with_at_least_the_overlap(side: int, patch: int, overlap: float) -> None:
    found = starts(side, patch, overlap)
    if side <= patch:
        assert len(found) == 1
        assert found[0] <= 0 and found[0] + patch >= side
        return
    assert found[0] == 0 and found[-1] == side - patch
    steps = np.diff(found)
    assert steps.min() >= 1
    assert steps.max() <= max(1, int(patch * (1 - overlap))) + 1  # even steps are rounded


@settings(deadline=None)
@given(sides, patches, overlaps)
def test_weights_sum_to_one_along_an_axis(side: int, patch: int, overlap: float) -> None:
    begin = starts(side, patch, overlap)
    total = torch.zeros(side)
    for first, weights in zip(begin, axis_weights(side, patch, begin), strict=True):
        low, high = max(first, 0), min(first + patch, side)
        total[low:high] += weights[low - first : high - first]
    torch.testing.assert_close(total, torch.ones(side))


def test_weights_are_gaussian_where_two_tiles_meet() -> None:
    one, two = axis_weights(24, 16, [0, 8])
    centre, sigma = 7.5, 2.0
    bell = [float(np.exp(-0.5 * ((place - centre) / sigma) ** 2)) for place in (10, 2)]
    assert float(one[10]) == pytest.approx(bell[0] / sum(bell), rel=1e-5)
    assert float(two[2]) == pytest.approx(bell[1] / sum(bell), rel=1e-5)


@settings(max_examples=20, deadline=None)
@given(st.tuples(sides, sides, sides).filter(lambda one: np.prod(one) < 15_000), overlaps, st.integers(0, 2))
def test_rows_of_tiles_are_in_order_and_sum_to_one(
    shape: tuple[int, int, int], overlap: float, slow: int
) -> None:
    patch = (12, 16, 20)
    total = torch.zeros(shape)
    before = 0
    for row, end in tile_grid(shape, patch, overlap, slow):
        for tile in row:
            there, here = tile.inner(shape)
            assert there[slow].start >= before, "a tile reaches back to what is finished"
            x, y, z = (weights[part] for weights, part in zip(tile.weights, here, strict=True))
            total[there] += x[:, None, None] * y[:, None] * z
        before = end
    assert before == shape[slow]
    torch.testing.assert_close(total, torch.ones(shape))


def test_a_tile_that_hangs_over_the_edge_has_zeros_there() -> None:
    image = torch.arange(1.0, 1 + 3 * 4 * 5).reshape(1, 3, 4, 5)
    [([tile], _)] = tile_grid((3, 4, 5), (8, 8, 8), 0.5, 0)
    cut = tile.cut(image)
    assert cut.shape == (1, 8, 8, 8)
    there, here = tile.inner((3, 4, 5))
    assert torch.equal(cut[(slice(None), *here)], image[(slice(None), *there)])
    assert float(cut.sum()) == float(image.sum())
    mask = tile.cut(torch.ones(3, 4, 5, dtype=torch.bool))
    assert mask.dtype == torch.bool and int(mask.sum()) == 60


def test_the_slow_axis_is_the_one_with_the_thinnest_slab() -> None:
    assert slow_axis((512, 512, 800), (64, 64, 64)) == 2
    assert slow_axis((300, 100, 100), (64, 64, 64)) == 0
    assert slow_axis((256, 256, 25), (128, 128, 8)) == 2


EVEN = [
    NetworkPlan(channels=(2, 2), blocks=(1, 1), strides=((2, 2, 2),), heads=1),
    NetworkPlan(channels=(2, 2, 2), blocks=(1, 2, 1), strides=((2, 2, 1), (2, 2, 2)), heads=1),
    NetworkPlan(channels=(2,), blocks=(2,), strides=(), heads=1),
]
ODD = [
    NetworkPlan(channels=(2, 2, 2), blocks=(1, 1, 2), strides=((1, 2, 2), (3, 2, 2)), heads=1),
    NetworkPlan(channels=(2, 2), blocks=(1, 1), strides=((3, 5, 2),), heads=1),
]


@pytest.mark.parametrize("plan", EVEN)
def test_the_reach_is_what_the_network_sees_no_more_and_no_less(plan: NetworkPlan) -> None:
    for far, before, after in zip(reach(plan), *seen_around(plan), strict=True):
        assert before == after == far


@pytest.mark.parametrize("plan", ODD)
def test_the_reach_is_no_less_than_what_the_network_sees_with_odd_strides(plan: NetworkPlan) -> None:
    for far, before, after in zip(reach(plan), *seen_around(plan), strict=True):
        assert 0 < max(before, after) <= far


def seen_around(plan: NetworkPlan) -> tuple[list[int], list[int]]:
    """How far before and after a block of the coarsest stride its scores depend on the image, per axis."""
    network = build_network(
        plan, in_channels=1, classes=2, patch=(8, 8, 8), engine=load_engine("native")
    ).eval()
    for parameter in network.core.parameters():  # all positive: nothing cancels and no ReLU closes
        parameter.data = parameter.data.abs() + 0.1
    far, stride = reach(plan), total_stride(plan)
    # In the middle of more than it can see.
    before = [-(-(side + 1) // step) * step for side, step in zip(far, stride, strict=True)]
    shape = [2 * margin + step for margin, step in zip(before, stride, strict=True)]
    image = torch.rand(1, 1, *shape, requires_grad=True)
    block = tuple(slice(margin, margin + step) for margin, step in zip(before, stride, strict=True))
    network(image)[0][(0, slice(None), *block)].sum().backward()
    assert image.grad is not None
    seen = image.grad[0, 0].nonzero()
    low = [margin - int(seen[:, axis].min()) for axis, margin in enumerate(before)]
    high = [int(seen[:, axis].max()) - before[axis] - stride[axis] + 1 for axis in range(3)]
    return low, high
