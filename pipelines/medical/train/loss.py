"""Dice and cross-entropy, on every head."""

from __future__ import annotations

from collections.abc import Sequence

from monai.losses.dice import DiceCELoss
from torch import Tensor, nn


class DeepSupervision(nn.Module):
    """Soft Dice (over the batch) plus cross-entropy; each coarser head counts half of the one before.

    Deep supervision as in Isensee et al., nnU-Net, Nature Methods 2021.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False, batch=True)

    def forward(self, heads: Sequence[Tensor], labels: Tensor) -> Tensor:
        """heads: logits (B, K, X, Y, Z), the finest first. labels: int64 (B, X, Y, Z)."""
        weights = [0.5**level for level in range(len(heads))]
        total = heads[0].new_zeros(())
        for weight, logits in zip(weights, heads, strict=True):
            steps = [fine // coarse for fine, coarse in zip(labels.shape[1:], logits.shape[2:], strict=True)]
            there = labels[:, :: steps[0], :: steps[1], :: steps[2]]
            total = total + weight * self.loss(logits.float(), there[:, None])
        return total / sum(weights)
