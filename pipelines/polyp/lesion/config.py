"""What a finder of lesions is made of, and what its training may be told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.common.config import DeviceName, Strict
from pipelines.polyp.config import ReadLimits

TASK = "polyp-lesion"
FOLD = 2  # px along each axis that the network takes as one site: nothing is computed at full resolution
Width = Annotated[int, Field(ge=1, le=2048)]
Depth = Annotated[int, Field(ge=0, le=16)]


class FinderPlan(Strict):
    """The network, and what it is shown.

    side: px of the square that the optical field of a frame is made to fit, a multiple of the total stride.
    widths, blocks: channels and residual blocks of each level; the first is half as fine as the square, each
        other one half as fine as the one before.
    heads: levels that are trained to show the lesion, the finest first; only the finest is used afterwards.
    """

    side: int = Field(128, ge=32, le=1024)
    widths: tuple[Width, ...] = (24, 48, 96, 128, 160)
    blocks: tuple[Depth, ...] = (0, 1, 2, 2, 1)
    heads: int = Field(2, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> FinderPlan:
        if len(self.widths) != len(self.blocks) or len(self.widths) < 2:
            raise ValueError("widths and blocks must be as many, one for each level, and 2 levels at least")
        if self.side % self.stride or self.side < 2 * self.stride:
            raise ValueError(
                f"side must be a multiple of {self.stride}, two times that at least, not {self.side}"
            )
        if self.heads >= len(self.widths):
            raise ValueError(f"{len(self.widths)} levels have {len(self.widths) - 1} heads at most")
        return self

    @property
    def stride(self) -> int:
        """By how much the coarsest level is coarser than the square."""
        return FOLD << (len(self.widths) - 1)


class PretrainPlan(Strict):
    """Masked pretraining of the encoder on frames whose masks are not looked at (SparK).

    mask: the share of cells that is hidden; each frame draws its own from this range.
    targets: `normalised` rebuilds each cell with its own mean and deviation taken out; `plain` the colours.
    """

    epochs: int = Field(20, ge=1)
    steps_per_epoch: int = Field(50, ge=1)
    batch_size: int = Field(8, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    warm_up: float = Field(0.1, ge=0, lt=1)
    mask: tuple[float, float] = (0.6, 0.6)
    targets: Literal["plain", "normalised"] = "normalised"

    @model_validator(mode="after")
    def _mask_rises(self) -> PretrainPlan:
        if not 0 < self.mask[0] <= self.mask[1] < 1:
            raise ValueError(f"mask is a range from low to high, between 0 and 1, not {self.mask}")
        return self


class LesionConfig(ReadLimits):
    """Settings of one training. An epoch is `steps_per_epoch` batches of `batch_size` frames.

    pretraining: of the encoder, before; None begins at random.
    held_out: share of the frames that nothing is trained or tuned on, but measured with.
    tuned_on: share of the other frames that the network is not trained on; its threshold is tuned on them.
    frames_per_polyp: of each polyp so many frames are kept at most, spread over its time.
    flip: chance of each flip. turn: chance of a turn by any angle. scale: the natural logarithm of the size
        is drawn from -scale to scale. colour, blur: strength of changes of colour; chance of blur.
    ema_decay: decay of the moving average of the weights that is kept.
    """

    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1)
    network: FinderPlan = FinderPlan()
    pretraining: PretrainPlan | None = None
    held_out: float = Field(1 / 3, ge=0, lt=1)
    tuned_on: float = Field(0.12, gt=0, lt=1)
    frames_per_polyp: int = Field(16, ge=1)
    flip: float = Field(0.5, ge=0, le=1)
    turn: float = Field(0.5, ge=0, le=1)
    scale: float = Field(0.3, ge=0, le=2)
    colour: float = Field(0.8, ge=0, le=3)
    blur: float = Field(0.2, ge=0, le=1)
    epochs: int = Field(80, ge=1)
    steps_per_epoch: int = Field(50, ge=1)
    batch_size: int = Field(8, ge=2)
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    warm_up: float = Field(0.1, ge=0, lt=1)
    ema_decay: float = Field(0.998, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    data_terms: str = "not stated by whoever trained this model"
    notes: str = ""
