"""Kernel regions: which offsets a kernel touches, in MinkowskiEngine's order."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor

from sparse_backbones.engines.native.enums import Option

IntOrInts = int | Sequence[int]


class RegionType(Option):
    """Shapes of a kernel's neighbourhood."""

    HYPER_CUBE = 0
    HYPER_CROSS = 1
    CUSTOM = 2


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
    """A kernel's shape, size, stride and dilation over `dimension` axes.

    HYPER_CUBE: offsets run over the first axis fastest. An odd size is centred, an even one covers [0, size).
    HYPER_CROSS: the centre, then axis by axis the places before and behind it; sizes must be odd.
    CUSTOM: the rows of `region_offsets` (K, D), int, times the dilation.
    axis_types: HYPER_CUBE or HYPER_CROSS for each axis, instead of one region_type: a cube over the axes of
        the first kind, its other coordinates 0, and then the places of the cross along those of the second.
    expand_coordinates: the output has a site wherever the kernel reaches one of the input.
    """

    def __init__(
        self,
        kernel_size: IntOrInts = -1,
        stride: IntOrInts = 1,
        dilation: IntOrInts = 1,
        is_transpose: bool = False,
        region_type: RegionType = RegionType.HYPER_CUBE,
        region_offsets: Tensor | None = None,
        expand_coordinates: bool = False,
        axis_types: Sequence[RegionType] | None = None,
        dimension: int = -1,
    ) -> None:
        if dimension <= 0:
            raise ValueError(f"dimension must be positive, not {dimension}")
        if not isinstance(region_type, RegionType):
            raise ValueError(f"region_type must be a RegionType, not {region_type!r}")
        if (region_type is RegionType.CUSTOM) != (region_offsets is not None):
            raise ValueError("region_offsets belong to RegionType.CUSTOM, and only to it")
        if region_offsets is not None:
            region_offsets = torch.as_tensor(region_offsets)
            if region_offsets.ndim != 2 or region_offsets.shape[1] != dimension or not len(region_offsets):
                raise ValueError(
                    f"region_offsets must have the shape (K, {dimension}), not {tuple(region_offsets.shape)}"
                )
            # The size has no meaning of its own then.
            kernel_size = 1 if kernel_size == -1 else kernel_size
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
        if axis_types is not None:
            axis_types = _checked(axis_types, region_type, dimension)
            if len(set(axis_types)) == 1:
                region_type, axis_types = axis_types[0], None
        crossed = axis_types or [region_type] * dimension
        if any(
            kind is RegionType.HYPER_CROSS and size % 2 == 0
            for kind, size in zip(crossed, self.kernel_size, strict=True)
        ):
            raise ValueError(f"a HYPER_CROSS needs odd kernel sizes, not {self.kernel_size}")
        self.region_type = region_type
        self.region_offsets = region_offsets
        self.axis_types = axis_types
        self.is_transpose = is_transpose
        self.expand_coordinates = expand_coordinates
        self.dimension = dimension
        self.kernel_volume = get_kernel_volume(
            region_type, self.kernel_size, region_offsets, axis_types, dimension
        )
        self.requires_strided_coordinates = all(s == 1 for s in self.kernel_stride)

    def offsets(self) -> Tensor:
        """int64 (kernel_volume, dimension), in units of the finer map's stride."""
        dilation = torch.tensor(self.kernel_dilation)
        if self.region_offsets is not None:
            return self.region_offsets.cpu().long() * dilation
        if self.axis_types is not None:
            return _mixed(self.kernel_size, self.axis_types) * dilation
        if self.region_type is RegionType.HYPER_CROSS:
            return _cross(self.kernel_size) * dilation
        return _cube(self.kernel_size) * dilation

    def get_kernel(self, tensor_stride: Sequence[int], is_transpose: bool) -> tuple[RegionType, Tensor, int]:
        """What `convert_region_type` gives for this kernel around a map of that tensor stride."""
        up_stride = self.kernel_stride if is_transpose else [1] * self.dimension
        return convert_region_type(
            self.region_type,
            tensor_stride,
            self.kernel_size,
            up_stride,
            self.kernel_dilation,
            self.region_offsets,
            self.axis_types,
            self.dimension,
        )

    @property
    def is_cube(self) -> bool:
        return self.region_type is RegionType.HYPER_CUBE and self.axis_types is None

    @property
    def centred(self) -> bool:
        """Whether the offsets are a cube symmetric about 0."""
        return self.is_cube and all(size % 2 for size in self.kernel_size)

    @property
    def identity(self) -> bool:
        """Whether every site looks at itself only."""
        return (
            self.kernel_volume == 1
            and all(s == 1 for s in self.kernel_stride)
            and self.region_type is not RegionType.CUSTOM
        )

    @property
    def tiles(self) -> bool:
        """Whether the kernel's places lie side by side: an even size that equals the stride, undilated."""
        return (
            self.is_cube
            and self.kernel_size == self.kernel_stride
            and all(size % 2 == 0 for size in self.kernel_size)
            and all(dilation == 1 for dilation in self.kernel_dilation)
        )

    def signature(self) -> tuple[object, ...]:
        """What two generators of equal kernels share; hashable."""
        custom = None if self.region_offsets is None else tuple(map(tuple, self.region_offsets.tolist()))
        sizes = tuple(self.kernel_size), tuple(self.kernel_stride), tuple(self.kernel_dilation)
        types = None if self.axis_types is None else tuple(self.axis_types)
        return (*sizes, self.region_type, custom, types)

    def __repr__(self) -> str:
        return (
            f"KernelGenerator(kernel_size={self.kernel_size}, kernel_stride={self.kernel_stride}, "
            f"kernel_dilation={self.kernel_dilation}, region_type={self.region_type.name}, "
            f"expand_coordinates={self.expand_coordinates}, dimension={self.dimension})"
        )


