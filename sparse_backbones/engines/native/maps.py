"""Coordinate maps (which sites are active) and kernel maps (which pairs of sites a kernel joins)."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sparse_backbones.engines.native import compiled
from sparse_backbones.engines.native.compiled import Blocks
from sparse_backbones.engines.native.index import MARGIN, CoordinateIndex, sort_keys

# Up to so many pairs a site, sums that are written in row order repay what the reordering of the pairs costs.
FEW_PAIRS = 8


class CoordinateMap:
    """Distinct active sites at one tensor stride.

    coordinates: int32 (N, 1 + D), batch index first, usually multiples of `stride`.
    """

    def __init__(self, coordinates: Tensor, stride: tuple[int, ...]) -> None:
        self.coordinates = coordinates
        self.stride = stride

    def __len__(self) -> int:
        return self.coordinates.shape[0]  # len() of a tensor takes longer

    @cached_property
    def unit(self) -> tuple[int, ...]:
        """What coordinates are counted in: the stride, or 1 where sites lie between its multiples."""
        # The map that global pooling makes has the stride 0 and its sites at 0.
        stride = tuple(max(s, 1) for s in self.stride)
        if all(s == 1 for s in stride):
            return stride
        divisor = torch.tensor(stride, device=self.coordinates.device)
        return (1,) * len(stride) if bool((self.coordinates[:, 1:] % divisor).any()) else stride

    @property
    def on_lattice(self) -> bool:
        """Whether all coordinates are multiples of the stride."""
        return self.unit == tuple(max(s, 1) for s in self.stride)

    @property
    def compiles(self) -> bool:
        """Whether the compiled kernels search here."""
        return compiled.serves(self.coordinates)

    @cached_property
    def steps(self) -> Tensor:
        """Coordinates in multiples of `unit`, int64 (N, 1 + D)."""
        return divided(self.coordinates.long(), self.unit)

    @cached_property
    def index(self) -> CoordinateIndex:
        return CoordinateIndex(self.steps)

    def in_units(self, offsets: Tensor) -> Tensor:
        """Offsets (K, D) in multiples of the stride, as multiples of `unit`."""
        offsets = offsets.to(self.coordinates.device)
        if self.on_lattice:
            return offsets
        return offsets * torch.tensor(self.stride, device=offsets.device)

    def strided(self, factor: tuple[int, ...]) -> CoordinateMap:
        """The map whose sites are this map's, rounded down to `stride * factor`."""
        stride = tuple(s * f for s, f in zip(self.stride, factor, strict=True))
        unit = tuple(max(s, 1) for s in stride)
        steps = divided(self.coordinates.long(), unit)
        index = CoordinateIndex(steps)
        steps = steps[index.first]
        coordinates = steps * torch.tensor((1, *stride), device=self.coordinates.device)
        if len(coordinates) and int(coordinates.min()) < torch.iinfo(torch.int32).min:
            raise ValueError(
                f"coordinates rounded down to multiples of the stride {list(stride)} do not fit in 32 bits; "
                "move them away from the lowest number"
            )
        made = CoordinateMap(coordinates.int(), stride)
        made.__dict__ |= {"unit": unit, "steps": steps}
        return made


def divided(coordinates: Tensor, unit: tuple[int, ...]) -> Tensor:
    """Coordinates (N, 1 + D), batch index first, in multiples of `unit`, rounded down."""
    if all(u == 1 for u in unit):
        return coordinates
    divisor = torch.tensor((1, *unit), device=coordinates.device)
    return torch.div(coordinates, divisor, rounding_mode="floor")


