"""The residual classifiers and U-networks that MinkowskiEngine's examples made known, for either engine.

Parameters carry the names of those examples, so their checkpoints load.
Choy et al., 4D Spatio-Temporal ConvNets: Minkowski Convolutional Neural Networks, CVPR 2019.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import nn

from sparse_backbones.blocks import Sparse


@dataclass(frozen=True)
class UNetShape:
    """block: BasicBlock or Bottleneck. layers, planes: blocks and width of the 4 stages down and the 4 up."""

    block: str
    layers: tuple[int, ...]
    planes: tuple[int, ...] = (32, 64, 128, 256, 256, 128, 96, 96)


def _shape(block: str, layers: tuple[int, ...], *up: int) -> UNetShape:
    return UNetShape(block, layers, (32, 64, 128, 256, *(up or (256, 128, 96, 96))))


_DEEP = (2, 3, 4, 6, 2, 2, 2, 2)

UNETS: dict[str, UNetShape] = {
    "14": _shape("BasicBlock", (1,) * 8),
    "14A": _shape("BasicBlock", (1,) * 8, 128, 128, 96, 96),
    "14B": _shape("BasicBlock", (1,) * 8, 128, 128, 128, 128),
    "14C": _shape("BasicBlock", (1,) * 8, 192, 192, 128, 128),
    "14D": _shape("BasicBlock", (1,) * 8, 384, 384, 384, 384),
    "18": _shape("BasicBlock", (2,) * 8),
    "18A": _shape("BasicBlock", (2,) * 8, 128, 128, 96, 96),
    "18B": _shape("BasicBlock", (2,) * 8, 128, 128, 128, 128),
    "18D": _shape("BasicBlock", (2,) * 8, 384, 384, 384, 384),
    "34": _shape("BasicBlock", _DEEP),
    "34A": _shape("BasicBlock", _DEEP, 256, 128, 64, 64),
    "34B": _shape("BasicBlock", _DEEP, 256, 128, 64, 32),
    "34C": _shape("BasicBlock", _DEEP, 256, 128, 96, 96),
    "50": _shape("Bottleneck", _DEEP),
    "101": _shape("Bottleneck", (2, 3, 4, 23, 2, 2, 2, 2)),
}

RESNETS: dict[str, tuple[str, tuple[int, ...]]] = {
    "14": ("BasicBlock", (1, 1, 1, 1)),
    "18": ("BasicBlock", (2, 2, 2, 2)),
    "34": ("BasicBlock", (3, 4, 6, 3)),
    "50": ("Bottleneck", (3, 4, 6, 3)),
    "101": ("Bottleneck", (3, 4, 23, 3)),
}


class MinkowskiUNet(nn.Module):
    """A U-network with four resolutions below the input's: one row of out_channels for every site.

    variant: one of `UNETS`.
    """

    def __init__(
        self,
        engine: ModuleType,
        in_channels: int,
        out_channels: int,
        *,
        variant: str = "34C",
        dimension: int = 3,
    ) -> None:
        super().__init__()
        shape = _choose(UNETS, variant)
        block = _block(engine, shape.block)
        planes, width, start = shape.planes, shape.planes[0], shape.planes[0]
        skips = [start]
        self.conv0p1s1 = engine.MinkowskiConvolution(in_channels, start, kernel_size=5, dimension=dimension)
        self.bn0 = engine.MinkowskiBatchNorm(start)
        for stage in range(4):
            conv = engine.MinkowskiConvolution(width, width, kernel_size=2, stride=2, dimension=dimension)
            self.add_module(f"conv{stage + 1}p{2**stage}s2", conv)
            self.add_module(f"bn{stage + 1}", engine.MinkowskiBatchNorm(width))
            layer = _layer(engine, block, width, planes[stage], shape.layers[stage], 1, dimension)
            self.add_module(f"block{stage + 1}", layer)
            width = planes[stage] * block.expansion
            skips.append(width)
        skips.pop()
        for stage in range(4, 8):
            wide = planes[stage]
            conv = engine.MinkowskiConvolutionTranspose(
                width, wide, kernel_size=2, stride=2, dimension=dimension
            )
            self.add_module(f"convtr{stage}p{2 ** (8 - stage)}s2", conv)
            self.add_module(f"bntr{stage}", engine.MinkowskiBatchNorm(wide))
            layer = _layer(engine, block, wide + skips.pop(), wide, shape.layers[stage], 1, dimension)
            self.add_module(f"block{stage + 1}", layer)
            width = wide * block.expansion
        self.final = engine.MinkowskiConvolution(
            width, out_channels, kernel_size=1, bias=True, dimension=dimension
        )
        self.relu = engine.MinkowskiReLU(inplace=True)
        self._cat = engine.cat
        _initialise(self, engine)

    def forward(self, x: Sparse) -> Sparse:
        """On the same sites as `x`."""
        x = self.relu(self.bn0(self.conv0p1s1(x)))
        skips = [x]
        for stage in range(4):
            x = self._run(f"conv{stage + 1}p{2**stage}s2", f"bn{stage + 1}", x)
            x = self.get_submodule(f"block{stage + 1}")(x)
            skips.append(x)
        skips.pop()
        for stage in range(4, 8):
            x = self._run(f"convtr{stage}p{2 ** (8 - stage)}s2", f"bntr{stage}", x)
            x = self.get_submodule(f"block{stage + 1}")(self._cat(x, skips.pop()))
        return self.final(x)

    def _run(self, conv: str, norm: str, x: Sparse) -> Sparse:
        return self.relu(self.get_submodule(norm)(self.get_submodule(conv)(x)))


class MinkowskiResNet(nn.Module):
    """A residual classifier: one row of out_channels for every batch index that occurs.

    variant: one of `RESNETS`.
    """

    def __init__(
        self,
        engine: ModuleType,
        in_channels: int,
        out_channels: int,
        *,
        variant: str = "50",
        dimension: int = 3,
        planes: Sequence[int] = (64, 128, 256, 512),
    ) -> None:
        super().__init__()
        name, layers = _choose(RESNETS, variant)
        block = _block(engine, name)
        width = planes[0]
        self.conv1 = nn.Sequential(
            engine.MinkowskiConvolution(in_channels, width, kernel_size=3, stride=2, dimension=dimension),
            engine.MinkowskiInstanceNorm(width),
            engine.MinkowskiReLU(inplace=True),
            engine.MinkowskiMaxPooling(kernel_size=2, stride=2, dimension=dimension),
        )
        stages: list[nn.Module] = []
        for wide, depth in zip(planes, layers, strict=True):
            stages.append(_layer(engine, block, width, wide, depth, 2, dimension))
            width = wide * block.expansion
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.conv5 = nn.Sequential(
            engine.MinkowskiDropout(),
            engine.MinkowskiConvolution(width, width, kernel_size=3, stride=3, dimension=dimension),
            engine.MinkowskiInstanceNorm(width),
            engine.MinkowskiGELU(),
        )
        self.glob_pool = engine.MinkowskiGlobalMaxPooling()
        self.final = engine.MinkowskiLinear(width, out_channels, bias=True)
        _initialise(self, engine)

    def forward(self, x: Sparse) -> Sparse:
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        return self.final(self.glob_pool(self.conv5(x)))


def _choose(table: dict[str, Any], variant: str) -> Any:
    if variant not in table:
        raise ValueError(f"unknown variant {variant!r}; choose {', '.join(table)}")
    return table[variant]


def _block(engine: ModuleType, name: str) -> Any:
    return getattr(importlib.import_module(f"{engine.modules.__name__}.resnet_block"), name)


def _layer(
    engine: ModuleType, block: Any, width: int, planes: int, depth: int, stride: int, dimension: int
) -> nn.Module:
    """`depth` blocks of which the first has the stride; a shortcut is convolved only where it must be."""
    wide = planes * block.expansion
    shortcut = None
    if stride != 1 or width != wide:
        shortcut = nn.Sequential(
            engine.MinkowskiConvolution(width, wide, kernel_size=1, stride=stride, dimension=dimension),
            engine.MinkowskiBatchNorm(wide),
        )
    blocks = [block(width, planes, stride=stride, downsample=shortcut, dimension=dimension)]
    blocks += [block(wide, planes, dimension=dimension) for _ in range(depth - 1)]
    return nn.Sequential(*blocks)


def _initialise(network: nn.Module, engine: ModuleType) -> None:
    """Convolutions from a normal distribution of variance 2 / fan out (He et al., 2015)."""
    for layer in network.modules():
        if isinstance(layer, engine.MinkowskiConvolution):
            kernel = layer.kernel
            fan = kernel.shape[-1] * (kernel.shape[0] if kernel.ndim == 3 else 1)
            with torch.no_grad():
                kernel.normal_(0.0, (2.0 / fan) ** 0.5)
