"""Kernel regions: which offsets a kernel touches, in MinkowskiEngine's order."""

from __future__ import annotations

import enum
import math
import operator
from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor

IntOrInts = int | Sequence[int]


class RegionType(enum.Enum):
    """Shapes of a kernel's neighbourhood."""

    HYPER_CUBE = 0


def to_ints(value: IntOrInts | Tensor, dimension: int, name: str = "value") -> list[int]:
    """One int per spatial dimension."""
    if isinstance(value, Tensor):
        value = value.tolist()
    if isinstance(value, (int, Integral)):
        value = [int(value)] * dimension
    values = [operator.index(number) for number in value]
    if len(values) != dimension:
        raise ValueError(f"{name} has {len(values)} numbers, but there are {dimension} spatial dimensions")
    return values


class KernelGenerator:
    """A kernel's size, stride and dilation over `dimension` axes.

    Offsets run over the first axis fastest. An odd size is centred, an even one covers [0, size).
    """

    def __init__(
        self,
        kernel_size: IntOrInts = -1,
        stride: IntOrInts = 1,
        dilation: IntOrInts = 1,
        is_transpose: bool = False,
        region_type: RegionType = RegionType.HYPER_CUBE,
        expand_coordinates: bool = False,
        dimension: int = -1,
    ) -> None:
        if dimension <= 0:
            raise ValueError(f"dimension must be positive, not {dimension}")
        if expand_coordinates:
            raise ValueError("expand_coordinates is not supported by the native engine")
        self.kernel_size = to_ints(kernel_size, dimension, "kernel_size")
        self.kernel_stride = to_ints(stride, dimension, "stride")
        self.kernel_dilation = to_ints(dilation, dimension, "dilation")
        for name, values in (
            ("kernel_size", self.kernel_size),
            ("stride", self.kernel_stride),
            ("dilation", self.kernel_dilation),
        ):
            if min(values) <= 0:
                raise ValueError(f"{name} must be positive, not {values}")
        self.region_type = region_type
        self.is_transpose = is_transpose
        self.expand_coordinates = expand_coordinates
        self.dimension = dimension
        self.kernel_volume = math.prod(self.kernel_size)

    def offsets(self) -> Tensor:
        """int64 (kernel_volume, dimension), in units of the finer map's stride."""
        axes = []
        for size, dilation in zip(self.kernel_size, self.kernel_dilation, strict=True):
            start = -(size // 2) if size % 2 else 0
            axes.append((torch.arange(size) + start) * dilation)
        grids = torch.meshgrid(*reversed(axes), indexing="ij")
        return torch.stack([grid.reshape(-1) for grid in reversed(grids)], dim=1)

    @property
    def identity(self) -> bool:
        """Whether every site looks at itself only."""
        return self.kernel_volume == 1 and all(s == 1 for s in self.kernel_stride)

    @property
    def tiles(self) -> bool:
        """Whether the kernel's places lie side by side: an even size that equals the stride, undilated."""
        return self.kernel_size == self.kernel_stride and all(
            size % 2 == 0 and dilation == 1
            for size, dilation in zip(self.kernel_size, self.kernel_dilation, strict=True)
        )

    def signature(self) -> tuple[tuple[int, ...], ...]:
        return tuple(self.kernel_size), tuple(self.kernel_stride), tuple(self.kernel_dilation)

    def __repr__(self) -> str:
        return (
            f"KernelGenerator(kernel_size={self.kernel_size}, kernel_stride={self.kernel_stride}, "
            f"kernel_dilation={self.kernel_dilation}, dimension={self.dimension})"
        )
