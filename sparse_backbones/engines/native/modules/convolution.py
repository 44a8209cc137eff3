"""Sparse convolution and its transpose."""

from __future__ import annotations

import math

import torch
from torch import nn

from sparse_backbones.engines.native.kernels import convolve
from sparse_backbones.engines.native.regions import IntOrInts, KernelGenerator
from sparse_backbones.engines.native.tensor import SparseTensor


class _Convolution(nn.Module):
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrInts = -1,
        stride: IntOrInts = 1,
        dilation: IntOrInts = 1,
        bias: bool = False,
        kernel_generator: KernelGenerator | None = None,
        expand_coordinates: bool = False,
        dimension: int = -1,
    ) -> None:
        super().__init__()
        self.kernel_generator = kernel_generator or KernelGenerator(
            kernel_size, stride, dilation, expand_coordinates=expand_coordinates, dimension=dimension
        )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.dimension = dimension
        volume = self.kernel_generator.kernel_volume
        shape = (in_channels, out_channels)
        self.kernel = nn.Parameter(torch.empty(shape if self.use_mm else (volume, *shape)))
        self.bias = nn.Parameter(torch.empty(1, out_channels)) if bias else None
        self.reset_parameters()

    @property
    def use_mm(self) -> bool:
        """Whether the convolution is one matrix product, its kernel (Cin, Cout) without an offset axis."""
        return self.kernel_generator.identity

    def reset_parameters(self) -> None:
        """Uniform within 1 / sqrt(fan in)."""
        fan = self.out_channels if self.transposed else self.in_channels
        bound = 1.0 / math.sqrt(fan * self.kernel_generator.kernel_volume)
        with torch.no_grad():
            self.kernel.uniform_(-bound, bound)
            if self.bias is not None:
                self.bias.uniform_(-bound, bound)

    def forward(self, input: SparseTensor) -> SparseTensor:
        if self.dimension != input.D:
            raise ValueError(f"a {self.dimension}D layer got a tensor of {input.D} spatial dimensions")
        if input.F.shape[1] != self.in_channels:
            raise ValueError(f"expected {self.in_channels} channels, got {input.F.shape[1]}")
        if self.use_mm:
            key, features = input.coordinate_map_key, input.F.mm(self.kernel)
        else:
            manager = input.coordinate_manager
            key, pairs = manager.convolution_map(
                input.coordinate_map_key, self.kernel_generator, self.transposed
            )
            features = convolve(input.F, self.kernel, pairs)
        if self.bias is not None:
            features = features + self.bias
        return SparseTensor(features, coordinate_map_key=key, coordinate_manager=input.coordinate_manager)

    def extra_repr(self) -> str:
        generator = self.kernel_generator
        return (
            f"in={self.in_channels}, out={self.out_channels}, kernel_size={generator.kernel_size}, "
            f"stride={generator.kernel_stride}, dilation={generator.kernel_dilation}"
        )


class MinkowskiConvolution(_Convolution):
    """Convolution on active sites: submanifold at stride 1, else onto coordinates rounded down."""


class MinkowskiConvolutionTranspose(_Convolution):
    """Transposed convolution back onto the finer coordinate map that was there on the way down."""

    transposed = True
