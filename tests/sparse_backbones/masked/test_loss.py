"""The loss against loops in plain numpy."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sparse_backbones.masked.loss import EPSILON, cell_losses, masked_mean
from sparse_backbones.masked.masks import holding


def oracle(
    found: NDArray[Any],
    images: NDArray[Any],
    mask: NDArray[np.bool_],
    valid: NDArray[np.bool_],
    cell: tuple[int, ...],
    normalised: bool,
) -> float:
    """The mean over hidden cells with valid voxels of the mean squared error in each, one by one."""
    losses = []
    for b, *place in product(*map(range, mask.shape)):
        box = tuple(slice(at * step, (at + 1) * step) for at, step in zip(place, cell, strict=True))
        inside = valid[b][box]
        if not mask[b][tuple(place)] or not inside.any():
            continue
        errors = []
        for channel in range(images.shape[1]):
            target = images[b, channel][box][inside]
            if normalised:
                target = (target - target.mean()) / np.sqrt(target.var() + EPSILON)
            errors.append(((found[b, channel][box][inside] - target) ** 2).mean())
        losses.append(np.mean(errors))
    return float(np.mean(losses))


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("share", [1.0, 0.7, 0.05])
@pytest.mark.parametrize(("sides", "cell"), [((8, 12), (4, 3)), ((4, 6, 8), (2, 3, 4))])
def test_the_loss_is_that_of_the_loops(
    sides: tuple[int, ...], cell: tuple[int, ...], share: float, normalised: bool
) -> None:
    images = 3 + 2 * torch.randn(3, 2, *sides, dtype=torch.float64)
    images[0, :, :4, :3] = 7.0  # a cell without any contrast
    found = torch.randn_like(images)
    valid = torch.rand(3, *sides) < share
    mask = torch.rand(3, *(side // step for side, step in zip(sides, cell, strict=True))) < 0.6
    losses = cell_losses(found, images, mask, cell, valid=valid, normalised=normalised)
    loss = masked_mean(losses, mask & holding(valid, cell))
    wanted = oracle(found.numpy(), images.numpy(), mask.numpy(), valid.numpy(), cell, normalised)
    assert loss.item() == pytest.approx(wanted, rel=1e-10)
    assert (losses[~mask] == 0).all()
    if share == 1.0:
        same = cell_losses(found, images, mask, cell, normalised=normalised)
        torch.testing.assert_close(same, losses)


def test_nothing_hidden_is_no_loss_and_no_error() -> None:
    images = torch.randn(1, 1, 4, 4, requires_grad=True)
    mask = torch.zeros(1, 2, 2, dtype=torch.bool)
    loss = masked_mean(cell_losses(images, images.detach(), mask, (2, 2)), mask)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0 and images.grad is not None and (images.grad == 0).all()
