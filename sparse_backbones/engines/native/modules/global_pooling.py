"""Pooling over all sites of each batch item."""

from __future__ import annotations

from torch import Tensor, nn

from sparse_backbones.engines.native.enums import PoolingMode
from sparse_backbones.engines.native.kernels import max_rows, sum_rows
from sparse_backbones.engines.native.manager import CoordinateManager, CoordinateMapKey
from sparse_backbones.engines.native.modules.pooling import Reduction, average_rows
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
    """`apply` pools plain features (N, C) on the map `in_coordinate_map_key` of a manager."""

    @staticmethod
    def apply(
        input_features: Tensor,
        pooling_mode: PoolingMode,
        in_coordinate_map_key: CoordinateMapKey,
        out_coordinate_map_key: CoordinateMapKey | None,
        coordinate_manager: CoordinateManager,
    ) -> Tensor:
        """Features (B, C). An `out_coordinate_map_key` that is not set is set to the output's key."""
        key, pairs = coordinate_manager.global_map(in_coordinate_map_key)
        if out_coordinate_map_key is not None and not out_coordinate_map_key.is_key_set():
            out_coordinate_map_key.set_key(key.key)
        return global_reduction(pooling_mode)(input_features, pairs)


class MinkowskiGlobalPooling(nn.Module):
    """Mean, sum or maximum over all sites of a batch item, as `mode` says."""

    def __init__(self, mode: PoolingMode = PoolingMode.GLOBAL_AVG_POOLING_PYTORCH_INDEX) -> None:
        super().__init__()
        global_reduction(mode)
        self.pooling_mode = mode

    def forward(self, input: SparseTensor) -> SparseTensor:
        """One site at the origin for each batch index that occurs, in rising order."""
        key, pairs = input.coordinate_manager.global_map(input.coordinate_map_key)
        features = global_reduction(self.pooling_mode)(input.F, pairs)
        return SparseTensor(features, coordinate_map_key=key, coordinate_manager=input.coordinate_manager)

    def extra_repr(self) -> str:
        return f"mode={self.pooling_mode.name}"


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
