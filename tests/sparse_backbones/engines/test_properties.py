"""What holds for every set of sites: order, position and company of the sites change nothing."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import hypothesis.strategies as st
import torch
from hypothesis import given, settings
from torch import Tensor, nn

from tests.sparse_backbones.oracle import (
    Kernel,
    Outcome,
    assert_close,
    assert_same,
    convolution,
    distinct,
    in_order,
    outcome,
    random_sites,
    run,
)

STRIDE = 4  # of the coarsest map in the network below

# Small examples of every shape; derandomised, so that a failure is the same for everybody.
quickly = settings(max_examples=25, deadline=None, derandomize=True, database=None)


@st.composite
def site_sets(draw: st.DrawFn, dimensions: tuple[int, ...] = (2, 3)) -> Tensor:
    """Distinct sites, int32 (N, 1 + D), N from 1 to 40, dense to scattered, of up to three batch items."""
    dimension = draw(st.sampled_from(dimensions))
    reach = draw(st.sampled_from([1, 3, 8, 1000]))
    coordinate = st.integers(-reach, reach)
    site = st.tuples(st.integers(0, 2), *[coordinate] * dimension)
    return torch.tensor(draw(st.lists(site, min_size=1, max_size=40, unique=True)), dtype=torch.int32)


@cache
def network(engine: ModuleType, dimension: int) -> nn.Module:
    """Down twice and up again, with fixed weights, in float64."""
    torch.manual_seed(5)
    return nn.Sequential(
        engine.MinkowskiConvolution(2, 4, kernel_size=3, bias=True, dimension=dimension),
        engine.MinkowskiTanh(),
        engine.MinkowskiConvolution(4, 4, kernel_size=2, stride=2, dimension=dimension),
        engine.MinkowskiMaxPooling(kernel_size=3, stride=2, dimension=dimension),
        engine.MinkowskiConvolution(4, 4, kernel_size=3, dimension=dimension),
        engine.MinkowskiConvolutionTranspose(4, 3, kernel_size=4, stride=4, dimension=dimension),
    ).double()


def features_of(sites: Tensor) -> Tensor:
    """Features that belong to the site, whatever row it has, float64 (N, 2)."""
    mixed = sites.double() @ torch.arange(1, sites.shape[1] + 1).double()
    return torch.stack([torch.sin(mixed), torch.cos(2.3 * mixed)], dim=1)


def answer(engine: ModuleType, sites: Tensor, features: Tensor | None = None) -> Outcome:
    """The network's outcome, with the input's gradient sorted by site too."""
    given_features = features_of(sites) if features is None else features
    result = run(engine, network(engine, sites.shape[1] - 1), sites, given_features)
    return result._replace(
        gradients={**result.gradients, "input": result.gradients["input"][in_order(sites)]}
    )


@quickly
@given(sites=site_sets(), data=st.data())
def test_the_order_of_the_rows_changes_nothing(engine: ModuleType, sites: Tensor, data: Any) -> None:
    order = torch.tensor(data.draw(st.permutations(range(len(sites)))))
    assert_same(answer(engine, sites[order]), answer(engine, sites))


@quickly
@given(sites=site_sets(), data=st.data())
def test_a_shift_by_a_multiple_of_the_stride_changes_nothing(
    engine: ModuleType, sites: Tensor, data: Any
) -> None:
    shift = data.draw(st.lists(st.integers(-(2**18), 2**18), min_size=3, max_size=3))
    moved = sites.clone()
    moved[:, 1:] += STRIDE * torch.tensor(shift[: sites.shape[1] - 1], dtype=torch.int32)
    features = features_of(sites)
    there, here = answer(engine, moved, features), answer(engine, sites, features)
    assert_same(there._replace(sites=here.sites), here)
    offset = there.sites - here.sites
    assert (offset == offset[0]).all()


@quickly
@given(sites=site_sets())
def test_the_other_items_of_a_batch_change_nothing(engine: ModuleType, sites: Tensor) -> None:
    together = answer(engine, sites)
    for item in set(sites[:, 0].tolist()):
        alone = sites[sites[:, 0] == item].clone()
        features = features_of(alone)
        alone[:, 0] = 0
        assert_close(
            answer(engine, alone, features).features, together.features[together.sites[:, 0] == item]
        )


@quickly
@given(
    sites=site_sets(),
    size=st.sampled_from([1, 2, 3, 4, 5]),
    stride=st.sampled_from([1, 2, 3]),
    dilation=st.sampled_from([1, 2]),
)
def test_convolution_is_that_of_the_dense_grid(
    engine: ModuleType, sites: Tensor, size: int, stride: int, dilation: int
) -> None:
    sites = sites.clone()
    sites[:, 1:] %= 9
    sites = distinct(sites)
    kernel = Kernel.of(sites.shape[1] - 1, size, stride, dilation)
    layer = engine.MinkowskiConvolution(2, 3, **kernel.arguments()).double()
    leaf = features_of(sites).requires_grad_()
    weight = layer.kernel.detach().reshape(kernel.volume, 2, 3).requires_grad_()
    expected = outcome(*convolution(sites, leaf, weight, kernel), {"input": leaf, "kernel": weight})
    actual = run(engine, layer, sites, features_of(sites))
    actual.gradients["kernel"] = actual.gradients["kernel"].reshape(weight.shape)
    assert_same(actual, expected)


@quickly
@given(sites=site_sets(), copies=st.integers(2, 3), seed=st.integers(0, 99))
def test_the_sum_of_duplicates_is_linear(native: ModuleType, sites: Tensor, copies: int, seed: int) -> None:
    """Sites given several times over, in any order, sum to one with the features added."""
    order = torch.randperm(copies * len(sites), generator=torch.Generator().manual_seed(seed))
    mode = native.SparseTensorQuantizationMode.UNWEIGHTED_SUM
    many = native.SparseTensor(
        features_of(sites).repeat(copies, 1)[order], sites.repeat(copies, 1)[order], quantization_mode=mode
    )
    once = outcome(sites, copies * features_of(sites), {})
    assert_same(outcome(many.C, many.F, {}), once)


@quickly
@given(seed=st.integers(0, 2**20), dimension=st.sampled_from([2, 3]), bits=st.integers(1, 31))
def test_every_size_of_box_gives_the_same_as_a_small_one(
    native: ModuleType, seed: int, dimension: int, bits: int
) -> None:
    """One site far away decides how sites are packed, and must not decide what a kernel finds."""
    torch.manual_seed(seed)
    sites = random_sites(20, dimension, -3, 4, batch=(0, 1))
    far = torch.tensor([[2, *[2**bits - 1] * dimension]], dtype=torch.int32)
    together = answer(native, torch.cat([sites, far]), features_of(torch.cat([sites, far])))
    near = together.sites[:, 0] < 2
    assert_close(together.features[near], answer(native, sites).features)
