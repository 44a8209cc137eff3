"""A residual U-network of `sparse_backbones`, trained dense; its encoder can be pretrained sparse."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_unshuffle

from pipelines.polyp.lesion.config import FOLD, FinderPlan
from sparse_backbones.convert import load_dense, to_dense
from sparse_backbones.unet import SparseEncoder, SparseUNet

ENCODER = "encoder."
CHANNELS = 3 * FOLD**2
# Of the red, green and blue of colonoscopy, as shares of full brightness; they only centre the numbers.
MEAN, DEVIATION = (0.63, 0.37, 0.27), (0.24, 0.19, 0.16)


class LesionNetwork(nn.Module):
    """Logits of the lesion for squares of pixels.

    Its weights are kept under the names and in the layout of `SparseUNet`, so that those of a `SparseEncoder`
    fit.
    """

    def __init__(self, engine: ModuleType, plan: FinderPlan, *, channels: int = CHANNELS) -> None:
        super().__init__()
        self._sparse = (
            SparseUNet(
                engine,
                channels,
                1,
                channels=plan.widths,
                blocks=plan.blocks,
                strides=(2,) * (len(plan.widths) - 1),
                heads=plan.heads,
                dimension=2,
            ),
        )  # in a tuple: no part of the module
        self.core = to_dense(self._sparse[0])
        # A CPU convolves fastest in this layout.
        for parameter in self.core.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Logits (B, 1, side / 2, side / 2), then those of the coarser heads. images: of `as_images`."""
        found: list[Tensor] = self.core(images.contiguous(memory_format=torch.channels_last))
        return found

    def shared_weights(self) -> dict[str, Tensor]:
        """The weights under the names and in the layout of `SparseUNet`."""
        load_dense(self._sparse[0], self.core.state_dict())
        return dict(self._sparse[0].state_dict())

    def load_shared(self, weights: Mapping[str, Tensor]) -> None:
        """Take weights that are named and laid out as those of `SparseUNet`."""
        sparse = self._sparse[0]
        sparse.load_state_dict(dict(weights))
        self.core.load_state_dict(to_dense(sparse).state_dict())

    def load_encoder(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a `SparseEncoder` and leave the others as they are."""
        self.load_shared(self.shared_weights() | {ENCODER + name: one for name, one in weights.items()})


def build_encoder(engine: ModuleType, plan: FinderPlan) -> SparseEncoder:
    """The encoder alone, as it is pretrained."""
    return SparseEncoder(
        engine,
        CHANNELS,
        channels=plan.widths,
        blocks=plan.blocks,
        strides=(2,) * (len(plan.widths) - 1),
        dimension=2,
    )


def as_images(pixels: Tensor) -> Tensor:
    """Pixels uint8 (B, H, W, 3) as float32 (B, 12, H / 2, W / 2), about 0 with deviation 1.

    The colours of 2 x 2 px are the channels of one site.
    """
    mean = torch.tensor(MEAN, device=pixels.device)
    deviation = torch.tensor(DEVIATION, device=pixels.device)
    return pixel_unshuffle(((pixels.float() / 255 - mean) / deviation).movedim(-1, 1), FOLD)


def as_sites(inside: Tensor) -> Tensor:
    """Which sites lie inside with all their px. inside: bool (B, H, W); returns bool (B, H / 2, W / 2)."""
    return inside.unfold(1, FOLD, FOLD).unfold(2, FOLD, FOLD).flatten(3).all(-1)


def as_shares(logits: Tensor) -> Tensor:
    """The probability of each px, float32 (B, side, side), from logits (B, 1, side / 2, side / 2)."""
    full = interpolate(logits.float(), scale_factor=FOLD, mode="bilinear", align_corners=False)
    return full[:, 0].sigmoid()
