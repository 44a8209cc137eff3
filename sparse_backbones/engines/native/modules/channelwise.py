"""Depthwise convolution."""

from __future__ import annotations

import math

import torch
from torch import nn

from sparse_backbones.engines.native.common import MinkowskiModuleBase
from sparse_backbones.engines.native.modules.target import Target, check_input, target_key
from sparse_backbones.engines.native.precision import matched
from sparse_backbones.engines.native.regions import IntOrInts, KernelGenerator
from sparse_backbones.engines.native.tensor import SparseTensor


class MinkowskiChannelwiseConvolution(MinkowskiModuleBase):
    """Convolution of each channel with a kernel of its own. kernel: (kernel volume, C)."""

    def __init__(
        self,
        in_channels: int,
        kernel_size: IntOrInts = -1,
        stride: IntOrInts = 1,
        dilation: IntOrInts = 1,
        bias: bool = False,
        kernel_generator: KernelGenerator | None = None,
        dimension: int = -1,
    ) -> None:
        super().__init__()
        self.kernel_generator = kernel_generator or KernelGenerator(
            kernel_size, stride, dilation, dimension=dimension
        )
        self.in_channels = self.out_channels = in_channels
        self.dimension = dimension
        self.kernel_shape = (self.kernel_generator.kernel_volume, in_channels)
        self.kernel = nn.Parameter(torch.empty(self.kernel_shape))
        self.bias = nn.Parameter(torch.empty(1, in_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self, is_transpose: bool = False) -> None:
        """Uniform within 1 / sqrt(channels * kernel volume), either way."""
        bound = 1.0 / math.sqrt(math.prod(self.kernel_shape))
        with torch.no_grad():
            self.kernel.uniform_(-bound, bound)
            if self.bias is not None:
                self.bias.uniform_(-bound, bound)

    def forward(self, input: SparseTensor, coords: Target = None) -> SparseTensor:
        """coords: where the output shall lie, if not where the layer would put it."""
        check_input(input, self.dimension, self.in_channels)
        source, kernel = matched(input.F, self.kernel)
        manager = input.coordinate_manager
        key, pairs = manager.convolution_map(
            input.coordinate_map_key, self.kernel_generator, False, target_key(input, coords)
        )
        features = source.new_zeros(pairs.n_out, self.in_channels)
        start = 0
        for offset, count in enumerate(pairs.counts):
            # Even without rows the first term ties the result to the features and the kernel.
            if count or offset == 0:
                part = slice(start, start + count)
                terms = source.index_select(0, pairs.in_rows[part]) * kernel[offset]
                features.index_add_(0, pairs.out_rows[part], terms)
                start += count
        if pairs.identity is not None:
            features = features + source * kernel[pairs.identity]
        if self.bias is not None:
            features = features + self.bias.to(features.dtype)
        return SparseTensor(features, coordinate_map_key=key, coordinate_manager=manager)

    def extra_repr(self) -> str:
        generator = self.kernel_generator
        return (
            f"in={self.in_channels}, kernel_size={generator.kernel_size}, "
            f"stride={generator.kernel_stride}, dilation={generator.kernel_dilation}"
        )
