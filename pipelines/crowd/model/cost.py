"""What a network takes: parameters and multiply-adds."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pipelines.crowd.model.network import CrowdNetwork
from sparse_backbones.engines.native import SparseTensor
from sparse_backbones.engines.native.modules.convolution import MinkowskiConvolutionBase


def parameters(network: nn.Module) -> int:
    """How many numbers training changes."""
    return sum(one.numel() for one in network.parameters() if one.requires_grad)


def dense_macs(network: CrowdNetwork, images: Tensor) -> int:
    """Multiply-adds of all convolutions and matrix products for images (B, 3, H, W), as torch counts them.

    On the device meta it takes neither time nor memory. Convolutions on sites are not torch's and are not in
    it, see `macs`.
    """
    was = network.training
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(images)
    network.train(was)
    return int(counter.get_total_flops()) // 2


def macs(network: CrowdNetwork, images: Tensor) -> int:
    """Multiply-adds for these very images (B, 3, H, W), those of convolutions on sites too.

    These are one for each pair of sites that a kernel joins and of channels. For the native engine.
    """
    counts: list[int] = []

    def count(layer: MinkowskiConvolutionBase, given: tuple[SparseTensor, ...], made: SparseTensor) -> None:
        if not layer.use_mm:  # a matrix product is torch's
            (x,) = given
            _, pairs = x.coordinate_manager.convolution_map(
                x.coordinate_map_key, layer.kernel_generator, layer.is_transpose, made.coordinate_map_key
            )
            counts.append(sum(pairs.complete.counts) * layer.in_channels * layer.out_channels)

    layers = [one for one in network.modules() if isinstance(one, MinkowskiConvolutionBase)]
    handles = [one.register_forward_hook(count) for one in layers]
    try:
        return dense_macs(network, images) + sum(counts)
    finally:
        for one in handles:
            one.remove()
