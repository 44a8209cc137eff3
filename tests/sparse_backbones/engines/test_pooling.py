"""Local and global pooling against the dense oracle and between the engines."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from torch import Tensor

from tests.sparse_backbones.oracle import (
    Kernel,
    Outcome,
    assert_close,
    assert_same,
    convolution,
    outcome,
    pooling,
    random_sites,
    run,
)

LOCAL = {"max": "MinkowskiMaxPooling", "avg": "MinkowskiAvgPooling", "sum": "MinkowskiSumPooling"}
GLOBAL = {
    "max": "MinkowskiGlobalMaxPooling",
    "avg": "MinkowskiGlobalAvgPooling",
    "sum": "MinkowskiGlobalSumPooling",
}
KERNELS = [
    Kernel.of(2, 2, 2),
    Kernel.of(2, 3, 2),
    Kernel.of(2, 3),
    Kernel.of(2, (4, 2), (4, 2)),
    Kernel.of(2, 3, dilation=2),
    Kernel.of(3, 2, 2),
    Kernel.of(3, 3, 2),
    Kernel.of(3, 3),
]


@pytest.mark.parametrize("mode", LOCAL)
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_local_pooling(engine: ModuleType, kernel: Kernel, mode: str, dtype: torch.dtype) -> None:
    sites = random_sites(80, kernel.dimension, -4, 5)
    features = torch.randn(len(sites), 3, dtype=dtype)
    layer = getattr(engine, LOCAL[mode])(**kernel.arguments())
    leaf = features.double().requires_grad_()
    targets, result = pooling(sites, leaf, kernel, mode)
    assert_same(run(engine, layer, sites, features), outcome(targets, result, {"input": leaf}))


@pytest.mark.parametrize("mode", LOCAL)
def test_local_pooling_at_a_coarser_stride(engine: ModuleType, mode: str) -> None:
    kernel = Kernel.of(2, 3, 2)
    sites = random_sites(80, 2, -9, 10)
    features = torch.randn(len(sites), 3).double()
    layer = getattr(engine, LOCAL[mode])(**kernel.arguments())
    leaf = features.clone().requires_grad_()
    middle, halfway = pooling(sites, leaf, kernel, mode)
    targets, result = pooling(middle, halfway, kernel, mode, tensor_stride=2)
    twice = torch.nn.Sequential(layer, layer)
    assert_same(run(engine, twice, sites, features), outcome(targets, result, {"input": leaf}))


def global_outcome(sites: Tensor, features: Tensor, mode: str) -> Outcome:
    """One row at the origin for each batch item that has a site."""
    leaf = features.double().requires_grad_()
    items = sorted(set(sites[:, 0].tolist()))
    reduce: dict[str, Callable[[Tensor], Tensor]] = {
        "max": lambda part: part.amax(0),
        "avg": lambda part: part.mean(0),
        "sum": lambda part: part.sum(0),
    }
    rows = [reduce[mode](leaf[sites[:, 0] == item]) for item in items]
    origin = torch.tensor([[item] + [0] * (sites.shape[1] - 1) for item in items])
    return outcome(origin, torch.stack(rows), {"input": leaf})


@pytest.mark.parametrize("mode", GLOBAL)
@pytest.mark.parametrize("dimension", [2, 3])
def test_global_pooling(engine: ModuleType, dimension: int, mode: str, dtype: torch.dtype) -> None:
    sites = random_sites(50, dimension, -5, 6, batch=(0, 1))
    features = torch.randn(len(sites), 3, dtype=dtype)
    result = run(engine, getattr(engine, GLOBAL[mode])(), sites, features)
    assert_same(result, global_outcome(sites, features, mode))


@pytest.mark.parametrize("mode", GLOBAL)
def test_global_pooling_over_a_larger_batch_with_gaps(native: ModuleType, mode: str) -> None:
    """Native alone: MinkowskiEngine 0.5.4 mixes up batch index and row number in its sum and mean.

    With gaps it fails; with three items or more it may give the numbers of one to another.
    """
    sites = random_sites(50, 2, -5, 6, batch=(1, 2, 5))
    features = torch.randn(len(sites), 3).double()
    result = run(native, getattr(native, GLOBAL[mode])(), sites, features)
    assert result.sites[:, 0].tolist() == [1, 2, 5]
    assert_same(result, global_outcome(sites, features, mode))


@pytest.mark.parametrize("mode", GLOBAL)
def test_global_pooling_of_several_strides_of_one_input(engine: ModuleType, mode: str) -> None:
    sites = random_sites(50, 2, -5, 6, batch=(0, 1))
    features = torch.randn(len(sites), 3).double()
    fine = engine.SparseTensor(features, sites)
    coarse = engine.MinkowskiSumPooling(kernel_size=2, stride=2, dimension=2)(fine)
    for tensor in (fine, coarse, fine):
        pooled = getattr(engine, GLOBAL[mode])()(tensor)
        assert list(pooled.tensor_stride) == [0, 0]
        actual = outcome(pooled.C, pooled.F, {})
        expected = global_outcome(tensor.C, tensor.F, mode)
        assert torch.equal(actual.sites, expected.sites)
        assert_close(actual.features, expected.features)


def test_negative_features_survive_max_pooling(engine: ModuleType) -> None:
    """An inactive site does not take part; it is no zero."""
    sites = torch.tensor([[0, 0, 0], [0, 4, 4]], dtype=torch.int32)
    features = torch.tensor([[-3.0], [-5.0]])
    pooled = engine.MinkowskiMaxPooling(kernel_size=2, stride=2, dimension=2)(
        engine.SparseTensor(features, sites)
    )
    assert sorted(pooled.F.flatten().tolist()) == [-5.0, -3.0]


def test_infinite_features_survive_max_pooling(native: ModuleType) -> None:
    sites = torch.tensor([[0, 0, 0], [0, 1, 1], [0, 4, 4]], dtype=torch.int32)
    features = torch.tensor([[-torch.inf], [-torch.inf], [torch.inf]])
    pooled = native.MinkowskiMaxPooling(kernel_size=2, stride=2, dimension=2)(
        native.SparseTensor(features, sites)
    )
    assert sorted(pooled.F.flatten().tolist()) == [-torch.inf, torch.inf]


@pytest.mark.parametrize("mode", LOCAL)
def test_a_coarse_site_that_the_kernel_leaves_without_input_is_zero(native: ModuleType, mode: str) -> None:
    sites = torch.tensor([[0, 0, 0], [0, 3, 3]], dtype=torch.int32)
    features = torch.tensor([[-3.0], [-5.0]])
    pool = getattr(native, LOCAL[mode])(kernel_size=1, stride=2, dimension=2)
    pooled = pool(native.SparseTensor(features, sites))
    assert dict(zip(map(tuple, pooled.C.tolist()), pooled.F.flatten().tolist(), strict=True)) == {
        (0, 0, 0): -3.0,
        (0, 2, 2): 0.0,
    }


def test_a_tie_gives_its_gradient_to_one_site(native: ModuleType) -> None:
    sites = torch.tensor([[0, 0, 0], [0, 1, 0], [0, 1, 1]], dtype=torch.int32)
    leaf = torch.ones(3, 2, dtype=torch.float64, requires_grad=True)
    pool = native.MinkowskiMaxPooling(kernel_size=2, stride=2, dimension=2)
    pool(native.SparseTensor(leaf, sites)).F.sum().backward()
    assert leaf.grad is not None
    assert leaf.grad.tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


def test_sum_pooling_is_a_convolution_with_ones(engine: ModuleType) -> None:
    kernel = Kernel.of(2, 3)
    sites = random_sites(60, 2, -4, 5)
    features = torch.randn(len(sites), 2).double()
    ones = torch.eye(2, dtype=torch.float64).repeat(kernel.volume, 1, 1)
    result = run(engine, engine.MinkowskiSumPooling(**kernel.arguments()), sites, features)
    assert_close(result.features, convolution(sites, features, ones, kernel)[1][: len(sites)])
