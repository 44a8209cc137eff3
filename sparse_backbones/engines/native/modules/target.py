"""What layers check of their input, and how a caller says where the output shall lie."""

from __future__ import annotations

from torch import Tensor

from sparse_backbones.engines.native.base import FeaturesOnCoordinates
from sparse_backbones.engines.native.manager import CoordinateMapKey
from sparse_backbones.engines.native.tensor import SparseTensor

Target = Tensor | CoordinateMapKey | SparseTensor | None
"""int coordinates (M, 1 + D), a map or tensor of the input's manager, or None for the layer's choice."""


def check_input(input: SparseTensor, dimension: int, channels: int | None = None) -> None:
    """Raises ValueError unless the tensor has these numbers of spatial dimensions and channels.

    Raises TypeError unless it is a sparse tensor with floating-point features.
    """
    check_sparse(input)
    if dimension != input.D:
        raise ValueError(f"a {dimension}D layer got a tensor of {input.D} spatial dimensions")
    check_features(input, channels)


def check_sparse(input: SparseTensor) -> None:
    """Raises TypeError unless the input is a sparse tensor."""
    if not isinstance(input, SparseTensor):
        raise TypeError(
            f"expected a SparseTensor, got a {type(input).__name__}; a field becomes one with .sparse()"
        )


def check_features(input: FeaturesOnCoordinates, channels: int | None = None) -> None:
    """Raises ValueError unless there are that many channels, TypeError unless they are floating-point."""
    if channels is not None and input.F.shape[1] != channels:
        raise ValueError(f"expected {channels} channels, got {input.F.shape[1]}")
    if not input.F.is_floating_point():
        raise TypeError(f"features must be floating-point numbers, not {input.dtype}")


def target_key(input: FeaturesOnCoordinates, coordinates: Target) -> CoordinateMapKey | None:
    """The key of the map that `coordinates` means, in the input's manager, or None if they are None."""
    if coordinates is None or isinstance(coordinates, CoordinateMapKey):
        return coordinates
    if isinstance(coordinates, Tensor):
        return input.coordinate_manager.insert_and_map(coordinates.to(input.device))[0]
    if coordinates.coordinate_manager is not input.coordinate_manager:
        raise ValueError(
            "the tensor given as coordinates has another coordinate manager; make both with the same "
            "coordinate_manager, or give its coordinates (.C)"
        )
    return coordinates.coordinate_map_key
