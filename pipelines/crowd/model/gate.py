"""Which blocks a sparse decoder works on, and how many of the people it thereby reaches."""

from __future__ import annotations

import torch
from torch import Tensor


def training_gate(
    predicted: Tensor, counts: Tensor, negatives: float, generator: torch.Generator | None = None
) -> Tensor:
    """The blocks to train a decoder on: those with people, those predicted to have some, and random others.

    predicted: bool (B, h, w). counts: (B, h, w), people per block. negatives: share of all blocks drawn at
    random. The truth is among them so that the decoder learns before the gate does; the rest, so that it
    meets what a gate lets through by mistake.
    """
    drawn = torch.rand(counts.shape, generator=generator, device=counts.device) < negatives
    return predicted | (counts > 0) | drawn


def finer(blocks: Tensor, factor: int) -> Tensor:
    """Blocks (B, h, w) as factor x factor smaller ones each: (B, h * factor, w * factor), any dtype."""
    return blocks.repeat_interleave(factor, 1).repeat_interleave(factor, 2)


def with_halo(blocks: Tensor, halo: int) -> Tensor:
    """Blocks bool (B, h, w) and all that lie up to `halo` blocks away, diagonally too."""
    if halo == 0:
        return blocks
    side = 2 * halo + 1
    return torch.nn.functional.max_pool2d(blocks.float()[:, None], side, 1, halo)[:, 0] > 0


def gate_recall(active: Tensor, counts: Tensor) -> float:
    """The share of people that are in active blocks, from 0 to 1; NaN if there is nobody.

    active: bool (..., h, w). counts: (..., h, w), true people per block.
    """
    people = counts.double()
    total = float(people.sum())
    return float(people[active].sum()) / total if total else float("nan")


def threshold_for(occupied: Tensor, counts: Tensor, recall: float) -> float:
    """The highest threshold at which the gate still reaches this share of the people; 0 if there is nobody.

    occupied: float (N,), what the gate compares with the threshold, a block is active where it is as high.
    counts: (N,), true people per block.
    """
    if not 0 < recall <= 1:
        raise ValueError(f"recall must lie above 0 and be 1 at most, not {recall}")
    order = occupied.argsort(descending=True)
    reached = counts.double()[order].cumsum(0)
    if not len(reached) or float(reached[-1]) == 0:
        return 0.0
    last = int(torch.searchsorted(reached, reached[-1] * recall))
    return float(occupied[order[min(last, len(order) - 1)]])
