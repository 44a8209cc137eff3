"""Which cells of an image are hidden. A mask is bool (B, *cells), True where a cell is hidden."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Ratio = float | tuple[float, float]
"""The share of cells that is hidden, or the range that each sample draws its share from."""


def draw_mask(valid_cells: Tensor, ratio: Ratio, generator: torch.Generator) -> Tensor:
    """A random mask for each sample, among its valid cells.

    valid_cells: bool (B, *cells). generator: on the CPU, so that the mask is the same for every device.

    At least one cell is hidden and one stays visible, unless a sample has fewer than two valid ones: then
    none is hidden. Raises ValueError for a ratio that is not above 0 and below 1.
    """
    low, high = (ratio, ratio) if isinstance(ratio, float | int) else ratio
    if not 0 < low <= high < 1:
        raise ValueError(f"a mask ratio lies above 0 and below 1, and a range rises: not {ratio}")
    valid = valid_cells.flatten(1).cpu()
    count = valid.sum(1, keepdim=True)
    share = low + (high - low) * torch.rand(len(valid), 1, generator=generator, dtype=torch.float64)
    hidden = torch.minimum((share * count).round().long().clamp(min=1), (count - 1).clamp(min=0))
    order = torch.rand(valid.shape, generator=generator).masked_fill(~valid, 2.0)
    return (ranks(order) < hidden).reshape(valid_cells.shape).to(valid_cells.device)


def ranks(values: Tensor) -> Tensor:
    """The place of each value in its row, 0 for the lowest. values: (B, N); returns int64."""
    return values.argsort(dim=1, stable=True).argsort(dim=1)


def to_cells(grid: Tensor, cell: Sequence[int]) -> Tensor:
    """A grid (B, C, *spatial) by cells: (B, *cells, C, voxels of a cell).

    Raises ValueError, with sides that would do, unless the grid is made of whole cells.
    """
    sides = grid.shape[2:]
    if len(sides) != len(cell) or any(side % step for side, step in zip(sides, cell, strict=True)):
        fits = [-(-side // step) * step for side, step in zip(sides, cell, strict=False)]
        raise ValueError(
            f"a grid of {tuple(sides)} is not made of whole cells of {tuple(cell)}; "
            f"pad it to {tuple(fits)} and say by `valid` what is padding"
        )
    parts = [n for side, step in zip(sides, cell, strict=True) for n in (side // step, step)]
    split = grid.reshape(*grid.shape[:2], *parts)
    last = split.ndim
    return split.permute(0, *range(2, last, 2), 1, *range(3, last, 2)).flatten(2 + len(cell))


def holding(grid: Tensor, cell: Sequence[int]) -> Tensor:
    """Which cells hold a True. grid: bool (B, *spatial); returns bool (B, *cells)."""
    return to_cells(grid[:, None], cell).any(-1).squeeze(-1)


def spread(cells: Tensor, cell: Sequence[int]) -> Tensor:
    """The value of its cell at every voxel. cells: (B, *cells); returns (B, *spatial)."""
    for axis, step in enumerate(cell, start=1):
        cells = cells.repeat_interleave(step, axis)
    return cells
