"""SparseTensor: features on active sites."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sparse_backbones.engines.native.kernels import max_rows, sum_rows
from sparse_backbones.engines.native.manager import CoordinateManager, CoordinateMapKey
from sparse_backbones.engines.native.maps import grouping_map
from sparse_backbones.engines.native.regions import IntOrInts


class SparseTensorQuantizationMode(enum.Enum):
    """What becomes of several features at one coordinate."""

    RANDOM_SUBSAMPLE = 0
    UNWEIGHTED_AVERAGE = 1
    UNWEIGHTED_SUM = 2
    NO_QUANTIZATION = 3
    MAX_POOL = 4


class SparseTensor:
    """Features (N, C) at distinct coordinates (N, 1 + D), batch index first.

    Give either int32 `coordinates`, or the `coordinate_map_key` of a map that `coordinate_manager` holds. Of
    features at the same coordinate one is kept (the first), or they are averaged, summed or maximised. Float
    coordinates are rounded down. Coordinates may be negative and are limited by int32 only.
    """

    def __init__(
        self,
        features: Tensor,
        coordinates: Tensor | None = None,
        tensor_stride: IntOrInts = 1,
        coordinate_map_key: CoordinateMapKey | None = None,
        coordinate_manager: CoordinateManager | None = None,
        quantization_mode: SparseTensorQuantizationMode = SparseTensorQuantizationMode.RANDOM_SUBSAMPLE,
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
            if coordinate_manager.size(coordinate_map_key) != len(features):
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
            coordinates = _as_int32(coordinates.to(features.device))
            coordinate_manager = coordinate_manager or CoordinateManager(D=coordinates.shape[1] - 1)
            coordinate_map_key, (unique, inverse) = coordinate_manager.insert_and_map(
                coordinates, tensor_stride
            )
            self.unique_index = unique
            self.inverse_mapping = inverse if inverse.numel() else unique
            if inverse.numel():
                features = _merge(features, unique, inverse, quantization_mode)
        if requires_grad is not None:
            features.requires_grad_(requires_grad)
        self._F = features
        self.coordinate_map_key = coordinate_map_key
        self._manager = coordinate_manager

    @property
    def F(self) -> Tensor:
        """Features (N, C)."""
        return self._F

    @property
    def C(self) -> Tensor:
        """Coordinates int32 (N, 1 + D), batch index first."""
        return self._manager.get_coordinates(self.coordinate_map_key)

    features = F
    coordinates = C

    @property
    def D(self) -> int:
        return self._manager.D

    @property
    def tensor_stride(self) -> list[int]:
        return self.coordinate_map_key.get_tensor_stride()

    @property
    def coordinate_manager(self) -> CoordinateManager:
        return self._manager

    @property
    def device(self) -> torch.device:
        return self._F.device

    @property
    def dtype(self) -> torch.dtype:
        return self._F.dtype

    @property
    def shape(self) -> torch.Size:
        return self._F.shape

    def size(self) -> torch.Size:
        return self._F.shape

    @property
    def requires_grad(self) -> bool:
        return self._F.requires_grad

    def __len__(self) -> int:
        return len(self._F)

    def replace(self, features: Tensor) -> SparseTensor:
        """Other features on the same sites."""
        return SparseTensor(
            features, coordinate_map_key=self.coordinate_map_key, coordinate_manager=self._manager
        )

    def detach(self) -> SparseTensor:
        return self.replace(self._F.detach())

    @property
    def decomposed_coordinates_and_features(self) -> tuple[list[Tensor], list[Tensor]]:
        """Per batch index up to the largest: coordinates (n, D) and features (n, C)."""
        batch = self.C[:, 0]
        count = int(batch.max()) + 1 if len(batch) else 0
        rows = [torch.nonzero(batch == item, as_tuple=True)[0] for item in range(count)]
        return [self.C[row, 1:] for row in rows], [self._F[row] for row in rows]

    @property
    def decomposed_coordinates(self) -> list[Tensor]:
        return self.decomposed_coordinates_and_features[0]

    @property
    def decomposed_features(self) -> list[Tensor]:
        return self.decomposed_coordinates_and_features[1]

    def dense(
        self,
        shape: Sequence[int] | None = None,
        min_coordinate: Tensor | None = None,
        contract_stride: bool = True,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """A dense tensor (B, C, *spatial), zero at inactive sites; its lowest coordinate; the stride (D,).

        shape: (B, C, *spatial), else the smallest that fits.
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
            low = min_coordinate.to(self.device).long().reshape(-1)
            if bool((low % stride).any()):
                raise ValueError(f"min_coordinate must be a multiple of the stride {self.tensor_stride}")
        places = places - low
        if contract_stride:
            places = torch.div(places, stride, rounding_mode="floor")
        if shape is None:
            extent = (places.amax(0) + 1).tolist() if len(places) else [1] * self.D
            shape = [int(batch.max()) + 1 if len(batch) else 1, self._F.shape[1], *extent]
        if len(shape) != self.D + 2 or shape[1] != self._F.shape[1]:
            raise ValueError(f"shape must be (B, {self._F.shape[1]}, and {self.D} sizes), not {tuple(shape)}")
        limit = torch.tensor(list(shape[2:]), device=self.device)
        if len(places) and (
            bool((places < 0).any()) or bool((places >= limit).any()) or bool(batch.max() >= shape[0])
        ):
            raise ValueError(f"some sites lie outside the dense shape {tuple(shape)}")
        result = self._F.new_zeros(shape[0], *shape[2:], shape[1])
        result = result.index_put((batch, *places.unbind(1)), self._F)
        return result.movedim(-1, 1).contiguous(), low.int(), stride.int()

    def _combine(
        self, other: SparseTensor | Tensor | float, operation: Callable[..., Tensor]
    ) -> SparseTensor:
        if isinstance(other, SparseTensor):
            if (
                other._manager is not self._manager
                or other.coordinate_map_key.key != self.coordinate_map_key.key
            ):
                raise ValueError("arithmetic between sparse tensors needs the same coordinate map in both")
            return self.replace(operation(self._F, other._F))
        return self.replace(operation(self._F, other))

    def __add__(self, other: SparseTensor | Tensor | float) -> SparseTensor:
        return self._combine(other, torch.add)

    def __sub__(self, other: SparseTensor | Tensor | float) -> SparseTensor:
        return self._combine(other, torch.sub)

    def __mul__(self, other: SparseTensor | Tensor | float) -> SparseTensor:
        return self._combine(other, torch.mul)

    def __truediv__(self, other: SparseTensor | Tensor | float) -> SparseTensor:
        return self._combine(other, torch.div)

    def __repr__(self) -> str:
        return f"SparseTensor(sites={len(self)}, channels={self._F.shape[1]}, stride={self.tensor_stride})"


