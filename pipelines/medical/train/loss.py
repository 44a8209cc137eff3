"""Dice and cross-entropy, on every head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.losses.dice import DiceCELoss
from torch import Tensor, nn

from pipelines.common.training.spread.world import ALONE, World

SMOOTH = 1e-5  # as in MONAI's


class DeepSupervision(nn.Module):
    """Soft Dice (over the batch) plus cross-entropy; each coarser head counts half of the one before.

    Deep supervision as in Isensee et al., nnU-Net, Nature Methods 2021. world: the processes that divide a
    batch; the sums of Dice are then over the patches of all.
    """

    def __init__(self, world: World = ALONE) -> None:
        super().__init__()
        self.world = world
        self.loss = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False, batch=True)

    def forward(self, heads: Sequence[Tensor], labels: Tensor, share: float = 1.0) -> Tensor:
        """heads: logits (B, K, X, Y, Z), the finest first. labels: int64 (B, X, Y, Z). share: of the patches
        of all processes; what they return adds up to the loss of the whole batch."""
        weights = [0.5**level for level in range(len(heads))]
        total = heads[0].new_zeros(())
        for weight, logits in zip(weights, heads, strict=True):
            steps = [fine // coarse for fine, coarse in zip(labels.shape[1:], logits.shape[2:], strict=True)]
            there = labels[:, :: steps[0], :: steps[1], :: steps[2]]
            if self.world.size == 1:
                one = self.loss(logits.float(), there[:, None])
            else:
                one = self._part(logits.float(), there, share)
            total = total + weight * one
        return total / sum(weights)

    def _part(self, logits: Tensor, labels: Tensor, share: float) -> Tensor:
        """This process's part of what `self.loss` is for the whole batch."""
        found = logits.softmax(1)[:, 1:]
        true = nn.functional.one_hot(labels, logits.shape[1]).movedim(-1, 1)[:, 1:].to(found.dtype)
        over = (0, 2, 3, 4)
        own = torch.stack([(found * true).sum(over), found.sum(over) + true.sum(over)])
        both, either = self.world.total(own)
        dice = (1 - (2 * both + SMOOTH) / (either + SMOOTH)).mean()
        # Each process has the whole of Dice, and the gradient of its own patches.
        counted_once = dice - dice.detach() * (1 - 1 / self.world.size)
        part: Tensor = counted_once + share * nn.functional.cross_entropy(logits, labels)
        return part
