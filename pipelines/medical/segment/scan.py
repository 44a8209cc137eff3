"""One prepared case through the networks: tiles or sparse blocks, to labels on the image's own grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.medical.config import NetworkPlan
from pipelines.medical.prepare import Prepared
from pipelines.medical.segment.blocks import Blocks, plan_blocks
from pipelines.medical.segment.memory import planes_within, sites_within
from pipelines.medical.segment.scores import Scorer
from pipelines.medical.segment.slab import Slab
from pipelines.medical.segment.tiles import Tile, reach, slow_axis, tile_grid, total_stride

Told = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Scan:
    """How a volume is gone through; see `SegmentConfig`. classes: with the background. occupancy: the plan's
    share of active voxels."""

    network: NetworkPlan
    classes: int
    patch: tuple[int, int, int]
    overlap: float = 0.5
    batch: int = 1
    memory_mib: int = 2048
    occupancy: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """classes: uint8, on the volume's own grid (I, J, K). doubt: uint8 likewise, 1 minus the probability of
    the class, in 1/255. computed: the share of the prepared grid that a network was asked about."""

    classes: NDArray[np.uint8]
    doubt: NDArray[np.uint8]
    computed: float


def scan(prepared: Prepared, scorer: Scorer, how: Scan, told: Told = lambda share: None) -> Answer:
    """Segment a prepared case. told: gets the share that is done, 0 to 1, now and then."""
    shape = tuple(prepared.images.shape[1:])
    blocks = _blocks(prepared, scorer, how)
    slow = slow_axis(shape, how.patch)
    order = [slow, *(axis for axis in range(3) if axis != slow)]
    classes, doubt = (np.zeros(prepared.turn.shape, np.uint8, order="F") for _ in range(2))
    seen = [prepared.turn.to_canonical(one).transpose(order) for one in (classes, doubt)]  # views

    def sink(first: int, found: NDArray[np.uint8], unsure: NDArray[np.uint8]) -> None:
        seen[0][first : first + len(found)] = found
        seen[1][first : first + len(found)] = unsure

    slab = Slab(
        how.classes,
        [shape[axis] for axis in order],
        [prepared.canonical_shape[axis] for axis in order],
        min(shape[slow], blocks.sides[slow] if blocks else how.patch[slow]),
        sink,
        scorer.device,
    )
    go = (
        _scan_blocks(prepared, scorer, blocks, slab, order, told)
        if blocks
        else _scan_tiles(prepared, scorer, how, slab, order, told)
    )
    return Answer(classes, doubt, go)


def _blocks(prepared: Prepared, scorer: Scorer, how: Scan) -> Blocks | None:
    """How sparse networks cover the volume, None where tiles are less work or the networks are dense."""
    if not scorer.sparse:
        return None
    shape = tuple(prepared.images.shape[1:])
    slow = slow_axis(shape, how.patch)
    return plan_blocks(
        prepared.active,
        shape,
        reach=reach(how.network),
        stride=total_stride(how.network),
        slow=slow,
        most_sites=sites_within(
            how.memory_mib, how.network, how.classes, prepared.images[0].numel(), how.occupancy
        ),
        most_planes=planes_within(how.memory_mib, how.classes, shape, slow),
        most_work=(1 - how.overlap) ** -3,
    )


def _scan_tiles(
    prepared: Prepared, scorer: Scorer, how: Scan, slab: Slab, order: Sequence[int], told: Told
) -> float:
    shape = tuple(prepared.images.shape[1:])
    slow, computed, tiles_seen = order[0], 0, 0
    for row, end in tile_grid(shape, how.patch, how.overlap, slow):
        worth = []
        for tile in row:
            if prepared.active is None or bool(prepared.active[tile.inner(shape)[0]].any()):
                worth.append(tile)
            else:
                _add(slab, tile, None, shape, order)
        begun = end if not worth else worth[0].start[slow]
        for first in range(0, len(worth), how.batch):
            batch = worth[first : first + how.batch]
            images = torch.stack([tile.cut(prepared.images) for tile in batch])
            active = None
            if prepared.active is not None:
                active = torch.stack([tile.cut(prepared.active) for tile in batch])
            for tile, scores in zip(batch, scorer.grids(images, active), strict=True):
                _add(slab, tile, scores, shape, order)
            part = (first + len(batch)) / len(worth)
            told((begun + part * (end - begun)) / shape[slow])
        computed += len(worth)
        tiles_seen += len(row)
        slab.finish(end)
        told(end / shape[slow])
    return computed / tiles_seen


def _add(slab: Slab, tile: Tile, scores: Tensor | None, shape: Sequence[int], order: Sequence[int]) -> None:
    """Add a tile's probabilities (K, X, Y, Z), weighed; None is background everywhere."""
    there, here = tile.inner(shape)
    slow, *rest = (there[axis] for axis in order)
    device = slab.scores.device
    weights = [tile.weights[axis][here[axis]].to(device) for axis in order]
    window = slab.window(slow.start, slow.stop)[:, :, rest[0], rest[1]]
    a, b, c = weights
    share = a[:, None, None] * b[:, None] * c
    if scores is None:
        window[0] += share
        return
    part = scores[:, here[0], here[1], here[2]].permute(0, *(1 + axis for axis in order))
    for mine, one in zip(window, part, strict=True):  # class by class: no copy of all
        mine += one * share


def _scan_blocks(
    prepared: Prepared, scorer: Scorer, blocks: Blocks, slab: Slab, order: Sequence[int], told: Told
) -> float:
    shape, stride = tuple(prepared.images.shape[1:]), blocks.stride
    slow = order[0]
    extent = [-(-side // step) * step for side, step in zip(shape, stride, strict=True)]
    computed, begun = 0, 0
    for row, end in blocks.rows(slow):
        window = slab.window(begun, end)
        window[0] = 1.0
        for number, box in enumerate(row, start=1):
            grown = blocks.grown(box)
            places = _places(prepared.active, grown)
            inner = torch.ones(len(places), dtype=torch.bool)
            for axis, part in enumerate(box):
                inner &= (places[:, axis] >= part.start) & (places[:, axis] < part.stop)
            if not bool(inner.any()):
                continue
            x, y, z = places.unbind(1)
            scores = scorer.sites(prepared.images[:, x, y, z].T, places, extent)[inner]
            own = places[inner].to(window.device)
            computed += len(own)
            a, b, c = (own[:, axis] for axis in order)
            for mine, one in zip(window, scores.unbind(1), strict=True):
                mine[a - begun, b, c] = one.to(mine.dtype)
            told((begun + number / len(row) * (end - begun)) / shape[slow])
        slab.finish(end)
        told(end / shape[slow])
        begun = end
    return computed / prepared.images[0].numel()


def _places(active: Tensor | None, box: Sequence[slice]) -> Tensor:
    """The active voxels of a box, int64 (N, 3), as places in the whole."""
    first = torch.tensor([part.start for part in box])
    if active is not None:
        return active[tuple(box)].nonzero() + first
    axes = [torch.arange(part.start, part.stop) for part in box]
    return torch.cartesian_prod(*axes)
