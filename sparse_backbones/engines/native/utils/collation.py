"""Several items as one batch: coordinates get the item's number as their first column."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any] | Tensor

_DTYPES = (torch.int32, torch.float32)


def batched_coordinates(
    coords: Sequence[Array], dtype: torch.dtype = torch.int32, device: torch.device | str | None = None
) -> Tensor:
    """Coordinates (n_i, D) of each item as (sum of n_i, 1 + D) of dtype int32 (rounded down) or float32."""
    if dtype not in _DTYPES:
        raise ValueError(f"dtype must be torch.int32 or torch.float32, not {dtype}")
    if not len(coords):
        raise ValueError("there are no coordinates to batch")
    tensors = [torch.as_tensor(item) for item in coords]
    if any(item.ndim != 2 for item in tensors):
        raise ValueError("each item's coordinates must have the shape (n, D)")
    dimensions = sorted({item.shape[1] for item in tensors})
    if len(dimensions) > 1:
        raise ValueError(f"the items differ in their number of dimensions: {dimensions}")
    parts = []
    for number, item in enumerate(tensors):
        if dtype is torch.int32 and item.is_floating_point():
            item = torch.floor(item)
        item = item.to(device or "cpu", dtype)
        parts.append(torch.cat([item.new_full((len(item), 1), number), item], dim=1))
    return torch.cat(parts)


def sparse_collate(
    coords: Sequence[Array],
    feats: Sequence[Array],
    labels: Sequence[Any] | None = None,
    dtype: torch.dtype = torch.int32,
    device: torch.device | str | None = None,
) -> tuple[Any, ...]:
    """Batched coordinates and features, and labels if given: joined if they are arrays, else a list."""
    batched = batched_coordinates(coords, dtype, device)
    features = torch.cat([torch.as_tensor(item) for item in feats])
    if len(features) != len(batched):
        raise ValueError(f"{len(features)} features for {len(batched)} coordinates")
    if labels is None:
        return batched, features
    joined: Any = [torch.from_numpy(item) if isinstance(item, np.ndarray) else item for item in labels]
    if isinstance(joined[0], Tensor):
        joined = torch.cat(joined)
    return batched, features, joined


def batch_sparse_collate(
    data: Iterable[Sequence[Any]],
    dtype: torch.dtype = torch.int32,
    device: torch.device | str | None = None,
) -> tuple[Any, ...]:
    """As `sparse_collate`, from (coordinates, features[, labels]) per item; a `collate_fn`."""
    coords, feats, *labels = (list(column) for column in zip(*data, strict=True))
    return sparse_collate(coords, feats, labels[0] if labels else None, dtype, device)


class SparseCollation:
    """A `collate_fn` for (coordinates, features, labels) items.

    limit_numpoints: if positive, items from the one that would exceed it on are left out, with a warning.
    """

    def __init__(
        self,
        limit_numpoints: int = -1,
        dtype: torch.dtype = torch.int32,
        device: torch.device | str | None = None,
    ) -> None:
        self.limit_numpoints = limit_numpoints
        self.dtype = dtype
        self.device = device

    def __call__(self, list_data: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
        kept, total = 0, 0
        for item in list_data:
            total += len(item[0])
            if 0 < self.limit_numpoints < total:
                logging.getLogger(__name__).warning(
                    "kept %d of %d items: more would exceed %d points",
                    kept,
                    len(list_data),
                    self.limit_numpoints,
                )
                break
            kept += 1
        if not kept:
            raise ValueError(f"the first item alone exceeds limit_numpoints={self.limit_numpoints}")
        return batch_sparse_collate(list_data[:kept], self.dtype, self.device)
