"""What `suite polyp train` may be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pipelines.common.config import DeviceName
from pipelines.polyp.config import NetworkPlan, ReadLimits


class TrainConfig(ReadLimits):
    """Settings of one training. An epoch is `steps_per_epoch` batches of `batch_size` frames.

    network: which network, and its sizes.
    held_out: share of the patients (of the polyps, where no patients are known) that the network is not
        trained on, but measured and calibrated with; 0 trains on all, and then sizes have no interval.
    routed: gates learn by passes of their own (gradient routing); without, they learn with everything else.
    gate_rate: learning rate of routed gates.
    gate_start: how far gates are open before they learn, 0 to 1; near 1 the network begins as without them.
        At a half, as published, networks learn less (docs/polyp-benchmarks.md).
    max_side: px, to which the longer side of larger frames is reduced.
    depth_model: that estimates maps of depth, where the network sees them: `none`, or a bundled name or a
        model folder. With one, its estimates are what is mostly seen, as they are what there is in use.
    own_depth: share of the frames with a map of depth that are seen with it, and not with the estimate.
    frames_per_polyp: of each polyp so many frames are kept at most, spread over its time.
    jitter: how far a box is moved and resized at random, as a share of its longer side, as boxes of other
        people and of a detector are.
    forget_camera: share of the frames whose calibration is kept from the network, so that it learns to do
        without one.
    flip, colour: chance of flips and quarter turns; strength of changes of brightness and colour.
    ema_decay: decay of the moving average of the weights that is kept.
    validate_every: epochs between validations on held-out polyps; 0 measures only at the end.
    confidence: of the intervals that the metrics speak of.
    """

    engine: Literal["auto", "native", "minkowski"] = "auto"
    device: DeviceName = "auto"
    seed: int = Field(0, ge=0)
    threads: int | None = Field(None, ge=1)
    network: NetworkPlan = NetworkPlan()
    held_out: float = Field(0.2, ge=0, lt=1)
    max_side: int = Field(512, ge=64)
    depth_model: str = "none"
    own_depth: float = Field(0.25, ge=0, le=1)
    frames_per_polyp: int = Field(64, ge=1)
    jitter: float = Field(0.05, ge=0, le=0.5)
    forget_camera: float = Field(0.0, ge=0, le=1)
    flip: float = Field(0.5, ge=0, le=1)
    colour: float = Field(1.0, ge=0, le=3)
    epochs: int = Field(40, ge=1)
    steps_per_epoch: int = Field(50, ge=1)
    batch_size: int = Field(24, ge=2)
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    warm_up: float = Field(0.1, ge=0, lt=1)
    routed: bool = True
    gate_rate: float = Field(1e-3, gt=0)
    gate_start: float = Field(0.95, gt=0, lt=1)
    ema_decay: float = Field(0.995, ge=0, lt=1)
    validate_every: int = Field(10, ge=0)
    confidence: float = Field(0.9, gt=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    tensorboard: bool = False
    data_terms: str = "not stated by whoever trained this model"
    notes: str = ""

    @model_validator(mode="after")
    def _sees_what_is_estimated(self) -> TrainConfig:
        if self.depth_model != "none" and not self.network.depth:
            raise ValueError("depth_model needs network.depth: without it no map of depth is looked at")
        return self
