"""What `suite medical pretrain` may be told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.common.config import DeviceName
from pipelines.medical.config import ReadLimits, Sides
from pipelines.medical.flips import EVERY, Mirror

Share = Annotated[float, Field(gt=0, lt=1)]


class PretrainConfig(ReadLimits):
    """Settings of one pretraining. An epoch is `steps_per_epoch` batches of crops.

    batch_size: crops of a batch; None takes the plan's.
    optimizer: `adamw`; `sgd` with Nesterov momentum wants about 1e-2 as its learning rate, `lamb` about 2e-3.
    mask: the share of cells that is hidden; each crop draws its own from this range.
    cell: voxels of a cell along x, y and z, a multiple of the network's total stride; None is that itself.
    targets: `plain` rebuilds the normalised image; `normalised` rebuilds each cell with its own mean and
        deviation taken out, which asks for texture rather than brightness.
    hard_share: the share of hidden cells that is picked for being hard at the end of training, by a moving
        average of the network; it grows from 0. 0 picks all at random, 0.5 is AnatoMask's.
    width: channels of the decoder at the coarsest level; None is half of the encoder's.
    held_out: the share of volumes that trains nothing and is measured at the end; at least one.
    mirror: axes along which crops are flipped at random.
    """

    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1)
    epochs: int = Field(100, ge=1)
    steps_per_epoch: int = Field(50, ge=1)
    batch_size: int | None = Field(None, ge=1)
    optimizer: Literal["adamw", "sgd", "lamb"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    warm_up: float = Field(0.05, ge=0, lt=1)
    mask: tuple[Share, Share] = (0.6, 0.75)
    cell: Sides | None = None
    targets: Literal["plain", "normalised"] = "plain"
    hard_share: float = Field(0.0, ge=0, le=1)
    teacher_decay: float = Field(0.999, ge=0, lt=1)
    width: int | None = Field(None, ge=1)
    held_out: float = Field(0.1, gt=0, lt=1)
    mirror: Mirror = EVERY
    data_terms: str = "not stated by whoever trained this model"
    notes: str = ""

    @model_validator(mode="after")
    def _mask_rises(self) -> PretrainConfig:
        if self.mask[0] > self.mask[1]:
            raise ValueError(f"mask is a range from low to high, not {self.mask}")
        return self
