"""Pooling over all sites of each batch item."""

from __future__ import annotations

import torch
from torch import Tensor

from sparse_backbones.engines.native.base import FeaturesOnCoordinates
from sparse_backbones.engines.native.common import MinkowskiModuleBase
from sparse_backbones.engines.native.enums import PoolingMode
from sparse_backbones.engines.native.field import TensorField
from sparse_backbones.engines.native.kernels import max_rows, sum_rows
from sparse_backbones.engines.native.manager import CoordinateManager, CoordinateMapKey
from sparse_backbones.engines.native.modules.pooling import Reduction, average_rows
from sparse_backbones.engines.native.modules.target import Target, check_features, target_key
from sparse_backbones.engines.native.tensor import SparseTensor


def global_reduction(mode: PoolingMode) -> Reduction:
    """What a global pooling mode does. DEFAULT, KERNEL and PYTORCH_INDEX are all the same here."""
    name = mode.name if isinstance(mode, PoolingMode) else ""
    for start, reduction in (
        ("GLOBAL_SUM", sum_rows),
        ("GLOBAL_AVG", average_rows),
        ("GLOBAL_MAX", max_rows),
    ):
        if name.startswith(start):
            return reduction
    raise ValueError(f"mode must be one of the GLOBAL modes of PoolingMode, not {mode!r}")


class MinkowskiGlobalPoolingFunction:
    """`apply` pools plain features (N, C) on the map or field `in_coordinate_map_key` of a manager."""

    @staticmethod
    def apply(
        input_features: Tensor,
        pooling_mode: PoolingMode,
        in_coordinate_map_key: CoordinateMapKey,
        out_coordinate_map_key: CoordinateMapKey | None,
        coordinate_manager: CoordinateManager,
    ) -> Tensor:
        """Features (B, C). An `out_coordinate_map_key` that is not set is set to the output's key."""
        manager = coordinate_manager
        # Maps and fields are named apart from each other, so that one of each may have the same key.
        on_map = manager.exists(in_coordinate_map_key) and (
            manager.size(in_coordinate_map_key) == len(input_features)
        )
        key, pairs = (manager.global_map if on_map else manager.global_field_map)(in_coordinate_map_key)
        if out_coordinate_map_key is not None and not out_coordinate_map_key.is_key_set():
            out_coordinate_map_key.set_key(key.key)
        return global_reduction(pooling_mode)(input_features, pairs)


class MinkowskiGlobalPooling(MinkowskiModuleBase):
    """Mean, sum or maximum over all sites of a batch item, as `mode` says."""

    def __init__(self, mode: PoolingMode = PoolingMode.GLOBAL_AVG_POOLING_PYTORCH_INDEX) -> None:
        super().__init__()
        global_reduction(mode)
        self.pooling_mode = mode

    def forward(self, input: FeaturesOnCoordinates, coordinates: Target = None) -> SparseTensor:
        """One site at the origin for each batch index that occurs, in rising order.

        input: a sparse tensor or a tensor field.
        coordinates: where the output shall lie instead; each of these sites has the value of its batch item.
        """
        check_features(input)
        manager = input.coordinate_manager
        pool_from = manager.global_field_map if isinstance(input, TensorField) else manager.global_map
        key, pairs = pool_from(input.coordinate_key)
        features = global_reduction(self.pooling_mode)(input.F, pairs)
        target = target_key(input, coordinates)
        if target is not None and target.is_key_set():
            features = features[_rows_of_items(manager, key, target)]
        elif target is not None:
            target.set_key(key.key)
        return SparseTensor(features, coordinate_map_key=target or key, coordinate_manager=manager)

    def extra_repr(self) -> str:
        return f"mode={self.pooling_mode.name}"


def _rows_of_items(manager: CoordinateManager, items: CoordinateMapKey, target: CoordinateMapKey) -> Tensor:
    """The row of the batch item (M,) for each site of the map `target`."""
    batches = manager.get_coordinates(items)[:, 0].contiguous()
    wanted = manager.get_coordinates(target)[:, 0].contiguous()
    rows = torch.searchsorted(batches, wanted).clamp_(max=len(batches) - 1)
    if not bool((batches[rows] == wanted).all()):
        raise ValueError("the coordinates have batch indices that the input has not")
    return rows


class MinkowskiGlobalSumPooling(MinkowskiGlobalPooling):
    """Sum over all sites of a batch item."""

    def __init__(self, mode: PoolingMode = PoolingMode.GLOBAL_SUM_POOLING_PYTORCH_INDEX) -> None:
        super().__init__(mode)


class MinkowskiGlobalAvgPooling(MinkowskiGlobalPooling):
    """Mean over all sites of a batch item."""

    def __init__(self, mode: PoolingMode = PoolingMode.GLOBAL_AVG_POOLING_PYTORCH_INDEX) -> None:
        super().__init__(mode)


class MinkowskiGlobalMaxPooling(MinkowskiGlobalPooling):
    """Maximum over all sites of a batch item."""

    def __init__(self, mode: PoolingMode = PoolingMode.GLOBAL_MAX_POOLING_PYTORCH_INDEX) -> None:
        super().__init__(mode)
