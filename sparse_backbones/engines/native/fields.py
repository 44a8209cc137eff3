"""What a coordinate manager holds: coordinate maps, and fields of float coordinates tied to them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from sparse_backbones.engines.native.index import CoordinateIndex
from sparse_backbones.engines.native.keys import CoordinateMapKey, Key
from sparse_backbones.engines.native.maps import CoordinateMap
from sparse_backbones.engines.native.regions import IntOrInts, to_ints
from sparse_backbones.engines.native.sites import check_range, rounded_rows

_Mapping = tuple[Tensor, Tensor]


class Fields:
    """Coordinate maps and fields by key. D: number of spatial dimensions."""

    def __init__(self, D: int) -> None:
        self.D = D
        self._maps: dict[Key, CoordinateMap] = {}
        self._fields: dict[Key, Tensor] = {}
        self._quantized: dict[tuple[Key, Key], _Mapping] = {}

    def sites(self, key: CoordinateMapKey) -> CoordinateMap:
        """The coordinate map of that key. Raises ValueError if this manager does not hold it."""
        try:
            return self._maps[key.key]
        except KeyError:
            raise ValueError(
                f"{key} is not in this coordinate manager, which has {sorted(self._maps)}"
            ) from None

    def exists(self, key: CoordinateMapKey) -> bool:
        return key.key in self._maps

    def size(self, coordinate_map_key: CoordinateMapKey) -> int:
        return len(self.sites(coordinate_map_key))

    def key_of(self, key_or_stride: CoordinateMapKey | IntOrInts) -> CoordinateMapKey:
        """A key as it is, or the key of the first map of that tensor stride."""
        return self._key_among(self._maps, key_or_stride)

    def _key_among(
        self, names: Iterable[Key], key_or_stride: CoordinateMapKey | IntOrInts
    ) -> CoordinateMapKey:
        if isinstance(key_or_stride, CoordinateMapKey):
            return key_or_stride
        stride = tuple(to_ints(key_or_stride, self.D, "tensor_stride"))
        for found, name in names:
            if found == stride:
                return CoordinateMapKey(found, name)
        raise ValueError(f"this coordinate manager has no map of the tensor stride {list(stride)}")

    def get_coordinates(self, coords_key_or_tensor_strides: CoordinateMapKey | IntOrInts) -> Tensor:
        """int32 (N, 1 + D)."""
        return self.sites(self.key_of(coords_key_or_tensor_strides)).coordinates

    def get_unique_coordinate_map_key(self, tensor_stride: IntOrInts) -> CoordinateMapKey:
        """A key of that stride that no map has yet."""
        return self._free_key(tuple(to_ints(tensor_stride, self.D, "tensor_stride")), "")

    def insert_field(
        self, coordinates: Tensor, tensor_stride: IntOrInts, string_id: str = ""
    ) -> CoordinateMapKey:
        """Adds float coordinates (N, 1 + D), batch index first, every row of which stays."""
        if coordinates.ndim != 2 or coordinates.shape[1] != self.D + 1:
            raise ValueError(
                f"coordinates must have the shape (N, {self.D + 1}), batch index first, "
                f"not {tuple(coordinates.shape)}"
            )
        check_range(coordinates)
        stride = tuple(to_ints(tensor_stride, self.D, "tensor_stride"))
        key = CoordinateMapKey(stride, string_id)
        number = 0
        while key.key in self._fields:
            number += 1
            key = CoordinateMapKey(stride, f"{string_id}-{number}")
        self._fields[key.key] = coordinates
        return key

    def get_coordinate_field(self, coords_key_or_tensor_strides: CoordinateMapKey | IntOrInts) -> Tensor:
        """The float coordinates (N, 1 + D) of a field, by its key or, for the first of it, its stride."""
        key = self._key_among(self._fields, coords_key_or_tensor_strides)
        try:
            return self._fields[key.key]
        except KeyError:
            raise ValueError(f"{key} is no field of this coordinate manager") from None

    def field_to_sparse_insert_and_map(
        self,
        field_map_key: CoordinateMapKey,
        sparse_tensor_stride: IntOrInts,
        sparse_tensor_string_id: str = "",
    ) -> tuple[CoordinateMapKey, _Mapping]:
        """The map of a field's coordinates rounded down to multiples of the stride, which is made once.

        Returns its key, `unique` (U,), the field's row that each site came from, and `inverse` (N,), the
        site of each row of the field.
        """
        field = self.get_coordinate_field(field_map_key)
        stride = tuple(to_ints(sparse_tensor_stride, self.D, "tensor_stride"))
        for (known, name), mapping in self._quantized.items():
            if known == field_map_key.key and name[0] == stride:
                return CoordinateMapKey(*name), mapping
        scale = torch.tensor((1, *stride), device=field.device)
        steps = torch.floor(field.double() / scale).long()
        index = CoordinateIndex(steps)
        if int(index.low[0]) < 0:
            raise ValueError(f"batch indices must not be negative, and there is {int(index.low[0])}")
        if len(index.unique) == len(steps):
            unique = inverse = torch.arange(len(steps), device=steps.device)
        else:
            unique, inverse = index.first, index.inverse
        key = self._add(CoordinateMap((steps[unique] * scale).int(), stride), sparse_tensor_string_id)
        self._quantized[field_map_key.key, key.key] = unique, inverse
        return key, (unique, inverse)

    def exists_field_to_sparse(
        self, field_map_key: CoordinateMapKey, sparse_map_key: CoordinateMapKey
    ) -> bool:
        return (field_map_key.key, sparse_map_key.key) in self._quantized

    def field_to_sparse_keys(self, field_map_key: CoordinateMapKey) -> list[CoordinateMapKey]:
        """Keys of the maps that were made from a field."""
        return [CoordinateMapKey(*name) for known, name in self._quantized if known == field_map_key.key]

    def get_field_to_sparse_map(
        self, field_map_key: CoordinateMapKey, sparse_map_key: CoordinateMapKey
    ) -> _Mapping:
        """`unique` and `inverse` of a map that was made from a field."""
        try:
            return self._quantized[field_map_key.key, sparse_map_key.key]
        except KeyError:
            raise ValueError(f"{sparse_map_key} was not made from the field {field_map_key}") from None

    def field_to_sparse_map(
        self, field_map_key: CoordinateMapKey, sparse_map_key: CoordinateMapKey
    ) -> _Mapping:
        """Rows of a map and rows of the field that round down to them, for the rows of the field in it."""
        rows, hit = rounded_rows(self.get_coordinate_field(field_map_key), self.sites(sparse_map_key))
        inside = torch.nonzero(hit)[:, 0]
        return rows[inside], inside

    def origin_field_map(self, key: CoordinateMapKey) -> tuple[Tensor, list[Tensor]]:
        """The batch indices (B,) of a field, and for each its rows, in rising order."""
        batch = torch.floor(self.get_coordinate_field(key)[:, 0]).long()
        batches, counts = torch.unique(batch, return_counts=True)
        return batches, list(torch.split(torch.sort(batch, stable=True).indices, counts.tolist()))

    def _add(self, sites: CoordinateMap, string_id: str) -> CoordinateMapKey:
        key = self._free_key(sites.stride, string_id)
        self._maps[key.key] = sites
        return key

    def _add_apart(self, sites: CoordinateMap, string_id: str) -> CoordinateMapKey:
        """As `_add`, under a string that no other map has: none is taken for a coarser or finer one of it."""
        taken = {name for _, name in self._maps}
        number = 1
        while f"{string_id}-{number}" in taken:
            number += 1
        return self._add(sites, f"{string_id}-{number}")

    def _free_key(self, stride: tuple[int, ...], string_id: str) -> CoordinateMapKey:
        key = CoordinateMapKey(stride, string_id)
        taken = {name for _, name in self._maps} if self.exists(key) else set()
        number = 0
        while key.key[1] in taken:
            number += 1
            key = CoordinateMapKey(stride, f"{string_id}-{number}")
        return key

    def __repr__(self) -> str:
        maps = ", ".join(
            f"{list(stride)}{name}: {len(sites)}" for (stride, name), sites in self._maps.items()
        )
        return f"CoordinateManager(D={self.D}, sites per stride: {maps})"
