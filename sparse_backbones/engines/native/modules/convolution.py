"""Sparse convolution, its transpose, and the transpose that makes new sites."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from sparse_backbones.engines.native.common import MinkowskiModuleBase
from sparse_backbones.engines.native.enums import ConvolutionMode
from sparse_backbones.engines.native.kernels import convolve
from sparse_backbones.engines.native.manager import CoordinateManager, CoordinateMapKey
from sparse_backbones.engines.native.modules.target import Target, check_input, target_key
from sparse_backbones.engines.native.precision import matched
from sparse_backbones.engines.native.regions import IntOrInts, KernelGenerator
from sparse_backbones.engines.native.tensor import SparseTensor


def convolve_onto(
    features: Tensor,
    kernel: Tensor,
    generator: KernelGenerator,
    transposed: bool,
    key: CoordinateMapKey,
    out_key: CoordinateMapKey | None,
    manager: CoordinateManager,
) -> tuple[CoordinateMapKey, Tensor]:
    """The key of the output, and its features (M, Cout).

    kernel: (kernel volume, Cin, Cout), or (Cin, Cout) for a kernel of one offset.
    """
    features, kernel = matched(features, kernel)
    made, pairs = manager.convolution_map(key, generator, transposed, out_key)
    return made, convolve(features, kernel if kernel.ndim == 3 else kernel[None], pairs)


class MinkowskiConvolutionFunction:
    """`apply` convolves plain features (N, Cin) on the map `in_coordinate_map_key` of a manager."""

    transposed = False

    @classmethod
    def apply(
        cls,
        input_features: Tensor,
        kernel_weights: Tensor,
        kernel_generator: KernelGenerator,
        convolution_mode: ConvolutionMode,
        in_coordinate_map_key: CoordinateMapKey,
        out_coordinate_map_key: CoordinateMapKey | None,
        coordinate_manager: CoordinateManager,
    ) -> Tensor:
        """Features (M, Cout). An `out_coordinate_map_key` that is not set is set to the output's key."""
        return convolve_onto(
            input_features,
            kernel_weights,
            kernel_generator,
            cls.transposed,
            in_coordinate_map_key,
            out_coordinate_map_key,
            coordinate_manager,
        )[1]


class MinkowskiConvolutionTransposeFunction(MinkowskiConvolutionFunction):
    """The same for the transposed convolution."""

    transposed = True


class MinkowskiConvolutionBase(MinkowskiModuleBase):
    """A convolution's kernel and bias. The layers below say where its output lies.

    Given a `kernel_generator`, only that decides the kernel's shape, and `expand_coordinates` still counts.
    `convolution_mode` changes nothing here.
    """

    is_transpose = False

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
        convolution_mode: ConvolutionMode = ConvolutionMode.DEFAULT,
        dimension: int = -1,
    ) -> None:
        super().__init__()
        if kernel_generator is None:
            kernel_generator = KernelGenerator(
                kernel_size, stride, dilation, expand_coordinates=expand_coordinates, dimension=dimension
            )
        elif kernel_generator.expand_coordinates != expand_coordinates:
            kernel_generator = copy.copy(kernel_generator)
            kernel_generator.expand_coordinates = expand_coordinates
        self.kernel_generator = kernel_generator
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.dimension = dimension
        self.convolution_mode = convolution_mode
        volume = kernel_generator.kernel_volume
        shape = (in_channels, out_channels)
        flat = volume == 1 and kernel_generator.requires_strided_coordinates
        self.kernel = nn.Parameter(torch.empty(shape if flat else (volume, *shape)))
        self.bias = nn.Parameter(torch.empty(1, out_channels)) if bias else None
        self.reset_parameters(self.is_transpose)

    @property
    def use_mm(self) -> bool:
        """Whether the convolution is one matrix product."""
        return self.kernel_generator.identity

    def reset_parameters(self, is_transpose: bool = False) -> None:
        """Uniform within 1 / sqrt(channels * kernel volume): those that come in, or go out of a transpose."""
        fan = self.out_channels if is_transpose else self.in_channels
        bound = 1.0 / math.sqrt(fan * self.kernel_generator.kernel_volume)
        with torch.no_grad():
            self.kernel.uniform_(-bound, bound)
            if self.bias is not None:
                self.bias.uniform_(-bound, bound)

    def forward(self, input: SparseTensor, coordinates: Target = None) -> SparseTensor:
        """coordinates: where the output shall lie, if not where the layer would put it."""
        check_input(input, self.dimension, self.in_channels)
        if self.use_mm and coordinates is None:
            key, features = input.coordinate_map_key, torch.mm(*matched(input.F, self.kernel))
        else:
            key, features = convolve_onto(
                input.F,
                self.kernel,
                self.kernel_generator,
                self.is_transpose,
                input.coordinate_map_key,
                target_key(input, coordinates),
                input.coordinate_manager,
            )
        if self.bias is not None:
            features = features + self.bias.to(features.dtype)
        return SparseTensor(features, coordinate_map_key=key, coordinate_manager=input.coordinate_manager)

    def extra_repr(self) -> str:
        generator = self.kernel_generator
        return (
            f"in={self.in_channels}, out={self.out_channels}, kernel_size={generator.kernel_size}, "
            f"stride={generator.kernel_stride}, dilation={generator.kernel_dilation}"
        )


class MinkowskiConvolution(MinkowskiConvolutionBase):
    """Convolution on active sites: submanifold at stride 1, else onto coordinates rounded down.

    With expand_coordinates the output lies wherever the kernel reaches a site.
    """


class MinkowskiConvolutionTranspose(MinkowskiConvolutionBase):
    """Transposed convolution back onto the finer coordinate map that was there on the way down."""

    is_transpose = True


class MinkowskiGenerativeConvolutionTranspose(MinkowskiConvolutionBase):
    """Transposed convolution onto all sites of the finer map that the kernel reaches (Gwak et al., 2020)."""

    is_transpose = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrInts = -1,
        stride: IntOrInts = 1,
        dilation: IntOrInts = 1,
        bias: bool = False,
        kernel_generator: KernelGenerator | None = None,
        convolution_mode: ConvolutionMode = ConvolutionMode.DEFAULT,
        dimension: int = -1,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            dilation,
            bias,
            kernel_generator,
            True,
            convolution_mode,
            dimension,
        )
