"""The decoders of M-SegNet and M-SFANet: a path to a density map, and one to the attention that guides it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from pipelines.crowd.density import density_map
from pipelines.crowd.model.losses import sfanet_loss
from pipelines.crowd.model.network import Counts, CrowdNetwork, check_images

SIGMA = 5.0  # px, of the Gaussian for each head


class ConvNorm(nn.Sequential):
    """Convolution, batch norm, ReLU; weights begin as normal numbers of deviation 0.01, as published."""

    def __init__(self, before: int, after: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(before, after, kernel, padding=kernel // 2), nn.BatchNorm2d(after), nn.ReLU()
        )
        begin_small(self)


class Path(nn.Module):
    """Three steps up; each takes what lies below it, joined with skips, of so many channels.

    deep (stride 8) becomes 256 channels, middle (stride 4) 128, fine (stride 2) 32.
    """

    def __init__(self, deep: int, middle: int, fine: int) -> None:
        super().__init__()
        self.deep = nn.Sequential(ConvNorm(deep, 256, 1), ConvNorm(256, 256, 3))
        self.middle = nn.Sequential(ConvNorm(middle, 128, 1), ConvNorm(128, 128, 3))
        self.fine = nn.Sequential(ConvNorm(fine, 64, 1), ConvNorm(64, 64, 3), ConvNorm(64, 32, 3))


class Heads(nn.Module):
    """Density from the features of one path, weighted by the attention that the other gives."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.Sequential(nn.Conv2d(32, 1, 1), nn.BatchNorm2d(1))
        self.density = nn.Conv2d(32, 1, 1)
        begin_small(self)

    def forward(self, attention: Tensor, density: Tensor) -> tuple[Tensor, Tensor]:
        """Density and the logits of attention, (B, h, w) each, from features (B, 32, h, w) of both paths."""
        logits = self.attention(attention)
        return self.density(torch.sigmoid(logits) * density)[:, 0], logits[:, 0]


class TwoPathNetwork(CrowdNetwork):
    """Density in people per 2 x 2 px, and attention. The density has no last ReLU, so it may go below 0.

    Trained as SFANet is (Zhu et al., 2019): see `losses.sfanet_loss`.
    """

    stride = 2
    multiple = 16
    smallest_batch = 2  # a norm over one value per channel cannot be trained

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Density and the logits of attention, float32 (B, H / 2, W / 2) each."""
        raise NotImplementedError

    def target(self, points: ArrayLike, height: int, width: int) -> NDArray[np.float32]:
        return density_map(points, height, width, sigma=SIGMA, cell=self.stride)

    def losses(self, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        check_images(images, self.multiple)
        density, attention = self(images)
        return sfanet_loss(density, attention, target)

    def block_counts(self, images: Tensor) -> Counts:
        check_images(images, self.multiple)
        return Counts(self(images)[0], self.stride)


def begin_small(module: nn.Module, deviation: float = 0.01) -> None:
    """Weights of all convolutions normal with this deviation, their biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def doubled(x: Tensor, factor: int = 2) -> Tensor:
    """A map `factor` times as large, bilinear, corners on corners."""
    return nn.functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=True)
