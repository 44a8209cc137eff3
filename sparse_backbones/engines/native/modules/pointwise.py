"""Layers that act on each site's features alone: normalisation, nonlinearities, dropout, linear."""

from __future__ import annotations

from typing import Any

from torch import nn

from sparse_backbones.engines.native.tensor import SparseTensor


class MinkowskiBatchNorm(nn.Module):
    """Batch normalisation over active sites."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, input: SparseTensor) -> SparseTensor:
        return input.replace(self.bn(input.F))


class MinkowskiLinear(nn.Module):
    """Linear map of the channels."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features, bias)

    def forward(self, input: SparseTensor) -> SparseTensor:
        return input.replace(self.linear(input.F))


class _Pointwise(nn.Module):
    layer: type[nn.Module]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.module = self.layer(*args, **kwargs)

    def forward(self, input: SparseTensor) -> SparseTensor:
        return input.replace(self.module(input.F))


class MinkowskiReLU(_Pointwise):
    layer = nn.ReLU


class MinkowskiReLU6(_Pointwise):
    layer = nn.ReLU6


class MinkowskiLeakyReLU(_Pointwise):
    layer = nn.LeakyReLU


class MinkowskiPReLU(_Pointwise):
    layer = nn.PReLU


class MinkowskiRReLU(_Pointwise):
    layer = nn.RReLU


class MinkowskiELU(_Pointwise):
    layer = nn.ELU


class MinkowskiCELU(_Pointwise):
    layer = nn.CELU


class MinkowskiSELU(_Pointwise):
    layer = nn.SELU


class MinkowskiGELU(_Pointwise):
    layer = nn.GELU


class MinkowskiSiLU(_Pointwise):
    layer = nn.SiLU


class MinkowskiSigmoid(_Pointwise):
    layer = nn.Sigmoid


class MinkowskiTanh(_Pointwise):
    layer = nn.Tanh


class MinkowskiDropout(_Pointwise):
    layer = nn.Dropout
