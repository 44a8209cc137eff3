"""Layers on dense grids (B, C, *spatial) for what torch.nn has no layer for."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparse_backbones.convert.boxes import Box

CONVOLUTIONS = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}
MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}

Pads = tuple[tuple[int, int], ...]


def padded(x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    """Cells added before and behind each spatial axis, or taken away where the number is negative."""
    flat = [number for pair in reversed(pads) for number in pair]
    return functional.pad(x, flat, value=value) if any(flat) else x


def check_whole(x: Tensor, stride: Sequence[int]) -> None:
    """Raises ValueError unless every axis is a multiple of the stride."""
    if any(size % step for size, step in zip(x.shape[2:], stride, strict=True)):
        raise ValueError(
            f"a grid of size {list(x.shape[2:])} is not a multiple of the stride {list(stride)}; a network "
            "that goes back to the finer grid needs whole multiples, so pad its input"
        )


class GridConv(nn.Module):
    """A convolution whose padding differs before and behind the grid.

    weight: (Cout, Cin / groups, *size). bias: (Cout,).
    whole: refuse a grid that is not a multiple of the stride.
    """

    def __init__(
        self, in_channels: int, out_channels: int, box: Box, *, groups: int, bias: bool, whole: bool
    ) -> None:
        super().__init__()
        self.stride, self.dilation, self.pads, self.groups = box.stride, box.dilation, box.pads, groups
        self.whole = whole
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *box.size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if self.whole:
            check_whole(x, self.stride)
        convolve = CONVOLUTIONS[len(self.stride)]
        x = padded(x, self.pads)
        result: Tensor = convolve(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)
        return result

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}, stride={self.stride}, dilation={self.dilation}, pads={self.pads}"


class GridConvTranspose(nn.Module):
    """A transposed convolution that is cut or padded differently before and behind the grid.

    weight: (Cin, Cout, *size). bias: (Cout,).
    """

    def __init__(self, in_channels: int, out_channels: int, box: Box, *, bias: bool) -> None:
        super().__init__()
        self.stride, self.dilation, self.crops = box.stride, box.dilation, box.crops
        self.weight = nn.Parameter(torch.empty(in_channels, out_channels, *box.size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        convolve = TRANSPOSED[len(self.stride)]
        # The bias comes last: cells that no offset reaches have it too.
        x = padded(
            convolve(x, self.weight, stride=self.stride, dilation=self.dilation, bias=None), self.crops
        )
        return x if self.bias is None else x + self.bias.reshape(-1, *[1] * len(self.stride))

    def extra_repr(self) -> str:
        return (
            f"{tuple(self.weight.shape)}, stride={self.stride}, dilation={self.dilation}, crops={self.crops}"
        )


class GridPool(nn.Module):
    """Sum or mean of the cells under a kernel that lie on the grid."""

    def __init__(self, box: Box, *, mean: bool, whole: bool) -> None:
        super().__init__()
        self.size, self.stride, self.dilation, self.pads = box.size, box.stride, box.dilation, box.pads
        self.mean = mean
        self.whole = whole

    def forward(self, x: Tensor) -> Tensor:
        if self.whole:
            check_whole(x, self.stride)
        total = self._sum(x.flatten(0, 1)[:, None])
        if self.mean:
            total = total / self._sum(torch.ones_like(x[:1, :1]))
        return total.reshape(*x.shape[:2], *total.shape[2:])

    def _sum(self, x: Tensor) -> Tensor:
        ones = x.new_ones(1, 1, *self.size)
        convolve = CONVOLUTIONS[len(self.size)]
        result: Tensor = convolve(padded(x, self.pads), ones, None, self.stride, 0, self.dilation)
        return result

    def extra_repr(self) -> str:
        return f"{self.size}, stride={self.stride}, dilation={self.dilation}, mean={self.mean}"


class GridMaxPool(nn.Module):
    """Maximum of the cells under a kernel that lie on the grid."""

    def __init__(self, box: Box, *, whole: bool) -> None:
        super().__init__()
        self.size, self.stride, self.dilation, self.pads = box.size, box.stride, box.dilation, box.pads
        self.whole = whole

    def forward(self, x: Tensor) -> Tensor:
        if self.whole:
            check_whole(x, self.stride)
        pool = MAX_POOLS[len(self.size)]
        result: Tensor = pool(padded(x, self.pads, -math.inf), self.size, self.stride, 0, self.dilation)
        return result

    def extra_repr(self) -> str:
        return f"{self.size}, stride={self.stride}, dilation={self.dilation}"


class GridUnpool(nn.Module):
    """Each cell of the finer grid gets the sum of the coarser cells whose kernel holds it."""

    def __init__(self, box: Box, crops: Pads) -> None:
        super().__init__()
        self.size, self.stride, self.dilation, self.crops = box.size, box.stride, box.dilation, crops

    def forward(self, x: Tensor) -> Tensor:
        ones = x.new_ones(1, 1, *self.size)
        convolve = TRANSPOSED[len(self.size)]
        total = convolve(x.flatten(0, 1)[:, None], ones, stride=self.stride, dilation=self.dilation)
        total = padded(total, self.crops)
        return total.reshape(*x.shape[:2], *total.shape[2:])

    def extra_repr(self) -> str:
        return f"{self.size}, stride={self.stride}, dilation={self.dilation}"


class GridInstanceNorm(nn.Module):
    """Instance normalisation that takes a grid of one cell too, where the result is the bias.

    weight, bias: (C,). Computed step by step: torch's fused kernels lose digits where the variance is near 0.
    """

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))

    def forward(self, x: Tensor) -> Tensor:
        axes = tuple(range(2, x.ndim))
        shape = (-1, *[1] * len(axes))
        centred = x - x.mean(axes, keepdim=True)
        scale = torch.rsqrt((centred * centred).mean(axes, keepdim=True) + self.eps)
        return centred * scale * self.weight.reshape(shape) + self.bias.reshape(shape)


class GridSinusoid(nn.Module):
    """coef * sin(weight @ x + bias). weight: (Cout, Cin). bias, coef: (Cout,)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.coef = nn.Parameter(torch.empty(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        rows = functional.linear(x.movedim(1, -1), self.weight, self.bias)
        return (torch.sin(rows) * self.coef).movedim(-1, 1)


class GridSum(nn.Module):
    """Sum over all cells: (B, C, 1, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(tuple(range(2, x.ndim)), keepdim=True)


class GridBroadcast(nn.Module):
    """Combines every cell with one cell (B, C, 1, ...) per item: add, multiply, replace or join."""

    def __init__(self, operation: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x: Tensor, one: Tensor) -> Tensor:
        if any(size != 1 for size in one.shape[2:]):
            raise ValueError(f"the second grid must have one cell per item, not {list(one.shape[2:])}")
        return self.operation(x, one)


def replace(x: Tensor, one: Tensor) -> Tensor:
    return one.expand(-1, -1, *x.shape[2:])


def append(x: Tensor, one: Tensor) -> Tensor:
    return torch.cat([x, replace(x, one)], dim=1)


class GridRows(nn.Module):
    """(B, C, *spatial) as rows (B * cells, C), the last axis running fastest."""

    def forward(self, x: Tensor) -> Tensor:
        return x.movedim(1, -1).flatten(0, -2)


class PooledGrid(nn.Module):
    """Mean and maximum over all cells of each item: (batch_size, 2 * C)."""

    def forward(self, x: Tensor, batch_size: int) -> Tensor:
        if x.shape[0] != batch_size:
            raise ValueError(f"a grid of {x.shape[0]} items, but the batch size is {batch_size}")
        cells = x.flatten(2)
        return torch.cat([cells.mean(2), cells.max(2).values], dim=1)


def _items(grids: Sequence[Tensor | Sequence[Tensor]]) -> list[Tensor]:
    items: list[Tensor] = []
    for entry in grids:
        items.extend([entry] if isinstance(entry, Tensor) else entry)
    if any(item.shape[2:] != items[0].shape[2:] for item in items):
        raise ValueError(f"the grids have different sizes: {[list(item.shape[2:]) for item in items]}")
    return items


def cat(*grids: Tensor | Sequence[Tensor]) -> Tensor:
    """The channels of several grids side by side."""
    return torch.cat(_items(grids), dim=1)


def total(*grids: Tensor | Sequence[Tensor]) -> Tensor:
    """The sum of several grids."""
    return reduce(torch.add, _items(grids))


def mean(*grids: Tensor | Sequence[Tensor]) -> Tensor:
    """The mean of several grids."""
    return torch.stack(_items(grids)).mean(0)


def variance(*grids: Tensor | Sequence[Tensor]) -> Tensor:
    """The biased variance of several grids."""
    return torch.stack(_items(grids)).var(0, correction=0)


class Joined(nn.Module):
    """A join of several grids as a layer."""

    def __init__(self, join: Callable[..., Tensor]) -> None:
        super().__init__()
        self.join = join

    def forward(self, *grids: Tensor) -> Tensor:
        return self.join(*grids)


class Stacked(nn.Sequential):
    """Applies every layer to the same grid and joins what they give."""

    def __init__(self, join: Callable[..., Tensor], layers: dict[str, nn.Module]) -> None:
        super().__init__()
        self.join = join
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.join(*[layer(x) for layer in self])
