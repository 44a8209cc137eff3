"""Blocks on both engines, against the same block built from dense layers."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from sparse_backbones.blocks import ConvBlock, PooledRows, ResidualBlock
from tests.sparse_backbones.oracle import (
    Kernel,
    assert_close,
    assert_same,
    convolution,
    distinct,
    outcome,
    random_sites,
    run,
)


def normalised(features: Tensor, norm: nn.Module) -> Tensor:
    """Batch normalisation in training, with the weights of an engine's layer."""
    weight, bias = norm.get_parameter("bn.weight"), norm.get_parameter("bn.bias")
    return nn.functional.batch_norm(features, None, None, weight, bias, training=True)


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize(("size", "stride", "dilation"), [(3, 1, 1), (3, 1, 2), (3, 2, 1), (4, 4, 1)])
def test_conv_block(engine: ModuleType, dimension: int, size: int, stride: int, dilation: int) -> None:
    kernel = Kernel.of(dimension, size, stride, dilation)
    sites = random_sites(60, dimension, -5, 6)
    features = torch.randn(len(sites), 3).double()
    block = ConvBlock(engine, 3, 4, **kernel.arguments()).double()
    leaf = features.clone().requires_grad_()
    targets, convolved = convolution(sites, leaf, block.conv.kernel, kernel)
    expected = torch.relu(normalised(convolved, block.norm))
    leaves = {"input": leaf, **dict(block.named_parameters())}
    assert_same(run(engine, block, sites, features), outcome(targets, expected, leaves))


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("width", [3, 5], ids=["same width", "wider"])
def test_residual_block(engine: ModuleType, dimension: int, width: int) -> None:
    kernel = Kernel.of(dimension, 3)
    sites = random_sites(60, dimension, -4, 5)
    # The dense oracle's rows are sorted, so the shortcut's must be.
    sites = distinct(sites)
    features = torch.randn(len(sites), 3).double()
    block = ResidualBlock(engine, 3, width, dimension=dimension).double()
    leaf = features.clone().requires_grad_()
    targets, first = convolution(sites, leaf, block.first.conv.kernel, kernel)
    first = torch.relu(normalised(first, block.first.norm))
    _, second = convolution(targets.int(), first, block.conv.kernel, kernel)
    shortcut = leaf if width == 3 else leaf @ block.get_parameter("shortcut.kernel")
    expected = torch.relu(normalised(second, block.norm) + shortcut)
    leaves = {"input": leaf, **dict(block.named_parameters())}
    assert_same(run(engine, block, sites, features), outcome(targets, expected, leaves))


def test_pooled_rows(engine: ModuleType) -> None:
    """Mean and maximum of each item in its own row, and zeros where it has no site."""
    sites = random_sites(120, 3, -4, 5, batch=(0, 1, 2, 5, 6))
    leaf = torch.randn(len(sites), 3).double()
    leaf[sites[:, 0] == 5] -= 9  # a maximum below zero must not become zero
    leaf.requires_grad_()
    rows = PooledRows()(engine.SparseTensor(leaf, sites), batch_size=8)
    twin = leaf.detach().clone().requires_grad_()
    expected = torch.zeros(8, 6).double()
    for item in (0, 1, 2, 5, 6):
        part = twin[sites[:, 0] == item]
        expected[item] = torch.cat([part.mean(0), part.amax(0)])
    assert_close(rows, expected)
    weights = torch.randn_like(rows)
    (actual,), (wanted,) = (
        torch.autograd.grad((result * weights).sum(), given)
        for result, given in ((rows, [leaf]), (expected, [twin]))
    )
    assert_close(actual, wanted)


def test_a_batch_smaller_than_its_items_is_refused(engine: ModuleType) -> None:
    sites = torch.tensor([[0, 1, 1], [3, 1, 1]], dtype=torch.int32)
    with pytest.raises(ValueError, match="batch index 3, but the batch size is 3"):
        PooledRows()(engine.SparseTensor(torch.ones(2, 1), sites), batch_size=3)
