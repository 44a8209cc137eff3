"""Finding rows by coordinate: coordinates packed into sorted int64 keys."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from sparse_backbones.engines.native import compiled

# How far a shifted look-up may leave the occupied box before keys would alias and the exact path is taken.
MARGIN = 16
_KEY_LIMIT = 2**62
# Below this the compiled sort is faster than PyTorch's, which uses all threads.
FEW_KEYS = 2**16


class Groups:
    """Equal keys (N,) int64 taken together.

    unique: int64 (U,), sorted. first: int64 (U,), the lowest row of each.
    moved: whether these are other rows, or in another order, than 0 to N - 1.
    """

    def __init__(self, keys: Tensor) -> None:
        self.moved = not bool((keys[1:] > keys[:-1]).all())
        if not self.moved:
            self.unique, self.first = keys, torch.arange(keys.numel(), device=keys.device)
            return
        ordered, self._order = sort_keys(keys)
        self._starts = torch.ones_like(ordered, dtype=torch.bool)
        torch.ne(ordered[1:], ordered[:-1], out=self._starts[1:])
        if bool(self._starts.all()):
            self.unique, self.first = ordered, self._order
        else:
            self.unique, self.first = ordered[self._starts], self._order[self._starts]

    @cached_property
    def inverse(self) -> Tensor:
        """The group of each row, int64 (N,)."""
        if not self.moved:
            return self.first
        groups = torch.empty_like(self._order)
        groups[self._order] = torch.cumsum(self._starts, 0) - 1
        return groups


def sort_keys(keys: Tensor) -> tuple[Tensor, Tensor]:
    """As torch.sort(keys, stable=True)."""
    if keys.numel() < FEW_KEYS and compiled.serves(keys):
        return compiled.sort(keys)
    ordered, order = torch.sort(keys, stable=True)
    return ordered, order


class CoordinateIndex:
    """Looks up rows of a set of distinct or repeated coordinates.

    coordinates: int (N, 1 + D), batch index first, in units of the map's stride.

    All columns are packed into one int64 key where the occupied box allows it. For boxes too large for 63
    bits the leading columns are first replaced by their rank, so every int32 coordinate works.
    """

    def __init__(self, coordinates: Tensor) -> None:
        coordinates = coordinates.long()
        count, columns = coordinates.shape
        self.columns = columns
        if count == 0:
            self.low = torch.zeros(columns, dtype=torch.int64, device=coordinates.device)
            high = self.low
        else:
            self.low, high = torch.aminmax(coordinates, dim=0)
        self.span = high - self.low + 1
        batches, *sides = self.span.tolist()
        radix = [batches, *(side + 2 * MARGIN for side in sides)]
        self.groups = _group_columns(radix, count)
        self.radix = radix
        self.tables: list[Tensor] = []
        keys, _ = self._pack(coordinates, build=True)
        self.keys = keys
        self._distinct = Groups(keys)
        self.unique, self.first = self._distinct.unique, self._distinct.first

    @property
    def inverse(self) -> Tensor:
        """For each row the position of its coordinate in `unique`, int64 (N,)."""
        return self._distinct.inverse

    @property
    def moved(self) -> bool:
        """Whether `first` is anything else than all rows in order."""
        return self._distinct.moved

    @property
    def shiftable(self) -> bool:
        """Whether keys of neighbours are the key plus a constant."""
        return len(self.groups) == 1

    def key_delta(self, offsets: Tensor) -> Tensor:
        """What to add to keys (K,) for the spatial offsets (K, D). Only if `shiftable`."""
        weights = torch.tensor(_weights(self.radix[1:]), dtype=torch.int64, device=offsets.device)
        return (offsets.long() * weights).sum(1)

    def within_margin(self, coordinates: Tensor, reach: int) -> bool:
        """Whether coordinates (M, 1 + D) shifted by up to `reach` stay inside the box widened by MARGIN."""
        if len(coordinates) == 0 or reach > MARGIN:
            return reach <= MARGIN
        slack = torch.full_like(self.low, MARGIN - reach)
        slack[0] = 0
        below, above = coordinates.amin(0) - self.low, coordinates.amax(0) - self.low - self.span
        return bool(((below >= -slack) & (above < slack)).all())

    def pack(self, coordinates: Tensor) -> Tensor:
        """Keys (M,) of coordinates (M, 1 + D) inside the box widened by MARGIN. Only if `shiftable`."""
        keys, _ = self._pack(coordinates.long(), build=False)
        return keys

    def find_keys(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """For keys of any shape: the position in `unique`, and whether it is really there."""
        if self.unique.numel() == 0:
            return torch.zeros_like(keys), torch.zeros_like(keys, dtype=torch.bool)
        place = torch.searchsorted(self.unique, keys).clamp_(max=self.unique.numel() - 1)
        return place, self.unique[place] == keys

    def find(self, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """For coordinates (M, 1 + D) anywhere: position in `unique` (M,), and whether it is there (M,)."""
        coordinates = coordinates.long()
        shifted = coordinates - self.low
        inside = ((shifted >= 0) & (shifted < self.span)).all(1)
        keys, known = self._pack(torch.where(inside[:, None], coordinates, self.low), build=False)
        place, hit = self.find_keys(keys)
        return place, hit & inside & known

    def _pack(self, coordinates: Tensor, build: bool) -> tuple[Tensor, Tensor]:
        shifted = coordinates - self.low
        known = torch.ones(len(coordinates), dtype=torch.bool, device=coordinates.device)
        rank: Tensor | None = None
        for level, group in enumerate(self.groups):
            # Last column first: its weight is 1.
            key, weight = shifted[:, group[-1]], 1
            for column, after in zip(group[-2::-1], group[:0:-1], strict=True):
                weight *= self.radix[after]
                key = torch.add(key, shifted[:, column], alpha=weight)
            if rank is not None:
                key = key + rank * math.prod(self.radix[column] for column in group)
            if level == len(self.groups) - 1:
                return key, known
            if build:
                ranks = Groups(key)
                table, rank = ranks.unique, ranks.inverse
                self.tables.append(table)
            else:
                table = self.tables[level]
                rank = torch.searchsorted(table, key).clamp_(max=max(len(table) - 1, 0))
                known &= table[rank] == key
        raise AssertionError("a coordinate has at least one column")


def _weights(radix: list[int]) -> list[int]:
    return [math.prod(radix[i + 1 :]) for i in range(len(radix))]


def _group_columns(radix: list[int], count: int) -> list[list[int]]:
    """Splits the columns into runs whose packed keys fit; every run after the first starts with a rank."""
    groups: list[list[int]] = [[]]
    size = 1
    for column, base in enumerate(radix):
        if groups[-1] and size * base >= _KEY_LIMIT:
            groups.append([])
            size = max(count, 1)
        groups[-1].append(column)
        size *= base
    return groups
