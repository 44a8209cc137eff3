"""Where a sparse kernel's offsets lie in a dense kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sparse_backbones.engines.native.regions import KernelGenerator

Ints = tuple[int, ...]


class Refusal(ValueError):
    """Why a layer has no dense counterpart."""


@dataclass(frozen=True)
class Box:
    """The smallest dense kernel that holds all offsets of a sparse one.

    size, stride, dilation: per axis. first: the lowest offset per axis, in cells of the finer grid.
    cells: int64 (K,), the place of each sparse offset in the dense kernel, its last axis running fastest.
    """

    size: Ints
    stride: Ints
    dilation: Ints
    first: Ints
    cells: Tensor

    @property
    def volume(self) -> int:
        return math.prod(self.size)

    @property
    def span(self) -> Ints:
        """From the lowest offset to the highest, per axis."""
        return tuple((size - 1) * step for size, step in zip(self.size, self.dilation, strict=True))

    @property
    def pads(self) -> tuple[tuple[int, int], ...]:
        """Cells to add before and behind each axis, so that n cells become ceil(n / stride)."""
        return tuple((-low, span + low) for low, span in zip(self.first, self.span, strict=True))

    @property
    def crops(self) -> tuple[tuple[int, int], ...]:
        """What to add before and behind a whole transposed convolution, so that n cells become n * stride."""
        return tuple(
            (low, stride - 1 - span - low)
            for low, span, stride in zip(self.first, self.span, self.stride, strict=True)
        )

    def spread(self, kernel: Tensor) -> Tensor:
        """(K, ...) to (volume, ...), with zeros where the sparse kernel has no offset."""
        dense = kernel.new_zeros(self.volume, *kernel.shape[1:])
        dense[self.cells.to(kernel.device)] = kernel
        return dense

    def collect(self, dense: Tensor) -> Tensor:
        """(volume, ...) to (K, ...). Raises Refusal where anything but zeros would be left out."""
        rest = torch.ones(self.volume, dtype=torch.bool, device=dense.device)
        rest[self.cells.to(dense.device)] = False
        if bool((dense[rest] != 0).any()):
            raise Refusal(
                f"the dense kernel of size {list(self.size)} has weights other than 0 where the sparse one "
                "has no offset"
            )
        return dense[self.cells.to(dense.device)]


def box_of(generator: Any) -> Box:
    """Of a native or MinkowskiEngine's KernelGenerator. Raises Refusal."""
    if getattr(generator, "axis_types", None) is not None:
        raise Refusal("its kernel has axis_types")
    size, stride, dilation = (
        tuple(int(number) for number in numbers)
        for numbers in (generator.kernel_size, generator.kernel_stride, generator.kernel_dilation)
    )
    # The layers that ask may be in the making on the device meta.
    with torch.device("cpu"):
        offsets = _offsets(generator, size)
        if len(torch.unique(offsets, dim=0)) < len(offsets):
            raise Refusal("its kernel has the same offset more than once")
        low = offsets.amin(0)
        sides = tuple((offsets.amax(0) - low + 1).tolist())
        cells = torch.zeros_like(offsets[:, 0])
        for axis, side in enumerate(sides):
            cells = cells * side + (offsets[:, axis] - low[axis])
        first = tuple(int(number) * step for number, step in zip(low, dilation, strict=True))
    return Box(sides, stride, dilation, first, cells)


def _offsets(generator: Any, size: Ints) -> Tensor:
    """int64 (K, D), undilated."""
    region, dimension = generator.region_type, len(size)
    if isinstance(generator, KernelGenerator):
        return KernelGenerator(
            size, region_type=region, region_offsets=generator.region_offsets, dimension=dimension
        ).offsets()
    if region.name not in ("HYPER_CUBE", "HYPER_CROSS"):
        raise Refusal(f"MinkowskiEngine does not build kernels of the region {region.name}")
    # MinkowskiEngine's cross takes the first places of the cube.
    return KernelGenerator(size, dimension=dimension).offsets()[: generator.kernel_volume]


def pooling_box(generator: Any) -> Box:
    """As `box_of`, for pooling: a kernel as large as its stride covers [0, size) without dilation."""
    if generator.region_type.name != "HYPER_CUBE":
        raise Refusal(f"pooling over the region {generator.region_type.name}")
    box = box_of(generator)
    if box.size != box.stride:
        return box
    zeros = (0,) * len(box.size)
    return Box(box.size, box.stride, tuple(1 for _ in box.size), zeros, box.cells)