class KernelMap:
    """The pairs (input row, output row) that each kernel offset joins.

    They are kept as lists, sorted by offset, or as the compiled kernels' blocks; each is made from the other
    when it is asked for.

    in_rows, out_rows: int32 or int64 (P,). counts: pairs per offset, length K.
    identity: the offset at which every row meets itself, whose pairs are then left out of the lists, or None.
    """

    def __init__(
        self,
        in_rows: Tensor,
        out_rows: Tensor,
        counts: list[int],
        n_in: int,
        n_out: int,
        identity: int | None = None,
    ) -> None:
        self.n_in = n_in
        self.n_out = n_out
        self.identity = identity
        self.mirrors = False
        self.__dict__["lists"] = (in_rows, out_rows, counts)

    @classmethod
    def of_blocks(cls, blocks: Blocks, n_in: int, *, mirrors: bool = False) -> KernelMap:
        """mirrors: whether offsets k and K - 1 - k join the same rows, the other way round."""
        made = cls.__new__(cls)
        made.n_in = n_in
        made.n_out = blocks.n_out
        made.identity = None
        made.mirrors = mirrors
        made.__dict__["blocks"] = blocks
        return made

    @property
    def in_rows(self) -> Tensor:
        return self.lists[0]

    @property
    def out_rows(self) -> Tensor:
        return self.lists[1]

    @property
    def counts(self) -> list[int]:
        return self.lists[2]

    def __getstate__(self) -> dict[str, Any]:
        """The lists alone: where a copy is loaded, the compiled kernels need not be there."""
        kept = {name: getattr(self, name) for name in ("n_in", "n_out", "identity")}
        # Mirrored blocks are the one thing that `mirrors` is for.
        return kept | {"mirrors": False, "lists": self.lists}

    @property
    def volume(self) -> int:
        """Number of kernel offsets."""
        return self.blocks.offsets if "blocks" in self.__dict__ else len(self.counts)

    @cached_property
    def lists(self) -> tuple[Tensor, Tensor, list[int]]:
        """in_rows, out_rows and counts."""
        return self.blocks.lists()

    @cached_property
    def blocks(self) -> Blocks:
        """The pairs as the compiled kernels take them, those of the identity among them."""
        whole = self.complete
        return compiled.group(whole.in_rows, whole.out_rows, whole.counts, self.n_out)

    @cached_property
    def by_output(self) -> tuple[Tensor, Tensor]:
        """`order` (P,), pairs sorted by output row, and `starts` (n_out + 1,), where each row begins."""
        return _segments(self.out_rows, self.n_out)

    @property
    def occupancy(self) -> float:
        """Share of all n_out * K places under the kernel at which there is a site, 0 to 1."""
        pairs = len(self.in_rows) + (self.n_out if self.identity is not None else 0)
        return pairs / max(self.n_out * len(self.counts), 1)

    @cached_property
    def table(self) -> Tensor:
        """The input row at each offset of each output row, int32 (n_out, K); n_in where there is none."""
        places = torch.arange(len(self.counts), device=self.in_rows.device)
        offsets = torch.repeat_interleave(places, torch.tensor(self.counts, device=places.device))
        rows = torch.full((self.n_out, len(self.counts)), self.n_in, dtype=torch.int32, device=places.device)
        rows[self.out_rows, offsets] = self.in_rows.int()
        if self.identity is not None:
            rows[:, self.identity] = torch.arange(self.n_out, dtype=torch.int32, device=places.device)
        return rows

    @cached_property
    def transposed(self) -> KernelMap:
        """The same pairs with input and output exchanged."""
        # No way back is kept either.
        if self.mirrors:
            flipped = replace(self.blocks, mirrored=not self.blocks.mirrored)
            return KernelMap.of_blocks(flipped, self.n_out, mirrors=True)
        return KernelMap(self.out_rows, self.in_rows, self.counts, self.n_out, self.n_in, self.identity)

    @property
    def complete(self) -> KernelMap:
        """The same map with the identity's pairs listed too (as pooling wants them)."""
        # Itself is not kept: a cycle would hold the maps in memory until the garbage collector comes by.
        return self if self.identity is None else self._completed

    @cached_property
    def _completed(self) -> KernelMap:
        assert self.identity is not None
        rows = torch.arange(self.n_in, device=self.in_rows.device)
        at = sum(self.counts[: self.identity])
        counts = list(self.counts)
        counts[self.identity] = self.n_in
        return KernelMap(
            torch.cat([self.in_rows[:at], rows, self.in_rows[at:]]),
            torch.cat([self.out_rows[:at], rows, self.out_rows[at:]]),
            counts,
            self.n_in,
            self.n_out,
        )


def submanifold_map(sites: CoordinateMap, offsets: Tensor) -> KernelMap:
    """Pairs within one map for a centred kernel.

    offsets: int64 (K, D) in multiples of the stride, symmetric about 0.

    Offsets k and K - 1 - k mirror each other, so in plain PyTorch only half of the look-ups are made.
    """
    volume = len(offsets)
    offsets = sites.in_units(offsets)
    if sites.compiles and _reaches(sites.index, offsets):
        index = sites.index
        rows = index.first.int() if index.moved else None
        blocks = compiled.find(index.unique, rows, index.unique, rows, index.key_delta(offsets))
        if len(blocks.rows_in) <= FEW_PAIRS * len(sites):
            blocks = blocks.in_row_order()
        return KernelMap.of_blocks(blocks, len(sites), mirrors=True)
    half = volume // 2
    place, hit = _shifted(sites.index, sites.index.keys, sites.steps, offsets[:half])
    which, out_rows = torch.nonzero(hit, as_tuple=True)
    in_rows = sites.index.first[place[which, out_rows]]
    counts = torch.bincount(which, minlength=half).tolist() if half else []
    # The mirrored half in rising order of offset: the runs of the first half, last run first.
    in_runs, out_runs = torch.split(in_rows, counts), torch.split(out_rows, counts)
    return KernelMap(
        torch.cat([in_rows, *reversed(out_runs)]),
        torch.cat([out_rows, *reversed(in_runs)]),
        [*counts, 0, *reversed(counts)],
        len(sites),
        len(sites),
        identity=half,
    )


