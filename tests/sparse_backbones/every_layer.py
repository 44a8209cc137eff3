"""One of every layer, by name, each from a sparse tensor of 4 channels to a sparse tensor or a plain one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Make = Callable[[Any, int], nn.Module]
"""Makes the layer of an engine, for so many dimensions."""


class UpAndDown(nn.Module):
    """Down by 2 and back up by the layer."""

    def __init__(self, engine: Any, dimension: int, layer: nn.Module) -> None:
        super().__init__()
        self.down = engine.MinkowskiSumPooling(kernel_size=2, stride=2, dimension=dimension)
        self.layer = layer

    def forward(self, x: Any) -> Any:
        return self.layer(self.down(x))


class Onto(nn.Module):
    """A layer whose output is asked for at given coordinates."""

    def __init__(self, layer: nn.Module, sites: Tensor) -> None:
        super().__init__()
        self.layer = layer
        self.sites = sites

    def forward(self, x: Any) -> Any:
        return self.layer(x, self.sites)


class WithItems(nn.Module):
    """A broadcast of each batch item's sum to its sites."""

    def __init__(self, engine: Any, layer: nn.Module) -> None:
        super().__init__()
        self.pool = engine.MinkowskiGlobalSumPooling()
        self.layer = layer

    def forward(self, x: Any) -> Any:
        return self.layer(x, self.pool(x))


class Pruned(nn.Module):
    """Keeps the sites whose first coordinate is even, and if `union` adds them to all the others."""

    def __init__(self, engine: Any, union: bool) -> None:
        super().__init__()
        self.prune = engine.MinkowskiPruning()
        self.union = engine.MinkowskiUnion() if union else None

    def forward(self, x: Any) -> Any:
        small = self.prune(x, x.C[:, 1] % 2 == 0)
        return small if self.union is None else self.union(small, x, self.prune(x, x.C[:, -1] > 0))


class Between(nn.Module):
    """Interpolation at places a quarter further along every axis. Gives plain features."""

    def __init__(self, engine: Any) -> None:
        super().__init__()
        self.layer = engine.MinkowskiInterpolation()

    def forward(self, x: Any) -> Any:
        return self.layer(x, x.C + 0.25 * (torch.arange(x.D + 1) > 0).to(x.F.dtype))


def spatial(name: str, *args: Any, **kwargs: Any) -> Make:
    """A layer that wants to know the dimension."""
    return lambda engine, dimension: getattr(engine, name)(*args, dimension=dimension, **kwargs)


def plain(name: str, *args: Any, **kwargs: Any) -> Make:
    return lambda engine, dimension: getattr(engine, name)(*args, **kwargs)


def up(name: str, *args: Any, **kwargs: Any) -> Make:
    return lambda engine, dimension: UpAndDown(
        engine, dimension, getattr(engine, name)(*args, dimension=dimension, **kwargs)
    )


def onto(name: str, *args: Any, **kwargs: Any) -> Make:
    def make(engine: Any, dimension: int) -> nn.Module:
        generator = torch.Generator().manual_seed(7)
        places = torch.randint(-6, 7, (40, dimension), generator=generator)
        sites = torch.unique(torch.cat([torch.arange(40)[:, None] % 2, places], dim=1), dim=0).int()
        return Onto(getattr(engine, name)(*args, dimension=dimension, **kwargs), sites)

    return make


def broadcast(name: str) -> Make:
    return lambda engine, dimension: WithItems(engine, getattr(engine, name)())


def stack(name: str) -> Make:
    def make(engine: Any, dimension: int) -> nn.Module:
        layers = [engine.MinkowskiConvolution(4, 3, kernel_size=size, dimension=dimension) for size in (1, 3)]
        return getattr(engine, name)(*layers)  # type: ignore[no-any-return]

    return make


