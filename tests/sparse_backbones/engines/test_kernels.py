"""Gradients of the native arithmetic against finite differences, and results that stay the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    return strided_map(fine, fine.strided((2, 2)), KernelGenerator(3, 2, dimension=2).offsets())


MAPS: dict[str, Callable[[], KernelMap]] = {
    "submanifold": submanifold,
    "down": downwards,
    "up": lambda: downwards().transposed,
}


@pytest.fixture(params=list(MAPS))
def pairs(request: pytest.FixtureRequest) -> KernelMap:
    return MAPS[request.param]()


@pytest.mark.parametrize("limit", [kernels.FUSED_LIMIT, 0], ids=["fused", "by offset"])
def test_gradient_of_a_convolution(pairs: KernelMap, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "FUSED_LIMIT", limit)
    features = torch.randn(pairs.n_in, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(len(pairs.counts), 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda f, w: kernels.convolve(f, w, pairs), (features, weight))


def test_what_does_not_fit() -> None:
    pairs = submanifold()
    features, kernel = torch.zeros(pairs.n_in, 2), torch.zeros(9, 2, 3)
    with pytest.raises(ValueError, match=rf"features must be \({pairs.n_in}, channels\), not \(1, 2\)"):
        kernels.convolve(features[:1], kernel, pairs)
    for wrong in (kernel[:8], kernel[:, :1], kernel[0]):
        with pytest.raises(ValueError, match=r"the kernel must be \(9, 2, channels\)"):
            kernels.convolve(features, wrong, pairs)
    with pytest.raises(TypeError, match="and the kernel"):
        kernels.convolve(features, kernel.double(), pairs)
    with pytest.raises(RuntimeError, match="the kernel on meta"):
        kernels.convolve(features, kernel.to("meta"), pairs)


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


@pytest.mark.parametrize("side", [40, 4], ids=["few neighbours", "many neighbours"])
def test_gradient_of_a_kernel_that_is_transposed_in_memory(side: int) -> None:
    sites = CoordinateMap(random_sites(200, 2, 0, side), (1, 1))
    pairs = submanifold_map(sites, KernelGenerator(3, dimension=2).offsets())
    assert (pairs.occupancy >= kernels.TABLE_OCCUPANCY) == (side == 4)
    features = torch.randn(pairs.n_in, 3, dtype=torch.float64)
    weight = torch.randn(9, 3, 4, dtype=torch.float64)
    views = [weight.clone(), weight.transpose(1, 2).contiguous().transpose(1, 2)]
    plain, turned = (
        torch.autograd.grad(kernels.convolve(features, view.requires_grad_(), pairs).square().sum(), view)[0]
        for view in views
    )
    assert_close(turned, plain)


def results(native: ModuleType) -> list[Tensor]:
    """Output and gradients of a fixed network, for a fixed input large enough to be shared among threads."""
    torch.manual_seed(3)
    sites = random_sites(4000, 2, 0, 40, batch=(0, 1, 2))
    leaf = torch.randn(len(sites), 16, requires_grad=True)
    net = nn.Sequential(
        native.MinkowskiConvolution(16, 16, kernel_size=3, dimension=2),
        native.MinkowskiMaxPooling(kernel_size=2, stride=2, dimension=2),
        native.MinkowskiAvgPooling(kernel_size=3, dimension=2),
        native.MinkowskiConvolutionTranspose(16, 8, kernel_size=2, stride=2, dimension=2),
        native.MinkowskiBatchNorm(8),
    )
    output = net(native.SparseTensor(leaf, sites)).F
    upstream = torch.randn_like(output)
    return [output.detach(), *torch.autograd.grad(output, [leaf, *net.parameters()], upstream)]


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads, and puts it back in the end."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_same_every_time(native: ModuleType, set_threads: Callable[[int], None]) -> None:
    """The same bits with the same number of threads; the same numbers with another."""
    set_threads(1)
    single = results(native)
    assert all(torch.equal(a, b) for a, b in zip(single, results(native), strict=True))
    set_threads(2)
    double = results(native)
    assert all(torch.equal(a, b) for a, b in zip(double, results(native), strict=True))
    for one, two in zip(single, double, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5 * float(one.abs().max()))
