"""TensorField: features at float coordinates, on the way to and from a sparse tensor."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Tensor

from sparse_backbones.engines.native.base import FeaturesOnCoordinates, merge_rows, weighted_rows
from sparse_backbones.engines.native.enums import SparseTensorQuantizationMode
from sparse_backbones.engines.native.manager import CoordinateManager, CoordinateMapKey
from sparse_backbones.engines.native.modes import manager_for
from sparse_backbones.engines.native.regions import IntOrInts
from sparse_backbones.engines.native.sites import corners
from sparse_backbones.engines.native.tensor import SparseTensor


class TensorField(FeaturesOnCoordinates):
    """Features (N, C) at float coordinates (N, 1 + D), batch index first; rows may share a coordinate.

    Give either `coordinates`, or the `coordinate_field_map_key` of a field that `coordinate_manager` holds.
    """

    def __init__(
        self,
        features: Tensor,
        coordinates: Tensor | None = None,
        tensor_stride: IntOrInts = 1,
        coordinate_field_map_key: CoordinateMapKey | None = None,
        coordinate_manager: CoordinateManager | None = None,
        quantization_mode: SparseTensorQuantizationMode = SparseTensorQuantizationMode.UNWEIGHTED_AVERAGE,
        allocator_type: Any = None,
        minkowski_algorithm: Any = None,
        requires_grad: bool | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if features.ndim != 2:
            raise ValueError(f"features must have the shape (N, C), not {tuple(features.shape)}")
        if quantization_mode is SparseTensorQuantizationMode.SPLAT_LINEAR_INTERPOLATION:
            raise ValueError("a field is splatted with .splat(), whatever its quantization_mode")
        if device is not None:
            features = features.to(device)
        if coordinates is None:
            if coordinate_field_map_key is None or coordinate_manager is None:
                raise ValueError(
                    "give coordinates, or a coordinate_field_map_key with its coordinate_manager"
                )
            count = len(coordinate_manager.get_coordinate_field(coordinate_field_map_key))
        else:
            if coordinate_field_map_key is not None:
                raise ValueError("give coordinates or a coordinate_field_map_key, not both")
            count = len(coordinates)
        if count != len(features):
            raise ValueError(f"{len(features)} features for {count} coordinates")
        if coordinates is not None:
            coordinates = coordinates.to(features.device)
            if not coordinates.is_floating_point():
                # Every int32 is exact in float64, not in float32.
                coordinates = coordinates.double()
            coordinate_manager = coordinate_manager or manager_for(coordinates.shape[-1] - 1)
            coordinate_field_map_key = coordinate_manager.insert_field(coordinates, tensor_stride)
        if requires_grad is not None:
            features.requires_grad_(requires_grad)
        self.quantization_mode = quantization_mode
        self._F = features
        self.coordinate_field_map_key: CoordinateMapKey = coordinate_field_map_key  # type: ignore[assignment]
        self._manager: CoordinateManager = coordinate_manager  # type: ignore[assignment]

    @property
    def coordinate_key(self) -> CoordinateMapKey:
        return self.coordinate_field_map_key

    @property
    def C(self) -> Tensor:
        """Float coordinates (N, 1 + D), batch index first."""
        return self._manager.get_coordinate_field(self.coordinate_field_map_key)

    @property
    def decomposition_permutations(self) -> list[Tensor]:
        return self._manager.origin_field_map(self.coordinate_field_map_key)[1]

    def replace(self, features: Tensor) -> Self:
        """Other features on the same coordinates."""
        return type(self)(
            features,
            coordinate_field_map_key=self.coordinate_field_map_key,
            coordinate_manager=self._manager,
            quantization_mode=self.quantization_mode,
        )

    def sparse(
        self,
        tensor_stride: IntOrInts = 1,
        coordinate_map_key: CoordinateMapKey | None = None,
        quantization_mode: SparseTensorQuantizationMode | None = None,
    ) -> SparseTensor:
        """The sparse tensor of the coordinates rounded down to multiples of the stride.

        With a `coordinate_map_key`, on that map: points outside it are left out, sites without points are 0.
        """
        mode = quantization_mode or self.quantization_mode
        if mode is SparseTensorQuantizationMode.SPLAT_LINEAR_INTERPOLATION:
            raise ValueError("use .splat() for splat quantization")
        features = self._F
        if coordinate_map_key is None:
            coordinate_map_key, (unique, inverse) = self._manager.field_to_sparse_insert_and_map(
                self.coordinate_field_map_key, tensor_stride
            )
        else:
            inverse, points = self._manager.field_to_sparse_map(
                self.coordinate_field_map_key, coordinate_map_key
            )
            count = self._manager.size(coordinate_map_key)
            features = features[points]
            if mode is SparseTensorQuantizationMode.RANDOM_SUBSAMPLE:
                first = inverse.new_full((count,), len(points)).scatter_reduce_(
                    0, inverse, torch.arange(len(points), device=inverse.device), "amin"
                )
                padded = torch.cat([features, features.new_zeros(1, features.shape[1])])
                return SparseTensor(
                    padded[first], coordinate_map_key=coordinate_map_key, coordinate_manager=self._manager
                )
            unique = points
        count = self._manager.size(coordinate_map_key)
        if count != len(features) or len(unique) != len(inverse) or features is not self._F:
            features = merge_rows(features, unique, inverse, count, mode)
        return SparseTensor(
            features,
            coordinate_map_key=coordinate_map_key,
            coordinate_manager=self._manager,
            quantization_mode=mode,
        )

    def splat(self) -> SparseTensor:
        """Features spread over the 2^D sites around each point, weighted as in linear interpolation."""
        key, _ = self._manager.insert_and_map(corners(self.C))
        rows, points, weights = self._manager.interpolation_map_weight(key, self.C)
        features = weighted_rows(self._F, points, rows, weights.to(self.dtype), self._manager.size(key))
        return SparseTensor(features, coordinate_map_key=key, coordinate_manager=self._manager)

    def inverse_mapping(self, sparse_tensor_map_key: CoordinateMapKey) -> Tensor:
        """The row (N,) of a map whose site each point rounds down to. Raises ValueError if one is missing."""
        manager, key = self._manager, self.coordinate_field_map_key
        if manager.exists_field_to_sparse(key, sparse_tensor_map_key):
            return manager.get_field_to_sparse_map(key, sparse_tensor_map_key)[1]
        rows, points = manager.field_to_sparse_map(key, sparse_tensor_map_key)
        if len(points) != len(self):
            raise ValueError(
                f"{len(self) - len(points)} points of the field have no site in {sparse_tensor_map_key}"
            )
        return rows

    def __repr__(self) -> str:
        return f"TensorField(points={len(self)}, channels={self._F.shape[1]}, stride={self.tensor_stride})"
