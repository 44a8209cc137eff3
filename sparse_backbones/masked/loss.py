"""The loss of a reconstruction: squared error on the hidden cells alone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparse_backbones.masked.masks import to_cells

EPSILON = 1e-6


def statistics(cells: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel of each cell over its valid voxels, both (..., C, 1).

    cells: float (..., C, V). valid: bool (..., 1, V), None is all. Without a valid voxel
    the mean is 0.
    """
    if valid is None:
        variance, mean = torch.var_mean(cells, -1, correction=0, keepdim=True)
        return mean, (variance + EPSILON).sqrt()
    weight = valid.to(cells.dtype)
    count = weight.sum(-1, keepdim=True).clamp(min=1)
    kept = torch.where(valid, cells, 0.0)
    mean = kept.sum(-1, keepdim=True) / count
    variance = ((kept - mean).square() * weight).sum(-1, keepdim=True) / count
    return mean, (variance + EPSILON).sqrt()


def cell_losses(
    predicted: Tensor,
    images: Tensor,
    mask: Tensor,
    cell: Sequence[int],
    *,
    valid: Tensor | None = None,
    normalised: bool = True,
) -> Tensor:
    """The mean squared error of each hidden cell, (B, *cells); 0 where one is visible or has nothing valid.

    predicted, images: float (B, C, *spatial). mask: bool (B, *cells). valid: bool (B, *spatial), None is
        everywhere; the mean goes over the valid voxels of a cell and all channels.
    normalised: whether the target is the image with mean 0 and deviation 1 within each channel of each cell
        (He et al., Masked autoencoders, CVPR 2022), or the image itself.
    """
    wanted = to_cells(images, cell)[mask]
    found = to_cells(predicted, cell)[mask]
    inside = None if valid is None else to_cells(valid[:, None], cell)[mask]
    if normalised and len(wanted):
        mean, deviation = statistics(wanted, inside)
        wanted = (wanted - mean) / deviation
    error = found - wanted
    if inside is None:
        means = error.square().mean((-2, -1))
    else:
        count = inside.flatten(1).sum(1).clamp(min=1) * images.shape[1]
        means = torch.where(inside, error, 0.0).square().flatten(1).sum(1) / count
    return images.new_zeros(mask.shape, dtype=means.dtype).masked_scatter(mask, means)


def masked_mean(losses: Tensor, counted: Tensor) -> Tensor:
    """The mean of the losses (B, *cells) of the cells that are `counted`, bool; 0 if none is."""
    return (losses * counted).sum() / counted.sum().clamp(min=1)