def _as_int32(coordinates: Tensor) -> Tensor:
    if coordinates.is_floating_point() or coordinates.dtype in (torch.uint32, torch.uint64):
        coordinates = torch.floor(coordinates.double())
    elif coordinates.dtype is not torch.int64:
        return coordinates.int()
    # Written so that NaN fails too.
    if not bool(((coordinates >= -(2**31)) & (coordinates < 2**31)).all()):
        raise ValueError("coordinates must be finite and fit in 32 bits")
    return coordinates.int()


def _merge(features: Tensor, unique: Tensor, inverse: Tensor, mode: SparseTensorQuantizationMode) -> Tensor:
    modes = SparseTensorQuantizationMode
    if mode is modes.RANDOM_SUBSAMPLE:
        return features[unique]
    if mode is modes.NO_QUANTIZATION:
        raise ValueError(
            f"{len(inverse) - len(unique)} coordinates occur more than once; choose a quantization_mode"
        )
    pairs = grouping_map(inverse, len(unique))
    if mode is modes.MAX_POOL:
        return max_rows(features, pairs)
    total = sum_rows(features, pairs)
    if mode is modes.UNWEIGHTED_SUM:
        return total
    return total / torch.bincount(inverse, minlength=len(unique))[:, None]


def cat(*tensors: SparseTensor | Sequence[SparseTensor]) -> SparseTensor:
    """Joins the channels of sparse tensors on one coordinate map."""
    first = tensors[0]
    items: Sequence[SparseTensor] = tensors if isinstance(first, SparseTensor) else first  # type: ignore[assignment]
    head = items[0]
    for item in items[1:]:
        if (
            item.coordinate_manager is not head.coordinate_manager
            or item.coordinate_map_key != head.coordinate_map_key
        ):
            raise ValueError("cat needs the same coordinate map in all tensors")
    return head.replace(torch.cat([item.F for item in items], dim=1))
