"""ODIN (Liang, Li and Srikant, ICLR 2018): temperature and a small step of the input, then the softmax."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.wafer_openset.networks import Grid, Network

TEMPERATURE = 1000.0
STEPS = (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
TUNING_MAPS = 256
BATCH = 64


def odin_score(
    logits_of: Callable[[Tensor], Tensor],
    inputs: Tensor,
    *,
    step: float,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """How novel inputs are, float64 (B,): minus the largest tempered probability after the step.

    logits_of: inputs to logits (B, K). The step goes where that probability rises; known inputs are said to
    rise more.
    """
    leaf = inputs.detach().clone().requires_grad_()
    tempered = torch.log_softmax(logits_of(leaf) / temperature, dim=1)
    (gradient,) = torch.autograd.grad(tempered.amax(dim=1).sum(), leaf)
    with torch.no_grad():
        # Differences of tempered probabilities lie beyond the sixth digit: single precision would lose them.
        moved = logits_of(inputs + step * gradient.sign()).double() / temperature
        return -moved.softmax(dim=1).amax(dim=1)


def scores(network: Network, grids: Sequence[Grid], step: float) -> NDArray[np.float64]:
    """`odin_score` of die maps, (N,)."""
    parts = [np.empty(0)]
    for start in range(0, len(grids), BATCH):
        inputs, logits_of = network.inputs(grids[start : start + BATCH])
        parts.append(odin_score(logits_of, inputs, step=step).numpy())
    return np.concatenate(parts)


def chosen_step(network: Network, held: Sequence[Grid]) -> float:
    """The step at which known maps are surest on average, so that no unknown one is needed.

    As in Generalized ODIN (Hsu et al., CVPR 2020); the first paper chose it on maps from outside.
    """
    places = np.linspace(0, len(held) - 1, min(TUNING_MAPS, len(held))).astype(int)
    some = [held[place] for place in places]
    return min(STEPS, key=lambda step: float(scores(network, some, step).mean()))
