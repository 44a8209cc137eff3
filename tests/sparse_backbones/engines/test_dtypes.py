"""Every layer in every floating-point dtype and under autocast, and second derivatives."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from tests.sparse_backbones.every_layer import (
    BROADCASTS,
    CHANNELWISE,
    CONVOLUTIONS,
    LAYERS,
    MAPS,
    POOLING,
    SITES,
)
from tests.sparse_backbones.oracle import random_sites

HALVES = [torch.bfloat16, torch.float16]
# In steps between neighbouring numbers of the dtype, of the largest number of the result.
STEPS = 8


def features_of(result: Any) -> Tensor:
    return result if isinstance(result, Tensor) else result.F


def computed(engine: ModuleType, layer: nn.Module, sites: Tensor, features: Tensor) -> dict[str, Tensor]:
    """Features and gradients by name, all in the dtypes that they come in."""
    leaf = features.clone().requires_grad_()
    result = features_of(layer(engine.SparseTensor(leaf, sites)))
    leaves = {"input": leaf, **dict(layer.named_parameters())}
    # Exact in every dtype, and of one sign: sums that cancel would say little.
    upstream = (1 + torch.arange(result.numel()) % 7 / 8).reshape(result.shape).to(result.dtype)
    gradients = torch.autograd.grad(result, list(leaves.values()), upstream, materialize_grads=True)
    for leaf, gradient in zip(leaves.values(), gradients, strict=True):
        assert gradient.dtype is leaf.dtype
    return {"features": result.detach(), **dict(zip(leaves, gradients, strict=True))}


def assert_near(actual: dict[str, Tensor], expected: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Within some steps of the dtype at the largest number of each result."""
    assert actual.keys() == expected.keys()
    for name, value in actual.items():
        bound = STEPS * torch.finfo(dtype).eps * max(float(expected[name].abs().max()), 1e-3)
        difference = float((value.double() - expected[name].double()).abs().max())
        assert difference <= bound, f"{name} is {difference} off, and {bound} is allowed"


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_layer_is_as_good_as_its_dtype(native: ModuleType, name: str, dtype: torch.dtype) -> None:
    """Compared with float64, from the same rounded features and weights."""
    layer = LAYERS[name](native, 2).eval().to(dtype)
    sites = random_sites(60, 2, -6, 7, batch=(0, 1))
    features = torch.randn(len(sites), 4).to(dtype)
    actual = computed(native, layer, sites, features)
    assert actual["features"].dtype is dtype
    assert_near(actual, computed(native, layer.double(), sites, features.double()), dtype)


