"""Every further layer against MinkowskiEngine's: sites, numbers, gradients and names of parameters."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.sparse_backbones.every_layer import BROADCASTS, CHANNELWISE, LAYERS, POINTWISE
from tests.sparse_backbones.oracle import Outcome, assert_close, assert_same, outcome, random_sites

# In MinkowskiEngine 0.5.4 these fail, give wrong numbers or end the process (docs/engines.md). Stencils and
# loops over dictionaries stand in for it in other files.
BROKEN = {*BROADCASTS, *CHANNELWISE, "stable instance norm"}
COMPARED = [name for name in LAYERS if name not in BROKEN and name not in POINTWISE]


def _run(engine: Any, layer: nn.Module, sites: Tensor, features: Tensor) -> Outcome:
    leaf = features.clone().requires_grad_()
    result = layer(engine.SparseTensor(leaf, sites))
    # Interpolation gives plain features, in the order of the places asked for, which are those of the sites.
    places, rows = (sites, result) if isinstance(result, Tensor) else (result.C, result.F)
    return outcome(places, rows, {"input": leaf, **dict(layer.named_parameters())})


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
@pytest.mark.parametrize("name", COMPARED)
def test_layer_is_the_same_in_both_engines(
    native: ModuleType, minkowski: ModuleType, name: str, dimension: int, dtype: torch.dtype
) -> None:
    ours, theirs = (LAYERS[name](engine, dimension).to(dtype) for engine in (native, minkowski))
    states = ours.state_dict(), theirs.state_dict()
    assert [(key, value.shape) for key, value in states[0].items()] == [
        (key, value.shape) for key, value in states[1].items()
    ]
    ours.load_state_dict(states[1])
    reach = {1: 20, 2: 6, 3: 3, 4: 2}[dimension]
    sites = random_sites(60, dimension, -reach, reach + 1, batch=(0, 1))
    features = torch.randn(len(sites), 4, dtype=dtype)
    assert_same(_run(native, ours, sites, features), _run(minkowski, theirs, sites, features))


@pytest.mark.parametrize("dimension", [1, 2, 3, 4])
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
