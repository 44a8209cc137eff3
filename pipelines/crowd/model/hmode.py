"""HMoDE (Du et al., IEEE TIP 2023): three density experts, mixed pixel by pixel in two levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from pipelines.crowd.density import density_map
from pipelines.crowd.model.losses import DENSITY_SCALE, HMODE_STRIDE, hmode_loss
from pipelines.crowd.model.network import Counts, CrowdNetwork, check_images
from pipelines.crowd.model.two_paths import begin_small
from pipelines.crowd.model.vgg import VGG16

SIGMA = 5.0  # px, of the Gaussian for each head
FIRST_DENSITY = 0.1  # where the last ReLU of an expert begins: at 0 it might never pass a gradient
PAIRS = ((0, 1), (0, 2), (1, 2))  # of experts, from the finest


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """What HMoDE computes, all of it at stride 4.

    maps: seven of float32 (B, h, w), people per px times 100: experts at 1/4, 1/8 and 1/16, their three
        pairs, the mixture of the pairs. gates: four of float32 (B, K, h, w), weights of two experts for each
        pair and of the three pairs. attention: logits float32 (B, h, w) of where people are.
    """

    maps: tuple[Tensor, ...]
    gates: tuple[Tensor, ...]
    attention: Tensor


class HMoDE(CrowdNetwork):
    """A U-network on VGG16 with a density expert at 1/16, 1/8 and 1/4.

    Every two experts are mixed by a softmax at each place. The three mixtures are mixed by a second gate,
    which sees the deepest features weighted by an attention map. All seven maps are trained.

    82.6 M parameters, as published: 48.4 M of them in the second gate. width: factor on the channels of
    decoder and gates.
    """

    stride = HMODE_STRIDE
    multiple = 16

    def __init__(self, *, relative_weight: float = 1.0, width: float = 1.0) -> None:
        super().__init__()
        self.relative_weight = relative_weight

        def wide(channels: int) -> int:
            return max(1, round(channels * width))

        self.deep = _convs(512, wide(1024), wide(512))
        self.middle = _convs(512 + wide(512), wide(512), wide(256))
        self.fine = _convs(256 + wide(256), wide(256), wide(128))
        self.experts = nn.ModuleList(_expert(wide(channels)) for channels in (128, 256, 512))
        self.first_gate = nn.Sequential(_convs(512, wide(256)), nn.Conv2d(wide(256), 2 * len(PAIRS), 1))
        self.attention = nn.Sequential(_convs(512, wide(256), wide(128)), nn.Conv2d(wide(128), 1, 1))
        widths = [wide(channels) for channels in (1024, 2048, 1024, 512, 256)]
        self.second_gate = nn.Sequential(_convs(512, *widths), nn.Conv2d(widths[-1], len(PAIRS), 1))
        begin_small(self)
        for expert in self.experts:
            nn.init.constant_(expert[-2].bias, FIRST_DENSITY)  # type: ignore[index]
        self.encoder = VGG16(stages=5)

    def forward(self, images: Tensor) -> Mixture:
        """images: float32 (B, 3, H, W) with sides of multiples of 16."""
        _, _, quarter, eighth, deepest = self.encoder(images)
        coarse = self.deep(deepest)
        middle = self.middle(torch.cat([eighth, _resized(coarse, eighth, "bilinear")], 1))
        fine = self.fine(torch.cat([quarter, _resized(middle, quarter, "bilinear")], 1))
        experts = [
            _resized(expert(features), quarter, "nearest")
            for expert, features in zip(self.experts, (fine, middle, coarse), strict=True)
        ]
        first = [
            _resized(logits.softmax(1), quarter, "nearest")
            for logits in self.first_gate(deepest).chunk(len(PAIRS), 1)
        ]
        pairs = [
            mixed(weights, [experts[one], experts[other]])
            for weights, (one, other) in zip(first, PAIRS, strict=True)
        ]
        attention = self.attention(deepest)
        logits = self.second_gate(torch.sigmoid(attention) * deepest)
        second = _resized(logits.softmax(1), quarter, "nearest")
        maps = [*experts, *pairs, mixed(second, pairs)]
        return Mixture(
            tuple(one[:, 0] for one in maps),
            (*first, second),
            _resized(attention, quarter, "nearest")[:, 0],
        )

    def target(self, points: ArrayLike, height: int, width: int) -> NDArray[np.float32]:
        return density_map(points, height, width, sigma=SIGMA, cell=self.stride)

    def losses(self, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        check_images(images, self.multiple)
        found = self(images)
        return hmode_loss(
            found.maps, found.gates, found.attention, target, relative_weight=self.relative_weight
        )

    def block_counts(self, images: Tensor) -> Counts:
        check_images(images, self.multiple)
        return Counts(self(images).maps[-1] * (self.stride**2 / DENSITY_SCALE), self.stride)


def mixed(weights: Tensor, maps: Sequence[Tensor]) -> Tensor:
    """Weights (B, K, h, w) times K maps (B, 1, h, w), summed: (B, 1, h, w)."""
    return (weights * torch.cat(list(maps), 1)).sum(1, keepdim=True)


def _convs(before: int, *widths: int) -> nn.Sequential:
    layers = list[nn.Module]()
    for width in widths:
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
        before = width
    return nn.Sequential(*layers)


def _expert(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 64, 1), nn.ReLU(), nn.Conv2d(64, 1, 1), nn.ReLU())


def _resized(x: Tensor, like: Tensor, mode: str) -> Tensor:
    corners = True if mode == "bilinear" else None
    return nn.functional.interpolate(x, size=like.shape[2:], mode=mode, align_corners=corners)
