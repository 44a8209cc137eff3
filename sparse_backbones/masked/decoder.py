"""From sparse features of the visible sites to an image: levels made dense, then a light dense decoder."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from sparse_backbones.blocks import Sparse

_CONVOLUTIONS: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, Any] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORMS: dict[int, Any] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
TOKEN_DEVIATION = 0.02


class Densify(nn.Module):
    """One level of the encoder as a dense grid: normalised, a learnt token at what is hidden, projected.

    kernel: of the projection; 1 with as many channels in as out is none.
    """

    def __init__(self, engine: ModuleType, channels: int, width: int, *, kernel: int, dimension: int) -> None:
        super().__init__()
        self.norm = engine.MinkowskiBatchNorm(channels)
        self.token = nn.Parameter(nn.init.trunc_normal_(torch.empty(channels), std=TOKEN_DEVIATION))
        self.project: nn.Module = (
            nn.Identity()
            if kernel == 1 and channels == width
            else _CONVOLUTIONS[dimension](channels, width, kernel, padding=kernel // 2)
        )

    def forward(self, x: Sparse, inside: Tensor) -> Tensor:
        """Features (B, width, *level). inside: bool (B, *level), False where there is no image: 0 there."""
        x = self.norm(x)
        filled: Tensor = self.project(self.fill(x.F, places(x), inside))
        return filled

    def fill(self, rows: Tensor, where: tuple[Tensor, ...], inside: Tensor) -> Tensor:
        """Rows (N, C) at their places, the token at all others inside: (B, C, *cells), channels last."""
        grid = self.token.to(rows.dtype) * inside[..., None]
        return grid.index_put(where, rows).movedim(-1, 1)


def places(x: Sparse) -> tuple[Tensor, ...]:
    """Batch index and place in the level's grid of each site, int64."""
    sites = x.C.long()
    strides = x.tensor_stride
    return (sites[:, 0], *(sites[:, 1 + axis] // stride for axis, stride in enumerate(strides)))


class LightDecoder(nn.Module):
    """Dense features from the coarsest level to the finest of those given, then to the image.

    widths: of each level, the finest first. strides: of each level but the first, against the one before.
    first: by how much the finest level is coarser than the image, per axis; a transposed convolution whose
        kernel equals it makes the voxels, so that the decoder need not work at full resolution.
    """

    def __init__(
        self,
        out_channels: int,
        *,
        widths: Sequence[int],
        strides: Sequence[tuple[int, ...]],
        first: tuple[int, ...],
        dimension: int,
    ) -> None:
        super().__init__()
        self.up = nn.ModuleList(
            _TRANSPOSED[dimension](coarse, fine, stride, stride)
            for fine, coarse, stride in zip(widths, widths[1:], strides, strict=False)
        )
        self.levels = nn.ModuleList(_two_convolutions(width, dimension) for width in widths)
        self.head = _TRANSPOSED[dimension](widths[0], out_channels, first, first)

    def forward(self, skips: Sequence[Tensor]) -> Tensor:
        """The image (B, out_channels, *spatial) from dense features of every level, the finest first."""
        x = self.levels[-1](skips[-1])
        for up, level, skip in zip(
            reversed(list(self.up)), reversed(list(self.levels)[:-1]), reversed(list(skips[:-1])), strict=True
        ):
            x = level(up(x) + skip)
        image: Tensor = self.head(x)
        return image


def _two_convolutions(width: int, dimension: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for _ in range(2):
        layers += [
            _CONVOLUTIONS[dimension](width, width, 3, padding=1, bias=False),
            _NORMS[dimension](width),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)
