"""What a model of this task is made of; the model folder keeps it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.common.config import Strict
from pipelines.common.media.limits import MAX_PIXELS

TASK = "polyp"
BackboneName = Literal["resnet18", "vit-tiny", "sparse-resnet"]
Width = Annotated[int, Field(ge=1, le=2048)]


class ReadLimits(Strict):
    """max_pixels: the most of an image or frame, a mask or a map of depth that is read."""

    max_pixels: int = Field(MAX_PIXELS, ge=1024)


class NetworkPlan(Strict):
    """Which network, and its sizes.

    backbone: `resnet18` and `vit-tiny` see squares of `side` px, of the lesion and of the whole frame;
        `sparse-resnet` sees the pixels of the lesion and of a rim around it, and nothing else.
    gated: feature gates in the backbones, and before and after the hidden layer.
    streams: what is looked at: `crop`, the lesion and what is around it, made to fill the square; `frame`,
        the whole frame with everything outside the box black, so that it keeps its apparent size.
    depth: a map of depths, relative to the lesion's own, is one more stream where it is known.
    side: px of the squares, a multiple of 16; for a sparse network, to what the frame's longer side is
        reduced.
    rim: how far around the lesion a sparse network sees, as a share of the longer side of its box.
    widths, blocks: channels and residual blocks of a sparse network's stages.
    hidden: width of the layer before the sizes.
    """

    backbone: BackboneName = "resnet18"
    gated: bool = True
    streams: tuple[Literal["crop", "frame"], ...] = ("crop", "frame")
    depth: bool = False
    side: int = Field(128, ge=32, le=1024)
    rim: float = Field(0.25, ge=0, le=4)
    widths: tuple[Width, ...] = (32, 64, 96, 128)
    blocks: tuple[Width, ...] = (1, 1, 1, 1)
    hidden: Width = 128

    @model_validator(mode="after")
    def _fits(self) -> NetworkPlan:
        if self.side % 16:
            raise ValueError(f"side must be a multiple of 16, not {self.side}")
        if not self.streams or len(set(self.streams)) < len(self.streams):
            raise ValueError("streams must name crop, frame, or both, each once")
        if len(self.widths) != len(self.blocks) or not self.widths:
            raise ValueError("widths and blocks must be as many, one for each stage")
        return self
