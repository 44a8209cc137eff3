"""What an estimator of depths is made of, and what its training may be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.common.config import DeviceName
from pipelines.polyp.config import ReadLimits
from pipelines.polyp.lesion.config import FinderPlan

TASK = "polyp-depth"


class DepthConfig(ReadLimits):
    """Settings of one training. An epoch is `steps_per_epoch` batches of `batch_size` frames.

    network: as a finder of lesions has it, on a square that the whole picture is made to fit.
    held_out: share of the patients that nothing is trained on, but measured with.
    frames_per_polyp: of each polyp so many frames are kept at most, spread over its time.
    lesion: weight of the lesion's error beside that of the whole frame.
    flip: chance of a flip and of quarter turns. colour: strength of changes of colour.
    ema_decay: decay of the moving average of the weights that is kept.
    """

    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1)
    network: FinderPlan = FinderPlan(side=128, heads=1)
    held_out: float = Field(0.1, gt=0, lt=1)
    max_side: int = Field(512, ge=64)
    frames_per_polyp: int = Field(64, ge=1)
    lesion: float = Field(1.0, ge=0)
    flip: float = Field(0.5, ge=0, le=1)
    colour: float = Field(1.25, ge=0, le=3)
    epochs: int = Field(120, ge=1)
    steps_per_epoch: int = Field(100, ge=1)
    batch_size: int = Field(16, ge=2)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    warm_up: float = Field(0.1, ge=0, lt=1)
    ema_decay: float = Field(0.995, ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    data_terms: str = "not stated by whoever trained this model"
    notes: str = ""
