"""A residual U-network from colours and rays to distances."""

from __future__ import annotations

import math
from types import ModuleType

import torch
from torch import Tensor

from pipelines.polyp.lesion.config import FinderPlan
from pipelines.polyp.lesion.network import CHANNELS, LesionNetwork, as_images

RAYS = 2  # channels: x / z and y / z
MIDDLE_MM = 20.0  # what an output of 0 means
TURNS = 4  # of a frame, by quarters, whose estimates are averaged: they err less than one


class DepthNetwork(LesionNetwork):
    """The network of the finder of lesions, with the rays as two more channels."""

    def __init__(self, engine: ModuleType, plan: FinderPlan) -> None:
        super().__init__(engine, plan, channels=CHANNELS + RAYS)

    def log_depths(self, inputs: Tensor) -> Tensor:
        """Natural logarithms of the depths in mm: float32 (B, side / 2, side / 2). inputs: of `inputs_of`."""
        return self.forward(inputs)[0][:, 0].float() + math.log(MIDDLE_MM)


def averaged_log_depths(network: DepthNetwork, pixels: Tensor, rays: Tensor, *, views: int = TURNS) -> Tensor:
    """What the network says on average of frames and their quarter turns, as `log_depths` has it.

    pixels, rays: of `inputs_of`. views: so many turns are seen, 1 to 4.
    """
    inputs = []
    for turns in range(views):
        inputs.append(inputs_of(pixels.rot90(turns, (1, 2)), rays))
        # To the left: what was at the right is at the top, and its x is minus its new y.
        rays = torch.stack([rays[:, 1], -rays[:, 0]], 1).rot90(1, (2, 3))
    found = network.log_depths(torch.cat(inputs)).chunk(views)
    return torch.stack([one.rot90(-turns, (1, 2)) for turns, one in enumerate(found)]).mean(0)


def inputs_of(pixels: Tensor, rays: Tensor) -> Tensor:
    """float32 (B, 14, side / 2, side / 2) from pixels uint8 (B, side, side, 3) and rays float32
    (B, 2, side / 2, side / 2)."""
    return torch.cat([as_images(pixels), rays], 1)