def strided_map(fine: CoordinateMap, coarse: CoordinateMap, offsets: Tensor) -> KernelMap:
    """Pairs from a fine map to sites of any other map, around which the kernel is laid.

    offsets: int64 (K, D) in multiples of the fine stride.
    """
    offsets = fine.in_units(offsets)
    places = coarse.coordinates.long()
    base = divided(places, fine.unit)
    if any(c % u for c, u in zip(coarse.unit, fine.unit, strict=True)):
        aligned = (base * torch.tensor((1, *fine.unit), device=base.device) == places).all(1)
    else:
        aligned = None
    index = fine.index
    # The coarse map need not come from this fine one, so its sites may lie anywhere.
    near = index.shiftable and len(fine) and index.within_margin(base, int(offsets.abs().max()))
    if near and fine.compiles and (aligned is None or bool(aligned.all())):
        queries, order = index.pack(base), None
        if bool((queries[1:] < queries[:-1]).any()):
            queries, order = sort_keys(queries)
        blocks = compiled.find(
            index.unique,
            index.first.int() if index.moved else None,
            queries,
            None if order is None else order.int(),
            index.key_delta(offsets),
        )
        return KernelMap.of_blocks(blocks, len(fine))
    if near:
        place, hit = index.find_keys(index.pack(base) + index.key_delta(offsets)[:, None])
    else:
        place, hit = _exact(index, base, offsets)
    if aligned is not None:
        hit = hit & aligned
    which, out_rows = torch.nonzero(hit, as_tuple=True)
    in_rows = index.first[place[which, out_rows]]
    counts = torch.bincount(which, minlength=len(offsets)).tolist()
    return KernelMap(in_rows, out_rows, counts, len(fine), len(coarse))


def tiling_map(fine: CoordinateMap, coarse: CoordinateMap, factor: tuple[int, ...]) -> KernelMap:
    """Pairs of an even kernel as large as its stride: every fine site lies under exactly one offset.

    Both maps must be on their lattices. One look-up per fine site does, whatever the size of the kernel.
    """
    scale = torch.tensor((1, *factor), device=fine.steps.device)
    tile = torch.div(fine.steps, scale, rounding_mode="floor")
    within = (fine.steps - tile * scale)[:, 1:]
    # Offsets run over the first axis fastest.
    weights = torch.tensor([math.prod(factor[:axis]) for axis in range(len(factor))], device=scale.device)
    offset = (within * weights).sum(1)
    place, hit = coarse.index.find(tile)
    in_rows = torch.sort(offset, stable=True).indices
    in_rows = in_rows[hit[in_rows]]
    counts = torch.bincount(offset[in_rows], minlength=math.prod(factor)).tolist()
    out_rows = coarse.index.first[place[in_rows]] if len(coarse) else in_rows
    return KernelMap(in_rows, out_rows, counts, len(fine), len(coarse))


def grouping_map(groups: Tensor, n_groups: int) -> KernelMap:
    """Every input row goes to the output row `groups` (N,)."""
    rows = torch.arange(len(groups), device=groups.device)
    return KernelMap(rows, groups, [len(groups)], len(groups), n_groups)


def _shifted(index: CoordinateIndex, keys: Tensor, steps: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Position and hit, both (K, N), of every site plus every offset."""
    if offsets.numel() == 0:
        shape = (0, len(steps))
        return steps.new_zeros(shape), torch.zeros(shape, dtype=torch.bool, device=steps.device)
    if _reaches(index, offsets):
        return index.find_keys(keys + index.key_delta(offsets)[:, None])
    return _exact(index, steps, offsets)


def _reaches(index: CoordinateIndex, offsets: Tensor) -> bool:
    """Whether adding a constant to a key finds the neighbour of every site."""
    return index.shiftable and offsets.numel() > 0 and int(offsets.abs().max()) <= MARGIN


def _exact(index: CoordinateIndex, steps: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    places, hits = [], []
    for offset in offsets:
        shift = torch.cat([offset.new_zeros(1), offset])
        place, hit = index.find(steps + shift)
        places.append(place)
        hits.append(hit)
    return torch.stack(places), torch.stack(hits)


def _segments(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    starts = torch.zeros(count + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(torch.bincount(rows, minlength=count), 0, out=starts[1:])
    return torch.sort(rows, stable=True).indices, starts
