"""Residual blocks with squeeze and excitation (Hu et al., 2018), with MinkowskiEngine's parameter names."""

from __future__ import annotations

from torch import nn

from sparse_backbones.engines.native.modules.broadcast import MinkowskiBroadcastMultiplication
from sparse_backbones.engines.native.modules.global_pooling import MinkowskiGlobalAvgPooling
from sparse_backbones.engines.native.modules.pointwise import (
    MinkowskiLinear,
    MinkowskiReLU,
    MinkowskiSigmoid,
)
from sparse_backbones.engines.native.modules.resnet_block import BasicBlock, Bottleneck
from sparse_backbones.engines.native.tensor import SparseTensor


class SELayer(nn.Module):
    """Scales the channels of each batch item by what a small network makes of their means."""

    def __init__(self, channel: int, reduction: int = 16, D: int = -1) -> None:
        super().__init__()
        if channel < reduction:
            raise ValueError(f"reduction must not exceed the {channel} channels, and is {reduction}")
        self.fc = nn.Sequential(
            MinkowskiLinear(channel, channel // reduction),
            MinkowskiReLU(inplace=True),
            MinkowskiLinear(channel // reduction, channel),
            MinkowskiSigmoid(),
        )
        self.pooling = MinkowskiGlobalAvgPooling()
        self.broadcast_mul = MinkowskiBroadcastMultiplication()

    def forward(self, x: SparseTensor) -> SparseTensor:
        result: SparseTensor = self.broadcast_mul(x, self.fc(self.pooling(x)))
        return result


class SEBasicBlock(BasicBlock):
    """BasicBlock with squeeze and excitation. (MinkowskiEngine's own cannot be built.)"""

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        reduction: int = 16,
        D: int = -1,
    ) -> None:
        super().__init__(inplanes, planes, stride, dilation, downsample, dimension=D)
        self.se = SELayer(planes, reduction=reduction, D=D)

    def residual(self, x: SparseTensor) -> SparseTensor:
        result: SparseTensor = self.se(super().residual(x))
        return result


class SEBottleneck(Bottleneck):
    """Bottleneck with squeeze and excitation. (MinkowskiEngine's own cannot be built.)"""

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        dilation: int = 1,
        downsample: nn.Module | None = None,
        D: int = 3,
        reduction: int = 16,
    ) -> None:
        super().__init__(inplanes, planes, stride, dilation, downsample, dimension=D)
        self.se = SELayer(planes * self.expansion, reduction=reduction, D=D)

    def residual(self, x: SparseTensor) -> SparseTensor:
        result: SparseTensor = self.se(super().residual(x))
        return result
