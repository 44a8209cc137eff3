"""Dice and cross-entropy, on every head."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits

SMOOTH = 1.0  # px: what keeps the Dice of an empty frame defined


def loss_of(heads: Sequence[Tensor], masks: Tensor) -> Tensor:
    """Soft Dice of each frame (Milletari et al., V-Net, 2016) plus cross-entropy, averaged over the batch.

    heads: logits (B, 1, H, W), the finest first; each coarser head counts half of the one before, as in deep
    supervision (Isensee et al., nnU-Net, 2021). masks: float32 (B, 1, H, W), 0 to 1.
    """
    weights = [0.5**level for level in range(len(heads))]
    total = masks.new_zeros(())
    for weight, logits in zip(weights, heads, strict=True):
        step = masks.shape[-1] // logits.shape[-1]
        there = avg_pool2d(masks, step) if step > 1 else masks
        found = logits.float()
        total = total + weight * (_dice_loss(found, there) + binary_cross_entropy_with_logits(found, there))
    return total / sum(weights)


def _dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    shares, there = logits.sigmoid().flatten(1), masks.flatten(1)
    both = (shares * there).sum(1)
    dice: Tensor = (2 * both + SMOOTH) / (shares.sum(1) + there.sum(1) + SMOOTH)
    return 1 - dice.mean()
