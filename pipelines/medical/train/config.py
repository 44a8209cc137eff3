"""What `suite medical train` may be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.common.config import DeviceName
from pipelines.medical.config import ReadLimits
from pipelines.medical.flips import Mirror


class TrainConfig(ReadLimits):
    """Settings of one training. An epoch is `steps_per_epoch` batches of the plan's size.

    fold: which fold is held out: its number from 0, `all` for one network per fold, which segment together,
        or `none` to train one network on every case, with nothing left to measure it on.
    foreground_share: the share of patches that are centred on a labelled voxel, all labels alike.
    mirror: axes along which patches are flipped at random, and flips may be averaged in segmenting. None
        takes x, y and z, without x where left and right have labels of their own. Leave out an axis along
        which it is the place that tells labels apart, such as front from back.
    turn_degrees, scale, intensity: strengths of the random turns, sizes and intensities; 0 leaves them out.
    ema_decay: decay of the moving average of the weights that is kept.
    patience: stop a fold after so many validations without a better mean Dice, and keep the weights of the
        best; its Dice is then somewhat flattered. 0 never stops, and keeps the last.
    validate_every: epochs between validations on the held-out cases.
    validation_cases: how many held-out cases such a validation looks at; all are measured at the end.
    freeze_encoder: epochs in which a pretrained encoder is left as it is, while the decoder learns.
    precision: `bfloat16` computes most of a dense network in half precision; `auto` does so where the
        processor multiplies it in hardware.
    """

    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1)
    folds: int = Field(5, ge=2)
    fold: int | Literal["all", "none"] = 0
    epochs: int = Field(40, ge=1)
    steps_per_epoch: int = Field(50, ge=1)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.01, ge=0)
    warm_up: float = Field(0.1, ge=0, lt=1)
    foreground_share: float = Field(0.5, ge=0, le=1)
    mirror: Mirror | None = None
    turn_degrees: float = Field(20.0, ge=0, le=180)
    scale: float = Field(0.2, ge=0, lt=1)
    intensity: float = Field(1.0, ge=0, le=3)
    ema_decay: float = Field(0.99, ge=0, lt=1)
    patience: int = Field(0, ge=0)
    validate_every: int = Field(10, ge=1)
    validation_cases: int = Field(16, ge=1)
    freeze_encoder: int = Field(0, ge=0)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    tensorboard: bool = False
    data_terms: str = "not stated by whoever trained this model"
    notes: str = ""
