"""Normalisation over all active sites, or over those of each batch item."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from sparse_backbones.engines.native.common import MinkowskiModuleBase
from sparse_backbones.engines.native.enums import PoolingMode
from sparse_backbones.engines.native.kernels import sum_rows
from sparse_backbones.engines.native.manager import CoordinateManager, CoordinateMapKey
from sparse_backbones.engines.native.maps import KernelMap
from sparse_backbones.engines.native.modules.pooling import average_rows
from sparse_backbones.engines.native.modules.target import check_features, check_sparse
from sparse_backbones.engines.native.precision import widened
from sparse_backbones.engines.native.tensor import SparseTensor


class MinkowskiBatchNorm(nn.Module):
    """Batch normalisation over active sites."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.bn: nn.Module = nn.BatchNorm1d(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, input: SparseTensor) -> SparseTensor:
        check_features(input, self.num_features)
        return input.replace(self.bn(input.F))


class MinkowskiSyncBatchNorm(MinkowskiBatchNorm):
    """Batch normalisation over active sites of all processes; like MinkowskiBatchNorm in a single one."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats)
        self.bn = nn.SyncBatchNorm(num_features, eps, momentum, affine, track_running_stats, process_group)

    @classmethod
    def convert_sync_batchnorm(cls, module: nn.Module, process_group: Any = None) -> nn.Module:
        """The module with every MinkowskiBatchNorm replaced; parameters and statistics are shared."""
        if isinstance(module, MinkowskiBatchNorm):
            old: Any = module.bn
            made = cls(
                old.num_features, old.eps, old.momentum, old.affine, old.track_running_stats, process_group
            )
            for name, parameter in old.named_parameters():
                setattr(made.bn, name, parameter)
            for name, buffer in old.named_buffers():
                setattr(made.bn, name, buffer)
            return made.train(module.training)
        for name, child in module.named_children():
            setattr(module, name, cls.convert_sync_batchnorm(child, process_group))
        return module


def normalize_items(features: Tensor, pairs: KernelMap, eps: float) -> Tensor:
    """Features (N, C) with mean 0 and variance 1 per channel and batch item.

    pairs: from sites to the one row of their batch item.
    """
    wide = widened(features)
    centred = wide - sum_rows(average_rows(wide, pairs), pairs.transposed)
    variance = average_rows(centred * centred, pairs)
    scaled = centred * sum_rows(torch.rsqrt(variance + eps), pairs.transposed)
    return scaled.to(features.dtype)


class MinkowskiInstanceNormFunction:
    """`apply` normalises plain features (N, C) on the map `in_coords_key` of a manager."""

    @staticmethod
    def apply(
        in_feat: Tensor,
        in_coords_key: CoordinateMapKey,
        glob_coords_key: CoordinateMapKey | None,
        coords_manager: CoordinateManager,
        gpooling_mode: PoolingMode = PoolingMode.GLOBAL_AVG_POOLING_KERNEL,
    ) -> Tensor:
        """Features (N, C). A `glob_coords_key` that is not set is set to the key of the batch items' map."""
        key, pairs = coords_manager.global_map(in_coords_key)
        if glob_coords_key is not None and not glob_coords_key.is_key_set():
            glob_coords_key.set_key(key.key)
        return normalize_items(in_feat, pairs, MinkowskiInstanceNorm.eps)


class MinkowskiInstanceNorm(MinkowskiModuleBase):
    """Instance normalisation: each channel over the sites of each batch item, biased variance.

    Ulyanov et al., Instance Normalization, 2016.
    """

    eps = 1e-8

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.weight = nn.Parameter(torch.ones(1, num_features))
        self.bias = nn.Parameter(torch.zeros(1, num_features))

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, input: SparseTensor) -> SparseTensor:
        check_sparse(input)
        check_features(input, self.num_features)
        _, pairs = input.coordinate_manager.global_map(input.coordinate_map_key)
        features = normalize_items(input.F, pairs, self.eps) * self.weight + self.bias
        return input.replace(features.to(input.dtype))

    def extra_repr(self) -> str:
        return f"nchannels={self.num_features}"


class MinkowskiStableInstanceNorm(MinkowskiInstanceNorm):
    """Instance normalisation with the larger 1e-6 added to the variance. (MinkowskiEngine's own fails.)"""

    eps = 1e-6
