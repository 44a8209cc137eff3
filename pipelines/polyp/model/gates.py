"""Hard-attention gates (feature-selection gates): a learnt weight for every feature, the same for all inputs.

A gate multiplies each channel by sigmoid(s), s one number for each channel. Trained apart from the network
(`routing`), gates fall for features that do not help.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class FeatureGate(nn.Module):
    """x * sigmoid(score), channel by channel.

    channels: size of the axis that is gated. axis: which one, such as 1 of (B, C, H, W) or -1 of (B, N, C).
    Scores begin as Xavier-normal numbers, so that gates begin near a half; `begin_at` moves them.
    """

    def __init__(self, channels: int, axis: int = 1) -> None:
        super().__init__()
        self.axis = axis
        self.score = nn.Parameter(torch.empty(1, channels))
        nn.init.xavier_normal_(self.score)

    def open(self) -> Tensor:
        """How far each gate is open, 0 to 1: float32 (C,)."""
        return torch.sigmoid(self.score[0])

    def forward(self, x: Tensor) -> Tensor:
        """x: any shape with C numbers along `axis`; the same shape is returned."""
        shape = [1] * x.ndim
        shape[self.axis] = -1
        return x * self.open().reshape(shape)


def begin_at(network: nn.Module, openness: float) -> None:
    """Move all gates of a network that has not learnt yet from near a half to near `openness`, in (0, 1).

    Near 1 a gated network begins as the plain one; at a half each gate halves what passes, and so the
    residual branches of a transformer or the features of pretrained weights.
    """
    for gate in gates_of(network).values():
        gate.score.data.add_(math.log(openness / (1 - openness)))


def gates_of(network: nn.Module) -> dict[str, FeatureGate]:
    """All gates of a network, by name."""
    return {name: one for name, one in network.named_modules() if isinstance(one, FeatureGate)}


def split_parameters(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters of the gates, and all others; each in one of the two."""
    scores = {id(gate.score) for gate in gates_of(network).values()}
    everything = list(network.parameters())
    return [p for p in everything if id(p) in scores], [p for p in everything if id(p) not in scores]
