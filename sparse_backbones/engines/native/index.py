"""Finding rows by coordinate: coordinates packed into sorted int64 keys."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# How far a shifted look-up may leave the occupied box before keys would alias and the exact path is taken.
MARGIN = 16
_KEY_LIMIT = 2**62


def first_of_each(keys: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Groups equal keys (N,) int64.

    Returns `unique` (U,) sorted, `first` (U,) the lowest row of each, `inverse` (N,) the group of each row,
    and `order` (N,), a stable sort of the rows.
    """
    if keys.numel() and bool((keys[1:] > keys[:-1]).all()):
        rows = torch.arange(keys.numel(), device=keys.device)
        return keys, rows, rows, rows
    ordered, order = torch.sort(keys, stable=True)
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    inverse = torch.empty_like(order)
    inverse[order] = torch.cumsum(starts, 0) - 1
    return ordered[starts], order[starts], inverse, order


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
            self.low, high = coordinates.amin(0), coordinates.amax(0)
        self.span = high - self.low + 1
        radix = (self.span + 2 * MARGIN).tolist()
        radix[0] = int(self.span[0])
        self.groups = _group_columns(radix, count)
        self.radix = radix
        self.tables: list[Tensor] = []
        keys, _ = self._pack(coordinates, build=True)
        self.keys = keys
        self.unique, self.first, self.inverse, self.order = first_of_each(keys)

    @property
    def moved(self) -> bool:
        """Whether rows are in another order than their keys."""
        return self.first is not self.order

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
            weights = _weights([self.radix[column] for column in group])
            key = sum(
                (shifted[:, column] * weight for column, weight in zip(group, weights, strict=True)),
                start=torch.zeros(len(coordinates), dtype=torch.int64, device=coordinates.device),
            )
            if rank is not None:
                key = key + rank * math.prod(self.radix[column] for column in group)
            if level == len(self.groups) - 1:
                return key, known
            if build:
                table, _, rank, _ = first_of_each(key)
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
