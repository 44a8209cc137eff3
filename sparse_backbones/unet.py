"""A residual U-network in parts, so that an encoder can be trained alone and used in another network.

Encoder and decoder speak of levels: level 0 has the resolution of the input, each further one is coarser by
its stride. `sparse_backbones.convert.to_dense` makes dense networks of all three classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from torch import nn

from sparse_backbones.blocks import ConvBlock, ResidualBlock, Sparse

Stride = int | Sequence[int]
"""One stride for all axes, or one per axis; an axis of stride 1 keeps its resolution."""


class SparseEncoder(nn.Module):
    """From sites to features at every level.

    channels: the width of each level.
    blocks: residual blocks of each level.
    strides: how much coarser each level after the first is; one fewer than levels. A stride is a convolution
        whose kernel equals it, so that a coarse site is active where one below it is, and nowhere else.
    """

    def __init__(
        self,
        engine: ModuleType,
        in_channels: int,
        *,
        channels: Sequence[int] = (16, 32, 64, 128),
        blocks: Sequence[int] = (1, 1, 1, 1),
        strides: Sequence[Stride] = (2, 2, 2),
        dimension: int = 3,
    ) -> None:
        super().__init__()
        _check_levels(channels, blocks, strides, dimension)
        self.channels = tuple(channels)
        self.strides = tuple(per_axis(stride, dimension) for stride in strides)
        self.dimension = dimension
        self.stem = ConvBlock(engine, in_channels, channels[0], dimension=dimension)
        self.down = nn.ModuleList(
            ConvBlock(engine, fine, coarse, kernel_size=stride, stride=stride, dimension=dimension)
            for fine, coarse, stride in zip(channels, channels[1:], self.strides, strict=False)
        )
        self.levels = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(engine, width, width, dimension=dimension) for _ in range(depth)))
            for width, depth in zip(channels, blocks, strict=True)
        )

    @property
    def total_stride(self) -> tuple[int, ...]:
        """By how much the coarsest level is coarser than the input, per axis."""
        total = (1,) * self.dimension
        for stride in self.strides:
            total = tuple(a * b for a, b in zip(total, stride, strict=True))
        return total

    def forward(self, x: Sparse) -> list[Sparse]:
        """The features of every level, the finest first."""
        x = self.levels[0](self.stem(x))
        features = [x]
        for down, level in zip(self.down, list(self.levels)[1:], strict=True):
            x = level(down(x))
            features.append(x)
        return features


class SparseDecoder(nn.Module):
    """From the features of every level back to the sites of the finest, with the encoder's as skips.

    heads: how many of the finest levels give scores, from level 0 on; more than one serves deep supervision.
    """

    def __init__(
        self,
        engine: ModuleType,
        out_channels: int,
        *,
        channels: Sequence[int],
        strides: Sequence[Stride],
        heads: int = 1,
        dimension: int = 3,
    ) -> None:
        super().__init__()
        _check_levels(channels, (1,) * len(channels), strides, dimension)
        if not 1 <= heads < max(2, len(channels)):
            raise ValueError(f"{len(channels)} levels can give 1 to {max(1, len(channels) - 1)} outputs")
        up, merge = [], []
        for fine, coarse, stride in zip(channels, channels[1:], strides, strict=False):
            sides = per_axis(stride, dimension)
            up.append(
                engine.MinkowskiConvolutionTranspose(
                    coarse, fine, kernel_size=sides, stride=sides, dimension=dimension
                )
            )
            merge.append(ResidualBlock(engine, 2 * fine, fine, dimension=dimension))
        self.up, self.merge = nn.ModuleList(up), nn.ModuleList(merge)
        self.heads = nn.ModuleList(
            engine.MinkowskiConvolution(width, out_channels, kernel_size=1, bias=True, dimension=dimension)
            for width in channels[:heads]
        )
        self.cat = engine.cat

    def forward(self, features: Sequence[Sparse]) -> list[Sparse]:
        """Scores at each level that has a head, the finest first."""
        x = features[-1]
        found = [x] if len(features) == 1 else []
        for up, merge, skip in zip(
            reversed(list(self.up)), reversed(list(self.merge)), reversed(list(features[:-1])), strict=True
        ):
            x = merge(self.cat(up(x), skip))
            found.append(x)
        found.reverse()
        return [head(one) for head, one in zip(self.heads, found, strict=False)]


class SparseUNet(nn.Module):
    """Encoder and decoder: scores (sites, out_channels) at the finest level, and at further ones with heads.

    The parameters of the encoder are those of `SparseEncoder`, under `encoder.`.
    """

    def __init__(
        self,
        engine: ModuleType,
        in_channels: int,
        out_channels: int,
        *,
        channels: Sequence[int] = (16, 32, 64, 128),
        blocks: Sequence[int] = (1, 1, 1, 1),
        strides: Sequence[Stride] = (2, 2, 2),
        heads: int = 1,
        dimension: int = 3,
    ) -> None:
        super().__init__()
        self.encoder = SparseEncoder(
            engine, in_channels, channels=channels, blocks=blocks, strides=strides, dimension=dimension
        )
        self.decoder = SparseDecoder(
            engine, out_channels, channels=channels, strides=strides, heads=heads, dimension=dimension
        )

    def forward(self, x: Sparse) -> list[Sparse]:
        """Scores of each head on the sites of its level, the finest first: those of `x` itself."""
        found: list[Sparse] = self.decoder(self.encoder(x))
        return found


def per_axis(stride: Stride, dimension: int) -> tuple[int, ...]:
    """The stride of each axis. Raises ValueError unless there is one whole number of 1 or more per axis."""
    sides = (stride,) * dimension if isinstance(stride, int) else tuple(stride)
    if len(sides) != dimension or min(sides) < 1:
        raise ValueError(f"a stride in {dimension}D is a whole number, or {dimension} of them: not {stride}")
    return sides


def _check_levels(
    channels: Sequence[int], blocks: Sequence[int], strides: Sequence[Stride], dimension: int
) -> None:
    if dimension not in (2, 3):
        raise ValueError(f"dimension must be 2 or 3, not {dimension}")
    if not channels or not len(channels) == len(blocks) == len(strides) + 1:
        raise ValueError(
            f"{len(channels)} widths need as many numbers of blocks and one stride fewer, "
            f"not {len(blocks)} and {len(strides)}"
        )
    for stride in strides:
        per_axis(stride, dimension)
