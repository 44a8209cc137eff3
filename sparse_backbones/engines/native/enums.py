"""MinkowskiEngine's options. Those that pick a device or an algorithm are accepted and change nothing."""

from __future__ import annotations

import enum


class Option(enum.IntEnum):
    """An option that is equal to its number, as MinkowskiEngine's are, and printed by its name."""

    __str__ = enum.Enum.__str__
    __format__ = enum.Enum.__format__


class SparseTensorOperationMode(enum.Enum):
    """Whether new tensors get a coordinate manager of their own or share one."""

    SEPARATE_COORDINATE_MANAGER = 0
    SHARE_COORDINATE_MANAGER = 1


class SparseTensorQuantizationMode(enum.Enum):
    """What becomes of several features at one coordinate."""

    RANDOM_SUBSAMPLE = 0
    UNWEIGHTED_AVERAGE = 1
    UNWEIGHTED_SUM = 2
    NO_QUANTIZATION = 3
    MAX_POOL = 4
    SPLAT_LINEAR_INTERPOLATION = 5


class ConvolutionMode(Option):
    """How MinkowskiEngine runs a convolution on a GPU. Here without effect."""

    DEFAULT = 0
    DIRECT_GEMM = 1
    COPY_GEMM = 2


class PoolingMode(Option):
    """Kinds of local and global pooling."""

    LOCAL_SUM_POOLING = 0
    LOCAL_AVG_POOLING = 1
    LOCAL_MAX_POOLING = 2
    GLOBAL_SUM_POOLING_DEFAULT = 3
    GLOBAL_AVG_POOLING_DEFAULT = 4
    GLOBAL_MAX_POOLING_DEFAULT = 5
    GLOBAL_SUM_POOLING_KERNEL = 6
    GLOBAL_AVG_POOLING_KERNEL = 7
    GLOBAL_MAX_POOLING_KERNEL = 8
    GLOBAL_SUM_POOLING_PYTORCH_INDEX = 9
    GLOBAL_AVG_POOLING_PYTORCH_INDEX = 10
    GLOBAL_MAX_POOLING_PYTORCH_INDEX = 11


class BroadcastMode(Option):
    """How a feature per batch item meets the features of its sites."""

    ELEMENTWISE_ADDITON = 0
    ELEMENTWISE_MULTIPLICATION = 1


class MinkowskiAlgorithm(Option):
    """MinkowskiEngine's choice between memory and speed. Here without effect."""

    DEFAULT = 0
    MEMORY_EFFICIENT = 1
    SPEED_OPTIMIZED = 2


class CoordinateMapType(Option):
    """Where MinkowskiEngine keeps coordinates. Here they stay on the device that they came on."""

    CPU = 0
    CUDA = 1


class GPUMemoryAllocatorType(Option):
    """MinkowskiEngine's GPU allocators. Here PyTorch allocates."""

    PYTORCH = 0
    CUDA = 1
