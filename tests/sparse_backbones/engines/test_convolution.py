"""Convolution and transposed convolution against the dense oracle and between the engines."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sparse_backbones.engines.native import kernels
from tests.sparse_backbones.oracle import (
    Kernel,
    Outcome,
    assert_close,
    assert_same,
    coarser,
    convolution,
    convolution_by_pairs,
    outcome,
    random_sites,
    run,
    transposed_convolution,
)

SUBMANIFOLD = [
    Kernel.of(2, 1),
    Kernel.of(2, 3),
    Kernel.of(2, 5),
    Kernel.of(2, (3, 1)),
    Kernel.of(2, (5, 3)),
    Kernel.of(2, 3, dilation=2),
    Kernel.of(2, (3, 5), dilation=(3, 1)),
    Kernel.of(2, 3, dilation=20),
    Kernel.of(2, 2),
    Kernel.of(2, (3, 2)),
    Kernel.of(3, 1),
    Kernel.of(3, 3),
    Kernel.of(3, 5),
    Kernel.of(3, (1, 3, 5)),
    Kernel.of(3, 3, dilation=2),
]
STRIDED = [
    Kernel.of(2, 1, 2),
    Kernel.of(2, 2, 2),
    Kernel.of(2, 3, 2),
    Kernel.of(2, 4, 4),
    Kernel.of(2, 5, 3),
    Kernel.of(2, (2, 4), (2, 4)),
    Kernel.of(2, (3, 2), (1, 2)),
    Kernel.of(2, 3, 2, 2),
    Kernel.of(2, 4, 2),
    Kernel.of(2, 20, 20),
    Kernel.of(3, 1, 2),
    Kernel.of(3, 2, 2),
    Kernel.of(3, 3, 2),
    Kernel.of(3, 4, 4),
    Kernel.of(3, (2, 1, 4), (2, 1, 4)),
    Kernel.of(3, 3, 2, 2),
]


def kernel_id(kernel: Kernel) -> str:
    parts = ["x".join(map(str, part)) for part in kernel]
    return f"{parts[0]}-stride{parts[1]}-dilation{parts[2]}"


def sites_and_features(kernel: Kernel, dtype: torch.dtype, channels: int = 3) -> tuple[Tensor, Tensor]:
    sites = random_sites(60, kernel.dimension, -5, 6) if kernel.dimension == 2 else random_sites(90, 3, -3, 4)
    if max(kernel.dilation) > 8:
        sites[:, 1:] *= 10
    return sites, torch.randn(len(sites), channels, dtype=dtype)


def oracle(layer: Any, sites: Tensor, features: Tensor, kernel: Kernel) -> Outcome:
    """What the layer, a convolution with its kernel and bias, must give. Reckoned in float64."""
    leaf = features.double().requires_grad_()
    leaves = {name: p.detach().double().requires_grad_() for name, p in layer.named_parameters()}
    weight = leaves["kernel"].reshape(kernel.volume, *leaves["kernel"].shape[-2:])
    targets, result = convolution(sites, leaf, weight, kernel)
    if "bias" in leaves:
        result = result + leaves["bias"]
    return outcome(targets, result, {"input": leaf, **leaves})


@pytest.mark.parametrize("kernel", SUBMANIFOLD + STRIDED, ids=kernel_id)
def test_convolution(engine: ModuleType, kernel: Kernel, dtype: torch.dtype) -> None:
    sites, features = sites_and_features(kernel, dtype)
    layer = engine.MinkowskiConvolution(3, 4, bias=True, **kernel.arguments()).to(dtype)
    assert_same(run(engine, layer, sites, features), oracle(layer, sites, features, kernel))


def test_convolution_without_bias(engine: ModuleType) -> None:
    kernel = Kernel.of(2, 3)
    sites, features = sites_and_features(kernel, torch.float64)
    layer = engine.MinkowskiConvolution(3, 4, **kernel.arguments()).double()
    assert layer.bias is None
    assert_same(run(engine, layer, sites, features), oracle(layer, sites, features, kernel))


def test_convolution_at_a_coarser_stride(engine: ModuleType) -> None:
    first, second = Kernel.of(2, 2, 2), Kernel.of(2, 3, 2)
    sites, features = sites_and_features(first, torch.float64)
    layers = nn.Sequential(
        engine.MinkowskiConvolution(3, 4, **first.arguments()),
        engine.MinkowskiConvolution(4, 5, **second.arguments()),
    ).double()
    leaf = features.clone().requires_grad_()
    leaves = {name: p.detach().requires_grad_() for name, p in layers.named_parameters()}
    middle, halfway = convolution(sites, leaf, leaves["0.kernel"], first)
    targets, result = convolution(middle, halfway, leaves["1.kernel"], second, tensor_stride=2)
    assert_same(run(engine, layers, sites, features), outcome(targets, result, {"input": leaf, **leaves}))


TRANSPOSED = [kernel for kernel in STRIDED if max(kernel.size) < 20] + [Kernel.of(2, 3), Kernel.of(3, 3)]


@pytest.mark.parametrize("kernel", TRANSPOSED, ids=kernel_id)
def test_transposed_convolution(engine: ModuleType, kernel: Kernel, dtype: torch.dtype) -> None:
    """Down by pooling and back up, onto the sites that were there."""
    sites, features = sites_and_features(kernel, dtype)
    down = engine.MinkowskiSumPooling(
        kernel_size=kernel.stride, stride=kernel.stride, dimension=kernel.dimension
    )
    up = engine.MinkowskiConvolutionTranspose(3, 4, bias=True, **kernel.arguments()).to(dtype)
    fine = engine.SparseTensor(features, sites)
    coarse = down(fine)
    leaf = coarse.F.detach().clone().requires_grad_()
    middle = engine.SparseTensor(
        leaf, coordinate_map_key=coarse.coordinate_map_key, coordinate_manager=coarse.coordinate_manager
    )
    result = up(middle)
    assert result.coordinate_map_key == fine.coordinate_map_key
    assert list(result.tensor_stride) == [1] * kernel.dimension
    actual = outcome(result.C, result.F, {"input": leaf, **dict(up.named_parameters())})

    twin = leaf.detach().double().requires_grad_()
    leaves = {name: p.detach().double().requires_grad_() for name, p in up.named_parameters()}
    weight = leaves["kernel"].reshape(kernel.volume, 3, 4)
    expected = transposed_convolution(coarse.C, twin, weight, kernel, sites) + leaves["bias"]
    assert_same(actual, outcome(sites, expected, {"input": twin, **leaves}))


@pytest.mark.parametrize("transposed", [False, True], ids=["convolution", "transposed"])
@pytest.mark.parametrize("kernel", [Kernel.of(2, 3), Kernel.of(2, 2, 2), Kernel.of(3, 3, 2)], ids=kernel_id)
def test_weights_move_between_the_engines(
    native: ModuleType, minkowski: ModuleType, kernel: Kernel, transposed: bool, dtype: torch.dtype
) -> None:
    def layers(engine: ModuleType) -> nn.Module:
        made = [engine.MinkowskiConvolution(3, 4, bias=True, **kernel.arguments())]
        if transposed:
            made.append(engine.MinkowskiConvolutionTranspose(4, 2, bias=True, **kernel.arguments()))
        return nn.Sequential(*made).to(dtype)

    ours, theirs = layers(native), layers(minkowski)
    states = ours.state_dict(), theirs.state_dict()
    assert [(k, v.shape) for k, v in states[0].items()] == [(k, v.shape) for k, v in states[1].items()]
    ours.load_state_dict(states[1])
    sites, features = sites_and_features(kernel, dtype)
    assert_same(run(native, ours, sites, features), run(minkowski, theirs, sites, features))


@pytest.mark.parametrize("kernel", [Kernel.of(1, 1), *SUBMANIFOLD, *STRIDED], ids=kernel_id)
def test_kernels_have_the_same_shape_in_both_engines(
    native: ModuleType, minkowski: ModuleType, kernel: Kernel
) -> None:
    for name in ("MinkowskiConvolution", "MinkowskiConvolutionTranspose"):
        shapes = [
            {
                key: value.shape
                for key, value in getattr(engine, name)(3, 4, **kernel.arguments()).state_dict().items()
            }
            for engine in (native, minkowski)
        ]
        assert shapes[0] == shapes[1]


def test_initial_weights_have_the_same_spread_in_both_engines(
    native: ModuleType, minkowski: ModuleType
) -> None:
    for name in ("MinkowskiConvolution", "MinkowskiConvolutionTranspose"):
        ours, theirs = (
            getattr(engine, name)(3, 2000, kernel_size=3, bias=True, dimension=2).state_dict()
            for engine in (native, minkowski)
        )
        for key in ("kernel", "bias"):
            assert float(ours[key].abs().max()) == pytest.approx(float(theirs[key].abs().max()), rel=0.02)
            assert abs(float(ours[key].mean())) < 0.05 * float(ours[key].abs().max())


@pytest.mark.parametrize("kernel", [Kernel.of(2, 3), Kernel.of(3, 3, 2), Kernel.of(2, 2, 2)], ids=kernel_id)
def test_large_inputs_go_offset_by_offset_to_the_same_numbers(
    native: ModuleType, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites, features = sites_and_features(kernel, torch.float64)
    layer = native.MinkowskiConvolution(3, 4, **kernel.arguments()).double()
    fused = run(native, layer, sites, features)
    monkeypatch.setattr(kernels, "FUSED_LIMIT", 0)
    assert_same(run(native, layer, sites, features), fused)


@pytest.mark.parametrize("kernel", [Kernel.of(2, (3, 2), 2), Kernel.of(3, 3, dilation=2)], ids=kernel_id)
def test_the_two_oracles_agree(kernel: Kernel) -> None:
    sites, features = sites_and_features(kernel, torch.float64)
    weight = torch.randn(kernel.volume, 3, 4, dtype=torch.float64)
    targets, numbers = convolution(sites, features, weight, kernel)
    by_pairs = convolution_by_pairs(sites, features, weight, kernel)
    assert torch.equal(targets, by_pairs[0])
    assert torch.equal(targets, coarser(sites, kernel.stride))
    assert_close(by_pairs[1], numbers)


def test_frozen_weights_and_inputs_get_no_gradient(engine: ModuleType) -> None:
    kernel = Kernel.of(2, 3)
    sites, features = sites_and_features(kernel, torch.float64)
    layer = engine.MinkowskiConvolution(3, 4, **kernel.arguments()).double()
    layer(engine.SparseTensor(features, sites)).F.sum().backward()
    assert layer.kernel.grad is not None
    assert features.grad is None
    layer.zero_grad()
    layer.kernel.requires_grad_(False)
    leaf = features.clone().requires_grad_()
    layer(engine.SparseTensor(leaf, sites)).F.sum().backward()
    assert leaf.grad is not None
    assert layer.kernel.grad is None