CONVOLUTIONS: dict[str, Make] = {
    "convolution 1": spatial("MinkowskiConvolution", 4, 3, kernel_size=1, bias=True),
    "convolution 3": spatial("MinkowskiConvolution", 4, 3, kernel_size=3, bias=True),
    "convolution 2": spatial("MinkowskiConvolution", 4, 3, kernel_size=2),
    "convolution 3, dilated": spatial("MinkowskiConvolution", 4, 3, kernel_size=3, dilation=2),
    "convolution 2, stride 2": spatial("MinkowskiConvolution", 4, 3, kernel_size=2, stride=2),
    "convolution 3, stride 2": spatial("MinkowskiConvolution", 4, 3, kernel_size=3, stride=2, bias=True),
    "expanding 3": spatial("MinkowskiConvolution", 4, 3, kernel_size=3, expand_coordinates=True),
    "expanding 2": spatial("MinkowskiConvolution", 4, 3, kernel_size=2, expand_coordinates=True),
    "expanding 3, stride 2": spatial(
        "MinkowskiConvolution", 4, 3, kernel_size=3, stride=2, expand_coordinates=True
    ),
    "convolution onto": onto("MinkowskiConvolution", 4, 3, kernel_size=3),
    "convolution onto, even": onto("MinkowskiConvolution", 4, 3, kernel_size=2, bias=True),
    "transposed 2": up("MinkowskiConvolutionTranspose", 4, 3, kernel_size=2, stride=2, bias=True),
    "transposed 3": up("MinkowskiConvolutionTranspose", 4, 3, kernel_size=3, stride=2),
    "generative 2": up("MinkowskiGenerativeConvolutionTranspose", 4, 3, kernel_size=2, stride=2, bias=True),
    "generative 3": up("MinkowskiGenerativeConvolutionTranspose", 4, 3, kernel_size=3, stride=2),
    **{f"stack {kind}": stack(f"MinkowskiStack{kind}") for kind in ("Cat", "Sum", "Mean", "Var")},
}
CHANNELWISE: dict[str, Make] = {
    "channelwise 3": spatial("MinkowskiChannelwiseConvolution", 4, kernel_size=3, bias=True),
    "channelwise 2, stride 2": spatial("MinkowskiChannelwiseConvolution", 4, kernel_size=2, stride=2),
}
POOLING: dict[str, Make] = {
    **{
        f"{kind} pooling {size}, stride {stride}": spatial(
            f"Minkowski{kind}Pooling", kernel_size=size, stride=stride
        )
        for kind in ("Sum", "Avg", "Max")
        for size, stride in ((3, 1), (2, 2), (3, 2), (3, 3))
    },
    "sum pooling onto": onto("MinkowskiSumPooling", kernel_size=3),
    "average pooling onto": onto("MinkowskiAvgPooling", kernel_size=3),
    "pooling transpose 2": up("MinkowskiPoolingTranspose", kernel_size=2, stride=2),
    "pooling transpose 3": up("MinkowskiPoolingTranspose", kernel_size=3, stride=2),
    **{f"global {kind}": plain(f"MinkowskiGlobal{kind}Pooling") for kind in ("Sum", "Avg", "Max")},
}
BROADCASTS: dict[str, Make] = {
    f"broadcast{kind}": broadcast(f"MinkowskiBroadcast{kind}")
    for kind in ("", "Addition", "Multiplication", "Concatenation")
}
SITES: dict[str, Make] = {
    "pruning": lambda engine, dimension: Pruned(engine, union=False),
    "union": lambda engine, dimension: Pruned(engine, union=True),
    "interpolation": lambda engine, dimension: Between(engine),
}
NORMS: dict[str, Make] = {
    "batch norm": plain("MinkowskiBatchNorm", 4),
    "sync batch norm": plain("MinkowskiSyncBatchNorm", 4),
    "instance norm": plain("MinkowskiInstanceNorm", 4),
    "stable instance norm": plain("MinkowskiStableInstanceNorm", 4),
}
MAPS: dict[str, Make] = {
    "linear": plain("MinkowskiLinear", 4, 3),
    "sinusoidal": plain("MinkowskiSinusoidal", 4, 3),
}
_ACTIVATIONS = (
    "CELU",
    "ELU",
    "GELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Dropout",
    "AlphaDropout",
)
POINTWISE: dict[str, Make] = {
    **{name: plain(f"Minkowski{name}") for name in _ACTIVATIONS},
    **{name: plain(f"Minkowski{name}", dim=1) for name in ("Softmax", "Softmin", "LogSoftmax")},
    "Threshold": plain("MinkowskiThreshold", 0.1, 20.0),
}
LAYERS: dict[str, Make] = {
    **CONVOLUTIONS,
    **CHANNELWISE,
    **POOLING,
    **BROADCASTS,
    **SITES,
    **NORMS,
    **MAPS,
    **POINTWISE,
}
