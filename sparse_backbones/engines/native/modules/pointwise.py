"""Layers that act on each site's features alone: linear and sinusoidal maps, nonlinearities, dropout."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sparse_backbones.engines.native.base import FeaturesOnCoordinates

Sparse = TypeVar("Sparse", bound=FeaturesOnCoordinates)


class MinkowskiLinear(nn.Module):
    """Linear map of the channels."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias)

    def forward(self, input: Sparse) -> Sparse:
        return input.replace(self.linear(input.F))


class _Pointwise(nn.Module):
    """A layer of torch.nn on the features, as `module`; it takes that layer's arguments."""

    layer: type[nn.Module]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.module = self.layer(*args, **kwargs)

    def forward(self, input: Sparse) -> Sparse:
        return input.replace(self.module(input.F))


class MinkowskiELU(_Pointwise):
    layer = nn.ELU


class MinkowskiHardshrink(_Pointwise):
    layer = nn.Hardshrink


class MinkowskiHardsigmoid(_Pointwise):
    layer = nn.Hardsigmoid


class MinkowskiHardtanh(_Pointwise):
    layer = nn.Hardtanh


class MinkowskiHardswish(_Pointwise):
    layer = nn.Hardswish


class MinkowskiLeakyReLU(_Pointwise):
    layer = nn.LeakyReLU


class MinkowskiLogSigmoid(_Pointwise):
    layer = nn.LogSigmoid


class MinkowskiPReLU(_Pointwise):
    layer = nn.PReLU


class MinkowskiReLU(_Pointwise):
    layer = nn.ReLU


class MinkowskiReLU6(_Pointwise):
    layer = nn.ReLU6


class MinkowskiRReLU(_Pointwise):
    layer = nn.RReLU


class MinkowskiSELU(_Pointwise):
    layer = nn.SELU


class MinkowskiCELU(_Pointwise):
    layer = nn.CELU


class MinkowskiGELU(_Pointwise):
    layer = nn.GELU


class MinkowskiSigmoid(_Pointwise):
    layer = nn.Sigmoid


class MinkowskiSiLU(_Pointwise):
    layer = nn.SiLU


class MinkowskiSoftplus(_Pointwise):
    layer = nn.Softplus


class MinkowskiSoftshrink(_Pointwise):
    layer = nn.Softshrink


class MinkowskiSoftsign(_Pointwise):
    layer = nn.Softsign


class MinkowskiTanh(_Pointwise):
    layer = nn.Tanh


class MinkowskiTanhshrink(_Pointwise):
    layer = nn.Tanhshrink


class MinkowskiThreshold(_Pointwise):
    layer = nn.Threshold


class MinkowskiSoftmin(_Pointwise):
    layer = nn.Softmin


class MinkowskiSoftmax(_Pointwise):
    layer = nn.Softmax


class MinkowskiLogSoftmax(_Pointwise):
    layer = nn.LogSoftmax


class MinkowskiDropout(_Pointwise):
    layer = nn.Dropout


class MinkowskiAlphaDropout(_Pointwise):
    layer = nn.AlphaDropout


class MinkowskiSinusoidal(nn.Module):
    """coef * sin(x @ kernel + bias), all three learned."""

    def __init__(self, in_channel: int, out_channel: int) -> None:
        super().__init__()
        self.in_channel = in_channel
        self.out_channel = out_channel
        self.kernel = nn.Parameter(torch.rand(in_channel, out_channel))
        self.bias = nn.Parameter(torch.rand(1, out_channel))
        self.coef = nn.Parameter(torch.rand(1, out_channel))

    def forward(self, input: Sparse) -> Sparse:
        return input.replace(torch.sin(input.F.mm(self.kernel) + self.bias) * self.coef)


class MinkowskiAdaptiveLogSoftmaxWithLoss(nn.Module):
    """Adaptive softmax (Grave et al., 2017) of the features against one class per site.

    The arguments are those of torch.nn.AdaptiveLogSoftmaxWithLoss.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.module = nn.AdaptiveLogSoftmaxWithLoss(*args, **kwargs)

    def forward(self, input: FeaturesOnCoordinates, target: Tensor) -> tuple[Tensor, Tensor]:
        """target: int64 (N,). Returns the log probability of each site's class (N,), and the mean loss."""
        output, loss = self.module(input.F, target)
        return output, loss
