"""The encoder of VGG16 with batch norms (Simonyan and Zisserman, 2015), as far down as a network needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from pipelines.common.weights import COUNTER, check_weights, read_weights

WIDTHS: Final = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(nn.Module):
    """Thirteen 3x3 convolutions in five stages, each with batch norm and ReLU; between stages a 2x2 max pool.

    stages: how many of them, 1 to 5. Names and order of the parameters are torchvision's (`features.N`), so
    that a state dict of its `vgg16_bn` fits.
    """

    def __init__(self, stages: int = 5) -> None:
        super().__init__()
        if not 1 <= stages <= len(WIDTHS):
            raise ValueError(f"VGG16 has 1 to {len(WIDTHS)} stages, not {stages}")
        layers, before = list[nn.Module](), 3
        self.spans: list[tuple[int, int]] = []
        for widths in WIDTHS[:stages]:
            start = len(layers)
            for width in widths:
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
                before = width
            self.spans.append((start, len(layers)))
            layers.append(nn.MaxPool2d(2))  # holds its place in the numbering; `forward` and users pool
        self.features = nn.Sequential(*layers[:-1])
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def stage(self, number: int, x: Tensor) -> Tensor:
        """The convolutions of stage 0 to 4, without any pooling."""
        start, end = self.spans[number]
        for place in range(start, end):
            x = self.features[place](x)
        return x

    def forward(self, images: Tensor) -> list[Tensor]:
        """The output of each stage (conv1_2, conv2_2, conv3_3, ...), at strides 1, 2, 4, 8 and 16.

        images: float32 (B, 3, H, W).
        """
        found = [self.stage(0, images)]
        for number in range(1, len(self.spans)):
            found.append(self.stage(number, nn.functional.max_pool2d(found[-1], 2)))
        return found


def load_encoder_weights(encoder: VGG16, path: Path) -> None:
    """Put a state dict of torchvision's `vgg16_bn`, in a .safetensors file, into the encoder.

    Every weight that the encoder has must be there with its shape. Those of the classifier and of deeper
    stages may be there or not; anything else is refused. Raises UserError and changes nothing.
    """
    given = {name: value for name, value in read_weights(path).items() if not name.startswith("classifier.")}
    own = {name: value for name, value in encoder.state_dict().items() if not name.endswith(COUNTER)}
    with torch.device("meta"):
        whole = VGG16().state_dict()
    check_weights(given, own, path, "VGG16 with batch norms", allowed=whole)
    encoder.load_state_dict({name: given[name] for name in own}, strict=False)
