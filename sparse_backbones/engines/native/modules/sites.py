"""Fewer sites, the sites of several tensors together, and values between the sites."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from sparse_backbones.engines.native.common import MinkowskiModuleBase
from sparse_backbones.engines.native.kernels import sum_rows
from sparse_backbones.engines.native.manager import CoordinateManager, CoordinateMapKey
from sparse_backbones.engines.native.maps import KernelMap
from sparse_backbones.engines.native.modules.target import check_features
from sparse_backbones.engines.native.tensor import SparseTensor


class MinkowskiPruningFunction:
    """`apply` keeps some rows of plain features (N, C) on the map `in_coords_key` of a manager."""

    @staticmethod
    def apply(
        in_feat: Tensor,
        mask: Tensor,
        in_coords_key: CoordinateMapKey,
        out_coords_key: CoordinateMapKey | None,
        coords_manager: CoordinateManager,
    ) -> Tensor:
        """Features (M, C) where `mask` (N,) bool is true. Sets `out_coords_key` to the key of their map."""
        _, rows = coords_manager.pruned(in_coords_key, mask, out_coords_key)
        return in_feat.index_select(0, rows)


class MinkowskiPruning(MinkowskiModuleBase):
    """Leaves out sites."""

    def forward(self, input: SparseTensor, mask: Tensor) -> SparseTensor:
        """The sites where `mask` (N,) bool is true, in order. None at all is allowed."""
        key, rows = input.coordinate_manager.pruned(input.coordinate_map_key, mask)
        return SparseTensor(
            input.F.index_select(0, rows), coordinate_map_key=key, coordinate_manager=input.coordinate_manager
        )


class MinkowskiUnionFunction:
    """`apply` adds plain features on several maps of a manager."""

    @staticmethod
    def apply(
        in_coords_keys: Sequence[CoordinateMapKey],
        out_coords_key: CoordinateMapKey,
        coordinate_manager: CoordinateManager,
        *in_feats: Tensor,
    ) -> Tensor:
        """Features (M, C) on the union of the maps. Sets `out_coords_key` to its key if it is not set."""
        if len(in_feats) < 2 or len(in_feats) != len(in_coords_keys):
            raise ValueError(
                f"one key per tensor and at least two tensors are needed, not {len(in_coords_keys)} keys "
                f"and {len(in_feats)} tensors"
            )
        if len({features.shape[1] for features in in_feats}) > 1:
            raise ValueError("the tensors must have the same number of channels")
        maps = coordinate_manager.union_map(in_coords_keys, out_coords_key)
        dtype = reduce(torch.promote_types, [features.dtype for features in in_feats])
        shape = coordinate_manager.size(out_coords_key), in_feats[0].shape[1]
        result = in_feats[0].new_zeros(shape, dtype=dtype)
        for features, (rows, places) in zip(in_feats, maps, strict=True):
            result = result.index_add(0, places, features.index_select(0, rows).to(dtype))
        return result


class MinkowskiUnion(nn.Module):
    """All sites of several tensors; features at the same site are added."""

    def forward(self, *inputs: SparseTensor) -> SparseTensor:
        """At least two tensors of one coordinate manager and one tensor stride."""
        if len(inputs) < 2:
            raise ValueError(f"at least two sparse tensors are needed, not {len(inputs)}")
        manager = inputs[0].coordinate_manager
        if any(item.coordinate_manager is not manager for item in inputs):
            raise ValueError("the tensors must have the same coordinate manager")
        key = CoordinateMapKey(manager.D + 1)
        features = MinkowskiUnionFunction.apply(
            [item.coordinate_map_key for item in inputs], key, manager, *[item.F for item in inputs]
        )
        return SparseTensor(features, coordinate_map_key=key, coordinate_manager=manager)


class MinkowskiInterpolationFunction:
    """`apply` interpolates plain features (N, C) on the map `in_coordinate_map_key` of a manager."""

    @staticmethod
    def apply(
        input_features: Tensor,
        tfield: Tensor,
        in_coordinate_map_key: CoordinateMapKey,
        coordinate_manager: CoordinateManager,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features (M, C) at the float places (M, 1 + D); pairs of rows (P,), (P,); their weights (P,)."""
        rows, places, weights = coordinate_manager.interpolation_map_weight(in_coordinate_map_key, tfield)
        weights = weights.to(input_features.dtype)
        terms = input_features.index_select(0, rows) * weights[:, None]
        one_each = KernelMap(
            torch.arange(len(rows), device=rows.device), places, [len(rows)], len(rows), len(tfield)
        )
        return sum_rows(terms, one_each), rows, places, weights


class MinkowskiInterpolation(MinkowskiModuleBase):
    """Multilinear interpolation between the sites; a site that is not there counts as 0.

    return_kernel_map: return the pairs (rows of the input, rows of the places) too.
    return_weights: return the weight of each pair too.
    """

    def __init__(self, return_kernel_map: bool = False, return_weights: bool = False) -> None:
        super().__init__()
        self.return_kernel_map = return_kernel_map
        self.return_weights = return_weights

    def forward(self, input: SparseTensor, tfield: Tensor) -> Tensor | tuple[object, ...]:
        """tfield: float places (M, 1 + D), batch index first. Features (M, C) come back."""
        check_features(input)
        features, rows, places, weights = MinkowskiInterpolationFunction.apply(
            input.F, tfield, input.coordinate_map_key, input.coordinate_manager
        )
        result: list[object] = [features]
        if self.return_kernel_map:
            result.append((rows, places))
        if self.return_weights:
            result.append(weights)
        return tuple(result) if len(result) > 1 else features
