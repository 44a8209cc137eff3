"""Every further layer against MinkowskiEngine's: sites, numbers, gradients and names of parameters."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.sparse_backbones.oracle import Outcome, assert_close, assert_same, outcome, random_sites

Make = Callable[[Any], nn.Module]


class UpAndDown(nn.Module):
    """Down by 2 and back up by the layer."""

    def __init__(self, engine: Any, layer: nn.Module) -> None:
        super().__init__()
        self.down = engine.MinkowskiSumPooling(kernel_size=2, stride=2, dimension=2)
        self.layer = layer

    def forward(self, x: Any) -> Any:
        return self.layer(self.down(x))


class Onto(nn.Module):
    """A layer whose output is asked for at given coordinates."""

    def __init__(self, layer: nn.Module, sites: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.sites = sites

    def forward(self, x: Any) -> Any:
        return self.layer(x, self.sites)


class Pruned(nn.Module):
    """Keeps the sites whose first coordinate is even, and adds them to all the others."""

    def __init__(self, engine: Any, union: bool) -> None:
        super().__init__()
        self.prune = engine.MinkowskiPruning()
        self.union = engine.MinkowskiUnion() if union else None

    def forward(self, x: Any) -> Any:
        small = self.prune(x, x.C[:, 1] % 2 == 0)
        return small if self.union is None else self.union(small, x, self.prune(x, x.C[:, 2] > 0))


def _plain(name: str, *args: Any, **kwargs: Any) -> Make:
    return lambda engine: getattr(engine, name)(*args, **kwargs)


def _up(name: str, *args: Any, **kwargs: Any) -> Make:
    return lambda engine: UpAndDown(engine, getattr(engine, name)(*args, dimension=2, **kwargs))


def _onto(name: str, *args: Any, **kwargs: Any) -> Make:
    generator = torch.Generator().manual_seed(7)
    places = torch.randint(-8, 9, (40, 2), generator=generator)
    sites = torch.unique(torch.cat([torch.arange(40)[:, None] % 2, places], dim=1), dim=0).int()
    return lambda engine: Onto(getattr(engine, name)(*args, dimension=2, **kwargs), sites)


def _stack(name: str) -> Make:
    def make(engine: Any) -> nn.Module:
        layers = [engine.MinkowskiConvolution(4, 3, kernel_size=size, dimension=2) for size in (1, 3, 5)]
        return getattr(engine, name)(*layers)  # type: ignore[no-any-return]

    return make


LAYERS: dict[str, Make] = {
    "instance norm": _plain("MinkowskiInstanceNorm", 4),
    "sync batch norm": _plain("MinkowskiSyncBatchNorm", 4),
    "sinusoidal": _plain("MinkowskiSinusoidal", 4, 3),
    **{name: _stack(name) for name in (f"MinkowskiStack{kind}" for kind in ("Cat", "Sum", "Mean", "Var"))},
    "generative 2": _up("MinkowskiGenerativeConvolutionTranspose", 4, 3, kernel_size=2, stride=2, bias=True),
    "generative 3": _up("MinkowskiGenerativeConvolutionTranspose", 4, 3, kernel_size=3, stride=2),
    "pooling transpose": _up("MinkowskiPoolingTranspose", kernel_size=2, stride=2),
    "pooling transpose 3": _up("MinkowskiPoolingTranspose", kernel_size=3, stride=2),
    "expanding": _plain("MinkowskiConvolution", 4, 3, kernel_size=3, expand_coordinates=True, dimension=2),
    "expanding strided": _plain(
        "MinkowskiConvolution", 4, 3, kernel_size=3, stride=2, expand_coordinates=True, dimension=2
    ),
    "convolution onto": _onto("MinkowskiConvolution", 4, 3, kernel_size=3),
    "convolution onto, even": _onto("MinkowskiConvolution", 4, 3, kernel_size=2, bias=True),
    "pruning": lambda engine: Pruned(engine, union=False),
    "union": lambda engine: Pruned(engine, union=True),
}


def _run(engine: Any, layer: nn.Module, sites: Tensor, features: Tensor) -> Outcome:
    leaf = features.clone().requires_grad_()
    result = layer(engine.SparseTensor(leaf, sites))
    return outcome(result.C, result.F, {"input": leaf, **dict(layer.named_parameters())})


@pytest.mark.parametrize("name", LAYERS)
def test_layer_is_the_same_in_both_engines(
    native: ModuleType, minkowski: ModuleType, name: str, dtype: torch.dtype
) -> None:
    ours, theirs = (LAYERS[name](engine).to(dtype) for engine in (native, minkowski))
    states = ours.state_dict(), theirs.state_dict()
    assert [(key, value.shape) for key, value in states[0].items()] == [
        (key, value.shape) for key, value in states[1].items()
    ]
    ours.load_state_dict(states[1])
    sites = random_sites(70, 2, -6, 7)
    features = torch.randn(len(sites), 4, dtype=dtype)
    assert_same(_run(native, ours, sites, features), _run(minkowski, theirs, sites, features))


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_interpolation_is_the_same_in_both_engines(
    native: ModuleType, minkowski: ModuleType, dimension: int, dtype: torch.dtype
) -> None:
    sites = random_sites(60, dimension, -4, 5)
    features = torch.randn(len(sites), 3, dtype=dtype)
    places = torch.cat([torch.randint(2, (50, 1)), 8 * torch.rand(50, dimension) - 4], dim=1).to(dtype)
    results = []
    for engine in (native, minkowski):
        leaf = features.clone().requires_grad_()
        value = engine.MinkowskiInterpolation()(engine.SparseTensor(leaf, sites), places)
        (gradient,) = torch.autograd.grad(value.square().sum(), leaf)
        results.append((value, gradient))
    assert_close(results[0][0], results[1][0])
    assert_close(results[0][1], results[1][1])


@pytest.mark.filterwarnings("ignore:torch.sparse.SparseTensor:UserWarning")
@pytest.mark.parametrize("average", [False, True], ids=["sum", "average"])
def test_sparse_products_are_the_same_in_both_engines(
    native: ModuleType, minkowski: ModuleType, average: bool
) -> None:
    rows, cols = torch.randint(5, (20,)), torch.randint(7, (20,))
    values = () if average else (torch.randn(20),)
    matrix = torch.randn(7, 3)
    results = []
    for engine in (native, minkowski):
        name = "MinkowskiSPMMAverageFunction" if average else "MinkowskiSPMMFunction"
        leaf = matrix.clone().requires_grad_()
        value = getattr(engine, name).apply(rows, cols, *values, torch.Size([5, 7]), leaf)
        (gradient,) = torch.autograd.grad(value.square().sum(), leaf)
        results.append((value, gradient))
    assert_close(results[0][0], results[1][0])
    assert_close(results[0][1], results[1][1])


def test_direct_max_pooling_is_the_same_in_both_engines(native: ModuleType, minkowski: ModuleType) -> None:
    in_map, out_map = torch.randint(9, (30,)).int(), torch.arange(30).int() % 4
    # Where all numbers are negative, MinkowskiEngine gives another one.
    features = torch.rand(9, 3, dtype=torch.float64)
    results = []
    for engine in (native, minkowski):
        leaf = features.clone().requires_grad_()
        value = engine.MinkowskiDirectMaxPoolingFunction.apply(in_map, out_map, leaf, 4)
        (gradient,) = torch.autograd.grad(value.square().sum(), leaf)
        results.append((value, gradient))
    assert_close(results[0][0], results[1][0])
    assert_close(results[0][1], results[1][1])


BLOCKS = ["BasicBlock", "Bottleneck"]


@pytest.mark.parametrize("name", BLOCKS)
def test_residual_blocks_are_the_same_in_both_engines(
    native: ModuleType, minkowski: ModuleType, name: str
) -> None:
    from MinkowskiEngine.modules import resnet_block as theirs_module

    from sparse_backbones.engines.native.modules import resnet_block as ours_module

    def make(engine: Any, module: Any) -> Any:
        block = getattr(module, name)
        down = engine.MinkowskiConvolution(4, 3 * block.expansion, kernel_size=1, stride=2, dimension=2)
        return block(4, 3, stride=2, downsample=down, dimension=2).double()

    ours, theirs = make(native, ours_module), make(minkowski, theirs_module)
    ours.load_state_dict(theirs.state_dict())
    sites = random_sites(70, 2, -6, 7)
    features = torch.randn(len(sites), 4, dtype=torch.float64)
    assert_same(_run(native, ours, sites, features), _run(minkowski, theirs, sites, features))
