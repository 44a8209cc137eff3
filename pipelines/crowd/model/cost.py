"""What a network takes: parameters and multiply-adds."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pipelines.crowd.model.network import CrowdNetwork


def parameters(network: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(one.numel() for one in network.parameters() if one.requires_grad)


def dense_macs(network: CrowdNetwork, images: Tensor) -> int:
    """Multiply-adds of all convolutions and matrix products for images (B, 3, H, W), as torch counts them.

    On the device meta it takes neither time nor memory. A sparse decoder's convolutions are not torch's and
    are not in it: ask for the same network with a dense decoder, which is the most that the sparse one may
    take.
    """
    was = network.training
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    network.train(was)
    return int(counter.get_total_flops()) // 2
