"""What the commands may be told."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from pipelines.common.config import DeviceName, Strict

TASK: Final = "digits"
PICTURES: Final = "pictures.jsonl"  # of a run: the sites of each picture, for the review


class ClassifyConfig(Strict):
    """Settings of a classification. model: a model folder."""

    model: str
    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)


class TrainConfig(Strict):
    """Settings of a training. held_out: share of the pictures that the accuracy is measured on."""

    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)
    epochs: int = Field(8, ge=1)
    batch_size: int = Field(64, ge=2)
    learning_rate: float = Field(3e-3, gt=0)
    held_out: float = Field(0.2, gt=0, lt=1)
