"""M-SegNet (Thanasutives et al., ICPR 2020): ten convolutions of VGG16, and back by max-unpooling."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipelines.crowd.model.two_paths import Heads, Path, TwoPathNetwork
from pipelines.crowd.model.vgg import VGG16

Pooled = tuple[Tensor, Tensor]  # a map, and where in the finer one each of its values was


class MSegNet(TwoPathNetwork):
    """The indices of the encoder's max pools put values of the decoder back to where the maxima were.

    9.75 M parameters, as published. 111 GMAC for an image of 640 x 480 px; the published 95 are what it takes
    for 512 x 512 px.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = VGG16(stages=4)
        self.attention_path = Path(512 + 256, 256 + 128, 128 + 64)
        self.density_path = Path(512 + 256, 256 + 128, 128 + 64)
        self.heads = Heads()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x, pooled = images, list[Pooled]()
        for number in range(4):
            x, places = nn.functional.max_pool2d(self.encoder.stage(number, x), 2, return_indices=True)
            pooled.append((x, places))
        attention, density = (_upwards(path, pooled) for path in (self.attention_path, self.density_path))
        found: tuple[Tensor, Tensor] = self.heads(attention, density)
        return found


def _upwards(path: Path, pooled: list[Pooled]) -> Tensor:
    (half, _), (quarter, second), (eighth, third), (deepest, fourth) = pooled
    x = path.deep(torch.cat([_unpooled(deepest, fourth), eighth], 1))
    x = path.middle(torch.cat([_unpooled(x, third), quarter], 1))
    found: Tensor = path.fine(torch.cat([_unpooled(x, second), half], 1))
    return found


def _unpooled(x: Tensor, places: Tensor) -> Tensor:
    return nn.functional.max_unpool2d(x, places, [2, 2])