@pytest.mark.parametrize("dimension", [1, 3, 4])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize(
    "name", ["convolution 3", "transposed 2", "channelwise 3", "Max pooling 3, stride 2"]
)
def test_layer_is_as_good_as_its_dtype_in_other_dimensions(
    native: ModuleType, name: str, dtype: torch.dtype, dimension: int
) -> None:
    layer = LAYERS[name](native, dimension).to(dtype)
    sites = random_sites(60, dimension, -2, 3, batch=(0, 1))
    features = torch.randn(len(sites), 4).to(dtype)
    actual = computed(native, layer, sites, features)
    assert_near(actual, computed(native, layer.double(), sites, features.double()), dtype)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_large_batch_items_neither_overflow_nor_round_away(
    native: ModuleType, dtype: torch.dtype, training: bool
) -> None:
    """Sums of 70 000 numbers exceed float16, and a count of them bfloat16's 8 bits."""
    sites = torch.cat([torch.zeros(70_000, 1), torch.arange(70_000)[:, None]], dim=1).int()
    x = native.SparseTensor((3 + torch.randn(70_000, 1)).to(dtype), sites)
    assert float(native.MinkowskiGlobalAvgPooling()(x).F) == pytest.approx(3, abs=0.02)
    normal = native.MinkowskiInstanceNorm(1).to(dtype).train(training)(x).F.detach().double()
    assert abs(float(normal.mean())) < 0.01
    assert float(normal.std()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_averages_of_duplicates_do_not_overflow(native: ModuleType, dtype: torch.dtype) -> None:
    sites = torch.zeros(70_000, 2).int()
    mode = native.SparseTensorQuantizationMode.UNWEIGHTED_AVERAGE
    x = native.SparseTensor(torch.full((70_000, 1), 3.0).to(dtype), sites, quantization_mode=mode)
    assert x.F.dtype is dtype
    assert float(x.F) == 3


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_instance_norm_of_equal_features_is_zero(native: ModuleType, dtype: torch.dtype) -> None:
    """What is added to the variance must not round to 0."""
    x = native.SparseTensor(torch.ones(5, 2).to(dtype), random_sites(40, 2, 0, 9)[:5])
    assert native.MinkowskiInstanceNorm(2).to(dtype)(x).F.tolist() == [[0.0, 0.0]] * 5


CASTING = {*CONVOLUTIONS, *CHANNELWISE, "linear"}


@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_autocast(native: ModuleType, name: str, given: torch.dtype) -> None:
    """Products of features and weights come in the dtype of autocast; all gradients in that of their leaf."""
    layer = LAYERS[name](native, 2).eval()
    sites = random_sites(60, 2, -6, 7, batch=(0, 1))
    features = torch.randn(len(sites), 4).bfloat16()
    expected = computed(native, layer, sites, features.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = computed(native, layer, sites, features.to(given))
    if name in CASTING:
        assert actual["features"].dtype is torch.bfloat16
    elif name not in ("sinusoidal", "PReLU"):
        assert actual["features"].dtype in (given, torch.float32)
    assert_near(actual, expected, torch.bfloat16)


def test_autocast_leaves_float64_alone(native: ModuleType) -> None:
    sites = random_sites(60, 2, -6, 7)
    x = native.SparseTensor(torch.randn(len(sites), 4).double(), sites)
    for name in CASTING:
        layer = LAYERS[name](native, 2).double()
        expected = features_of(layer(x))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(features_of(layer(x)), expected)


class Hourglass(nn.Module):
    """A small U-network: two skips, one by joined channels and one by a sum over a union."""

    def __init__(self, engine: Any) -> None:
        super().__init__()
        self.first = engine.MinkowskiConvolution(4, 4, kernel_size=3, dimension=2)
        self.norm = engine.MinkowskiBatchNorm(4)
        self.down = engine.MinkowskiConvolution(4, 4, kernel_size=2, stride=2, bias=True, dimension=2)
        self.inner = engine.MinkowskiInstanceNorm(4)
        self.up = engine.MinkowskiConvolutionTranspose(4, 4, kernel_size=2, stride=2, dimension=2)
        self.prune = engine.MinkowskiPruning()
        self.union = engine.MinkowskiUnion()
        self.cat = engine.cat
        self.last = engine.MinkowskiLinear(8, 2)

    def forward(self, x: Any) -> Any:
        fine = self.norm(self.first(x))
        back = self.up(self.inner(self.down(fine)))
        some = self.prune(x, x.C[:, 1] > 0)
        joined = self.last(self.cat(back, x))
        return (
            joined + self.last(self.cat([self.union(back, some)] * 2)) + self.last(self.cat([x + some] * 2))
        )


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_a_network_trains_under_autocast(native: ModuleType, dtype: torch.dtype) -> None:
    layer = Hourglass(native)
    sites = random_sites(60, 2, -6, 7, batch=(0, 1))
    features = torch.randn(len(sites), 4)
    expected = computed(native, layer, sites, features)
    with torch.autocast("cpu", dtype=dtype):
        x = native.SparseTensor(features, sites)
        result = layer(x).F
        loss = result.float().square().mean()
    loss.backward()
    assert result.dtype is dtype
    assert all(p.grad is not None and p.grad.dtype is torch.float32 for p in layer.parameters())
    torch.testing.assert_close(result.float(), expected["features"], rtol=0.1, atol=0.1)


def test_dtypes_that_do_not_match_are_named(native: ModuleType) -> None:
    sites = random_sites(20, 2, -6, 7)
    x = native.SparseTensor(torch.randn(len(sites), 4).double(), sites)
    for name in (*CONVOLUTIONS, *CHANNELWISE, *MAPS):
        with pytest.raises(TypeError, match=r"torch\.float64 .* torch\.float32"):
            LAYERS[name](native, 2)(x)


SMOOTH = [
    *(name for name in CONVOLUTIONS if name != "stack Var"),
    *CHANNELWISE,
    *(name for name in POOLING if "ax" not in name),
    *BROADCASTS,
    *SITES,
    "sinusoidal",
]
IN_ALL_DIMENSIONS = [
    "convolution 3",
    "transposed 2",
    "channelwise 3",
    "Sum pooling 3, stride 2",
    "interpolation",
]


@pytest.mark.parametrize(
    ("name", "dimension"),
    [*((name, 2) for name in SMOOTH), *((name, d) for name in IN_ALL_DIMENSIONS for d in (1, 3, 4))],
)
def test_second_derivatives(native: ModuleType, name: str, dimension: int) -> None:
    layer = LAYERS[name](native, dimension).double()
    sites = random_sites(5, dimension, 0, 2, batch=(0, 1))
    names, values = zip(*layer.named_parameters(), strict=True) if list(layer.parameters()) else ((), ())

    def apply(features: Tensor, *parameters: Tensor) -> Tensor:
        x = native.SparseTensor(features, sites)
        result = functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))
        return features_of(result).square()

    leaves = [torch.rand(len(sites), 4).double(), *(value.detach() for value in values)]
    assert torch.autograd.gradgradcheck(apply, [leaf.requires_grad_() for leaf in leaves], fast_mode=True)
