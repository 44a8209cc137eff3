"""How a sparse network covers a volume: the whole at once, or blocks with all that they can see around them.

A network of this kind answers for a voxel from what lies within its reach. So blocks that bring their
surroundings with them give the same answer as the whole, and nothing need be computed twice and averaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from torch import Tensor

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a volume of `shape` is divided. stride: of the network's coarsest level. sides: of a block,
    multiples of that, so that the cells of coarse levels are those of the whole. reach: what a block sees
    around it."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    sides: tuple[int, ...]
    reach: tuple[int, ...]

    def rows(self, slow: int) -> Iterator[tuple[list[Box], int]]:
        """Blocks in order along the axis `slow`: those of one row, and the voxel at which the next begins."""
        begins = [range(0, side, step) for side, step in zip(self.shape, self.sides, strict=True)]
        for first in begins[slow]:
            row = [begins[axis] if axis != slow else range(first, first + 1) for axis in range(3)]
            yield [self._box(corner) for corner in product(*row)], self._stop(slow, first)

    def grown(self, box: Box) -> Box:
        """A block with its surroundings, as far as the volume goes."""
        x, y, z = (
            slice(max(0, part.start - by), min(side, part.stop + by))
            for part, by, side in zip(box, self.reach, self.shape, strict=True)
        )
        return x, y, z

    def _stop(self, axis: int, first: int) -> int:
        return min(first + self.sides[axis], self.shape[axis])

    def _box(self, corner: Sequence[int]) -> Box:
        x, y, z = (slice(first, self._stop(axis, first)) for axis, first in enumerate(corner))
        return x, y, z


def plan_blocks(
    active: Tensor | None,
    shape: Sequence[int],
    *,
    reach: Sequence[int],
    stride: Sequence[int],
    slow: int,
    most_sites: int,
    most_planes: int,
    most_work: float,
) -> Blocks | None:
    """The largest blocks that fit; None if with surroundings they hold over `most_work` times the volume.

    active: bool (X, Y, Z) or None for all. most_sites: that a block with its surroundings may hold.
    most_planes: the longest side along the axis `slow`.
    """
    sides = [-(-side // step) * step for side, step in zip(shape, stride, strict=True)]
    sides[slow] = min(sides[slow], max(stride[slow], most_planes // stride[slow] * stride[slow]))
    total = _sites(active, tuple(slice(0, side) for side in shape))
    while True:
        blocks = Blocks(tuple(shape), tuple(stride), tuple(sides), tuple(reach))
        counts = [_sites(active, blocks.grown(box)) for row, _ in blocks.rows(slow) for box in row]
        if sum(counts) > most_work * total:
            return None
        if max(counts) <= most_sites:
            return blocks
        axis = max(range(3), key=lambda one: (sides[one] > stride[one], sides[one] / max(1, reach[one])))
        if sides[axis] <= stride[axis]:
            return None
        sides[axis] = -(-sides[axis] // (2 * stride[axis])) * stride[axis]


def _sites(active: Tensor | None, box: Sequence[slice]) -> int:
    if active is not None:
        return int(active[tuple(box)].count_nonzero())
    count = 1
    for part in box:
        count *= part.stop - part.start
    return count
