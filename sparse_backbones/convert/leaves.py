"""The dense counterpart of each sparse layer, and how their tensors correspond."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sparse_backbones.convert import grid
from sparse_backbones.convert.boxes import Box, Refusal, box_of, pooling_box

Change = Callable[[Tensor], Tensor]


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _flat(tensor: Tensor) -> Tensor:
    """(1, C) to (C,)."""
    return tensor[0]


def _row(tensor: Tensor) -> Tensor:
    """(C,) to (1, C)."""
    return tensor[None]


@dataclass(frozen=True)
class Slot:
    """One tensor: its names in both layers, and its layout from one to the other."""

    sparse: str
    dense: str
    there: Change = _same
    back: Change = _same


@dataclass(frozen=True)
class Leaf:
    """A dense layer, its tensors not yet set, and where they come from."""

    layer: nn.Module
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What a layer must know of its network.

    dimension: number of spatial axes, or None if no layer says. whole: strided layers refuse a grid that is
    not a multiple of their stride, since the network goes back to the finer grid.
    """

    dimension: int | None
    whole: bool

    def choose(self, *layers: type[nn.Module]) -> type[nn.Module]:
        """The layer for one, two or three dimensions."""
        if self.dimension is None:
            raise Refusal("no layer says the number of spatial dimensions; give dimension=")
        return layers[self.dimension - 1]


def _convolution(module: Any, setting: Setting) -> Leaf:
    box = _convolution_box(module)
    if module.kernel_generator.expand_coordinates and (box.volume > 1 or any(box.first)):
        raise Refusal("with expand_coordinates its output is larger than the grid")
    outputs, inputs = module.out_channels, module.in_channels
    layer = _dense_convolution(inputs, outputs, box, 1, module.bias is not None, setting)

    def there(kernel: Tensor) -> Tensor:
        dense = box.spread(kernel.reshape(-1, inputs, outputs))
        return dense.permute(2, 1, 0).reshape(outputs, inputs, *box.size)

    def back(weight: Tensor) -> Tensor:
        rows = weight.reshape(outputs, inputs, -1).permute(2, 1, 0)
        return box.collect(rows).reshape(module.kernel.shape)

    return Leaf(layer, (Slot("kernel", "weight", there, back), *_bias(module)))


def _channelwise(module: Any, setting: Setting) -> Leaf:
    box = box_of(module.kernel_generator)
    channels = module.in_channels
    layer = _dense_convolution(channels, channels, box, channels, module.bias is not None, setting)

    def there(kernel: Tensor) -> Tensor:
        return box.spread(kernel.reshape(-1, channels)).t().reshape(channels, 1, *box.size)

    def back(weight: Tensor) -> Tensor:
        return box.collect(weight.reshape(channels, -1).t()).reshape(module.kernel.shape)

    return Leaf(layer, (Slot("kernel", "weight", there, back), *_bias(module)))


def _dense_convolution(
    inputs: int, outputs: int, box: Box, groups: int, bias: bool, setting: Setting
) -> nn.Module:
    whole = setting.whole and max(box.stride) > 1
    if whole or any(before != behind or before < 0 for before, behind in box.pads):
        return grid.GridConv(inputs, outputs, box, groups=groups, bias=bias, whole=whole)
    make: Any = setting.choose(nn.Conv1d, nn.Conv2d, nn.Conv3d)
    padding = tuple(before for before, _ in box.pads)
    layer: nn.Module = make(inputs, outputs, box.size, box.stride, padding, box.dilation, groups, bias)
    return layer


