"""What `suite crowd count` may be told; every default is the one that a newcomer would want."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from pipelines.common.config import DeviceName
from pipelines.crowd.config import ReadLimits


class PredictConfig(ReadLimits):
    """How a model is run, whatever is done with its counts.

    model: `auto` (the bundled model), a bundled name, or a model folder.
    network: `auto` runs the network as the model has it; the other two run our counter's weights on blocks
        where people may be, or on all.
    max_side: larger images are reduced so that their longer side has so many px; None as the model's training
        did, 0 never.
    memory_mib: what the features of a tile may take, about. Images above that are computed in tiles.
    confidence: with which the truth should lie in the interval of a count.
    empty_guard: count 0, with a note, where the image shows nothing or the model sees nobody anywhere.
    """

    model: str = "auto"
    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)
    network: Literal["auto", "sparse-counter", "dense-counter"] = "auto"
    max_side: int | None = Field(None, ge=0)
    memory_mib: int = Field(2048, ge=64)
    empty_guard: bool = True
    confidence: float = Field(0.9, gt=0, lt=1)


class CountConfig(PredictConfig):
    """Settings of one counting run.

    zones: a file of named areas; each is counted by itself.
    pixels_per_metre: scale of an image seen straight from above. ground: a file with a homography or with
        places in the image and on the ground. One of them gives people per square metre.
    stride: of the frames of a video, every stride-th is counted.
    changed_only: of a fixed camera's video, compute only what changed since the frame before.
    points: also write where the heads are. video: also write the video with counts drawn on it.
    """

    zones: Path | None = None
    pixels_per_metre: float | None = Field(None, gt=0)
    ground: Path | None = None
    stride: int = Field(1, ge=1)
    changed_only: bool = False
    points: bool = False
    video: bool = False
