"""Whether tensors made from coordinates share one coordinate manager."""

from __future__ import annotations

from sparse_backbones.engines.native.enums import SparseTensorOperationMode
from sparse_backbones.engines.native.manager import CoordinateManager

_MODE = [SparseTensorOperationMode.SEPARATE_COORDINATE_MANAGER]
_SHARED: list[CoordinateManager] = []


def set_sparse_tensor_operation_mode(operation_mode: SparseTensorOperationMode) -> None:
    """With SHARE_COORDINATE_MANAGER, `clear_global_coordinate_manager` after each step frees the maps."""
    if not isinstance(operation_mode, SparseTensorOperationMode):
        raise ValueError(f"operation_mode must be a SparseTensorOperationMode, not {operation_mode!r}")
    _MODE[0] = operation_mode


def sparse_tensor_operation_mode() -> SparseTensorOperationMode:
    return _MODE[0]


def global_coordinate_manager() -> CoordinateManager | None:
    """The shared manager, or None before a tensor has made it."""
    return _SHARED[0] if _SHARED else None


def set_global_coordinate_manager(coordinate_manager: CoordinateManager | None) -> None:
    _SHARED[:] = [] if coordinate_manager is None else [coordinate_manager]


def clear_global_coordinate_manager() -> None:
    _SHARED.clear()


def manager_for(dimension: int) -> CoordinateManager:
    """A manager for a new tensor, by the operation mode."""
    if _MODE[0] is SparseTensorOperationMode.SEPARATE_COORDINATE_MANAGER:
        return CoordinateManager(D=dimension)
    if not _SHARED:
        _SHARED.append(CoordinateManager(D=dimension))
    return _SHARED[0]