def get_kernel_volume(
    region_type: RegionType,
    kernel_size: Sequence[int],
    region_offset: Tensor | None,
    axis_types: Sequence[RegionType] | None,
    dimension: int,
) -> int:
    """Number of offsets of a kernel."""
    if axis_types is not None:
        return len(_mixed(kernel_size, _checked(axis_types, region_type, dimension)))
    if region_type is RegionType.HYPER_CUBE:
        return math.prod(kernel_size)
    if region_type is RegionType.HYPER_CROSS:
        return 1 + sum(size - 1 for size in kernel_size)
    if region_offset is None:
        raise ValueError("RegionType.CUSTOM needs region_offsets")
    return len(region_offset)


class KernelRegion(NamedTuple):
    """A kernel's numbers, one per axis. offset: those of a CUSTOM region, else None. D: number of axes."""

    kernel_size: Sequence[int]
    kernel_stride: Sequence[int]
    kernel_dilation: Sequence[int]
    region_type: RegionType
    offset: Tensor | None
    D: int


def convert_region_type(
    region_type: RegionType,
    tensor_stride: Sequence[int],
    kernel_size: Sequence[int],
    up_stride: Sequence[int],
    dilation: Sequence[int],
    region_offset: Tensor | None,
    axis_types: Sequence[RegionType] | None,
    dimension: int,
    center: bool = True,
) -> tuple[RegionType, Tensor, int]:
    """The region type, int32 offsets (K, dimension) or none (0,), and the number of places of a kernel.

    A cube or a cross stays as it is, without offsets. Mixed `axis_types` become a CUSTOM region, whose
    offsets are in units of the original grid: times dilation * tensor_stride / up_stride.
    center: False lets the cubes of mixed axes begin at 0.
    """
    none = torch.empty(0, dtype=torch.int32)
    if axis_types is not None:
        kinds = _checked(axis_types, region_type, dimension)
        offsets = _mixed(kernel_size, kinds, center)
        unit = [d * (s // u) for d, s, u in zip(dilation, tensor_stride, up_stride, strict=True)]
        return RegionType.CUSTOM, (offsets * torch.tensor(unit)).int(), len(offsets)
    volume = get_kernel_volume(region_type, kernel_size, region_offset, None, dimension)
    return region_type, none if region_offset is None else region_offset, volume


def _checked(axis_types: Sequence[RegionType], region_type: RegionType, dimension: int) -> list[RegionType]:
    if region_type is RegionType.CUSTOM:
        raise ValueError("axis_types do not go with RegionType.CUSTOM")
    kinds = [RegionType(kind) for kind in axis_types]
    if len(kinds) != dimension or RegionType.CUSTOM in kinds:
        raise ValueError(f"axis_types must be {dimension} of HYPER_CUBE and HYPER_CROSS, not {axis_types}")
    return kinds


def _cube(kernel_size: Sequence[int], center: bool = True) -> Tensor:
    return _cube_of(tuple(kernel_size), center).clone()


@lru_cache(maxsize=64)
def _cube_of(kernel_size: tuple[int, ...], center: bool) -> Tensor:
    axes = [torch.arange(size) - (size // 2 if size % 2 and center else 0) for size in kernel_size]
    grids = torch.meshgrid(*reversed(axes), indexing="ij")
    return torch.stack([grid.reshape(-1) for grid in reversed(grids)], dim=1)


def _cross(kernel_size: Sequence[int]) -> Tensor:
    rows = [[0] * len(kernel_size)]
    for axis, size in enumerate(kernel_size):
        for step in range(-(size // 2), size // 2 + 1):
            if step:
                rows.append([step if other == axis else 0 for other in range(len(kernel_size))])
    return torch.tensor(rows)


def _mixed(kernel_size: Sequence[int], kinds: Sequence[RegionType], center: bool = True) -> Tensor:
    cubed = [kind is RegionType.HYPER_CUBE for kind in kinds]
    pairs = list(zip(kernel_size, cubed, strict=True))
    cube = _cube([size if flag else 1 for size, flag in pairs], center)
    return torch.cat([cube, _cross([1 if flag else size for size, flag in pairs])[1:]])
