"""What `suite polyp size` may be told; every default is the one that a newcomer would want."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from pipelines.common.config import DeviceName
from pipelines.polyp.config import ReadLimits


class PredictConfig(ReadLimits):
    """How a model is run, whatever is done with its sizes.

    model: `auto` (the bundled model), a bundled name, or a model folder.
    finder: of lesions, where a frame has neither box nor mask: `auto` (the bundled one, if there is one),
        `none`, a bundled name, or a model folder.
    least_score: what the finder is less sure of, 0 to 1, is no lesion.
    depth_model: that estimates depths of frames with a calibration and without a map of them: `auto` (the one
        that the model learnt with, if any), `none`, a bundled name, or a model folder.
    ignore_labels: let the finder find the lesions of data sets that have boxes, too.
    calibration: a JSON file of the camera, for all frames.
    layout: of the data sets, if they are taken for another.
    frames_per_polyp: of each polyp so many frames are looked at, at most, spread over its time.
    least_frames: with fewer frames that can be used a polyp gets no size.
    confidence: with which the true size should lie in the interval.
    pictures: so many frames of each polyp, at most, are drawn.
    """

    model: str = "auto"
    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    finder: str = "auto"
    least_score: float = Field(0.5, ge=0, le=1)
    depth_model: str = "auto"
    ignore_labels: bool = False
    calibration: Path | None = None
    layout: str = ""
    frames_per_polyp: int = Field(100, ge=1, le=5_000)
    least_frames: int = Field(1, ge=1)
    confidence: float = Field(0.9, gt=0, lt=1)
    pictures: int = Field(8, ge=0, le=100)


class SizeConfig(PredictConfig):
    """Settings of one sizing run.

    boxes: a table of boxes (CSV), or a folder of VOC annotations. masks: a folder of images of the frames'
        names. One of them; a data set's own labels are left aside then.
    """

    boxes: Path | None = None
    masks: Path | None = None
