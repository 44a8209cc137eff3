"""Building blocks of sparse networks, written once for every engine.

`engine` is what `sparse_backbones.engines.load` returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

Sparse = Any  # the engine's own SparseTensor


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, ReLU. Submanifold at stride 1."""

    def __init__(
        self,
        engine: ModuleType,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 1,
        dilation: int = 1,
        dimension: int = 2,
    ) -> None:
        super().__init__()
        self.conv = engine.MinkowskiConvolution(
            in_channels,
            out_channels,
            kernel_size=kernel_size,
            stride=stride,
            dilation=dilation,
            dimension=dimension,
        )
        self.norm = engine.MinkowskiBatchNorm(out_channels)
        self.relu = engine.MinkowskiReLU()

    def forward(self, x: Sparse) -> Sparse:
        return self.relu(self.norm(self.conv(x)))


class ResidualBlock(nn.Module):
    """Two submanifold convolutions with a shortcut (He et al., 2016, basic block)."""

    def __init__(
        self, engine: ModuleType, in_channels: int, out_channels: int, *, dimension: int = 2
    ) -> None:
        super().__init__()
        self.first = ConvBlock(engine, in_channels, out_channels, dimension=dimension)
        self.conv = engine.MinkowskiConvolution(
            out_channels, out_channels, kernel_size=3, dimension=dimension
        )
        self.norm = engine.MinkowskiBatchNorm(out_channels)
        self.shortcut = (
            nn.Identity()
            if in_channels == out_channels
            else engine.MinkowskiConvolution(in_channels, out_channels, kernel_size=1, dimension=dimension)
        )
        self.relu = engine.MinkowskiReLU()

    def forward(self, x: Sparse) -> Sparse:
        return self.relu(self.norm(self.conv(self.first(x))) + self.shortcut(x))


class PooledRows(nn.Module):
    """Mean and maximum over each batch item's sites, as one row per item.

    Returns (batch_size, 2 * C). An item without any site is a row of zeros.

    In plain torch, since MinkowskiEngine's global pooling fails for a batch with an empty item or with one
    site an item, and may give the mean of one item to another from three items on.
    """

    def forward(self, x: Sparse, batch_size: int) -> Tensor:
        features: Tensor = x.F
        batch = x.C[:, 0].long()
        counts = torch.bincount(batch, minlength=batch_size)
        if len(counts) > batch_size:
            raise ValueError(
                f"a site has the batch index {len(counts) - 1}, but the batch size is {batch_size}"
            )
        zeros = features.new_zeros(batch_size, features.shape[1])
        mean = zeros.index_add(0, batch, features) / counts.clamp(min=1)[:, None]
        rows = batch[:, None].expand_as(features)
        maximum = zeros.scatter_reduce(0, rows, features, "amax", include_self=False)
        return torch.cat([mean, maximum], dim=1)
