"""Layers that act on each site's features alone: linear and sinusoidal maps, nonlinearities, dropout."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sparse_backbones.engines.native.base import FeaturesOnCoordinates
from sparse_backbones.engines.native.common import MinkowskiModuleBase
from sparse_backbones.engines.native.modules.target import check_features
from sparse_backbones.engines.native.precision import matched

Sparse = TypeVar("Sparse", bound=FeaturesOnCoordinates)


class MinkowskiLinear(nn.Module):
    """Linear map of the channels."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias)

    def forward(self, input: Sparse) -> Sparse:
        check_features(input, self.linear.in_features)
        matched(input.F, self.linear.weight)
        return input.replace(self.linear(input.F))


class MinkowskiNonlinearityBase(MinkowskiModuleBase):
    """A layer of torch.nn on the features, as `module`; it takes that layer's arguments."""

    MODULE: type[nn.Module]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.module = self.MODULE(*args, **kwargs)

    def forward(self, input: Sparse) -> Sparse:
        return input.replace(self.module(input.F))


class MinkowskiELU(MinkowskiNonlinearityBase):
    MODULE = nn.ELU


class MinkowskiHardshrink(MinkowskiNonlinearityBase):
    MODULE = nn.Hardshrink


class MinkowskiHardsigmoid(MinkowskiNonlinearityBase):
    MODULE = nn.Hardsigmoid


class MinkowskiHardtanh(MinkowskiNonlinearityBase):
    MODULE = nn.Hardtanh


class MinkowskiHardswish(MinkowskiNonlinearityBase):
    MODULE = nn.Hardswish


class MinkowskiLeakyReLU(MinkowskiNonlinearityBase):
    MODULE = nn.LeakyReLU


class MinkowskiLogSigmoid(MinkowskiNonlinearityBase):
    MODULE = nn.LogSigmoid


class MinkowskiPReLU(MinkowskiNonlinearityBase):
    MODULE = nn.PReLU


class MinkowskiReLU(MinkowskiNonlinearityBase):
    MODULE = nn.ReLU


class MinkowskiReLU6(MinkowskiNonlinearityBase):
    MODULE = nn.ReLU6


class MinkowskiRReLU(MinkowskiNonlinearityBase):
    MODULE = nn.RReLU


class MinkowskiSELU(MinkowskiNonlinearityBase):
    MODULE = nn.SELU


class MinkowskiCELU(MinkowskiNonlinearityBase):
    MODULE = nn.CELU


class MinkowskiGELU(MinkowskiNonlinearityBase):
    MODULE = nn.GELU


class MinkowskiSigmoid(MinkowskiNonlinearityBase):
    MODULE = nn.Sigmoid


class MinkowskiSiLU(MinkowskiNonlinearityBase):
    MODULE = nn.SiLU


class MinkowskiSoftplus(MinkowskiNonlinearityBase):
    MODULE = nn.Softplus


class MinkowskiSoftshrink(MinkowskiNonlinearityBase):
    MODULE = nn.Softshrink


class MinkowskiSoftsign(MinkowskiNonlinearityBase):
    MODULE = nn.Softsign


class MinkowskiTanh(MinkowskiNonlinearityBase):
    MODULE = nn.Tanh


class MinkowskiTanhshrink(MinkowskiNonlinearityBase):
    MODULE = nn.Tanhshrink


class MinkowskiThreshold(MinkowskiNonlinearityBase):
    MODULE = nn.Threshold


class MinkowskiSoftmin(MinkowskiNonlinearityBase):
    MODULE = nn.Softmin


class MinkowskiSoftmax(MinkowskiNonlinearityBase):
    MODULE = nn.Softmax


class MinkowskiLogSoftmax(MinkowskiNonlinearityBase):
    MODULE = nn.LogSoftmax


class MinkowskiDropout(MinkowskiNonlinearityBase):
    MODULE = nn.Dropout


class MinkowskiAlphaDropout(MinkowskiNonlinearityBase):
    MODULE = nn.AlphaDropout


class MinkowskiSinusoidal(MinkowskiModuleBase):
    """coef * sin(x @ kernel + bias), all three learned."""

    def __init__(self, in_channel: int, out_channel: int) -> None:
        super().__init__()
        self.in_channel = in_channel
        self.out_channel = out_channel
        self.kernel = nn.Parameter(torch.rand(in_channel, out_channel))
        self.bias = nn.Parameter(torch.rand(1, out_channel))
        self.coef = nn.Parameter(torch.rand(1, out_channel))

    def forward(self, input: Sparse) -> Sparse:
        check_features(input, self.in_channel)
        product = torch.mm(*matched(input.F, self.kernel))
        return input.replace(torch.sin(product + self.bias) * self.coef)


class MinkowskiAdaptiveLogSoftmaxWithLoss(MinkowskiNonlinearityBase):
    """Adaptive softmax (Grave et al., 2017) of the features against one class per site.

    The arguments are those of torch.nn.AdaptiveLogSoftmaxWithLoss.
    """

    MODULE = nn.AdaptiveLogSoftmaxWithLoss

    def forward(  # type: ignore[override]
        self, input: FeaturesOnCoordinates, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """target: int64 (N,). Returns the log probability of each site's class (N,), and the mean loss."""
        output, loss = self.module(input.F, target)
        return output, loss
