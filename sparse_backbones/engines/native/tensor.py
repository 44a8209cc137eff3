"""SparseTensor: features on active sites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from sparse_backbones.engines.native.base import (
    FeaturesOnCoordinates,
    Operation,
    cat,
    merge_rows,
    weighted_rows,
)
from sparse_backbones.engines.native.enums import SparseTensorQuantizationMode
from sparse_backbones.engines.native.manager import CoordinateManager, CoordinateMapKey
from sparse_backbones.engines.native.modes import manager_for
from sparse_backbones.engines.native.regions import IntOrInts
from sparse_backbones.engines.native.sites import as_int32

if TYPE_CHECKING:
    from sparse_backbones.engines.native.field import TensorField

__all__ = ["SparseTensor", "SparseTensorQuantizationMode", "cat"]


class SparseTensor(FeaturesOnCoordinates):
    """Features (N, C) at distinct coordinates (N, 1 + D), batch index first.

    Give either int32 `coordinates`, or the `coordinate_map_key` of a map that `coordinate_manager` holds. Of
    features at the same coordinate one is kept (the first), or they are averaged, summed or maximised. Float
    coordinates are rounded down. Coordinates may be negative and are limited by int32 only.

    unique_index (U,) int64: the row given that each site came from. inverse_mapping (N,) int64: the site of
    each row given. Both None where no coordinates were given.
    """

    def __init__(
        self,
        features: Tensor,
        coordinates: Tensor | None = None,
        tensor_stride: IntOrInts = 1,
        coordinate_map_key: CoordinateMapKey | None = None,
        coordinate_manager: CoordinateManager | None = None,
        quantization_mode: SparseTensorQuantizationMode = SparseTensorQuantizationMode.RANDOM_SUBSAMPLE,
        allocator_type: Any = None,
        minkowski_algorithm: Any = None,
        requires_grad: bool | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if features.ndim != 2:
            raise ValueError(f"features must have the shape (N, C), not {tuple(features.shape)}")
        if device is not None:
            features = features.to(device)
        self.quantization_mode = quantization_mode
        self.unique_index: Tensor | None = None
        self.inverse_mapping: Tensor | None = None
        if coordinates is None:
            if coordinate_map_key is None or coordinate_manager is None:
                raise ValueError("give coordinates, or a coordinate_map_key with its coordinate_manager")
            if coordinate_manager.size(coordinate_map_key) != features.shape[0]:
                raise ValueError(
                    f"{len(features)} features for {coordinate_manager.size(coordinate_map_key)} sites"
                )
        else:
            if coordinate_map_key is not None:
                raise ValueError("give coordinates or a coordinate_map_key, not both")
            if coordinates.ndim != 2 or coordinates.shape[1] < 2:
                raise ValueError(
                    "coordinates must have the shape (N, 1 + D), batch index first, "
                    f"not {tuple(coordinates.shape)}"
                )
            if len(features) != len(coordinates):
                raise ValueError(f"{len(features)} features for {len(coordinates)} coordinates")
            coordinates = as_int32(coordinates.to(features.device))
            coordinate_manager = coordinate_manager or manager_for(coordinates.shape[1] - 1)
            coordinate_map_key, (unique, inverse) = coordinate_manager.insert_and_map(
                coordinates, tensor_stride
            )
            self.unique_index = unique
            self.inverse_mapping = inverse
            if len(unique) != len(inverse):
                features = merge_rows(features, unique, inverse, len(unique), quantization_mode)
        if requires_grad is not None:
            features.requires_grad_(requires_grad)
        self._F = features
        self.coordinate_map_key = coordinate_map_key
        self._manager = coordinate_manager

    @property
    def coordinate_key(self) -> CoordinateMapKey:
        return self.coordinate_map_key

    @property
    def C(self) -> Tensor:
        """Coordinates int32 (N, 1 + D), batch index first."""
        return self._manager.get_coordinates(self.coordinate_map_key)

    @property
    def decomposition_permutations(self) -> list[Tensor]:
        return self._manager.origin_map(self.coordinate_map_key)[1]

    def replace(self, features: Tensor) -> Self:
        """Other features on the same sites."""
        return type(self)(
            features, coordinate_map_key=self.coordinate_map_key, coordinate_manager=self._manager
        )

    def to(self, *args: Any, **kwargs: Any) -> SparseTensor:
        """As torch.Tensor.to, of the features. On another device the tensor gets a new coordinate manager."""
        features = self._F.to(*args, **kwargs)
        if features.device == self._F.device:
            return self.replace(features)
        return SparseTensor(features, self.C.to(features.device), self.tensor_stride)

    def cpu(self) -> SparseTensor:
        return self.to("cpu")

    def cuda(self) -> SparseTensor:
        return self.to("cuda")

    def dense(
        self,
        shape: Sequence[int] | None = None,
        min_coordinate: Tensor | int | None = None,
        contract_stride: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A dense tensor (B, C, *spatial), zero at inactive sites; its lowest coordinate; the stride (D,).

        shape: (B, C, *spatial), else the smallest that fits. Its C is not looked at: the channels decide.
        min_coordinate: a multiple of the stride, else 0, or the smallest coordinate where some are negative.
        A site outside the shape is an error.
        """
        # The map that global pooling makes has the stride 0.
        stride = torch.tensor(self.tensor_stride, device=self.device).clamp_(min=1)
        coordinates = self.C.long()
        batch, places = coordinates[:, 0], coordinates[:, 1:]
        if min_coordinate is None:
            lowest = places.amin(0) if len(places) else places.new_zeros(self.D)
            low = torch.zeros_like(lowest) if bool((lowest >= 0).all()) else lowest
        else:
            low = torch.as_tensor(min_coordinate, device=self.device).long().reshape(-1).expand(self.D)
            if bool((low % stride).any()):
                raise ValueError(f"min_coordinate must be a multiple of the stride {self.tensor_stride}")
        places = places - low
        if contract_stride:
            places = torch.div(places, stride, rounding_mode="floor")
        if shape is None:
            extent = (places.amax(0) + 1).tolist() if len(places) else [1] * self.D
            shape = [int(batch.max()) + 1 if len(batch) else 1, self._F.shape[1], *extent]
        if len(shape) != self.D + 2:
            raise ValueError(f"shape must be (B, C, and {self.D} sizes), not {tuple(shape)}")
        limit = torch.tensor(list(shape[2:]), device=self.device)
        if len(places) and (
            bool((places < 0).any()) or bool((places >= limit).any()) or bool(batch.max() >= shape[0])
        ):
            raise ValueError(f"some sites lie outside the dense shape {tuple(shape)}")
        result = self._F.new_zeros(shape[0], *shape[2:], self._F.shape[1])
        result = result.index_put((batch, *places.unbind(1)), self._F)
        return result.movedim(-1, 1).contiguous(), low.int(), stride.int()

    def sparse(
        self,
        min_coords: Tensor | None = None,
        max_coords: Tensor | None = None,
        contract_coords: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A torch.sparse COO tensor (B, *spatial, C), dense in C; its lowest coordinate (1, D); the stride.

        min_coords, max_coords (inclusive): multiples of the stride, else what the sites span. With
        `contract_coords` places and the lowest coordinate are divided by the stride.
        """
        stride = torch.tensor(self.tensor_stride, device=self.device).clamp_(min=1)
        coordinates = self.C.long()
        places = coordinates[:, 1:]
        low = places.amin(0) if min_coords is None else min_coords.to(self.device).long().reshape(-1)
        high = places.amax(0) if max_coords is None else max_coords.to(self.device).long().reshape(-1)
        for name, value in (("min_coords", low), ("max_coords", high)):
            if bool((value % stride).any()):
                raise ValueError(f"{name} must be multiples of the stride {self.tensor_stride}")
        if bool((places < low).any()) or bool((places > high).any()):
            raise ValueError("some sites lie outside min_coords and max_coords")
        places = places - low
        if contract_coords:
            places, low, high = places // stride, low // stride, high // stride
        size = (int(coordinates[:, 0].max()) + 1, *(high - low + 1).tolist(), self._F.shape[1])
        indices = torch.cat([coordinates[:, :1], places], dim=1).t()
        made = torch.sparse_coo_tensor(indices, self._F, size, check_invariants=True)
        return made, low[None].int(), stride.int()

    def features_at_coordinates(self, query_coordinates: Tensor) -> Tensor:
        """Features (M, C) at float coordinates (M, 1 + D), interpolated linearly; absent sites count as 0."""
        rows, samples, weights = self._manager.interpolation_map_weight(
            self.coordinate_map_key, query_coordinates
        )
        weights = weights.to(self.dtype)
        return weighted_rows(self._F, rows, samples, weights, len(query_coordinates))

    def interpolate(self, X: TensorField) -> TensorField:
        """The features interpolated linearly at a field's coordinates."""
        return X.replace(self.features_at_coordinates(X.C))

    def slice(self, X: TensorField | SparseTensor) -> TensorField:
        """Features at each point of the field X, or at each row that the sparse tensor X was made from.

        Undoes the quantization: the result has the order and length of what X was made from.
        """
        return self._sliced(X, joined=False)

    def cat_slice(self, X: TensorField | SparseTensor) -> TensorField:
        """As `slice`, with X's own features joined behind."""
        return self._sliced(X, joined=True)

    def _sliced(self, X: TensorField | SparseTensor, joined: bool) -> TensorField:
        from sparse_backbones.engines.native.field import TensorField

        modes = SparseTensorQuantizationMode
        if X.quantization_mode not in (modes.RANDOM_SUBSAMPLE, modes.UNWEIGHTED_AVERAGE):
            raise ValueError("slice needs the quantization RANDOM_SUBSAMPLE or UNWEIGHTED_AVERAGE")
        if isinstance(X, TensorField):
            features = self._F[X.inverse_mapping(self.coordinate_map_key)]
            field = X.replace(torch.cat([features, X.F], dim=1) if joined else features)
            return field
        if X.inverse_mapping is None or not self._same_map(X):
            raise ValueError("slice needs a tensor made from coordinates, on the same coordinate map")
        features = self._F[X.inverse_mapping]
        if joined:
            features = torch.cat([features, X.F[X.inverse_mapping]], dim=1)
        return TensorField(
            features,
            coordinates=self.C[X.inverse_mapping],
            coordinate_manager=self._manager,
            quantization_mode=X.quantization_mode,
        )

    def _on_union(self, other: SparseTensor, operation: Operation) -> SparseTensor:
        """As MinkowskiEngine: 0 stands for self where it has no site, and other leaves the rest as it is."""
        out_key = CoordinateMapKey(self.D + 1)
        mine, theirs = self._manager.union_map([self.coordinate_map_key, other.coordinate_map_key], out_key)
        base = self._F.new_zeros(self._manager.size(out_key), self._F.shape[1])
        base = base.index_copy(0, mine[1], self._F)
        changed = operation(base[theirs[1]], other._F)
        features = base.to(changed.dtype).index_copy(0, theirs[1], changed)
        return SparseTensor(features, coordinate_map_key=out_key, coordinate_manager=self._manager)

    def __repr__(self) -> str:
        return f"SparseTensor(sites={len(self)}, channels={self._F.shape[1]}, stride={self.tensor_stride})"
