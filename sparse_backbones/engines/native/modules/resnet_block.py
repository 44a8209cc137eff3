"""Residual blocks (He et al., Deep Residual Learning, 2016), with MinkowskiEngine's parameter names."""

from __future__ import annotations

from torch import nn

from sparse_backbones.engines.native.modules.convolution import MinkowskiConvolution
from sparse_backbones.engines.native.modules.normalization import MinkowskiBatchNorm
from sparse_backbones.engines.native.modules.pointwise import MinkowskiReLU
from sparse_backbones.engines.native.tensor import SparseTensor


class _Residual(nn.Module):
    """What the blocks share: the residual, the shortcut, their sum and the nonlinearity after it."""

    relu: nn.Module
    downsample: nn.Module | None

    def residual(self, x: SparseTensor) -> SparseTensor:
        """What is added to the shortcut."""
        raise NotImplementedError

    def forward(self, x: SparseTensor) -> SparseTensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        result: SparseTensor = self.relu(self.residual(x) + shortcut)
        return result


class BasicBlock(_Residual):
    """Two 3-wide convolutions and a shortcut.

    downsample: the shortcut's layers, needed where the stride or the number of channels changes.
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        bn_momentum: float = 0.1,
        dimension: int = -1,
    ) -> None:
        super().__init__()
        self.conv1 = MinkowskiConvolution(
            inplanes, planes, kernel_size=3, stride=stride, dilation=dilation, dimension=dimension
        )
        self.norm1 = MinkowskiBatchNorm(planes, momentum=bn_momentum)
        self.conv2 = MinkowskiConvolution(
            planes, planes, kernel_size=3, dilation=dilation, dimension=dimension
        )
        self.norm2 = MinkowskiBatchNorm(planes, momentum=bn_momentum)
        self.relu = MinkowskiReLU(inplace=True)
        self.downsample = downsample

    def residual(self, x: SparseTensor) -> SparseTensor:
        result: SparseTensor = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        return result


class Bottleneck(_Residual):
    """A 3-wide convolution between two 1-wide ones, and a shortcut; 4 * planes channels come out."""

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        bn_momentum: float = 0.1,
        dimension: int = -1,
    ) -> None:
        super().__init__()
        wide = planes * self.expansion
        self.conv1 = MinkowskiConvolution(inplanes, planes, kernel_size=1, dimension=dimension)
        self.norm1 = MinkowskiBatchNorm(planes, momentum=bn_momentum)
        self.conv2 = MinkowskiConvolution(
            planes, planes, kernel_size=3, stride=stride, dilation=dilation, dimension=dimension
        )
        self.norm2 = MinkowskiBatchNorm(planes, momentum=bn_momentum)
        self.conv3 = MinkowskiConvolution(planes, wide, kernel_size=1, dimension=dimension)
        self.norm3 = MinkowskiBatchNorm(wide, momentum=bn_momentum)
        self.relu = MinkowskiReLU(inplace=True)
        self.downsample = downsample

    def residual(self, x: SparseTensor) -> SparseTensor:
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.relu(self.norm2(self.conv2(x)))
        result: SparseTensor = self.norm3(self.conv3(x))
        return result
