"""Learning rates, weight decay and moving averages, as all trainings have them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from pipelines.common.errors import UserError


def one_cycle(done: float, warm_up: float) -> float:
    """Share of the learning rate at the share `done` of the training: a linear rise, then half a cosine."""
    if done < warm_up:
        return 0.04 + 0.96 * done / warm_up
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))


def weight_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameters for an optimiser: weight decay acts on kernels, not on biases, norms and tokens."""
    return [
        {"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]


@torch.no_grad()
def move_average(average: dict[str, Tensor], network: nn.Module, decay: float, step: int) -> None:
    """Move the average, in place, towards the network's weights after step `step`, counted from 0.

    It forgets the first steps quickly, however short the training: the decay grows to `decay`.
    """
    decay = min(decay, (1 + step) / (10 + step))
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


def check_finite(loss: float, epoch: int, learning_rate: float, verb: str = "train") -> None:
    """Raise UserError if the loss of an epoch, counted from 0, is no number. verb: what was being done."""
    if not math.isfinite(loss):
        raise UserError(
            f"the loss is no longer a number in epoch {epoch + 1}: {verb} with a smaller learning_rate than"
            f" {learning_rate:g}"
        )
