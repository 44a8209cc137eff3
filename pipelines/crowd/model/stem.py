"""The dense part of our counter: few channels where the map is large, context where it is small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Features(NamedTuple):
    """Maps of the stem, float32 (B, C, h, w): at strides 4 and 8, and at 16 with what stride 32 saw."""

    quarter: Tensor
    eighth: Tensor
    context: Tensor


class Stem(nn.Module):
    """A small residual network (He et al., 2016) at strides 2, 4, 8, 16 and 32, of these widths.

    The coarsest level sees about 200 px around each place; its features are added to those at stride 16.
    """

    def __init__(self, widths: Sequence[int], blocks: Sequence[int]) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth, coarsest = widths
        self.first = conv_norm(3, half, stride=2)
        self.quarter = _level(half, quarter, blocks[0])
        self.eighth = _level(quarter, eighth, blocks[1])
        self.sixteenth = _level(eighth, sixteenth, blocks[2])
        self.coarsest = _level(sixteenth, coarsest, blocks[3])
        self.back = nn.Conv2d(coarsest, sixteenth, 1)
        self.join = conv_norm(sixteenth, sixteenth)

    def forward(self, images: Tensor) -> Features:
        """images: float32 (B, 3, H, W) with sides of multiples of 32."""
        quarter = self.quarter(self.first(images))
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        wide = nn.functional.interpolate(self.back(self.coarsest(sixteenth)), scale_factor=2.0)
        return Features(quarter, eighth, self.join(sixteenth + wide))


class Residual(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_norm(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(self.first(x)) + x)


def conv_norm(before: int, after: int, *, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()
    )


def _level(before: int, after: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(conv_norm(before, after, stride=2), *(Residual(after) for _ in range(blocks)))
