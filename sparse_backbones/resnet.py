"""Residual networks on active sites, in 2D and 3D."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor, nn

from sparse_backbones.blocks import ConvBlock, PooledRows, ResidualBlock, Sparse


class SparseResNet(nn.Module):
    """A sparse residual classifier that returns logits and the latent they come from.

    stem_strides: convolutions whose kernel equals their stride, so that each site goes to one coarser site.
        They take full-resolution coordinates (20,000 a side and more) down at a cost that follows the
        number of sites.
    stem_channels: channels of the stem, one number per stem convolution.
    channels, blocks: width and number of residual blocks of each stage. Each stage after the first halves the
        resolution.
    latent: size of the latent.
    extra: numbers per item, known beforehand, that are joined to the pooled features.
    """

    def __init__(
        self,
        engine: ModuleType,
        in_channels: int,
        num_classes: int,
        *,
        dimension: int = 2,
        stem_strides: Sequence[int] = (),
        stem_channels: Sequence[int] = (),
        channels: Sequence[int] = (32, 64, 128),
        blocks: Sequence[int] = (1, 1, 1),
        latent: int = 128,
        dropout: float = 0.0,
        extra: int = 0,
    ) -> None:
        super().__init__()
        if len(stem_strides) != len(stem_channels):
            raise ValueError(f"{len(stem_strides)} stem strides for {len(stem_channels)} stem channels")
        if not channels or len(channels) != len(blocks):
            raise ValueError(f"{len(blocks)} numbers of blocks for {len(channels)} stages")
        if min(blocks) < 1:
            raise ValueError(f"every stage needs at least one block, not {list(blocks)}")
        if dimension not in (2, 3):
            raise ValueError(f"dimension must be 2 or 3, not {dimension}")
        width = in_channels
        stem: list[nn.Module] = []
        for stride, wide in zip(stem_strides, stem_channels, strict=True):
            stem.append(
                ConvBlock(engine, width, wide, kernel_size=stride, stride=stride, dimension=dimension)
            )
            width = wide
        self.stem = nn.Sequential(*stem)
        stages: list[nn.Module] = []
        for number, (wide, depth) in enumerate(zip(channels, blocks, strict=True)):
            layers: list[nn.Module] = []
            if number:
                layers.append(ConvBlock(engine, width, wide, kernel_size=3, stride=2, dimension=dimension))
                width = wide
            for _ in range(depth):
                layers.append(ResidualBlock(engine, width, wide, dimension=dimension))
                width = wide
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.pool = PooledRows()
        self.extra = extra
        self.head = nn.Sequential(
            nn.Linear(2 * width + extra, latent), nn.BatchNorm1d(latent), nn.ReLU(), nn.Dropout(dropout)
        )
        self.classifier = nn.Linear(latent, num_classes)

    def forward(self, x: Sparse, batch_size: int, extra: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Logits (batch_size, num_classes) and latent (batch_size, latent).

        extra: (batch_size, self.extra).
        """
        if (0 if extra is None else extra.shape[1]) != self.extra:
            raise ValueError(f"expected {self.extra} extra numbers per item")
        pooled = self.pool(self.stages(self.stem(x)), batch_size)
        if extra is not None:
            pooled = torch.cat([pooled, extra], dim=1)
        latent = self.head(pooled)
        return self.classifier(latent), latent