def _transposed(module: Any, setting: Setting) -> Leaf:
    box = _convolution_box(module)
    outputs, inputs, bias = module.out_channels, module.in_channels, module.bias is not None
    make: Any = setting.choose(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    if module.kernel_generator.expand_coordinates:
        _check_generative(box)
        layer = make(inputs, outputs, box.size, box.stride, bias=bias)
    else:
        # torch cuts `padding` at both ends, and then adds `extra` cells behind.
        padding = [-before for before, _ in box.crops]
        extra = [behind - before for before, behind in box.crops]
        limits = [max(pair) for pair in zip(box.stride, box.dilation, strict=True)]
        fits = all(0 <= more < limit for more, limit in zip(extra, limits, strict=True))
        if min(padding) >= 0 and fits:
            layer = make(
                inputs, outputs, box.size, box.stride, padding, extra, bias=bias, dilation=box.dilation
            )
        else:
            layer = grid.GridConvTranspose(inputs, outputs, box, bias=bias)

    def there(kernel: Tensor) -> Tensor:
        dense = box.spread(kernel.reshape(-1, inputs, outputs))
        return dense.permute(1, 2, 0).reshape(inputs, outputs, *box.size)

    def back(weight: Tensor) -> Tensor:
        rows = weight.reshape(inputs, outputs, -1).permute(2, 0, 1)
        return box.collect(rows).reshape(module.kernel.shape)

    return Leaf(layer, (Slot("kernel", "weight", there, back), *_bias(module)))


def _convolution_box(module: Any) -> Box:
    box = box_of(module.kernel_generator)
    if module.kernel.ndim == 2 and max(box.stride) > 1:
        # In one dimension MinkowskiEngine takes it for a matrix product over the sites.
        raise Refusal("MinkowskiEngine ignores the stride of this kernel of size 1")
    return box


def _check_generative(box: Box) -> None:
    gaps = any(
        size < stride or (dilation > 1 and size > 1)
        for size, stride, dilation in zip(box.size, box.stride, box.dilation, strict=True)
    )
    if any(box.first) or gaps or len(box.cells) < box.volume:
        raise Refusal(
            "the sites that it makes are no grid without gaps that begins at 0; that needs an even kernel, "
            "at least as large as its stride and undilated"
        )


def _bias(module: Any) -> tuple[Slot, ...]:
    return () if module.bias is None else (Slot("bias", "bias", _flat, _row),)


def _linear(module: Any, setting: Setting) -> Leaf:
    linear = module.linear
    make: Any = setting.choose(nn.Conv1d, nn.Conv2d, nn.Conv3d)
    layer = make(linear.in_features, linear.out_features, 1, bias=linear.bias is not None)
    slots = [
        Slot(
            "linear.weight",
            "weight",
            lambda weight: weight.reshape(*weight.shape, *layer.kernel_size),
            lambda weight: weight.flatten(1),
        )
    ]
    if linear.bias is not None:
        slots.append(Slot("linear.bias", "bias"))
    return Leaf(layer, tuple(slots))


def _batch_norm(module: Any, setting: Setting) -> Leaf:
    old = module.bn
    numbers = (old.num_features, old.eps, old.momentum, old.affine, old.track_running_stats)
    if isinstance(old, nn.SyncBatchNorm):
        layer: Any = nn.SyncBatchNorm(*numbers, process_group=old.process_group)
    else:
        make: Any = setting.choose(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        layer = make(*numbers)
    return Leaf(layer, tuple(Slot(f"bn.{name}", name) for name in old.state_dict()))


def _instance_norm(module: Any, setting: Setting) -> Leaf:
    # MinkowskiEngine keeps the number inside of a function for one of the two.
    layer = grid.GridInstanceNorm(module.num_features, getattr(module, "eps", 1e-8))
    return Leaf(layer, (Slot("weight", "weight", _flat, _row), Slot("bias", "bias", _flat, _row)))


def _sinusoid(module: Any, setting: Setting) -> Leaf:
    layer = grid.GridSinusoid(module.in_channel, module.out_channel)
    kernel = Slot("kernel", "weight", torch.t, torch.t)
    return Leaf(layer, (kernel, Slot("bias", "bias", _flat, _row), Slot("coef", "coef", _flat, _row)))


def _pointwise(module: Any, setting: Setting) -> Leaf:
    inner = module.module
    layer = copy.deepcopy(inner)
    if isinstance(inner, (nn.Softmax, nn.Softmin, nn.LogSoftmax)):
        # None means the channels of rows (N, C), but another axis of some grids.
        if inner.dim not in (None, 1, -1):
            raise Refusal(f"it runs over the sites of all items (dim={inner.dim})")
        layer.dim = 1
    return Leaf(layer, tuple(Slot(f"module.{name}", name) for name in inner.state_dict()))


def _local_pooling(mean: bool) -> Callable[[Any, Setting], Leaf]:
    def plan(module: Any, setting: Setting) -> Leaf:
        box = pooling_box(module.kernel_generator)
        return Leaf(grid.GridPool(box, mean=mean, whole=setting.whole))

    return plan


def _max_pooling(module: Any, setting: Setting) -> Leaf:
    return Leaf(grid.GridMaxPool(pooling_box(module.kernel_generator), whole=setting.whole))


def _unpooling(module: Any, setting: Setting) -> Leaf:
    box = pooling_box(module.kernel_generator)
    if not module.kernel_generator.expand_coordinates:
        return Leaf(grid.GridUnpool(box, box.crops))
    _check_generative(box)
    return Leaf(grid.GridUnpool(box, ((0, 0),) * len(box.size)))


def _global_pooling(module: Any, setting: Setting) -> Leaf:
    mode = module.pooling_mode.name
    if mode.startswith("GLOBAL_SUM"):
        return Leaf(grid.GridSum())
    if mode.startswith("GLOBAL_AVG"):
        make: Any = setting.choose(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
    else:
        make = setting.choose(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
    return Leaf(make(1))


def _fixed(make: Callable[[], nn.Module]) -> Callable[[Any, Setting], Leaf]:
    return lambda module, setting: Leaf(make())


def _to_sparse(module: Any, setting: Setting) -> Leaf:
    if module.remove_zeros:
        raise Refusal("with remove_zeros the sites depend on the values")
    return Leaf(nn.Identity())


def _to_dense(module: Any, setting: Setting) -> Leaf:
    if module.shape is not None:
        raise Refusal("it sets the shape of its output")
    return Leaf(nn.Identity())


_POINTWISE = (
    "ELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardtanh",
    "Hardswish",
    "LeakyReLU",
    "LogSigmoid",
    "PReLU",
    "ReLU",
    "ReLU6",
    "RReLU",
    "SELU",
    "CELU",
    "GELU",
    "Sigmoid",
    "SiLU",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
    "Softmin",
    "Softmax",
    "LogSoftmax",
    "Dropout",
    "AlphaDropout",
)

RULES: dict[str, Callable[[Any, Setting], Leaf]] = {
    "MinkowskiConvolution": _convolution,
    "MinkowskiChannelwiseConvolution": _channelwise,
    "MinkowskiConvolutionTranspose": _transposed,
    "MinkowskiGenerativeConvolutionTranspose": _transposed,
    "MinkowskiLinear": _linear,
    "MinkowskiBatchNorm": _batch_norm,
    "MinkowskiSyncBatchNorm": _batch_norm,
    "MinkowskiInstanceNorm": _instance_norm,
    "MinkowskiStableInstanceNorm": _instance_norm,
    "MinkowskiSinusoidal": _sinusoid,
    "MinkowskiSumPooling": _local_pooling(mean=False),
    "MinkowskiAvgPooling": _local_pooling(mean=True),
    "MinkowskiMaxPooling": _max_pooling,
    "MinkowskiPoolingTranspose": _unpooling,
    "MinkowskiGlobalPooling": _global_pooling,
    "MinkowskiGlobalSumPooling": _global_pooling,
    "MinkowskiGlobalAvgPooling": _global_pooling,
    "MinkowskiGlobalMaxPooling": _global_pooling,
    "MinkowskiBroadcastAddition": _fixed(lambda: grid.GridBroadcast(torch.add)),
    "MinkowskiBroadcastMultiplication": _fixed(lambda: grid.GridBroadcast(torch.mul)),
    "MinkowskiBroadcast": _fixed(lambda: grid.GridBroadcast(grid.replace)),
    "MinkowskiBroadcastConcatenation": _fixed(lambda: grid.GridBroadcast(grid.append)),
    "MinkowskiUnion": _fixed(lambda: grid.Joined(grid.total)),
    "MinkowskiToFeature": _fixed(grid.GridRows),
    "MinkowskiToSparseTensor": _to_sparse,
    "MinkowskiToDenseTensor": _to_dense,
    **{f"Minkowski{name}": _pointwise for name in _POINTWISE},
}

STACKS: dict[str, Callable[..., Tensor]] = {
    "MinkowskiStackCat": grid.cat,
    "MinkowskiStackSum": grid.total,
    "MinkowskiStackMean": grid.mean,
    "MinkowskiStackVar": grid.variance,
}

FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "cat": grid.cat,
    "sum": grid.total,
    "mean": grid.mean,
    "var": grid.variance,
}

# What an engine offers for networks to derive from.
BASES = ("MinkowskiNetwork", "MinkowskiModuleBase")

REASONS = {
    "MinkowskiPruning": "which sites it leaves out is known at run time only",
    "MinkowskiInterpolation": "it reads at places between the sites",
    "MinkowskiAdaptiveLogSoftmaxWithLoss": "it is a loss of rows and their classes",
}
