"""Did it learn? The loss on held-out volumes beside that of the mean, and a picture to look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.common.errors import UserError
from pipelines.medical.config import Sides
from pipelines.medical.pretrain.config import PretrainConfig
from pipelines.medical.pretrain.volumes import Prepared, middle, stack
from sparse_backbones.masked import MaskedAutoencoder, draw_mask
from sparse_backbones.masked.loss import cell_losses, masked_mean, statistics
from sparse_backbones.masked.masks import spread, to_cells

MAX_MEASURED = 32
SEED = 20_230_501  # of the masks that are measured: the same for every model
GAP, SIDE = 6, 200  # pixels between the pictures, and of their shorter sides at least


def check_measurable(
    model: MaskedAutoencoder, volumes: Sequence[Prepared], sides: Sides, config: PretrainConfig
) -> None:
    """Raise UserError unless there is a volume of which one part can be hidden and another seen."""
    for number, volume in enumerate(volumes[:MAX_MEASURED]):
        if example(model, volume, sides, config, torch.device("cpu"), number)[1].any():
            return
    raise UserError(
        f"the held-out volumes hold no two cells of {model.cell} voxels: hold out more, or set a smaller cell"
    )


@torch.no_grad()
def measure(
    model: MaskedAutoencoder,
    volumes: Sequence[Prepared],
    sides: Sides,
    config: PretrainConfig,
    device: torch.device,
) -> dict[str, float]:
    """Mean losses over the middles of the volumes, each with one mask that is the same for every model.

    loss: of the model. mean_loss: of a guess that knows no place: plain, the mean of what is visible in the
    crop; normalised, 0, which is each cell's own mean. explained: 1 - loss / mean_loss, 0 if there is nothing
    to explain.
    """
    model.eval()
    found, guessed = [], []
    for number, volume in enumerate(volumes[:MAX_MEASURED]):
        images, mask, valid = example(model, volume, sides, config, device, number)
        counted = mask & model.valid_cells(images, valid)
        if not counted.any():
            continue
        guess = torch.zeros_like(images)
        if not model.normalised:
            seen = valid & ~spread(mask, model.cell)
            guess = guess + images.movedim(1, -1)[seen].mean(0)[None, :, None, None, None]
        alone = cell_losses(guess, images, mask, model.cell, valid=valid, normalised=model.normalised)
        found.append(float(model.loss(images, mask, valid)))
        guessed.append(float(masked_mean(alone, counted)))
    loss, mean_loss = float(np.mean(found)), float(np.mean(guessed))
    explained = 1 - loss / mean_loss if mean_loss else 0.0  # 0: all middles are flat
    return {"loss": loss, "mean_loss": mean_loss, "explained": explained}


def example(
    model: MaskedAutoencoder,
    volume: Prepared,
    sides: Sides,
    config: PretrainConfig,
    device: torch.device,
    number: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Images (1, C, X, Y, Z), mask (1, *cells) and valid (1, X, Y, Z) of the middle of a volume."""
    one = middle(volume, sides)
    images, valid = stack([one.images]).to(device), stack([one.valid]).to(device)
    generator = torch.Generator().manual_seed(SEED + number)
    return images, draw_mask(model.valid_cells(images, valid), config.mask, generator), valid


@torch.no_grad()
def picture(
    model: MaskedAutoencoder,
    volume: Prepared,
    sides: Sides,
    config: PretrainConfig,
    device: torch.device,
) -> bytes:
    """A PNG of a held-out volume's first channel: original, masked, rebuilt, from left to right.

    A row for each of the three planes through the middle. The rebuilt image has the visible voxels as they
    are; with normalised targets each hidden cell is given its true mean and deviation.
    """
    model.eval()
    images, mask, valid = example(model, volume, sides, config, device)
    rebuilt = model(images, mask, valid)
    if model.normalised:
        rebuilt = as_image(rebuilt, images, valid, model)
    hidden = spread(mask, model.cell)[:, None]
    outside = ~valid[:, None]
    versions = [images, images.masked_fill(hidden, torch.nan), torch.where(hidden, rebuilt, images)]
    shown = [one.masked_fill(outside, -torch.inf)[0, 0].cpu().numpy() for one in versions]
    inside = images[0, 0][valid[0]].cpu().numpy()
    low, high = np.percentile(inside, [1, 99])
    rows = [
        _beside([_grey(one.take(one.shape[axis] // 2, axis), low, high) for one in shown])
        for axis in (2, 1, 0)
    ]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, GAP), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    _, png = cv2.imencode(".png", np.concatenate(padded)[:-GAP])
    return bytes(png)


def as_image(rebuilt: Tensor, images: Tensor, valid: Tensor, model: MaskedAutoencoder) -> Tensor:
    """Normalised cells with the mean and deviation of the image's."""
    mean, deviation = statistics(to_cells(images, model.cell), to_cells(valid[:, None], model.cell))
    means, deviations = (
        torch.stack([spread(one, model.cell) for one in part[..., 0].unbind(-1)], dim=1)
        for part in (mean, deviation)
    )
    return rebuilt * deviations + means


def _grey(plane: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """A plane (U, V) as pixels (H, W, 3), V up: grey, blue where hidden, black where there is nothing."""
    scaled = np.clip((plane - low) / max(high - low, 1e-6), 0, 1)
    grey = (np.nan_to_num(scaled, nan=0.0) * 255).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=-1)
    pixels[np.isnan(plane)] = (120, 80, 40)  # blue, green, red, as OpenCV has them
    turned = np.flipud(pixels.transpose(1, 0, 2))
    times = max(1, -(-SIDE // min(turned.shape[:2])))
    return turned.repeat(times, axis=0).repeat(times, axis=1)


def _beside(parts: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
    gap = np.full((parts[0].shape[0], GAP, 3), 255, np.uint8)
    row: list[NDArray[Any]] = []
    for part in parts:
        row += [part, gap]
    return np.concatenate(row[:-1], axis=1)
