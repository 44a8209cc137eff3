"""Building blocks of sparse networks, written once for every engine.

`engine` is what `sparse_backbones.engines.load` returns.
"""

from __future__ import annotations

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
        kernel_size: int = 3,
        stride: int = 1,
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
    """

    def __init__(self, engine: ModuleType) -> None:
        super().__init__()
        self.mean = engine.MinkowskiGlobalAvgPooling()
        self.maximum = engine.MinkowskiGlobalMaxPooling()

    def forward(self, x: Sparse, batch_size: int) -> Tensor:
        if len(x.C) <= batch_size and len(x.C[:, 0].unique()) == len(x.C):
            # One site an item: there is nothing to pool, and MinkowskiEngine 0.5.4 refuses to.
            return _placed(x, batch_size).repeat(1, 2)
        # Engines differ in the order of their rows, so each pooled tensor is placed by its own batch index.
        return torch.cat([_placed(pool(x), batch_size) for pool in (self.mean, self.maximum)], dim=1)


def _placed(pooled: Sparse, batch_size: int) -> Tensor:
    rows = pooled.F.new_zeros(batch_size, pooled.F.shape[1])
    placed: Tensor = rows.index_put((pooled.C[:, 0].long(),), pooled.F)
    return placed
