"""The coordinate manager: coordinate and kernel maps of one input, made once and shared by all layers."""

from __future__ import annotations

import torch
from torch import Tensor

from sparse_backbones.engines.native.index import CoordinateIndex
from sparse_backbones.engines.native.maps import (
    CoordinateMap,
    KernelMap,
    grouping_map,
    strided_map,
    submanifold_map,
    tiling_map,
)
from sparse_backbones.engines.native.regions import IntOrInts, KernelGenerator, to_ints

Key = tuple[tuple[int, ...], str]


class CoordinateMapKey:
    """Names a coordinate map inside its manager by tensor stride and a string."""

    def __init__(self, tensor_stride: IntOrInts, string_id: str = "", dimension: int | None = None) -> None:
        if isinstance(tensor_stride, int):
            tensor_stride = to_ints(tensor_stride, dimension or 1, "tensor_stride")
        self._key: Key = (tuple(int(s) for s in tensor_stride), string_id)

    def get_key(self) -> tuple[list[int], str]:
        return list(self._key[0]), self._key[1]

    def get_tensor_stride(self) -> list[int]:
        return list(self._key[0])

    def get_dimension(self) -> int:
        """Columns of the coordinates, batch index included."""
        return len(self._key[0]) + 1

    @property
    def key(self) -> Key:
        return self._key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CoordinateMapKey) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"CoordinateMapKey({list(self._key[0])}, {self._key[1]!r})"


