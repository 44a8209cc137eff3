"""What a model of this task is made of; the model folder keeps it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipelines.common.config import Strict
from pipelines.crowd.data.limits import MAX_PIXELS

TASK = "crowd"
NetworkName = Literal["sparse-counter", "dense-counter", "m-segnet", "m-sfanet", "hmode", "mcnn"]
Width = Annotated[int, Field(ge=1, le=2048)]
Depth = Annotated[int, Field(ge=0, le=16)]


class ReadLimits(Strict):
    """max_pixels: the most of an image or frame that is read; see `data.limits`."""

    max_pixels: int = Field(MAX_PIXELS, ge=1024)


class NetworkPlan(Strict):
    """Which network, and its sizes.

    name: `sparse-counter` is ours; `dense-counter` the same with a decoder that works everywhere, and the
        same weights; the others are published networks.
    widths, blocks: channels of our stem at strides 2, 4, 8, 16 and 32; residual blocks at 4, 8, 16 and 32.
    decoder, decoder_blocks: channels and residual blocks of our decoder at 8, 16 and 32 px.
    threshold: our decoder works where the probability that nobody can be in a block leaves so much or more.
    halo: by how many blocks of 8 px it sees around these.
    relative_weight: of HMoDE's relative local counting loss; 0 leaves it out.

    The fields of other networks than the named one have no effect.
    """

    name: NetworkName = "sparse-counter"
    widths: tuple[Width, Width, Width, Width, Width] = (16, 32, 64, 128, 160)
    blocks: tuple[Depth, Depth, Depth, Depth] = (1, 1, 2, 1)
    decoder: tuple[Width, Width, Width] = (64, 96, 128)
    decoder_blocks: tuple[Depth, Depth, Depth] = (1, 1, 1)
    threshold: float = Field(0.05, ge=0, le=1)
    halo: int = Field(1, ge=0, le=8)
    relative_weight: float = Field(1.0, ge=0)
