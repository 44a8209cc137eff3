"""Where tiles lie and how much each counts; how far a network sees."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from pipelines.medical.config import NetworkPlan

SIGMA = 1 / 8  # of the Gaussian that weighs a tile, as a share of its side
CONVOLUTIONS = 2  # of 3 voxels, in one residual block


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """start: voxel of the image at the tile's first corner, below 0 where the tile hangs over the edge.

    weights: float32 per axis, (patch side,). Their outer product is what the tile counts at each voxel;
        over all tiles of a grid it sums to 1 at every voxel.
    """

    start: tuple[int, int, int]
    weights: tuple[Tensor, Tensor, Tensor]

    def inner(self, shape: Sequence[int]) -> tuple[tuple[slice, slice, slice], tuple[slice, slice, slice]]:
        """The part within an image of `shape`: as slices of the image, and of the tile."""
        there, here = [], []
        for first, weights, side in zip(self.start, self.weights, shape, strict=True):
            low, high = max(first, 0), min(first + len(weights), side)
            there.append(slice(low, high))
            here.append(slice(low - first, high - first))
        return (there[0], there[1], there[2]), (here[0], here[1], here[2])

    def cut(self, images: Tensor) -> Tensor:
        """The tile of images (C, X, Y, Z) or (X, Y, Z), with zeros where it hangs over the edge."""
        shape = images.shape[-3:]
        there, here = self.inner(shape)
        sides = [len(weights) for weights in self.weights]
        pad = [
            number
            for part, side in reversed(list(zip(here, sides, strict=True)))
            for number in (part.start, side - part.stop)
        ]
        return functional.pad(images[(..., *there)], pad)


def starts(side: int, patch: int, overlap: float) -> list[int]:
    """Where tiles begin along an axis: evenly from end to end; centred if one covers it."""
    if side <= patch:
        return [-((patch - side) // 2)]
    step = max(1, int(patch * (1 - overlap)))
    count = math.ceil((side - patch) / step) + 1
    return [round(number * (side - patch) / (count - 1)) for number in range(count)]


def axis_weights(side: int, patch: int, begin: Sequence[int]) -> Tensor:
    """What each tile counts along an axis: float32 (tiles, patch), Gaussian, summing to 1 at every voxel.

    As tiles lie on a grid, sums of 1 along each axis make sums of 1 in space.
    """
    places = torch.arange(patch, dtype=torch.float64) - (patch - 1) / 2
    bell = torch.exp(-0.5 * (places / (patch * SIGMA)) ** 2)
    total = torch.zeros(side + 2 * patch, dtype=torch.float64)
    for first in begin:
        total[first + patch : first + 2 * patch] += bell
    return torch.stack([bell / total[first + patch : first + 2 * patch] for first in begin]).float()


def tile_grid(
    shape: Sequence[int], patch: Sequence[int], overlap: float, slow: int
) -> Iterator[tuple[list[Tile], int]]:
    """Rows of tiles that cover an image, in order along the axis `slow`.

    Yields the tiles of one row, and up to which voxel of that axis no later row reaches.
    """
    begin = [starts(side, one, overlap) for side, one in zip(shape, patch, strict=True)]
    weights = [axis_weights(*args) for args in zip(shape, patch, begin, strict=True)]
    ends = [*begin[slow][1:], shape[slow]]
    for number, end in enumerate(ends):
        rows = [list(enumerate(one)) for one in begin]
        rows[slow] = [rows[slow][number]]
        yield [_tile(corner, weights) for corner in product(*rows)], end


def _tile(corner: Sequence[tuple[int, int]], weights: Sequence[Tensor]) -> Tile:
    (i, x), (j, y), (k, z) = corner
    return Tile((x, y, z), (weights[0][i], weights[1][j], weights[2][k]))


def slow_axis(shape: Sequence[int], patch: Sequence[int]) -> int:
    """The axis along which a slab of one patch's thickness has the fewest voxels."""
    return max(range(3), key=lambda axis: (shape[axis] / patch[axis], axis))


def reach(plan: NetworkPlan) -> tuple[int, int, int]:
    """How many voxels around a voxel its scores can depend on, per axis, for our U-networks.

    Followed from the output to the input of `sparse_backbones.unet`: a residual block sees 2 sites of its
    level to either side, and a site sees all sites of the finer level below it.
    """
    x, y, z = (_reach(plan, axis) for axis in range(3))
    return x, y, z


def _reach(plan: NetworkPlan, axis: int) -> int:
    strides = [stride[axis] for stride in plan.strides]
    # The decoder, down to the coarsest level: how far before site 0 each level is needed.
    needed = []
    low = 0
    for stride in strides:
        low += CONVOLUTIONS
        needed.append(low)
        low = math.ceil(low / stride) + _off_centre(stride)
    needed.append(low)
    # The encoder, back up: a level is needed by its own skip and by the level below.
    for level in reversed(range(len(needed))):
        if level < len(strides):
            below = needed[level + 1] * strides[level] + _off_centre(strides[level])
            needed[level] = max(needed[level], below)
        needed[level] += CONVOLUTIONS * plan.blocks[level]
    return needed[0] + 1  # the first convolution


def _off_centre(stride: int) -> int:
    """Kernels of odd size lie around their site, not ahead of it: up to how many cells they reach across."""
    return stride // 2 if stride % 2 else 0


def total_stride(plan: NetworkPlan) -> tuple[int, int, int]:
    """By how much the coarsest level is coarser than the input, per axis."""
    x, y, z = (math.prod(stride[axis] for stride in plan.strides) for axis in range(3))
    return x, y, z
