"""ResNet-18 (He et al., 2016), with or without gates; names and shapes are torchvision's."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from pipelines.common.weights import check_weights, read_weights
from pipelines.polyp.model.gates import FeatureGate

WIDTHS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = (
            nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))
            if stride != 1 or before != after
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        found = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        shortcut: Tensor = x if self.downsample is None else self.downsample(x)
        result: Tensor = (found + shortcut).relu()
        return result


class ResNet18(nn.Module):
    """From images float32 (B, 3, H, W) to embeddings (B, 512).

    gated: a gate after each of the four layers and one on the embedding.
    """

    width = WIDTHS[-1]

    def __init__(self, *, gated: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        before = 64
        for number, width in enumerate(WIDTHS, start=1):
            blocks = [BasicBlock(before, width, 1 if number == 1 else 2), BasicBlock(width, width, 1)]
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
            before = width
        gates = [*WIDTHS, WIDTHS[-1]] if gated else []
        self.gates = nn.ModuleList(FeatureGate(width) for width in gates)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.bn1(self.conv1(images)).relu())
        for number in range(len(WIDTHS)):
            x = getattr(self, f"layer{number + 1}")(x)
            if len(self.gates):
                x = self.gates[number](x)
        x = x.mean((2, 3))
        embedding: Tensor = self.gates[-1](x) if len(self.gates) else x
        return embedding


def load_resnet18(network: ResNet18, path: Path) -> None:
    """Put a state dict of torchvision's `resnet18`, in a .safetensors file, into the network.

    Every weight but those of the gates must be there; the classifier, `fc`, is passed over. Raises UserError
    and changes nothing.
    """
    given = {name: one for name, one in read_weights(path).items() if not name.startswith("fc.")}
    own = {name: one for name, one in network.state_dict().items() if not name.startswith("gates.")}
    check_weights(given, own, path, "ResNet-18")
    network.load_state_dict({name: one for name, one in given.items() if name in own}, strict=False)
