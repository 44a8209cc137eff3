"""Gradients of the native arithmetic against finite differences, and results that do not change between runs."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from sparse_backbones.engines.native import kernels
from sparse_backbones.engines.native.maps import CoordinateMap, KernelMap, strided_map, submanifold_map
from sparse_backbones.engines.native.regions import KernelGenerator
from tests.sparse_backbones.oracle import assert_close, random_sites


def submanifold() -> KernelMap:
    sites = CoordinateMap(random_sites(12, 2, -2, 3), (1, 1))
    return submanifold_map(sites, KernelGenerator(3, dimension=2).offsets())


def downwards() -> KernelMap:
    fine = CoordinateMap(random_sites(12, 2, -3, 4), (1, 1))
    return strided_map(fine, fine.strided((2, 2)), (2, 2), KernelGenerator(3, 2, dimension=2).offsets())


MAPS = {"submanifold": submanifold, "down": downwards, "up": lambda: downwards().transposed}


@pytest.fixture(params=list(MAPS))
def pairs(request: pytest.FixtureRequest) -> KernelMap:
    return MAPS[request.param]()


@pytest.mark.parametrize("limit", [kernels.FUSED_LIMIT, 0], ids=["fused", "by offset"])
def test_gradient_of_a_convolution(pairs: KernelMap, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "FUSED_LIMIT", limit)
    features = torch.randn(pairs.n_in, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(len(pairs.counts), 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, w: kernels.convolve(f, w, pairs), (features, weight))


def test_gradient_of_a_sum(pairs: KernelMap) -> None:
    features = torch.randn(pairs.n_in, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f: kernels.sum_rows(f, pairs.complete), (features,))


def test_gradient_of_a_maximum(pairs: KernelMap) -> None:
    # Steps far above the finite difference's, so that no maximum changes hands.
    features = torch.randperm(2 * pairs.n_in).double().reshape(-1, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: kernels.max_rows(f, pairs.complete), (features,))


def test_gradient_of_a_strided_view(native: ModuleType) -> None:
    """Gradients that arrive transposed or expanded in memory give the same numbers."""
    pairs = submanifold()
    features = torch.randn(pairs.n_in, 3, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(9, 3, 3, dtype=torch.float64, requires_grad=True)
    plain = torch.autograd.grad(kernels.convolve(features, weight, pairs).sum(), (features, weight))
    result = kernels.convolve(features.t().contiguous().t(), weight, pairs)
    upstream = torch.ones(3, pairs.n_out, dtype=torch.float64).t()
    for actual, expected in zip(
        torch.autograd.grad(result, (features, weight), upstream), plain, strict=True
    ):
        assert_close(actual, expected)


class Net(nn.Module):
    """A convolution, a pooling down, a convolution and the way back up."""

    def __init__(self, engine: ModuleType) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            engine.MinkowskiConvolution(8, 16, kernel_size=3, dimension=3),
            engine.MinkowskiBatchNorm(16),
            engine.MinkowskiMaxPooling(kernel_size=2, stride=2, dimension=3),
            engine.MinkowskiConvolution(16, 16, kernel_size=3, bias=True, dimension=3),
            engine.MinkowskiAvgPooling(kernel_size=3, dimension=3),
            engine.MinkowskiConvolutionTranspose(16, 8, kernel_size=2, stride=2, dimension=3),
        )


def results(native: ModuleType) -> list[Tensor]:
    """Output and gradients of a fixed network for a fixed input of a few thousand sites."""
    torch.manual_seed(3)
    sites = random_sites(4000, 3, -10, 11, batch=(0, 1, 2))
    leaf = torch.randn(len(sites), 8, requires_grad=True)
    net = Net(native).layers
    output = net(native.SparseTensor(leaf, sites)).F
    upstream = torch.randn_like(output)
    return [output.detach(), *torch.autograd.grad(output, [leaf, *net.parameters()], upstream)]


@pytest.fixture
def threads() -> Iterator[None]:
    """Puts the number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("count", [1, 2])
def test_the_same_bits_every_time(native: ModuleType, count: int) -> None:
    torch.set_num_threads(count)
    first = results(native)
    for _ in range(3):
        assert all(torch.equal(a, b) for a, b in zip(first, results(native), strict=True))


@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_changes_nothing(native: ModuleType) -> None:
    torch.set_num_threads(1)
    single = results(native)
    torch.set_num_threads(2)
    for one, two in zip(single, results(native), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5 * float(one.abs().max()))
