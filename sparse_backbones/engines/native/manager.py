"""The coordinate manager: coordinate and kernel maps of one input, made once and shared by all layers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from sparse_backbones.engines.native.enums import MinkowskiAlgorithm
from sparse_backbones.engines.native.fields import Fields
from sparse_backbones.engines.native.index import CoordinateIndex
from sparse_backbones.engines.native.keys import CoordinateMapKey, Key
from sparse_backbones.engines.native.maps import (
    CoordinateMap,
    KernelMap,
    grouping_map,
    strided_map,
    submanifold_map,
    tiling_map,
)
from sparse_backbones.engines.native.regions import IntOrInts, KernelGenerator, RegionType, to_ints
from sparse_backbones.engines.native.sites import (
    as_int32,
    expanded,
    interpolation,
    rounded_rows,
    rows_in,
    union,
)

__all__ = ["CoordinateManager", "CoordinateMapKey", "CoordsManager"]


class CoordsManager:
    """The name that the coordinate manager had before MinkowskiEngine 0.5. It cannot be made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise DeprecationWarning("CoordsManager is now CoordinateManager")


class CoordinateManager(Fields):
    """Holds coordinate maps by stride and kernel maps by what they join. D: number of spatial dimensions.

    The other arguments choose MinkowskiEngine's devices and algorithms; here they change nothing.
    """

    def __init__(
        self,
        D: int = 0,
        num_threads: int = -1,
        coordinate_map_type: Any = None,
        allocator_type: Any = None,
        minkowski_algorithm: Any = None,
    ) -> None:
        if D < 1:
            raise ValueError(f"D must be at least 1, not {D}")
        super().__init__(D)
        self.minkowski_algorithm = (
            MinkowskiAlgorithm.DEFAULT if minkowski_algorithm is None else minkowski_algorithm
        )
        self._kernel_maps: dict[tuple[object, ...], KernelMap] = {}
        self._reached: dict[tuple[object, ...], CoordinateMapKey] = {}
        self._origins: dict[Key, KernelMap] = {}

    def insert_and_map(
        self, coordinates: Tensor, tensor_stride: IntOrInts = 1, string_id: str = ""
    ) -> tuple[CoordinateMapKey, tuple[Tensor, Tensor]]:
        """Adds the distinct rows of coordinates (N, 1 + D), int or rounded down.

        Returns the key, and `unique` (U,), the input row that each site came from, with `inverse` (N,), the
        site of each input row, both int64. Without duplicates the order stays.
        """
        stride = tuple(to_ints(tensor_stride, self.D, "tensor_stride"))
        if coordinates.ndim != 2 or coordinates.shape[1] != self.D + 1:
            raise ValueError(
                f"coordinates must have the shape (N, {self.D + 1}), batch index first, "
                f"not {tuple(coordinates.shape)}"
            )
        coordinates = as_int32(coordinates)
        index = CoordinateIndex(coordinates)
        if int(index.low[0]) < 0:
            raise ValueError(f"batch indices must not be negative, and there is {int(index.low[0])}")
        if len(index.unique) == len(coordinates):
            unique = inverse = torch.arange(len(coordinates), device=coordinates.device)
            sites = CoordinateMap(coordinates, stride)
            if all(s == 1 for s in stride):
                sites.__dict__["index"] = index
        else:
            unique, inverse = index.first, index.inverse
            sites = CoordinateMap(coordinates[unique], stride)
        return self._add(sites, string_id), (unique, inverse)

    def stride(
        self, coordinate_map_key: CoordinateMapKey, stride: IntOrInts, string_id: str = ""
    ) -> CoordinateMapKey:
        """The key of the map `stride` times coarser, which is made if need be."""
        factor = tuple(to_ints(stride, self.D, "stride"))
        fine = self.sites(coordinate_map_key)
        coarse = CoordinateMapKey(
            [s * f for s, f in zip(fine.stride, factor, strict=True)], string_id or coordinate_map_key.key[1]
        )
        if not self.exists(coarse):
            self._maps[coarse.key] = fine.strided(factor)
        return coarse

    def convolution_map(
        self,
        key: CoordinateMapKey,
        kernel: KernelGenerator,
        transposed: bool,
        out_key: CoordinateMapKey | None = None,
    ) -> tuple[CoordinateMapKey, KernelMap]:
        """The key of a convolution's output, and its pairs.

        out_key: the map to convolve onto, of any stride; one that is not set is set to the output's key. Else
        a convolution goes to the coarser map, and a transposed one to the finer map, which is made of all
        places that the kernel reaches if none is there. With `kernel.expand_coordinates` both go to all
        places that the kernel reaches.
        """
        target = self._target(key, kernel, transposed, out_key)
        if transposed:
            return target, self._pairs(target, key, kernel).transposed
        return target, self._pairs(key, target, kernel)

    def pooling_map(
        self,
        key: CoordinateMapKey,
        kernel: KernelGenerator,
        transposed: bool = False,
        out_key: CoordinateMapKey | None = None,
    ) -> tuple[CoordinateMapKey, KernelMap]:
        """As `convolution_map`, with the identity's pairs listed.

        As in MinkowskiEngine, a kernel as large as its stride covers [0, size) even where the size is odd:
        each site of the finer map goes to the one of the coarser map that it rounds down to, and all pairs
        are of one offset.
        """
        target = self._target(key, kernel, transposed, out_key)
        fine, coarse = (target, key) if transposed else (key, target)
        listed = kernel.region_type is RegionType.CUSTOM or kernel.kernel_volume == 1
        if listed or kernel.kernel_size != kernel.kernel_stride:
            pairs = self._pairs(fine, coarse, kernel)
            pairs = pairs.complete
        else:
            name = (fine, coarse, "round down")
            if name not in self._kernel_maps:
                rows, hit = rounded_rows(self.get_coordinates(fine), self.sites(coarse))
                inside = torch.nonzero(hit)[:, 0]
                self._kernel_maps[name] = KernelMap(
                    inside, rows[inside], [len(inside)], self.size(fine), self.size(coarse)
                )
            pairs = self._kernel_maps[name]
        return target, pairs.transposed if transposed else pairs

    def kernel_map(
        self,
        in_key: CoordinateMapKey | IntOrInts,
        out_key: CoordinateMapKey | IntOrInts,
        stride: IntOrInts = 1,
        kernel_size: IntOrInts = 3,
        dilation: IntOrInts = 1,
        region_type: RegionType | int = RegionType.HYPER_CUBE,
        region_offset: Tensor | None = None,
        is_transpose: bool = False,
        is_pool: bool = False,
    ) -> dict[int, Tensor]:
        """For each kernel offset that joins any rows: int32 (2, n), input rows and output rows.

        Maps are named by key, or by tensor stride for the first of that stride.
        """
        if region_offset is not None and region_offset.numel() == 0:
            region_offset = None
        kernel = KernelGenerator(
            kernel_size,
            stride,
            dilation,
            is_transpose,
            RegionType(region_type),
            region_offset,
            dimension=self.D,
        )
        make = self.pooling_map if is_pool else self.convolution_map
        _, pairs = make(self.key_of(in_key), kernel, is_transpose, self.key_of(out_key))
        pairs = pairs.complete
        in_rows = torch.split(pairs.in_rows.int(), pairs.counts)
        out_rows = torch.split(pairs.out_rows.int(), pairs.counts)
        return {k: torch.stack([in_rows[k], out_rows[k]]) for k, n in enumerate(pairs.counts) if n}

    @wraps(kernel_map)
    def get_kernel_map(self, *args: Any, **kwargs: Any) -> dict[int, Tensor]:
        warnings.warn("use kernel_map instead of get_kernel_map", stacklevel=2)
        return self.kernel_map(*args, **kwargs)

    def global_map(self, key: CoordinateMapKey) -> tuple[CoordinateMapKey, KernelMap]:
        """The key of the map of one site at 0 per batch index, and the pairs that lead there."""
        out_key = self.origin()
        if key.key not in self._origins:
            self._origins[key.key] = self._by_item(self.sites(key).coordinates)
        return out_key, self._origins[key.key]

    def global_field_map(self, key: CoordinateMapKey) -> tuple[CoordinateMapKey, KernelMap]:
        """As `global_map`, from the points of a field."""
        return self.origin(), self._by_item(self.get_coordinate_field(key))

    def _by_item(self, coordinates: Tensor) -> KernelMap:
        batches = self.get_coordinates(self.origin())[:, 0].contiguous()
        mine = torch.floor(coordinates[:, 0]).int()
        groups = torch.searchsorted(batches, mine)
        if len(mine) and not (
            len(batches) and bool((batches[groups.clamp(max=len(batches) - 1)] == mine).all())
        ):
            raise ValueError("the maps of this manager do not hold the same batch indices")
        return grouping_map(groups, len(batches))

    def origin(self) -> CoordinateMapKey:
        """The key of the map of one site at 0 for each batch index of any map or field, in rising order."""
        key = CoordinateMapKey([0] * self.D)
        if not self.exists(key):
            columns = [sites.coordinates[:, 0] for sites in self._maps.values()]
            columns += [torch.floor(field[:, 0]).int() for field in self._fields.values()]
            if not columns:
                raise ValueError("this coordinate manager has no map yet")
            batches = torch.unique(torch.cat(columns))
            coordinates = batches.new_zeros(len(batches), self.D + 1)
            coordinates[:, 0] = batches
            self._maps[key.key] = CoordinateMap(coordinates, (0,) * self.D)
        return key

    origin_field = origin

    def number_of_unique_batch_indices(self) -> int:
        return self.size(self.origin())

    def origin_map(self, key: CoordinateMapKey) -> tuple[Tensor, list[Tensor]]:
        """The batch indices (B,), and for each its rows of the map, in rising order."""
        out_key, pairs = self.global_map(key)
        order, starts = pairs.by_output
        rows = torch.split(order, (starts[1:] - starts[:-1]).tolist())
        return self.get_coordinates(out_key)[:, 0].long(), list(rows)

    def stride_map(self, in_key: CoordinateMapKey, stride_key: CoordinateMapKey) -> tuple[Tensor, Tensor]:
        """Rows of the first map, in order, and the rows of the second that they round down to."""
        rows, hit = rounded_rows(self.get_coordinates(in_key), self.sites(stride_key))
        inside = torch.nonzero(hit)[:, 0]
        return inside, rows[inside]

    def union_map(self, in_keys: Sequence[CoordinateMapKey], out_key: CoordinateMapKey) -> list[Tensor]:
        """Per map: int64 (2, n), its rows and their rows in the union. Sets `out_key` if it is not set."""
        if not out_key.is_key_set():
            name = ("union", *in_keys)
            if name not in self._reached:
                self._reached[name] = self._add_apart(union([self.sites(key) for key in in_keys]), "merge")
            out_key.set_key(self._reached[name].key)
        result = []
        for key in in_keys:
            rows, hit = rows_in(self.sites(out_key), self.get_coordinates(key))
            if not bool(hit.all()):
                raise ValueError(f"{out_key} does not hold all sites of {key}")
            result.append(torch.stack([torch.arange(len(rows), device=rows.device), rows]))
        return result

    def interpolation_map_weight(
        self, key: CoordinateMapKey, samples: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of the map (P,), rows of the float samples (M, 1 + D) in rising order, weights (P,)."""
        return interpolation(self.sites(key), samples)

    interpolation_map = interpolation_map_weight

    def pruned(
        self, key: CoordinateMapKey, keep: Tensor, out_key: CoordinateMapKey | None = None
    ) -> tuple[CoordinateMapKey, Tensor]:
        """The key of the map of the sites where `keep` (N,) bool is true, and their rows, in order.

        out_key: one that is not set is set to it; one that is set must be of as many sites, and is kept.
        """
        sites = self.sites(key)
        if keep.dtype is not torch.bool or keep.shape != (len(sites),):
            raise ValueError(f"keep must be bool ({len(sites)},), not {keep.dtype} {tuple(keep.shape)}")
        rows = torch.nonzero(keep.to(sites.coordinates.device))[:, 0]
        if out_key is not None and out_key.is_key_set():
            if self.size(out_key) != len(rows):
                raise ValueError(f"{len(rows)} sites are kept, but {out_key} has {self.size(out_key)}")
            return out_key, rows
        made = self._add_apart(CoordinateMap(sites.coordinates[rows], sites.stride), key.key[1])
        if out_key is not None:
            out_key.set_key(made.key)
        return made, rows

    def _target(
        self,
        key: CoordinateMapKey,
        kernel: KernelGenerator,
        transposed: bool,
        out_key: CoordinateMapKey | None,
    ) -> CoordinateMapKey:
        if out_key is not None and out_key.is_key_set():
            self.sites(out_key)
            return out_key
        if kernel.expand_coordinates:
            made = self._expanded(key, kernel, transposed)
        elif transposed:
            made = CoordinateMapKey(self._finer_stride(key, kernel), key.key[1])
            if not self.exists(made):
                made = self._expanded(key, kernel, transposed)
        else:
            made = self.stride(key, kernel.kernel_stride)
        if out_key is not None:
            out_key.set_key(made.key)
        return made

    def _expanded(self, key: CoordinateMapKey, kernel: KernelGenerator, transposed: bool) -> CoordinateMapKey:
        name = (key, kernel.signature(), transposed)
        if name not in self._reached:
            sites = self.sites(key)
            if transposed:
                unit = stride = self._finer_stride(key, kernel)
            else:
                unit = sites.stride
                stride = tuple(s * f for s, f in zip(unit, kernel.kernel_stride, strict=True))
            self._reached[name] = self._add(expanded(sites, kernel.offsets(), unit, stride), key.key[1])
        return self._reached[name]

    def _finer_stride(self, key: CoordinateMapKey, kernel: KernelGenerator) -> tuple[int, ...]:
        stride = self.sites(key).stride
        if any(s % f for s, f in zip(stride, kernel.kernel_stride, strict=True)):
            raise ValueError(f"a map of stride {list(stride)} cannot be refined by {kernel.kernel_stride}")
        return tuple(s // f for s, f in zip(stride, kernel.kernel_stride, strict=True))

    def _pairs(self, fine: CoordinateMapKey, coarse: CoordinateMapKey, kernel: KernelGenerator) -> KernelMap:
        name = (fine, coarse, kernel.signature())
        if name not in self._kernel_maps:
            ratio = [s * f for s, f in zip(fine.key[0], kernel.kernel_stride, strict=True)]
            if fine == coarse and kernel.centred:
                made = submanifold_map(self.sites(fine), kernel.offsets())
            else:
                maps = self.sites(fine), self.sites(coarse)
                tiles = kernel.tiles and ratio == list(coarse.key[0]) and all(ratio)
                # The compiled search is faster than one look-up for each site.
                if tiles and all(sites.on_lattice and not sites.compiles for sites in maps):
                    made = tiling_map(*maps, tuple(kernel.kernel_stride))
                else:
                    made = strided_map(*maps, kernel.offsets())
            self._kernel_maps[name] = made
        return self._kernel_maps[name]
