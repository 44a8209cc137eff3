"""What MinkowskiEngine tells of the GPU. PyTorch answers, and PyTorch allocates."""

from __future__ import annotations

import platform
import sys
import warnings

import torch

from sparse_backbones.engines.native.enums import CoordinateMapType, GPUMemoryAllocatorType


def is_cuda_available() -> bool:
    """Whether PyTorch can use a GPU."""
    return torch.cuda.is_available()


def cuda_version() -> int:
    """The CUDA release that PyTorch was built for, 12040 for 12.4, or -1 if it was built without CUDA."""
    if torch.version.cuda is None:
        return -1
    major, minor = torch.version.cuda.split(".")[:2]
    return 1000 * int(major) + 10 * int(minor)


cudart_version = cuda_version


def get_gpu_memory_info() -> tuple[int, int]:
    """Free memory and all memory of the current GPU in bytes, or (0, 0) without one."""
    return torch.cuda.mem_get_info() if torch.cuda.is_available() else (0, 0)


def set_gpu_allocator(backend: GPUMemoryAllocatorType) -> None:
    """Accepted, and changes nothing."""
    if not isinstance(backend, GPUMemoryAllocatorType):
        raise ValueError(f"backend must be a GPUMemoryAllocatorType, not {backend!r}")


def set_memory_manager_backend(backend: GPUMemoryAllocatorType) -> None:
    """The old name of `set_gpu_allocator`."""
    warnings.warn("use set_gpu_allocator instead of set_memory_manager_backend", stacklevel=2)
    set_gpu_allocator(backend)


def set_coordinate_map_type(coordinate_map_type: CoordinateMapType) -> None:
    """Accepted, and changes nothing: coordinates stay on the device that they came on."""
    if not isinstance(coordinate_map_type, CoordinateMapType):
        raise ValueError(f"coordinate_map_type must be a CoordinateMapType, not {coordinate_map_type!r}")


def print_diagnostics() -> None:
    """Prints the versions of the system, Python, PyTorch and CUDA, for reports of faults."""
    print(f"system: {platform.platform()}")
    print(f"python: {sys.version}")
    print(f"torch: {torch.__version__}, built for CUDA {torch.version.cuda}")
    devices = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    print(f"GPUs: {', '.join(devices) or 'none'}")
    print("engine: sparse_backbones.engines.native")
