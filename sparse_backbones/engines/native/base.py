"""What sparse tensors and tensor fields have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from sparse_backbones.engines.native.enums import SparseTensorQuantizationMode
from sparse_backbones.engines.native.kernels import max_rows, sum_rows
from sparse_backbones.engines.native.manager import CoordinateManager, CoordinateMapKey
from sparse_backbones.engines.native.maps import grouping_map
from sparse_backbones.engines.native.precision import widened


class DifferentManagersError(ValueError, AssertionError):
    """Two tensors have different coordinate managers. Code for MinkowskiEngine catches an AssertionError."""


Operation = Callable[[Tensor, Any], Tensor]


class FeaturesOnCoordinates:
    """Features (N, C) whose rows lie at coordinates (N, 1 + D), batch index first."""

    _F: Tensor
    _manager: CoordinateManager
    quantization_mode: SparseTensorQuantizationMode

    @property
    def coordinate_key(self) -> CoordinateMapKey:
        raise NotImplementedError

    @property
    def C(self) -> Tensor:
        raise NotImplementedError

    def replace(self, features: Tensor) -> Self:
        """Other features on the same coordinates."""
        raise NotImplementedError

    @property
    def decomposition_permutations(self) -> list[Tensor]:
        """Rows of each batch index that the coordinate manager knows, in rising order."""
        raise NotImplementedError

    @property
    def F(self) -> Tensor:
        """Features (N, C)."""
        return self._F

    @property
    def features(self) -> Tensor:
        return self._F

    @property
    def coordinates(self) -> Tensor:
        return self.C

    @property
    def D(self) -> int:
        """Number of spatial dimensions."""
        return self._manager.D

    @property
    def dimension(self) -> int:
        return self._manager.D

    @property
    def tensor_stride(self) -> list[int]:
        return self.coordinate_key.get_tensor_stride()

    @property
    def coordinate_manager(self) -> CoordinateManager:
        return self._manager

    @property
    def device(self) -> torch.device:
        return self._F.device

    def get_device(self) -> int:
        return self._F.get_device()

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

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        self._F.requires_grad_(requires_grad)
        return self

    def __len__(self) -> int:
        return len(self._F)

    def float(self) -> Self:
        """Changes the features of this very tensor to float32, and returns it."""
        self._F = self._F.float()
        return self

    def double(self) -> Self:
        """Changes the features of this very tensor to float64, and returns it."""
        self._F = self._F.double()
        return self

    def detach(self) -> Self:
        return self.replace(self._F.detach())

    def coordinates_at(self, batch_index: int) -> Tensor:
        """Coordinates (n, D) of one batch item."""
        return self.C[self._rows_at(batch_index), 1:]

    def features_at(self, batch_index: int) -> Tensor:
        """Features (n, C) of one batch item."""
        return self._F[self._rows_at(batch_index)]

    def coordinates_and_features_at(self, batch_index: int) -> tuple[Tensor, Tensor]:
        rows = self._rows_at(batch_index)
        return self.C[rows, 1:], self._F[rows]

    def _rows_at(self, batch_index: int) -> Tensor:
        return torch.nonzero(self.C[:, 0] == batch_index)[:, 0]

    def _rows_of_items(self) -> list[Tensor]:
        batch = self.C[:, 0].long()
        if not len(batch):
            return []
        counts: list[int] = torch.bincount(batch).tolist()
        return list(torch.split(torch.sort(batch, stable=True).indices, counts))

    @property
    def decomposed_coordinates_and_features(self) -> tuple[list[Tensor], list[Tensor]]:
        """Per batch index up to the largest: coordinates (n, D) and features (n, C)."""
        rows = self._rows_of_items()
        return [self.C[row, 1:] for row in rows], [self._F[row] for row in rows]

    @property
    def decomposed_coordinates(self) -> list[Tensor]:
        return self.decomposed_coordinates_and_features[0]

    @property
    def decomposed_features(self) -> list[Tensor]:
        return self.decomposed_coordinates_and_features[1]

    def _same_map(self, other: FeaturesOnCoordinates) -> bool:
        self._check_manager(other)
        return self.coordinate_key == other.coordinate_key

    def _check_manager(self, other: FeaturesOnCoordinates) -> None:
        if type(self) is not type(other):
            raise ValueError(f"a {type(self).__name__} cannot be combined with a {type(other).__name__}")
        if self._manager is not other._manager:
            raise DifferentManagersError(
                "sparse tensors must share the same coordinate map or at least the coordinate manager: "
                "give the second one coordinate_manager=first.coordinate_manager"
            )

    def _on_union(self, other: Self, operation: Operation) -> Self:
        raise ValueError("tensor fields need the same coordinate map")

    def _combine(self, other: Any, operation: Operation) -> Self:
        if isinstance(other, FeaturesOnCoordinates):
            if self._same_map(other):
                return self.replace(operation(self._F, other._F))
            return self._on_union(other, operation)  # type: ignore[arg-type]
        return self.replace(operation(self._F, other))

    def _combine_in_place(self, other: Any, operation: Operation) -> Self:
        if isinstance(other, FeaturesOnCoordinates):
            if not self._same_map(other):
                raise ValueError("an operation in place needs the same coordinate map in both")
            other = other._F
        self._F = operation(self._F, other)
        return self

    def __add__(self, other: Any) -> Self:
        return self._combine(other, torch.add)

    def __sub__(self, other: Any) -> Self:
        return self._combine(other, torch.sub)

    def __mul__(self, other: Any) -> Self:
        return self._combine(other, torch.mul)

    def __truediv__(self, other: Any) -> Self:
        return self._combine(other, torch.div)

    def __pow__(self, power: Any) -> Self:
        return self.replace(self._F**power)

    def __neg__(self) -> Self:
        return self.replace(-self._F)

    def __iadd__(self, other: Any) -> Self:
        return self._combine_in_place(other, torch.add)

    def __isub__(self, other: Any) -> Self:
        return self._combine_in_place(other, torch.sub)

    def __imul__(self, other: Any) -> Self:
        return self._combine_in_place(other, torch.mul)

    def __itruediv__(self, other: Any) -> Self:
        return self._combine_in_place(other, torch.div)


def merge_rows(
    features: Tensor, unique: Tensor, inverse: Tensor, count: int, mode: SparseTensorQuantizationMode
) -> Tensor:
    """Features (count, C) of rows (N, C) that go to the sites `inverse` (N,); `unique`: one row of each."""
    modes = SparseTensorQuantizationMode
    if mode is modes.RANDOM_SUBSAMPLE:
        return features[unique]
    if mode is modes.NO_QUANTIZATION:
        raise ValueError(
            f"{len(inverse) - count} coordinates occur more than once; choose a quantization_mode"
        )
    if mode is modes.SPLAT_LINEAR_INTERPOLATION:
        raise ValueError("SPLAT_LINEAR_INTERPOLATION is for tensor fields: use TensorField(...).splat()")
    if not features.is_floating_point():
        raise TypeError(f"{mode.name} needs floating-point features, not {features.dtype}")
    pairs = grouping_map(inverse, count)
    if mode is modes.MAX_POOL:
        return max_rows(features, pairs)
    if mode is modes.UNWEIGHTED_SUM:
        return sum_rows(features, pairs)
    counts = torch.bincount(inverse, minlength=count).clamp_(min=1)
    return (sum_rows(widened(features), pairs) / counts[:, None]).to(features.dtype)


def weighted_rows(features: Tensor, rows: Tensor, targets: Tensor, weights: Tensor, count: int) -> Tensor:
    """Sum of features[rows] * weights at each of `count` target rows. features (N, C) -> (count, C)."""
    return sum_rows(features.index_select(0, rows) * weights[:, None], grouping_map(targets, count))


def cat(*sparse_tensors: Any) -> Any:
    """Joins the channels of sparse tensors, or of tensor fields, on one coordinate map."""
    first = sparse_tensors[0]
    items: Sequence[Any] = sparse_tensors if isinstance(first, FeaturesOnCoordinates) else first
    head = items[0]
    if any(not head._same_map(item) for item in items[1:]):
        raise ValueError("cat needs the same coordinate map in all tensors")
    return head.replace(torch.cat([item.F for item in items], dim=1))
