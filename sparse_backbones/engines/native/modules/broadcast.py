"""Giving every site the features of its batch item."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sparse_backbones.engines.native.common import MinkowskiModuleBase
from sparse_backbones.engines.native.enums import BroadcastMode
from sparse_backbones.engines.native.kernels import sum_rows
from sparse_backbones.engines.native.manager import CoordinateManager, CoordinateMapKey
from sparse_backbones.engines.native.tensor import SparseTensor

OPERATIONS: dict[BroadcastMode, Callable[[Tensor, Tensor], Tensor]] = {
    BroadcastMode.ELEMENTWISE_ADDITON: torch.add,
    BroadcastMode.ELEMENTWISE_MULTIPLICATION: torch.mul,
}


def spread(
    features: Tensor, key: CoordinateMapKey, glob: CoordinateMapKey, manager: CoordinateManager
) -> Tensor:
    """The row of `features` (B, C), one per batch item on the map `glob`, for each site of the map `key`."""
    origin, pairs = manager.global_map(key)
    if glob != origin:
        raise ValueError(
            f"the second map must have one site per batch item, as global pooling gives, not {glob}"
        )
    return sum_rows(features, pairs.transposed)


def _spread(input: SparseTensor, input_glob: SparseTensor) -> Tensor:
    if input.coordinate_manager is not input_glob.coordinate_manager:
        raise ValueError("broadcasting needs two tensors of the same coordinate manager")
    return spread(
        input_glob.F, input.coordinate_map_key, input_glob.coordinate_map_key, input.coordinate_manager
    )


class MinkowskiBroadcastFunction:
    """`apply` combines plain features (N, C) with those of their batch items (B, C)."""

    @staticmethod
    def apply(
        input_features: Tensor,
        input_features_global: Tensor,
        operation_type: BroadcastMode,
        in_coords_key: CoordinateMapKey,
        glob_coords_key: CoordinateMapKey,
        coords_manager: CoordinateManager,
    ) -> Tensor:
        """Features (N, C)."""
        rows = spread(input_features_global, in_coords_key, glob_coords_key, coords_manager)
        return OPERATIONS[operation_type](input_features, rows)


class MinkowskiBroadcastBase(MinkowskiModuleBase):
    """Combines each site's features with those of its batch item by addition or multiplication."""

    def __init__(self, operation_type: BroadcastMode) -> None:
        super().__init__()
        if not isinstance(operation_type, BroadcastMode):
            raise TypeError(f"operation_type must be a BroadcastMode, not {operation_type!r}")
        self.operation_type = operation_type

    def forward(self, input: SparseTensor, input_glob: SparseTensor) -> SparseTensor:
        return input.replace(OPERATIONS[self.operation_type](input.F, _spread(input, input_glob)))


class MinkowskiBroadcastAddition(MinkowskiBroadcastBase):
    """Adds the features of the batch item to each of its sites."""

    def __init__(self) -> None:
        super().__init__(BroadcastMode.ELEMENTWISE_ADDITON)


class MinkowskiBroadcastMultiplication(MinkowskiBroadcastBase):
    """Multiplies each site's features with those of its batch item."""

    def __init__(self) -> None:
        super().__init__(BroadcastMode.ELEMENTWISE_MULTIPLICATION)


class MinkowskiBroadcast(nn.Module):
    """The features of the batch item at each of its sites."""

    def forward(self, input: SparseTensor, input_glob: SparseTensor) -> SparseTensor:
        return input.replace(_spread(input, input_glob))


class MinkowskiBroadcastConcatenation(MinkowskiBroadcast):
    """Each site's features, followed by those of its batch item."""

    def forward(self, input: SparseTensor, input_glob: SparseTensor) -> SparseTensor:
        return input.replace(torch.cat([input.F, _spread(input, input_glob)], dim=1))
