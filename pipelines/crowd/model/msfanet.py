"""M-SFANet (Thanasutives et al., ICPR 2020): VGG16 with two modules that look at several scales."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pipelines.crowd.model.two_paths import Heads, Path, TwoPathNetwork, begin_small, doubled
from pipelines.crowd.model.vgg import VGG16


class ContextualModule(nn.Module):
    """CAN (Liu et al., CVPR 2019): means over grids of several sizes, weighed pixel by pixel.

    Each scale's weight is a sigmoid of what the features differ by from their mean at that scale.
    """

    def __init__(self, channels: int = 512, sizes: tuple[int, ...] = (1, 2, 3, 6)) -> None:
        super().__init__()
        self.sizes = sizes
        self.scales = nn.ModuleList(nn.Conv2d(channels, channels, 1, bias=False) for _ in sizes)
        self.weight = nn.Conv2d(channels, channels, 1)
        self.join = nn.Conv2d(2 * channels, channels, 1)
        begin_small(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same shape."""
        total, weights = torch.zeros_like(x), torch.zeros_like(x)
        for size, scale in zip(self.sizes, self.scales, strict=True):
            mean = scale(nn.functional.adaptive_avg_pool2d(x, size))
            mean = nn.functional.interpolate(mean, size=x.shape[2:], mode="bilinear", align_corners=False)
            weight = torch.sigmoid(self.weight(x - mean))
            total, weights = total + weight * mean, weights + weight
        return torch.relu(self.join(torch.cat([total / weights, x], 1)))


class AtrousPyramid(nn.Module):
    """ASPP (Chen et al., 2017): convolutions of several dilations and the global mean, side by side.

    Training needs two images or more a step, as the norm after the global mean has one value for each.
    """

    def __init__(self, before: int = 512, after: int = 256, dilations: tuple[int, ...] = (6, 12, 18)) -> None:
        super().__init__()
        self.branches = nn.ModuleList([_branch(before, after)])
        self.branches.extend(_branch(before, after, dilation) for dilation in dilations)
        self.overall = _branch(before, after)
        self.join = nn.Sequential(*_branch((len(dilations) + 2) * after, after), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, h, w) to (B, after, h, w)."""
        found = [branch(x) for branch in self.branches]
        mean = self.overall(x.mean((2, 3), keepdim=True))
        joined: Tensor = self.join(torch.cat([*found, mean.expand_as(found[0])], 1))
        return joined


class MSFANet(TwoPathNetwork):
    """Context on conv4_3 (CAN), a pyramid on conv5_3 (ASPP), bilinear steps up on two paths.

    22.90 M parameters. The published 22.89 M are those without the 15,234 factors and offsets of batch norms
    (22,889,154 with all others). 134 GMAC for an image of 640 x 480 px; the published 115 are what it takes
    for 512 x 512 px.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = VGG16(stages=5)
        self.context = ContextualModule()
        self.pyramid = AtrousPyramid()
        # The pyramid's output enters the middle step too.
        self.attention_path = Path(256 + 512, 256 + 256 + 256, 128 + 128)
        self.density_path = Path(256 + 512, 256 + 256 + 256, 128 + 128)
        self.heads = Heads()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        _, half, quarter, eighth, deepest = self.encoder(images)
        eighth, deepest = self.context(eighth), self.pyramid(deepest)
        attention, density = (
            _upwards(path, half, quarter, eighth, deepest)
            for path in (self.attention_path, self.density_path)
        )
        found: tuple[Tensor, Tensor] = self.heads(attention, density)
        return found


def _upwards(path: Path, half: Tensor, quarter: Tensor, eighth: Tensor, deepest: Tensor) -> Tensor:
    x = path.deep(torch.cat([doubled(deepest), eighth], 1))
    x = path.middle(torch.cat([doubled(x), quarter, doubled(deepest, 4)], 1))
    found: Tensor = path.fine(torch.cat([doubled(x), half], 1))
    return found


def _branch(before: int, after: int, dilation: int | None = None) -> nn.Sequential:
    """A 1x1 convolution, or a dilated 3x3 one, with norm and ReLU."""
    conv = (
        nn.Conv2d(before, after, 1, bias=False)
        if dilation is None
        else nn.Conv2d(before, after, 3, padding=dilation, dilation=dilation, bias=False)
    )
    nn.init.kaiming_normal_(conv.weight)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU())
