"""What `suite crowd train` may be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pipelines.common.config import DeviceName
from pipelines.crowd.config import NetworkPlan, ReadLimits

CROP_MULTIPLE = 32  # px; every network computes on multiples of it


class TrainConfig(ReadLimits):
    """Settings of one training. An epoch is `steps_per_epoch` batches of `batch_size` crops.

    network: which network, and its sizes.
    held_out: share of the images that the network is not trained on, but measured and calibrated with; 0
        trains on all images, and then counts have no interval. Data sets that name a `val` split keep it.
    enlarge: images are made so many times larger first, for training and for counting: heads of a few px
        are told better so, at a cost that grows with its square. Never beyond max_side.
    max_side: images whose longer side has more px are reduced to it, for training and for counting.
    crop: side of the crops, in px. scale: how much larger or smaller a crop is made at random, from 1 / scale
        to scale.
    flip, gray, gamma, noise: chances and strengths of random changes; 0 leaves them out. gamma: its
        logarithm lies between minus and plus this. noise: deviation of a Gaussian, in gray levels of 255.
    ema_decay: decay of the moving average of the weights that is kept.
    patience: stop after so many validations without a lower mean absolute error, and keep the weights of the
        best; its error is then somewhat flattered. 0 never stops, and keeps the last.
    validate_every: epochs between validations on held-out images; 0 measures only at the end.
    validation_images: how many held-out images such a validation looks at; all are measured at the end.
    confidence: of the intervals that the metrics speak of.
    gate_recall: after the training, the threshold of our counter's gate is set so that this share of the
        heads that it was trained on lies in blocks that the decoder refines; the others are counted by the
        stem alone. More costs time. 0 leaves the network's own.
    precision: `bfloat16` computes dense convolutions in half precision; `auto` does so where the processor
        multiplies it in hardware.
    """

    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1)
    network: NetworkPlan = NetworkPlan()
    held_out: float = Field(0.2, ge=0, lt=1)
    enlarge: float = Field(1.0, ge=1, le=4)
    max_side: int = Field(2048, ge=64)
    crop: int = Field(256, ge=64)
    scale: float = Field(1.4, ge=1, le=4)
    flip: float = Field(0.5, ge=0, le=1)
    gray: float = Field(0.1, ge=0, le=1)
    gamma: float = Field(0.4, ge=0, le=2)
    noise: float = Field(4.0, ge=0, le=64)
    epochs: int = Field(80, ge=1)
    steps_per_epoch: int = Field(50, ge=1)
    batch_size: int = Field(8, ge=1)
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    warm_up: float = Field(0.05, ge=0, lt=1)
    ema_decay: float = Field(0.998, ge=0, lt=1)
    patience: int = Field(0, ge=0)
    validate_every: int = Field(10, ge=0)
    validation_images: int = Field(64, ge=1)
    confidence: float = Field(0.9, gt=0, lt=1)
    gate_recall: float = Field(0.9, ge=0, le=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    tensorboard: bool = False
    data_terms: str = "not stated by whoever trained this model"
    notes: str = ""

    @model_validator(mode="after")
    def _crops_fit(self) -> TrainConfig:
        if self.crop % CROP_MULTIPLE:
            raise ValueError(f"crop must be a multiple of {CROP_MULTIPLE}, not {self.crop}")
        return self
