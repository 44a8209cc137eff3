"""MCNN (Zhang et al., CVPR 2016): three columns whose kernels suit heads of different sizes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from pipelines.crowd.density import adaptive_sigmas, density_map
from pipelines.crowd.model.losses import squared_error
from pipelines.crowd.model.network import Counts, CrowdNetwork, check_images

# Per column: side of the first kernel and of the others, and the channels of its four convolutions.
COLUMNS = ((9, 7, (16, 32, 16, 8)), (7, 5, (20, 40, 20, 10)), (5, 3, (24, 48, 24, 12)))


class MCNN(CrowdNetwork):
    """Density in people per 4 x 4 px, joined from three columns by a 1x1 convolution; it may go below 0.

    133,705 parameters (0.13 M, as published). Heads are Gaussians whose width follows the distance to their
    neighbours.
    """

    stride = 4
    multiple = 4

    def __init__(self) -> None:
        super().__init__()
        self.columns = nn.ModuleList(_column(*column) for column in COLUMNS)
        self.join = nn.Conv2d(sum(widths[-1] for _, _, widths in COLUMNS), 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Density, float32 (B, H / 4, W / 4)."""
        density: Tensor = self.join(torch.cat([column(images) for column in self.columns], 1))
        return density[:, 0]

    def target(self, points: ArrayLike, height: int, width: int) -> NDArray[np.float32]:
        return density_map(points, height, width, sigma=adaptive_sigmas(points), cell=self.stride)

    def losses(self, images: Tensor, target: Tensor) -> dict[str, Tensor]:
        check_images(images, self.multiple)
        return {"loss": squared_error(self(images), target) / 2}

    def block_counts(self, images: Tensor) -> Counts:
        check_images(images, self.multiple)
        return Counts(self(images), self.stride)


def _column(first: int, other: int, widths: tuple[int, ...]) -> nn.Sequential:
    layers, before = list[nn.Module](), 3
    for number, width in enumerate(widths):
        side = first if number == 0 else other
        layers += [nn.Conv2d(before, width, side, padding=side // 2), nn.ReLU()]
        if number < 2:
            layers.append(nn.MaxPool2d(2))
        before = width
    return nn.Sequential(*layers)
