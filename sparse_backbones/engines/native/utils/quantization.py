"""Voxels from points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparse_backbones.engines.native.index import CoordinateIndex
from sparse_backbones.engines.native.regions import IntOrInts, to_ints
from sparse_backbones.engines.native.sites import as_int32

Array = np.ndarray[Any, Any] | Tensor


def sparse_quantize(
    coordinates: Array,
    features: Array | None = None,
    labels: Array | None = None,
    ignore_label: int = -100,
    return_index: bool = False,
    return_inverse: bool = False,
    return_maps_only: bool = False,
    quantization_size: float | Sequence[float] | Array | None = None,
    device: torch.device | str = "cpu",
) -> Any:
    """Coordinates (N, D) divided by the quantization size (a number, or one per axis) and rounded down.

    Returns int32 voxels (U, D); then, if given, the features and labels of the first point in each voxel;
    then, if asked for, the index (U,) of that point and the voxel (N,) of each point. With
    `return_maps_only` just the last two. Labels are those of the first point, as in MinkowskiEngine 0.5.4:
    `ignore_label` is accepted and not used.
    """
    if coordinates.ndim != 2:
        raise ValueError(f"coordinates must have the shape (N, D), not {tuple(coordinates.shape)}")
    if return_inverse and not return_index:
        raise ValueError("return_inverse needs return_index")
    for name, rows in (("features", features), ("labels", labels)):
        if rows is not None and len(rows) != len(coordinates):
            raise ValueError(f"{len(rows)} {name} for {len(coordinates)} coordinates")
    points = torch.as_tensor(coordinates)
    if quantization_size is not None:
        size = torch.as_tensor(quantization_size, dtype=torch.float64)
        if size.ndim and size.shape != (points.shape[1],):
            raise ValueError(f"quantization_size has {len(size)} numbers for {points.shape[1]} dimensions")
        # In the points' own precision, as a point on a voxel's border should not depend on this function.
        points = points / size.to(points.dtype if points.is_floating_point() else torch.float32)
    voxels = as_int32(points).to(device)
    index = CoordinateIndex(voxels)
    unique, inverse = index.first, index.inverse
    if return_maps_only:
        return (unique, inverse) if return_inverse else unique
    results: list[Any] = [voxels[unique]]
    for given in (features, labels):
        if given is not None:
            results.append(given[unique.cpu().numpy()] if isinstance(given, np.ndarray) else given[unique])
    if return_index:
        results.append(unique)
    if return_inverse:
        results.append(inverse)
    return results[0] if len(results) == 1 else tuple(results)


def quantize(coords: Array) -> tuple[Any, Any]:
    """For int coordinates (N, D): the first row (U,) of each distinct one; of each row which one (N,).

    Both int64, and arrays or tensors as `coords` is.
    """
    index = CoordinateIndex(as_int32(torch.as_tensor(coords)))
    if isinstance(coords, np.ndarray):
        return index.first.numpy(), index.inverse.numpy()
    return index.first, index.inverse


def unique_coordinate_map(coordinates: Tensor, tensor_stride: IntOrInts = 1) -> tuple[Tensor, Tensor]:
    """For int coordinates (N, 1 + D): the first row (U,) of each distinct one; of each row which one (N,)."""
    if coordinates.ndim != 2:
        raise ValueError(f"coordinates must have the shape (N, 1 + D), not {tuple(coordinates.shape)}")
    to_ints(tensor_stride, coordinates.shape[1] - 1, "tensor_stride")
    index = CoordinateIndex(coordinates)
    return index.first, index.inverse


def ravel_hash_vec(arr: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Distinct uint64 numbers (N,) for distinct int rows (N, D): places in the box that the rows span."""
    shifted = (arr - arr.min(0)).astype(np.uint64)
    sizes = shifted.max(0) + np.uint64(1)
    keys = np.zeros(len(arr), dtype=np.uint64)
    for column, size in zip(shifted.T, sizes, strict=True):
        keys = keys * size + column
    return keys


def fnv_hash_vec(arr: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """64-bit Fowler-Noll-Vo hashes (N,) uint64 of int rows (N, D)."""
    hashes = np.full(len(arr), 14695981039346656037, dtype=np.uint64)
    for column in arr.astype(np.int64).view(np.uint64).reshape(arr.shape).T:
        hashes = (hashes * np.uint64(1099511628211)) ^ column
    return hashes