class CoordinateManager:
    """Holds coordinate maps by stride and kernel maps by what they join. D: number of spatial dimensions."""

    def __init__(self, D: int) -> None:
        self.D = D
        self._maps: dict[Key, CoordinateMap] = {}
        self._kernel_maps: dict[tuple[object, ...], KernelMap] = {}
        self._origins: dict[Key, tuple[Tensor, KernelMap]] = {}

    def insert_and_map(
        self, coordinates: Tensor, tensor_stride: IntOrInts = 1, string_id: str = ""
    ) -> tuple[CoordinateMapKey, tuple[Tensor, Tensor]]:
        """Adds the distinct rows of int coordinates (N, 1 + D).

        Returns the key, and `unique` (U,), the input row that each site came from, with `inverse` (N,), the
        site of each input row. Without duplicates the order stays and `inverse` is empty.
        """
        stride = tuple(to_ints(tensor_stride, self.D, "tensor_stride"))
        if coordinates.ndim != 2 or coordinates.shape[1] != self.D + 1:
            raise ValueError(
                f"coordinates must have the shape (N, {self.D + 1}), batch index first, "
                f"not {tuple(coordinates.shape)}"
            )
        key = self._free_key(stride, string_id)
        index = CoordinateIndex(coordinates)
        if int(index.low[0]) < 0:
            raise ValueError(f"batch indices must not be negative, and there is {int(index.low[0])}")
        if len(index.unique) == len(coordinates):
            unique = torch.arange(len(coordinates), device=coordinates.device)
            inverse = unique.new_empty(0)
            sites = CoordinateMap(coordinates.int(), stride)
            if all(s == 1 for s in stride):
                sites.__dict__["index"] = index
        else:
            unique, inverse = index.first, index.inverse
            sites = CoordinateMap(coordinates[unique].int(), stride)
        if bool(
            (sites.steps * torch.tensor((1, *stride), device=coordinates.device) != sites.coordinates).any()
        ):
            raise ValueError(f"coordinates must be multiples of the tensor stride {list(stride)}")
        self._maps[key.key] = sites
        return key, (unique, inverse)

    def sites(self, key: CoordinateMapKey) -> CoordinateMap:
        try:
            return self._maps[key.key]
        except KeyError:
            raise ValueError(
                f"{key} is not in this coordinate manager, which has {sorted(self._maps)}"
            ) from None

    def exists(self, key: CoordinateMapKey) -> bool:
        return key.key in self._maps

    def size(self, key: CoordinateMapKey) -> int:
        return len(self.sites(key))

    def get_coordinates(self, key: CoordinateMapKey) -> Tensor:
        """int32 (N, 1 + D)."""
        return self.sites(key).coordinates

    def stride(self, key: CoordinateMapKey, stride: IntOrInts, string_id: str = "") -> CoordinateMapKey:
        """The key of the map `stride` times coarser, which is made if need be."""
        factor = tuple(to_ints(stride, self.D, "stride"))
        fine = self.sites(key)
        coarse = CoordinateMapKey(
            [s * f for s, f in zip(fine.stride, factor, strict=True)], string_id or key.key[1]
        )
        if not self.exists(coarse):
            self._maps[coarse.key] = fine.strided(factor)
        return coarse

    def convolution_map(
        self, key: CoordinateMapKey, kernel: KernelGenerator, transposed: bool
    ) -> tuple[CoordinateMapKey, KernelMap]:
        """The key of a convolution's output, and its pairs."""
        if transposed:
            out_key = self._finer(key, kernel)
            return out_key, self._pairs(out_key, key, kernel).transposed
        out_key = self.stride(key, kernel.kernel_stride)
        return out_key, self._pairs(key, out_key, kernel)

    def origin(self, key: CoordinateMapKey) -> tuple[CoordinateMapKey, KernelMap]:
        """The key of the map of one site at 0 per batch index that occurs, and the pairs that lead there."""
        out_key = CoordinateMapKey([0] * self.D)
        if key.key not in self._origins:
            batches, groups = torch.unique(self.sites(key).coordinates[:, 0], return_inverse=True)
            if not self.exists(out_key):
                coordinates = batches.new_zeros(len(batches), self.D + 1)
                coordinates[:, 0] = batches
                self._maps[out_key.key] = CoordinateMap(coordinates, (0,) * self.D)
            elif not torch.equal(self._maps[out_key.key].coordinates[:, 0], batches):
                raise ValueError("the maps of this manager do not hold the same batch indices")
            self._origins[key.key] = batches, grouping_map(groups, len(batches))
        return out_key, self._origins[key.key][1]

    def _pairs(self, fine: CoordinateMapKey, coarse: CoordinateMapKey, kernel: KernelGenerator) -> KernelMap:
        name = (fine, coarse, kernel.signature())
        if name not in self._kernel_maps:
            offsets = kernel.offsets()
            if fine == coarse and all(size % 2 for size in kernel.kernel_size):
                made = submanifold_map(self.sites(fine), offsets)
            elif kernel.tiles:
                made = tiling_map(self.sites(fine), self.sites(coarse), tuple(kernel.kernel_stride))
            else:
                factor = tuple(kernel.kernel_stride)
                made = strided_map(self.sites(fine), self.sites(coarse), factor, offsets)
            self._kernel_maps[name] = made
        return self._kernel_maps[name]

    def _finer(self, key: CoordinateMapKey, kernel: KernelGenerator) -> CoordinateMapKey:
        stride = self.sites(key).stride
        if any(s % f for s, f in zip(stride, kernel.kernel_stride, strict=True)):
            raise ValueError(f"a map of stride {list(stride)} cannot be refined by {kernel.kernel_stride}")
        finer = CoordinateMapKey(
            [s // f for s, f in zip(stride, kernel.kernel_stride, strict=True)], key.key[1]
        )
        if not self.exists(finer):
            raise ValueError(
                f"a transposed convolution goes back to a map made on the way down, and none of stride "
                f"{finer.get_tensor_stride()} is there"
            )
        return finer

    def _free_key(self, stride: tuple[int, ...], string_id: str) -> CoordinateMapKey:
        key = CoordinateMapKey(stride, string_id)
        number = 0
        while self.exists(key):
            number += 1
            key = CoordinateMapKey(stride, f"{string_id}-{number}")
        return key

    def __repr__(self) -> str:
        maps = ", ".join(
            f"{list(stride)}{name}: {len(sites)}" for (stride, name), sites in self._maps.items()
        )
        return f"CoordinateManager(D={self.D}, sites per stride: {maps})"
