"""How far a network sees, so that a tile with that much around it gives what the whole image gives."""

from __future__ import annotations

from typing import Final

from pipelines.crowd.config import NetworkPlan

GRID: Final = 32  # px: the blocks of all networks, and the coarsest level of ours, lie on this grid
# By hand from their layers, rounded up; a test changes what lies beyond and sees nothing change.
_KNOWN: Final = {"mcnn": 64, "m-segnet": 128}


def reach(plan: NetworkPlan) -> int | None:
    """Px around a block that its count may depend on: a multiple of GRID; None if all of the image does.

    M-SFANet pools over the whole image, and HMoDE resizes maps by the place in it.
    """
    if not plan.name.endswith("-counter"):
        return _KNOWN.get(plan.name)
    before, after = _counter(plan)
    return -(-max(before, after) // GRID) * GRID


def _counter(plan: NetworkPlan) -> tuple[int, int]:
    """How many px before its first and after its last pixel a block of our counter depends on.

    A cell k of a map of stride s depends on the px s * k - before to s * k + after. Every 3x3 convolution
    adds the stride of the map that it reads to both; a convolution whose kernel equals its stride adds the
    difference of the strides after; what is repeated into finer cells adds it before.
    """
    before = after = 1  # the first convolution
    stride = 2
    levels = []
    for blocks in plan.blocks:
        step = stride + 2 * blocks * 2 * stride
        stride *= 2
        before, after = before + step, after + step
        levels.append((before, after))
    before, after = levels[-1]  # at 32 px
    before += 16  # a cell of 16 px takes the one of 32 px that it lies in
    before, after = before + 16, after + 16  # joined there
    before += 8  # a block of 8 px takes the cell of 16 px
    if plan.name == "sparse-counter":  # which blocks are there is decided as far away as the halo goes
        before, after = before + 8 * plan.halo, after + 8 * plan.halo
    eight, sixteen, coarsest = plan.decoder_blocks
    before, after = before + 8 + 16 * eight, after + 8 + 16 * eight
    after += 8
    before, after = before + 32 * sixteen, after + 32 * sixteen
    after += 16
    before, after = before + 64 * coarsest, after + 64 * coarsest
    before += 16
    before, after = before + 32, after + 32  # the block that merges, at 16 px
    before += 8
    return before + 16, after + 16 + 7  # the block that merges, at 8 px; to the last px of the block
